import type { CodePlace } from "./interpreter/code-place.ts";
import { readUnitControls } from "./interpreter/units.ts";
import type { CodeSize, Processor } from "./processor.ts";
import { type SegmentTraits, segmentTraits } from "./segment-traits.ts";
import { GENERAL_REGISTERS_32, SEGMENT_INDEX, STATE } from "./state.ts";

const USER_LEVEL = 3;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** What generated code knows of mode and segments, beside the addresses of code. */
export class CodeState {
  readonly #p: Processor;
  readonly #onChange: () => void;
  #size: CodeSize = 16;
  #base = -1n;
  #limit = 0n;
  #segments: SegmentTraits = 0;
  #unitControls = 0;

  /** @param onChange code at the same addresses may have to be translated in another way */
  constructor(processor: Processor, onChange: () => void) {
    this.#p = processor;
    this.#onChange = onChange;
  }

  get size(): CodeSize {
    return this.#size;
  }

  /** Where RIP is. */
  get place(): CodePlace {
    return {
      rip: this.#p.rip,
      base: this.#base,
      codeSize: this.#size,
      limit: this.#limit,
      segments: this.#segments,
      user: this.#p.cpl === USER_LEVEL,
    };
  }

  get linearRip(): bigint {
    return BigInt.asUintN(this.#size === 64 ? 64 : 32, this.#p.rip + this.#base);
  }

  /** Brings what generated code reads up to date with mode and segments. */
  synchronise(): void {
    const p = this.#p;
    const { code64, view } = p;
    // Of all the rest nothing counts in 64-bit mode.
    if (code64 && this.#size === 64) {
      this.#followUnits();
      return;
    }
    const base = code64 ? 0n : p.segmentBase(SEGMENT_INDEX.cs);
    const size = code64 ? 64 : p.codeSize;
    const limit = code64 ? LAST_ADDRESS : p.segmentLimit(SEGMENT_INDEX.cs);
    if (size !== this.#size || base !== this.#base || limit !== this.#limit) {
      this.#size = size;
      this.#base = base;
      this.#limit = limit;
      view.setInt32(STATE.CODE64, code64 ? 1 : 0, true);
      view.setBigUint64(STATE.CODE_BASE, base, true);
      this.#onChange();
    }
    const segments = segmentTraits(p, size);
    if (segments !== this.#segments) {
      this.#segments = segments;
      this.#onChange();
    }
    if (!code64) this.#clearUpperHalves();
    this.#followUnits();
    const { stackSize } = p;
    const mask = stackSize === 64 ? -1n : stackSize === 32 ? 0xffff_ffffn : 0xffffn;
    view.setBigInt64(STATE.STACK_MASK, BigInt.asIntN(64, mask), true);
  }

  #followUnits(): void {
    const unitControls = readUnitControls(this.#p.view);
    if (unitControls === this.#unitControls) return;
    this.#unitControls = unitControls;
    this.#onChange();
  }

  /** Of the general registers: undefined outside 64-bit mode (Intel SDM vol. 1 §3.4.1.1), zero here. */
  #clearUpperHalves(): void {
    const { view } = this.#p;
    for (let register = 0; register < GENERAL_REGISTERS_32; register++) {
      view.setInt32(STATE.GPR + 8 * register + 4, 0, true);
    }
  }
}
