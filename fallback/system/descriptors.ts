import type { Segment } from "../../src/core/cpu.ts";
import { isCanonical } from "../bits.ts";
import { type CpuException, generalProtection } from "../exceptions.ts";
import { linearOf } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, attributesDpl, type Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";

/** Types of system descriptors (Intel SDM vol. 3A table 3-2). In long mode 16-bit ones are gone. */
export const SYSTEM_TYPE = {
  TSS_16: 0x1,
  LDT: 0x2,
  TSS_16_BUSY: 0x3,
  CALL_GATE_16: 0x4,
  TASK_GATE: 0x5,
  INTERRUPT_GATE_16: 0x6,
  TRAP_GATE_16: 0x7,
  TSS_32: 0x9,
  TSS_32_BUSY: 0xb,
  CALL_GATE_32: 0xc,
  INTERRUPT_GATE_32: 0xe,
  TRAP_GATE_32: 0xf,
} as const;

const TABLE_INDICATOR = 1 << 2;
const TYPE_MASK = 0xf;
const DESCRIPTOR_BYTES = 8;
/** In the second doubleword: bits 47 to 40 and 55 to 52 of the descriptor. */
const ATTRIBUTES_SHIFT = 8;
const ATTRIBUTES_MASK = 0xf0ff;

/** Makes the exception of a failed check from a selector's error code. */
export type Failure = (errorCode: number) => CpuException;

export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;
export const rplOf = (selector: number): number => selector & 3;
export const inLdt = (selector: number): boolean => (selector & TABLE_INDICATOR) !== 0;

/** The error code that names a selector (§6.13). @param ext 1 while an event is delivered */
export const selectorCode = (selector: number, ext = 0): number => (selector & 0xfffc) | ext;

/** Eight bytes of a descriptor table: a segment or a gate. */
export class Descriptor {
  readonly selector: number;
  /** Linear address. */
  readonly at: number;
  readonly low: number;
  readonly high: number;

  constructor(selector: number, at: number, low: number, high: number) {
    this.selector = selector;
    this.at = at;
    this.low = low;
    this.high = high;
  }

  /** As in `Segment`. */
  get attributes(): number {
    return (this.high >>> ATTRIBUTES_SHIFT) & ATTRIBUTES_MASK;
  }

  get isSystem(): boolean {
    return (this.attributes & ATTRIBUTE.NOT_SYSTEM) === 0;
  }

  /** Of a system segment or gate: one of {@link SYSTEM_TYPE}. */
  get systemType(): number {
    return this.attributes & TYPE_MASK;
  }

  get isCode(): boolean {
    return !this.isSystem && (this.attributes & ATTRIBUTE.CODE) !== 0;
  }

  get isConformingCode(): boolean {
    return this.isCode && (this.attributes & ATTRIBUTE.CONFORMING) !== 0;
  }

  get isReadable(): boolean {
    if (this.isSystem) return false;
    return !this.isCode || (this.attributes & ATTRIBUTE.READABLE) !== 0;
  }

  get isWritableData(): boolean {
    return !this.isSystem && !this.isCode && (this.attributes & ATTRIBUTE.WRITABLE) !== 0;
  }

  get dpl(): number {
    return attributesDpl(this.attributes);
  }

  get present(): boolean {
    return (this.attributes & ATTRIBUTE.PRESENT) !== 0;
  }

  /** L: code for 64-bit mode. */
  get isLong(): boolean {
    return (this.attributes & ATTRIBUTE.LONG) !== 0;
  }

  get isBig(): boolean {
    return (this.attributes & ATTRIBUTE.BIG) !== 0;
  }

  get base(): number {
    return ((this.low >>> 16) | ((this.high & 0xff) << 16) | (this.high & 0xff00_0000)) >>> 0;
  }

  /** In bytes. */
  get limit(): number {
    const limit = (this.low & 0xffff) | (this.high & 0xf_0000);
    return (this.attributes & ATTRIBUTE.GRANULARITY) === 0 ? limit : ((limit << 12) | 0xfff) >>> 0;
  }

  /** Of a gate. */
  get target(): number {
    return this.low >>> 16;
  }

