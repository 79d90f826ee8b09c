import { GENERAL_REGISTERS, type GeneralRegister, type Segment } from "../src/core/cpu.ts";
import { CR0, EFER, IOPL_SHIFT, RFLAGS } from "./bits.ts";
import type { CpuException } from "./exceptions.ts";
import { readFlags, writeFlags } from "./flags.ts";
import { linearOfHalves } from "./memory/linear.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "./state.ts";

/** Numbers of the general registers in encodings. */
export const GPR = Object.fromEntries(
  GENERAL_REGISTERS.map((name, index) => [name, index]),
) as Readonly<Record<GeneralRegister, number>>;

/** What holds events off (Intel SDM vol. 3A §6.8.3, §6.7.1). */
export const SHADOW = {
  /** After STI: maskable interrupts wait for one instruction. */
  STI: 1 << 0,
  /** After MOV SS and POP SS: interrupts, NMI and debug traps wait for one instruction. */
  MOV_SS: 1 << 1,
  /** In an NMI handler: further NMIs wait for IRET. */
  NMI: 1 << 2,
  /** After INT n under TF, which it clears: it has no single-step trap. */
  INT: 1 << 3,
} as const;

/** What holds interrupts off until the instruction after the next. */
export const EVENT_SHADOWS = SHADOW.STI | SHADOW.MOV_SS;
/** For `STATE.SHADOW_BUDGET`, while the instruction is under way: no budget comes near it. */
const SHADOW_BEGINS = -0x8000_0000;

/** Bits of {@link Segment.attributes}. */
export const ATTRIBUTE = {
  ACCESSED: 1 << 0,
  /** Data: writable; code: readable. */
  WRITABLE: 1 << 1,
  READABLE: 1 << 1,
  /** Data: expand-down; code: conforming. */
  EXPAND_DOWN: 1 << 2,
  CONFORMING: 1 << 2,
  CODE: 1 << 3,
  /** Code or data; else a system segment or a gate. */
  NOT_SYSTEM: 1 << 4,
  PRESENT: 1 << 7,
  LONG: 1 << 13,
  /** D of code: 32-bit operands and addresses; B of stacks: ESP. */
  BIG: 1 << 14,
  GRANULARITY: 1 << 15,
} as const;

export const attributesDpl = (attributes: number): number => (attributes >> 5) & 3;

/**
 * Whether a segment with these attributes may be accessed in any mode at all offsets up to its
 * limit: it is present, does not expand down, and a segment of code is not written to.
 */
function plainAccess(attributes: number): { read: boolean; write: boolean } {
  const { CODE, EXPAND_DOWN, NOT_SYSTEM, PRESENT, READABLE, WRITABLE } = ATTRIBUTE;
  const usable = (attributes & (PRESENT | NOT_SYSTEM)) === (PRESENT | NOT_SYSTEM);
  if ((attributes & CODE) !== 0) {
    return { read: usable && (attributes & READABLE) !== 0, write: false };
  }
  const upwards = usable && (attributes & EXPAND_DOWN) === 0;
  return { read: upwards, write: upwards && (attributes & WRITABLE) !== 0 };
}

const USER_LEVEL = 3;

export type CodeSize = 16 | 32 | 64;

/**
 * The processor's state in the WebAssembly memory, for what is written in TypeScript. Setters store
 * what they are given: checks and side effects belong to the instructions (`system/`).
 */
export class Processor {
  readonly buffer: ArrayBuffer;
  readonly view: DataView;
  /**
   * What is to be delivered before the next instruction, though the last one is done: a task was
   * entered that asks for a trap, or that cannot go on.
   */
  pendingTrap: CpuException | undefined;

