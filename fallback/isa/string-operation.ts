import { RFLAGS } from "../bits.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { SEGMENT_INDEX } from "../state.ts";

/** Elements that one execution of a repeated string instruction does; then interrupts have their chance. */
export const MAX_ELEMENTS = 4096;

/** Registers that string instructions use without naming them. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RSI = 6;
export const RDI = 7;

export interface StringPlace {
  /** Index as in `SEGMENT_INDEX`. */
  readonly segment: number;
  readonly offset: bigint;
}

/** One string instruction under way. */
export class StringOperation {
  readonly context: ProcedureContext;
  /** Of an element. */
  readonly bytes: number;
  /** Bytes from an element to the next. */
  readonly step: number;
  /** Of addresses. A getter that is private takes a call of V8's own until code is optimised. */
  readonly #width: number;
  /** There are elements left for another time. */
  unfinished = false;

  constructor(context: ProcedureContext) {
    this.context = context;
    const { instruction, processor } = context;
    this.#width = instruction.addressSize;
    const byte = (instruction.form.opcode & 1) === 0;
    const isPort = instruction.form.opcode >= 0x6c && instruction.form.opcode <= 0x6f;
    const bits = isPort ? Math.min(context.operandSize, 32) : context.operandSize;
    this.bytes = byte ? 1 : bits / 8;
    this.step = (processor.systemFlags & RFLAGS.DF) !== 0 ? -this.bytes : this.bytes;
  }

  /** In DS or an override. */
  get source(): StringPlace {
    const offset = this.context.getRegister(RSI, this.#width);
    return { segment: this.context.instruction.segment, offset };
  }

  /** In ES always. */
  get destination(): StringPlace {
    return { segment: SEGMENT_INDEX.es, offset: this.context.getRegister(RDI, this.#width) };
  }

  get count(): bigint {
    return this.context.getRegister(RCX, this.#width);
  }

  set count(value: bigint) {
    this.context.setRegister(RCX, this.#width, value);
  }

  /** Moves pointers on by elements. */
  advance(register: number, elements = 1): void {
    const { context } = this;
    const moved = context.getRegister(register, this.#width) + BigInt(this.step * elements);
    context.setRegister(register, this.#width, moved);
  }

  read({ segment, offset }: StringPlace): bigint {
    return this.context.readMemory(offset, this.bytes, segment);
  }

  write({ segment, offset }: StringPlace, value: bigint): void {
    this.context.writeMemory(offset, this.bytes, value, segment);
  }

  /** Elements from a place to where pointers wrap. */
  elementsBeforeWrap({ offset }: StringPlace): number {
    if (this.step < 0) return Math.floor(Number(offset) / this.bytes) + 1;
    return Math.floor((2 ** this.#width - Number(offset)) / this.bytes);
  }
}

/** The instruction goes on where it is: RIP is put back to it. */
export function restart(context: ProcedureContext): void {
  const { processor, instruction, next } = context;
  const width = processor.codeSize === 64 ? 64 : 32;
  processor.rip = BigInt.asUintN(width, next - BigInt(instruction.length));
}