  /** Of a gate; its lower 32 bits. */
  get offset(): number {
    return ((this.high & 0xffff_0000) | (this.low & 0xffff)) >>> 0;
  }

  /** What the segment register holds once this is loaded. */
  segment(selector: number): Segment {
    return {
      selector,
      base: BigInt(this.base),
      limit: this.limit,
      attributes: this.#loadedAttributes,
    };
  }

  /** Loads it. @param index as in `SEGMENT_INDEX` */
  load(p: Processor, index: number): void {
    p.loadSegment(index, this.selector, this.base, this.limit, this.#loadedAttributes);
  }

  get #loadedAttributes(): number {
    return this.attributes | (this.isSystem ? 0 : ATTRIBUTE.ACCESSED);
  }
}

/** Where a selector's descriptor lies, or undefined if its table is too short. */
function descriptorAddress(p: Processor, selector: number, bytes: number): number | undefined {
  const index = selector & 0xfff8;
  if (!inLdt(selector)) {
    const limit = p.view.getUint32(STATE.GDTR_LIMIT, true);
    return index + bytes - 1 > limit ? undefined : linearInTable(p, STATE.GDTR_BASE, index);
  }
  const ldt = p.segment(SEGMENT_INDEX.ldtr);
  if ((ldt.attributes & ATTRIBUTE.PRESENT) === 0 || index + bytes - 1 > ldt.limit) return undefined;
  return linearIn(p, ldt.base, index);
}

/**
 * Linear address of an offset in a table.
 * @throws CpuException #GP(0) when it is not canonical
 */
export function linearIn(p: Processor, base: bigint, offset: number): number {
  const address = base + BigInt(offset);
  if (!p.longMode) return Number(BigInt.asUintN(32, address));
  if (!isCanonical(address)) throw generalProtection();
  return linearOf(address);
}

/** As {@link linearIn}. @param base offset in the state of the table's base */
export function linearInTable(p: Processor, base: number, offset: number): number {
  if (p.longMode) return linearIn(p, p.field(base), offset);
  return (p.view.getUint32(base, true) + offset) >>> 0;
}

/**
 * @param selector not null
 * @throws CpuException from `fail` beyond the table's limit
 */
export function readDescriptor(
  p: Processor,
  mmu: Mmu,
  selector: number,
  fail: Failure,
  ext = 0,
): Descriptor {
  const found = findDescriptor(p, mmu, selector);
  if (found === undefined) throw fail(selectorCode(selector, ext));
  return found;
}

/** As {@link readDescriptor}, but undefined beyond the table's limit. */
export function findDescriptor(p: Processor, mmu: Mmu, selector: number): Descriptor | undefined {
  const at = descriptorAddress(p, selector, DESCRIPTOR_BYTES);
  if (at === undefined) return undefined;
  return new Descriptor(selector, at, mmu.read(at, 4, false), mmu.read(at + 4, 4, false));
}

/**
 * The second eight bytes of a system descriptor of long mode: the upper half of its base or offset.
 * @throws CpuException from `fail` beyond the table's limit, or where the type field is not zero
 */
export function readUpperHalf(
  p: Processor,
  mmu: Mmu,
  descriptor: Descriptor,
  fail: Failure,
): number {
  const { selector } = descriptor;
  const at = descriptorAddress(p, selector, 2 * DESCRIPTOR_BYTES);
  if (at === undefined) throw fail(selectorCode(selector));
  const typeField = mmu.read(at + 12, 4, false) & 0x1f00;
  if (typeField !== 0) throw fail(selectorCode(selector));
  return mmu.read(at + 8, 4, false);
}

/** Sets the accessed flag in the table. The last thing to do that can still fault. */
export function markAccessed(mmu: Mmu, descriptor: Descriptor): void {
  if ((descriptor.attributes & ATTRIBUTE.ACCESSED) !== 0) return;
  const typeByte = (descriptor.high >>> ATTRIBUTES_SHIFT) & 0xff;
  mmu.write(descriptor.at + 5, 1, typeByte | ATTRIBUTE.ACCESSED, false);
}
