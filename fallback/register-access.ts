import type { GeneralRegister, Registers, SegmentRegister } from "../src/core/cpu.ts";
import type { RegisterAccess } from "../src/core/register-access.ts";
import type { Departure } from "./departure.ts";
import { GPR, type Processor } from "./processor.ts";
import { readRegisters } from "./registers.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "./state.ts";

const PARAGRAPH = 16;

/** Where a processor has them. */
export class DirectRegisters implements RegisterAccess {
  readonly #p: Processor;
  readonly #departure: Departure;
  readonly #write: (registers: Registers) => void;

  /** @param write sets all of them */
  constructor(processor: Processor, departure: Departure, write: (registers: Registers) => void) {
    this.#p = processor;
    this.#departure = departure;
    this.#write = write;
  }

  general(register: GeneralRegister): number {
    return this.#p.gpr32(GPR[register]);
  }

  setGeneral(register: GeneralRegister, value: number): void {
    this.#p.view.setUint32(STATE.GPR + 8 * GPR[register], value, true);
  }

  selector(register: SegmentRegister): number {
    return this.#p.selector(SEGMENT_INDEX[register]);
  }

  base(register: SegmentRegister): number {
    const at = segmentOffset(SEGMENT_INDEX[register]) + SEGMENT.BASE;
    return this.#p.view.getUint32(at, true);
  }

  loadParagraph(register: SegmentRegister, selector: number): void {
    this.#p.moveSegment(SEGMENT_INDEX[register], selector, selector * PARAGRAPH);
    this.#stopCode();
  }

  get ip(): number {
    return this.#p.view.getUint16(STATE.RIP, true);
  }

  set ip(value: number) {
    this.#p.rip = BigInt(value);
    this.#stopCode();
  }

  assign(registers: Partial<Registers>): void {
    this.#write({ ...readRegisters(this.#p), ...registers });
    this.#stopCode();
  }

  /** The code under way must not go on: it goes on elsewhere, or depends on what has changed. */
  #stopCode(): void {
    this.#departure.leaveFor(this.#departure.exits.accessed);
  }
}
