import { CodeModes, MODE_64 } from "./code-modes.ts";
import type { CodePlace } from "./interpreter/code-place.ts";
import { readUnitControls } from "./interpreter/units.ts";
import type { CodeSize, Processor } from "./processor.ts";
import { type SegmentTraits, segmentTraits } from "./segment-traits.ts";
import {
  CODE_MODE,
  CODE_MODES,
  GENERAL_REGISTERS_32,
  SEGMENT,
  SEGMENT_INDEX,
  STATE,
  segmentOffset,
} from "./state.ts";

const USER_LEVEL = 3;
const CODE_SEGMENT = segmentOffset(SEGMENT_INDEX.cs);
/** Of the upper half of a key. */
const MODE_UNIT = Number(CODE_MODE >> 32n);
const MODE_BITS = (2 * CODE_MODES - 1) * MODE_UNIT;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/** What generated code knows of mode and segments, beside the addresses of code. */
export class CodeState {
  readonly #p: Processor;
  readonly #onChange: () => void;
  readonly #modes: CodeModes;
  #size: CodeSize = 16;
  #base = 0;
  #limit = 0;
  #segments: SegmentTraits = 0;
  #unitControls = 0;

  /** @param onChange no address leads any more where it did */
  constructor(processor: Processor, onChange: () => void) {
    this.#p = processor;
    this.#onChange = onChange;
    this.#modes = new CodeModes(onChange);
  }

  get size(): CodeSize {
    return this.#size;
  }

  /** Where RIP is. */
  get place(): CodePlace {
    return {
      rip: this.#p.rip,
      base: BigInt(this.#base),
      codeSize: this.#size,
      limit: this.#size === 64 ? LAST_ADDRESS : BigInt(this.#limit),
      segments: this.#segments,
      user: this.#p.cpl === USER_LEVEL,
    };
  }

  get linearRip(): bigint {
    return BigInt.asUintN(this.#size === 64 ? 64 : 32, this.#p.rip + BigInt(this.#base));
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
    view.setInt32(STATE.CODE64, code64 ? 1 : 0, true);
    const size = code64 ? 64 : p.codeSize;
    this.#size = size;
    this.#base = code64 ? 0 : view.getUint32(CODE_SEGMENT + SEGMENT.BASE, true);
    this.#limit = code64 ? 0 : view.getUint32(CODE_SEGMENT + SEGMENT.LIMIT, true);
    this.#segments = segmentTraits(p, size);
    const mode =
      size === 64 ? MODE_64 : this.#modes.numberOf(size, this.#base, this.#limit, this.#segments);
    const key = (mode * MODE_UNIT) | (view.getInt32(STATE.CODE_KEY + 4, true) & ~MODE_BITS);
    view.setInt32(STATE.CODE_KEY + 4, key, true);
    view.setUint32(STATE.CODE_BASE, this.#base, true);
    view.setInt32(STATE.CODE_BASE + 4, 0, true);
    if (!code64) this.#clearUpperHalves();
    this.#followUnits();
    const { stackSize } = p;
    view.setInt32(STATE.STACK_MASK, stackSize === 16 ? 0xffff : -1, true);
    view.setInt32(STATE.STACK_MASK + 4, stackSize === 64 ? -1 : 0, true);
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
