import type { Segment } from "../../src/core/cpu.ts";
import { isCanonical } from "../bits.ts";
import { stackFault } from "../exceptions.ts";
import { linearOf } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import { type CodeSize, GPR, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { isWithin, mayPlainly } from "./segment-access.ts";

export type SlotBytes = 2 | 4 | 8;

export const slotBytes = (size: CodeSize): SlotBytes => (size / 8) as SlotBytes;

/**
 * A stack being pushed to or popped from: registers change only at {@link Stack.commit}, so that a
 * fault on the way leaves the processor as it was.
 */
export class Stack {
  /** Stack pointer, as many bits as count. */
  pointer: bigint;
  readonly #mmu: Mmu;
  readonly #segment: Segment;
  readonly #size: CodeSize;
  readonly #user: boolean;
  readonly #errorCode: number;

  /**
   * @param size width of the stack pointer
   * @param user with whose rights memory is accessed
   * @param errorCode of the #SS beyond the limit
   */
  constructor(
    mmu: Mmu,
    segment: Segment,
    size: CodeSize,
    pointer: bigint,
    user: boolean,
    errorCode = 0,
  ) {
    this.#mmu = mmu;
    this.#segment = segment;
    this.#size = size;
    this.pointer = BigInt.asUintN(size, pointer);
    this.#user = user;
    this.#errorCode = errorCode;
  }

  /** The stack in use. */
  static current(p: Processor, mmu: Mmu, errorCode = 0): Stack {
    const segment = p.segment(SEGMENT_INDEX.ss);
    return new Stack(mmu, segment, p.stackSize, p.gpr(GPR.rsp), mmu.user, errorCode);
  }

  push(value: bigint, bytes: SlotBytes): void {
    const pointer = BigInt.asUintN(this.#size, this.pointer - BigInt(bytes));
    const at = this.#linear(pointer, bytes);
    if (bytes === 8) this.#mmu.write64(at, value, this.#user);
    else this.#mmu.write(at, bytes, Number(BigInt.asUintN(8 * bytes, value)), this.#user);
    this.pointer = pointer;
  }

  pop(bytes: SlotBytes): bigint {
    const at = this.#linear(this.pointer, bytes);
    const value =
      bytes === 8
        ? this.#mmu.read64(at, this.#user)
        : BigInt(this.#mmu.read(at, bytes, this.#user));
    this.skip(bytes);
    return value;
  }

  /** Pops a selector: the upper bytes of its slot do not count. */
  popSelector(bytes: SlotBytes): number {
    return Number(this.pop(bytes) & 0xffffn);
  }

  /** Faults if a value could not be written at the pointer. */
  check(bytes: SlotBytes): void {
    this.#mmu.check(this.#linear(this.pointer, bytes), bytes, "write", this.#user);
  }

  skip(bytes: number): void {
    this.pointer = BigInt.asUintN(this.#size, this.pointer + BigInt(bytes));
  }

  /** Makes the pointer the processor's: bits above its width stay, but for 32-bit ones. */
  commit(p: Processor): void {
    if (this.#size === 16) p.setGpr16(GPR.rsp, Number(this.pointer));
    else p.setGpr(GPR.rsp, this.pointer);
  }

  #linear(pointer: bigint, bytes: number): number {
    const { base } = this.#segment;
    if (this.#size === 64) {
      if (!isCanonical(pointer) || !isCanonical(pointer + BigInt(bytes - 1))) throw this.#fault();
      return linearOf(pointer);
    }
    if (!isWithin(this.#segment, Number(pointer), bytes)) throw this.#fault();
    return Number(BigInt.asUintN(32, base + pointer));
  }

  #fault() {
    return stackFault(this.#errorCode);
  }
}

const STACK_BASE = segmentOffset(SEGMENT_INDEX.ss) + SEGMENT.BASE;
const WORD = 0x1_0000;
const DOUBLE = 0x1_0000_0000;

/**
 * Linear address of what is to be pushed at once, or popped, outside 64-bit mode: without the arithmetic of
 * 64 bits that {@link Stack} takes. -1 where that has to see, since not all of it plainly is in the segment.
 */
export function nearStack(p: Processor, bytes: number, action: "push" | "pop"): number {
  const size = p.stackSize;
  if (size === 64) return -1;
  const wide = size === 32;
  const pointer = p.gpr32(GPR.rsp) & (wide ? -1 : WORD - 1);
  const from = (pointer >>> 0) - (action === "push" ? bytes : 0);
  if (from < 0 || from + bytes > (wide ? DOUBLE : WORD)) return -1;
  const access = action === "push" ? "write" : "read";
  if (!mayPlainly(p, SEGMENT_INDEX.ss, from, bytes, access)) return -1;
  const linear = (p.view.getUint32(STACK_BASE, true) + from) >>> 0;
  return linear + bytes > DOUBLE ? -1 : linear;
}

/** Behind what {@link nearStack} has found. @param bytes below zero for what was pushed */
export function moveNearStack({ view }: Processor, size: CodeSize, bytes: number): void {
  const at = STATE.GPR + 8 * GPR.rsp;
  if (size === 16) view.setUint16(at, view.getUint16(at, true) + bytes, true);
  else view.setUint32(at, view.getUint32(at, true) + bytes, true);
}
