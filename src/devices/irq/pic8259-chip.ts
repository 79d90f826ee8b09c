import { ByteDevice } from "../../core/byte-device.ts";
import type { Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { hex } from "../../core/units.ts";

/** Initialisation command words (Intel 8259A data sheet, figure 7). */
const ICW1_SELECT = 1 << 4;
const ICW1_LEVEL = 1 << 3;
const ICW1_SINGLE = 1 << 1;
const ICW1_ICW4 = 1 << 0;
const ICW2_BASE = 0xf8;
const ICW4_FULLY_NESTED = 1 << 4;
const ICW4_AUTO_EOI = 1 << 1;

/** Operation command words (figure 8). */
const OCW_SELECT_3 = 1 << 3;
const OCW3_MASK_CHANGE = 1 << 6;
const OCW3_MASK_SPECIAL = 1 << 5;
const OCW3_POLL = 1 << 2;
const OCW3_READ_CHANGE = 1 << 1;
const OCW3_READ_ISR = 1 << 0;

const POLL_PENDING = 1 << 7;

/** What a request that went away in the middle of its acknowledge looks like. */
const SPURIOUS = 7;
const NONE = -1;

type Expected = "icw2" | "icw3" | "icw4" | "ocw";

/**
 * One 8259A interrupt controller: eight inputs, one output.
 * Source: Intel 8259A data sheet (231468).
 *
 * An edge-triggered request stays until it is acknowledged, even if its input falls before. (The
 * chip would forget it and answer with the spurious vector. A virtual CPU may be kept from running
 * for longer than a device holds its line, and would lose interrupts that no real PC loses.)
 */
export class Pic8259 extends ByteDevice implements Resettable {
  readonly #output: IrqLine;
  /** Inputs that are level-triggered whatever ICW1 says. */
  readonly #alwaysLevel: number;

  /** Levels of the inputs. */
  #inputs = 0;
  /** Latched rising edges. */
  #edges = 0;
  #inService = 0;
  #mask = 0;
  #base = 0;
  #lowestPriority = 7;
  /** Inputs that ELCR, or ICW1, makes level-triggered. */
  #elcr = 0;
  #levelTriggered = false;
  #single = false;
  #fullyNested = false;
  #autoEoi = false;
  #rotateOnAutoEoi = false;
  #specialMask = false;
  readonly #onTaken: () => void;
  #readInService = false;
  #poll = false;
  #expected: Expected = "ocw";
  #icw4Follows = false;

  /**
   * @param output the INT pin
   * @param cascade inputs that another chip's INT pin drives (a mask). They are seen as levels: the
   *   other chip may have its next request ready before this one has acknowledged the last.
   * @param onTaken an edge that was remembered no longer is
   */
  constructor({
    output,
    cascade = 0,
    onTaken = () => {},
  }: {
    output: IrqLine;
    cascade?: number;
    onTaken?: () => void;
  }) {
    super();
    this.#output = output;
    this.#onTaken = onTaken;
    this.#alwaysLevel = cascade;
    this.reset();
  }

  /** One line. */
  describe(): string {
    const bits = (value: number): string => value.toString(2).padStart(8, "0");
    return (
      `requests ${bits(this.#requests)}, in service ${bits(this.#inService)}, ` +
      `masked ${bits(this.#mask)}, vectors from ${hex(this.#base)}`
    );
  }

  /** The inputs keep the levels that devices drive. */
  reset(): void {
    this.#initialise(0);
    this.#expected = "ocw";
    this.#base = 0;
    this.#elcr = 0;
    // Nothing comes through before a driver has said where to.
    this.#mask = 0xff;
    this.#update();
  }

  /** The edge/level control register that a PC adds to the chip: one bit an input. */
  get edgeLevel(): number {
    return this.#elcr;
  }

  set edgeLevel(value: number) {
    this.#elcr = value;
    this.#update();
  }

  /** Whether ICW1 said that there is no other chip. */
  get single(): boolean {
    return this.#single;
  }

  /** @param input 0 to 7 */
  input(input: number): IrqLine {
    const bit = 1 << input;
    return {
      set: (level) => {
        if (level === ((this.#inputs & bit) !== 0)) return;
        this.#inputs ^= bit;
        if (level && (this.#levels & bit) === 0) this.#edges |= bit;
        this.#update();
      },
    };
  }

  /** Whether an edge at an input is remembered, so that another one makes no difference. */
  remembersEdge(input: number): boolean {
    return (this.#edges & ~this.#levels & (1 << input)) !== 0;
  }

  /**
   * The acknowledge cycle: the input that is served now.
   * @returns 0 to 7, and the spurious 7 if nothing asks any more
   */
  acknowledge(): number {
    const input = this.#highestRequest();
    if (input === NONE) return SPURIOUS;
    this.#serve(input);
    return input;
  }

  /** The vector of an input. */
  vector(input: number): number {
    return this.#base | input;
  }

  readByte(offset: number): number {
    if (this.#poll) {
      this.#poll = false;
      const input = this.#highestRequest();
      if (input === NONE) return 0;
      this.#serve(input);
      return POLL_PENDING | input;
    }
    if (offset === 1) return this.#mask;
    return this.#readInService ? this.#inService : this.#requests;
  }

  writeByte(offset: number, value: number): void {
    if (offset === 1) this.#writeData(value);
    else if ((value & ICW1_SELECT) !== 0) this.#initialise(value);
    else if ((value & OCW_SELECT_3) !== 0) this.#operation3(value);
    else this.#endOfInterrupt(value);
    this.#update();
  }

  get #levels(): number {
    return this.#alwaysLevel | (this.#levelTriggered ? 0xff : this.#elcr);
  }

  /** The interrupt request register. */
  get #requests(): number {
    const levels = this.#levels;
    return (this.#inputs & levels) | (this.#edges & ~levels);
  }

  #initialise(icw1: number): void {
    this.#edges = 0;
    this.#onTaken();
    this.#mask = 0;
    this.#inService = 0;
    this.#lowestPriority = 7;
    this.#specialMask = false;
    this.#readInService = false;
    this.#poll = false;
    this.#fullyNested = false;
    this.#autoEoi = false;
    this.#rotateOnAutoEoi = false;
    this.#levelTriggered = (icw1 & ICW1_LEVEL) !== 0;
    this.#single = (icw1 & ICW1_SINGLE) !== 0;
    this.#icw4Follows = (icw1 & ICW1_ICW4) !== 0;
    this.#expected = "icw2";
  }

  #writeData(value: number): void {
    const afterIcw3 = this.#icw4Follows ? "icw4" : "ocw";
    switch (this.#expected) {
      case "icw2":
        this.#base = value & ICW2_BASE;
        this.#expected = this.#single ? afterIcw3 : "icw3";
        break;
      case "icw3": // Who is connected to whom is a matter of the board's wires.
        this.#expected = afterIcw3;
        break;
      case "icw4":
        this.#fullyNested = (value & ICW4_FULLY_NESTED) !== 0;
        this.#autoEoi = (value & ICW4_AUTO_EOI) !== 0;
        this.#expected = "ocw";
        break;
      case "ocw":
        this.#mask = value;
    }
  }

  /** OCW2: bits 7 to 5 are rotate, specific, end of interrupt. */
  #endOfInterrupt(value: number): void {
    const level = value & 7;
    switch (value >> 5) {
      case 0b001:
      case 0b101: {
        const served = this.#highestInService(this.#specialMask ? ~this.#mask : 0xff);
        if (served === NONE) break;
        this.#inService &= ~(1 << served);
        if (value >> 5 === 0b101) this.#lowestPriority = served;
        break;
      }
      case 0b011:
      case 0b111:
        this.#inService &= ~(1 << level);
        if (value >> 5 === 0b111) this.#lowestPriority = level;
        break;
      case 0b110:
        this.#lowestPriority = level;
        break;
      case 0b000:
      case 0b100:
        this.#rotateOnAutoEoi = value >> 5 === 0b100;
        break;
      default: // 010: no operation.
    }
  }

  #operation3(value: number): void {
    if ((value & OCW3_MASK_CHANGE) !== 0) this.#specialMask = (value & OCW3_MASK_SPECIAL) !== 0;
    // Poll comes before the register read of the same command.
    if ((value & OCW3_POLL) !== 0) this.#poll = true;
    else if ((value & OCW3_READ_CHANGE) !== 0) {
      this.#readInService = (value & OCW3_READ_ISR) !== 0;
    }
  }

  #serve(input: number): void {
    const bit = 1 << input;
    this.#edges &= ~bit;
    this.#onTaken();
    if (!this.#autoEoi) this.#inService |= bit;
    else if (this.#rotateOnAutoEoi) this.#lowestPriority = input;
    this.#update();
  }

  #update(): void {
    this.#output.set(this.#highestRequest() !== NONE);
  }

  /** The input to be served next, or {@link NONE}. */
  #highestRequest(): number {
    const requests = this.#requests & ~this.#mask;
    if (requests === 0) return NONE;
    let inService = this.#inService;
    // Special mask mode: an interrupt in service that is masked holds nothing up.
    if (this.#specialMask) inService &= ~this.#mask;
    // Special fully nested mode: the other chip's more urgent requests get through.
    if (this.#fullyNested) inService &= ~this.#alwaysLevel;
    const request = this.#rank(requests);
    return request < this.#rank(inService) ? this.#inputOfRank(request) : NONE;
  }

  #highestInService(among: number): number {
    const inService = this.#inService & among;
    return inService === 0 ? NONE : this.#inputOfRank(this.#rank(inService));
  }

  /** How urgent the most urgent input of a mask is: 0 is most urgent; 8 if the mask is empty. */
  #rank(mask: number): number {
    const highest = (this.#lowestPriority + 1) & 7;
    const turned = ((mask >> highest) | (mask << (8 - highest))) & 0xff;
    // The lowest set bit; with bit 8 for none.
    const lowest = turned | 0x100;
    return 31 - Math.clz32(lowest & -lowest);
  }

  #inputOfRank(rank: number): number {
    return (this.#lowestPriority + 1 + rank) & 7;
  }
}