  /** @param buffer of the WebAssembly memory laid out as `state.ts` says */
  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer);
  }

  /** Returns {@link pendingTrap}, which is then no longer pending. */
  takePendingTrap(): CpuException | undefined {
    const trap = this.pendingTrap;
    this.pendingTrap = undefined;
    return trap;
  }

  /** @param index 0 to 15, as {@link GPR} */
  gpr(index: number): bigint {
    return this.view.getBigUint64(STATE.GPR + 8 * index, true);
  }

  setGpr(index: number, value: bigint): void {
    this.view.setBigUint64(STATE.GPR + 8 * index, value, true);
  }

  /** As a linear address (`linear.ts`): exact if it is canonical. */
  gprLinear(index: number): number {
    const at = STATE.GPR + 8 * index;
    return linearOfHalves(this.view.getUint32(at, true), this.view.getUint32(at + 4, true));
  }

  /** Adds to all 64 bits. @param distance of either sign, below 2^31 */
  advanceGpr(index: number, distance: number): void {
    const at = STATE.GPR + 8 * index;
    const low = this.view.getUint32(at, true) + distance;
    const carry = Math.floor(low / 0x1_0000_0000);
    this.view.setUint32(at, low, true);
    if (carry !== 0) this.view.setUint32(at + 4, this.view.getUint32(at + 4, true) + carry, true);
  }

  /** Bits 31 to 0, unsigned. */
  gpr32(index: number): number {
    return this.view.getUint32(STATE.GPR + 8 * index, true);
  }

  /** Clears bits 63 to 32, as 32-bit operations do. */
  setGpr32(index: number, value: number): void {
    this.view.setUint32(STATE.GPR + 8 * index, value, true);
    this.view.setUint32(STATE.GPR + 8 * index + 4, 0, true);
  }

  /** Keeps the bits above the low 16. */
  setGpr16(index: number, value: number): void {
    this.view.setUint16(STATE.GPR + 8 * index, value, true);
  }

  /** AL, AX or EAX, unsigned. */
  accumulator(bytes: 1 | 2 | 4): number {
    const value = this.gpr32(GPR.rax);
    return bytes === 4 ? value : value & (bytes === 2 ? 0xffff : 0xff);
  }

  /** Sets AL, AX or EAX. */
  setAccumulator(bytes: 1 | 2 | 4, value: number): void {
    if (bytes === 4) this.setGpr32(GPR.rax, value);
    else if (bytes === 2) this.setGpr16(GPR.rax, value);
    else this.view.setUint8(STATE.GPR + 8 * GPR.rax, value);
  }

  get rip(): bigint {
    return this.view.getBigUint64(STATE.RIP, true);
  }

  set rip(value: bigint) {
    this.view.setBigUint64(STATE.RIP, value, true);
  }

  /** In 64-bit mode: RIP as a linear address (`linear.ts`). */
  get ripLinear(): number {
    return linearOfHalves(
      this.view.getUint32(STATE.RIP, true),
      this.view.getUint32(STATE.RIP + 4, true),
    );
  }

  get rflags(): number {
    return readFlags(this.view);
  }

  set rflags(value: number) {
    writeFlags(this.view, value);
  }

  /** RFLAGS without the arithmetic flags: cheap. */
  get systemFlags(): number {
    return this.view.getInt32(STATE.RFLAGS, true);
  }

  /** Clears and sets bits that are not arithmetic flags. */
  changeSystemFlags(clear: number, set: number): void {
    this.view.setInt32(STATE.RFLAGS, (this.systemFlags & ~clear) | set, true);
  }

  get iopl(): number {
    return (this.systemFlags >> IOPL_SHIFT) & 3;
  }

  /** @param index as in `SEGMENT_INDEX` */
  segment(index: number): Segment {
    const at = segmentOffset(index);
    return {
      selector: this.view.getUint16(at + SEGMENT.SELECTOR, true),
      base: this.view.getBigUint64(at + SEGMENT.BASE, true),
      limit: this.view.getUint32(at + SEGMENT.LIMIT, true),
      attributes: this.view.getUint16(at + SEGMENT.ATTRIBUTES, true),
    };
  }

  setSegment(index: number, segment: Segment): void {
    const at = segmentOffset(index);
    this.view.setUint16(at + SEGMENT.SELECTOR, segment.selector, true);
    this.view.setBigUint64(at + SEGMENT.BASE, segment.base, true);
    this.#setRights(at, segment.limit, segment.attributes);
  }

  /** As {@link setSegment}. @param base 32 bits */
  loadSegment(
    index: number,
    selector: number,
    base: number,
    limit: number,
    attributes: number,
  ): void {
    this.moveSegment(index, selector, base);
    this.#setRights(segmentOffset(index), limit, attributes);
  }

  /** Limit and rights stay. @param base 32 bits */
  moveSegment(index: number, selector: number, base: number): void {
    const at = segmentOffset(index);
    this.view.setUint16(at + SEGMENT.SELECTOR, selector, true);
    this.view.setUint32(at + SEGMENT.BASE, base, true);
    this.view.setUint32(at + SEGMENT.BASE + 4, 0, true);
  }

  #setRights(at: number, limit: number, attributes: number): void {
    this.view.setUint32(at + SEGMENT.LIMIT, limit, true);
    this.view.setUint16(at + SEGMENT.ATTRIBUTES, attributes, true);
    const { read, write } = plainAccess(attributes);
    this.#setLast(at + SEGMENT.READ_LAST, read, limit);
    this.#setLast(at + SEGMENT.WRITE_LAST, write, limit);
  }

  #setLast(at: number, plain: boolean, limit: number): void {
    this.view.setInt32(at, plain ? limit : -1, true);
    this.view.setInt32(at + 4, plain ? 0 : -1, true);
  }

  selector(index: number): number {
    return this.view.getUint16(segmentOffset(index) + SEGMENT.SELECTOR, true);
  }

  segmentBase(index: number): bigint {
    return this.view.getBigUint64(segmentOffset(index) + SEGMENT.BASE, true);
  }

  segmentLimit(index: number): bigint {
    return BigInt(this.view.getUint32(segmentOffset(index) + SEGMENT.LIMIT, true));
  }

  setSegmentBase(index: number, base: bigint): void {
    this.view.setBigUint64(segmentOffset(index) + SEGMENT.BASE, base, true);
  }

  segmentAttributes(index: number): number {
    return this.view.getUint16(segmentOffset(index) + SEGMENT.ATTRIBUTES, true);
  }

  /** A 64-bit field that has no accessor of its own: MSRs, PDPTEs. @param offset from `STATE` */
  field(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  setField(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, value, true);
  }

  /** CR0 has 32 bits: the upper ones are reserved. */
  get cr0(): number {
    return this.view.getUint32(STATE.CR0, true);
  }

  set cr0(value: number) {
    this.view.setUint32(STATE.CR0, value, true);
  }

  get cr2(): bigint {
    return this.view.getBigUint64(STATE.CR2, true);
  }

  set cr2(value: bigint) {
    this.view.setBigUint64(STATE.CR2, value, true);
  }

  get cr3(): bigint {
    return this.view.getBigUint64(STATE.CR3, true);
  }

  set cr3(value: bigint) {
    this.view.setBigUint64(STATE.CR3, value, true);
  }

  get cr4(): number {
    return this.view.getUint32(STATE.CR4, true);
  }

  set cr4(value: number) {
    this.view.setUint32(STATE.CR4, value, true);
  }

  /** Task priority, 0 to 15. */
  get cr8(): number {
    return this.view.getUint32(STATE.CR8, true);
  }

  set cr8(value: number) {
    this.view.setUint32(STATE.CR8, value, true);
  }

  get efer(): number {
    return this.view.getUint32(STATE.EFER, true);
  }

  set efer(value: number) {
    this.view.setUint32(STATE.EFER, value, true);
  }

  /** @param index 0 to 7 */
  dr(index: number): bigint {
    return this.view.getBigUint64(STATE.DR + 8 * index, true);
  }

  setDr(index: number, value: bigint): void {
    this.view.setBigUint64(STATE.DR + 8 * index, value, true);
  }

  /** Bits of {@link SHADOW}. */
  get shadow(): number {
    return this.view.getInt32(STATE.SHADOW, true);
  }

  set shadow(value: number) {
    this.view.setInt32(STATE.SHADOW, value, true);
  }

  /** Events wait for the instruction behind the present one. @param shadow of {@link EVENT_SHADOWS} */
  holdEventsOff(shadow: number): void {
    this.shadow = (this.shadow & ~EVENT_SHADOWS) | shadow;
    this.view.setInt32(STATE.SHADOW_BUDGET, SHADOW_BEGINS, true);
  }

  /**
   * Ends what {@link holdEventsOff} began, if an instruction has been executed since.
   * @param budget exact, behind the instruction under way
   */
  settleShadow(budget: number): void {
    const { shadow, view } = this;
    if ((shadow & EVENT_SHADOWS) === 0) return;
    const before = view.getInt32(STATE.SHADOW_BUDGET, true);
    if (before === SHADOW_BEGINS) this.keepShadow(budget);
    else if (before !== budget) this.shadow = shadow & ~EVENT_SHADOWS;
  }

  /** The budget changes without an instruction having been executed. @param budget what it is now */
  keepShadow(budget: number): void {
    this.view.setInt32(STATE.SHADOW_BUDGET, budget, true);
  }

  /** 0 to 3. To be changed through `Mmu.changePrivilege`, whose translations depend on it. */
  get cpl(): number {
    return this.view.getInt32(STATE.CPL, true);
  }

  set cpl(value: number) {
    this.view.setInt32(STATE.CPL, value, true);
  }

  /** Whether data accesses have to be aligned (Intel SDM vol. 3A, "Interrupt 17"). */
  get checksAlignment(): boolean {
    if ((this.systemFlags & RFLAGS.AC) === 0 || (this.cr0 & CR0.AM) === 0) return false;
    return this.cpl === USER_LEVEL;
  }

  get protectedMode(): boolean {
    return (this.cr0 & CR0.PE) !== 0;
  }

  get paging(): boolean {
    return (this.cr0 & CR0.PG) !== 0;
  }

  get virtual8086(): boolean {
    return (this.systemFlags & RFLAGS.VM) !== 0;
  }

  /** Real-address or virtual-8086 mode: selectors are paragraphs. */
  get paragraphSegments(): boolean {
    return !this.protectedMode || this.virtual8086;
  }

  /** IA-32e mode: 64-bit or compatibility. */
  get longMode(): boolean {
    return (this.efer & EFER.LMA) !== 0;
  }

  get code64(): boolean {
    return this.longMode && (this.segmentAttributes(SEGMENT_INDEX.cs) & ATTRIBUTE.LONG) !== 0;
  }

  get codeSize(): CodeSize {
    const attributes = this.segmentAttributes(SEGMENT_INDEX.cs);
    if (this.longMode && (attributes & ATTRIBUTE.LONG) !== 0) return 64;
    return (attributes & ATTRIBUTE.BIG) !== 0 ? 32 : 16;
  }

  /** Width of the stack pointer. */
  get stackSize(): CodeSize {
    if (this.code64) return 64;
    return (this.segmentAttributes(SEGMENT_INDEX.ss) & ATTRIBUTE.BIG) !== 0 ? 32 : 16;
  }
}
