import { CodeModes, MODE_64 } from "./code-modes.ts";
import type { CodePlace } from "./interpreter/code-place.ts";
import { readUnitControls } from "./interpreter/units.ts";
import type { CodeSize, Processor } from "./processor.ts";
import { segmentTraits } from "./segment-traits.ts";
import {
  CODE_MODE,
  CODE_MODES,
  CODE_SEGMENT,
  CODE_SEGMENT_ENTRIES,
  CODE_SEGMENTS,
  CODE_TRAITS,
  GENERAL_REGISTERS_32,
  PARAGRAPH_SHIFT,
  SEGMENT,
  SEGMENT_INDEX,
  STATE,
  segmentOffset,
} from "./state.ts";

const USER_LEVEL = 3;
const BASE = segmentOffset(SEGMENT_INDEX.cs) + SEGMENT.BASE;
const LIMIT = segmentOffset(SEGMENT_INDEX.cs) + SEGMENT.LIMIT;
/** Of the upper half of a key. */
const TRAITS_UNIT = Number(CODE_TRAITS >> 32n);
const MODE_UNIT = Number(CODE_MODE >> 32n);
const SEGMENT_BITS = (CODE_MODES + 1) * MODE_UNIT - TRAITS_UNIT;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;

/**
 * What generated code knows of mode and segments, beside the addresses of code. Outside 64-bit mode it
 * keeps that up to date itself where it loads segments (`segment-loads.ts`).
 */
export class CodeState {
  readonly #p: Processor;
  readonly #onChange: () => void;
  readonly #modes: CodeModes;
  #unitControls = 0;

  /** @param onChange no address leads any more where it did */
  constructor(processor: Processor, onChange: () => void) {
    this.#p = processor;
    this.#onChange = onChange;
    this.#modes = new CodeModes(() => {
      const size = CODE_SEGMENT_ENTRIES * CODE_SEGMENT.ENTRY_SIZE;
      new Uint8Array(processor.buffer, CODE_SEGMENTS, size).fill(0);
      onChange();
    });
  }

  get size(): CodeSize {
    return this.#p.codeSize;
  }

  /** Where RIP is. */
  get place(): CodePlace {
    const { rip, cpl, codeSize, view } = this.#p;
    const user = cpl === USER_LEVEL;
    if (codeSize === 64) return { rip, base: 0n, codeSize, limit: LAST_ADDRESS, segments: 0, user };
    return {
      ...{ rip, base: BigInt(view.getUint32(BASE, true)), codeSize },
      limit: BigInt(view.getUint32(LIMIT, true)),
      segments: segmentTraits(this.#p, codeSize),
      user,
    };
  }

  get linearRip(): bigint {
    const { rip, code64, view } = this.#p;
    return code64 ? rip : BigInt.asUintN(32, rip + BigInt(view.getUint32(BASE, true)));
  }

  /** Brings what generated code reads up to date with mode and segments. */
  synchronise(): void {
    const { codeSize, view } = this.#p;
    // Of all the rest nothing counts in 64-bit mode.
    if (codeSize === 64 && view.getInt32(STATE.CODE64, true) !== 0) {
      this.#followUnits();
      return;
    }
    view.setInt32(STATE.CODE64, codeSize === 64 ? 1 : 0, true);
    const base = codeSize === 64 ? 0 : view.getUint32(BASE, true);
    const segment = codeSize === 64 ? MODE_64 : this.#codeSegment(codeSize, base);
    const traits = segmentTraits(this.#p, codeSize) * TRAITS_UNIT;
    const others = view.getInt32(STATE.CODE_KEY + 4, true) & ~SEGMENT_BITS;
    view.setInt32(STATE.CODE_KEY + 4, segment | traits | others, true);
    view.setUint32(STATE.CODE_BASE, base, true);
    view.setInt32(STATE.CODE_BASE + 4, 0, true);
    if (codeSize !== 64) this.#clearUpperHalves();
    this.#followUnits();
    const { stackSize } = this.#p;
    view.setInt32(STATE.STACK_MASK, stackSize === 16 ? 0xffff : -1, true);
    view.setInt32(STATE.STACK_MASK + 4, stackSize === 64 ? -1 : 0, true);
  }

  /** What the upper half of a key has of the code segment, which generated code finds from now on. */
  #codeSegment(size: 16 | 32, base: number): number {
    const { view } = this.#p;
    const limit = view.getUint32(LIMIT, true);
    const mode = this.#modes.numberOf(size, base, limit) * MODE_UNIT;
    const place = ((base >>> PARAGRAPH_SHIFT) ^ size) & (CODE_SEGMENT_ENTRIES - 1);
    const entry = CODE_SEGMENTS + place * CODE_SEGMENT.ENTRY_SIZE;
    view.setUint32(entry + CODE_SEGMENT.BASE, base, true);
    view.setUint32(entry + CODE_SEGMENT.LIMIT, limit, true);
    view.setInt32(entry + CODE_SEGMENT.SIZE, size, true);
    view.setInt32(entry + CODE_SEGMENT.MODE, mode, true);
    return mode;
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
