/**
 * Interrupts that 64-bit code of level 0 takes in handlers of the same code segment, and their IRETQ:
 * what a kernel does all the time. Where a descriptor has changed since it was loaded, where a stack
 * crosses pages, or where anything would fault, nothing is changed here, and the general way is taken.
 */
import { RFLAGS } from "../bits.ts";
import { isCanonicalLinear, linearOfHalves } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import { PAGE_SIZE } from "../memory/physical.ts";
import { ATTRIBUTE, GPR, type Processor } from "../processor.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { Descriptor, inLdt, isNull, SYSTEM_TYPE } from "./descriptors.ts";
import { mergeFlags } from "./flags-register.ts";

/** Offset of the interrupt stack table (Intel SDM vol. 3A figure 8-11). */
const TSS_64_IST = 0x24;
const IST_MASK = 7;
const GATE_BYTES = 16;
/** In a gate's second doubleword: P, S and the type. */
const GATE_KIND_MASK = 0x9f00;
const GATE_PRESENT = 0x8000;
const INTERRUPT_GATE = GATE_PRESENT | (SYSTEM_TYPE.INTERRUPT_GATE_32 << 8);
const TRAP_GATE = GATE_PRESENT | (SYSTEM_TYPE.TRAP_GATE_32 << 8);
/** What a handler begins without (§6.12.1.3). */
const CLEARED = RFLAGS.TF | RFLAGS.NT | RFLAGS.RF | RFLAGS.VM;
const DESCRIPTOR_BYTES = 8;

/** Offsets in the frame of an interrupt (figure 6-8), and its size. */
const FRAME = { RIP: 0, CS: 8, RFLAGS: 16, RSP: 24, SS: 32, SIZE: 40 } as const;
/** Attributes that a segment of code or a stack of level 0 must have, and of which others are looked at. */
const LOADED = ATTRIBUTE.NOT_SYSTEM | ATTRIBUTE.PRESENT | ATTRIBUTE.ACCESSED;
const DPL_MASK = 3 << 5;
const KIND_MASK = LOADED | DPL_MASK | ATTRIBUTE.CODE;
const CODE = LOADED | ATTRIBUTE.CODE;
const STACK = LOADED;
const RSP = STATE.GPR + 8 * GPR.rsp;
const { cs, ss, tr } = SEGMENT_INDEX;

const linearAt = ({ view }: Processor, field: number): number =>
  linearOfHalves(view.getUint32(field, true), view.getInt32(field + 4, true));

/** Sets a 64-bit field. */
function setHalves({ view }: Processor, field: number, low: number, high: number): void {
  view.setUint32(field, low, true);
  view.setUint32(field + 4, high, true);
}

const setNumber = (p: Processor, field: number, linear: number): void =>
  setHalves(p, field, linear, Math.floor(linear / 0x1_0000_0000));

/** Whether loading a segment register with the selector that it has would change nothing at all. */
function isUpToDate(p: Processor, mmu: Mmu, index: number): boolean {
  const at = segmentOffset(index);
  const { view } = p;
  const selector = view.getUint16(at + SEGMENT.SELECTOR, true);
  const attributes = view.getUint16(at + SEGMENT.ATTRIBUTES, true);
  const limit = view.getUint32(at + SEGMENT.LIMIT, true);
  const base = view.getUint32(at + SEGMENT.BASE, true);
  if (view.getUint32(at + SEGMENT.BASE + 4, true) !== 0) return false;
  // As `nullStack` for level 0.
  if (isNull(selector)) return selector === 0 && attributes === 0 && limit === 0 && base === 0;
  const table = linearAt(p, STATE.GDTR_BASE) + (selector & 0xfff8);
  const last = (selector & 0xfff8) + DESCRIPTOR_BYTES - 1;
  if (inLdt(selector) || last > view.getUint32(STATE.GDTR_LIMIT, true)) return false;
  if (!isCanonicalLinear(table)) return false;
  const low = mmu.read(table, 4, false);
  const found = new Descriptor(selector, table, low, mmu.read(table + 4, 4, false));
  const isSame = found.attributes === attributes && found.base === base && found.limit === limit;
  return isSame && (attributes & KIND_MASK) === (index === cs ? CODE : STACK);
}

/**
 * Guest physical address of a frame of an interrupt in plain memory, or -1.
 * @throws CpuException #PF at the byte that is accessed first
 */
function frameAt(mmu: Mmu, linear: number, access: "read" | "write", first: number): number {
  if (!isCanonicalLinear(linear) || !isCanonicalLinear(linear + FRAME.SIZE - 1)) return -1;
  const offset = linear & (PAGE_SIZE - 1);
  if (offset + FRAME.SIZE > PAGE_SIZE || mmu.watched(linear - offset)) return -1;
  const at = mmu.translate(linear + first, access, false) - first;
  return mmu.memory.allows(access, at, FRAME.SIZE) ? at : -1;
}

const isLevel0In64 = (p: Processor): boolean => p.cpl === 0 && p.code64;

/**
 * Delivers an external interrupt.
 * @returns whether it is delivered; if not, nothing has changed
 * @throws CpuException as the general way would
 */
export function deliverAtSameLevel(p: Processor, mmu: Mmu, vector: number): boolean {
  if (!isLevel0In64(p)) return false;
  const { view } = p;
  const entry = vector * GATE_BYTES;
  const at = linearAt(p, STATE.IDTR_BASE) + entry;
  const last = entry + GATE_BYTES - 1;
  if (last > view.getUint32(STATE.IDTR_LIMIT, true) || !isCanonicalLinear(at)) return false;
  const low = mmu.read(at, 4, false);
  const high = mmu.read(at + 4, 4, false);
  const upper = mmu.read(at + 8, 4, false);
  const kind = high & GATE_KIND_MASK;
  if (kind !== INTERRUPT_GATE && kind !== TRAP_GATE) return false;
  const target = ((high & 0xffff_0000) | (low & 0xffff)) >>> 0;
  if (!isCanonicalLinear(linearOfHalves(target, upper))) return false;
  if (low >>> 16 !== p.selector(cs) || !isUpToDate(p, mmu, cs)) return false;
  const pointer = stackOf(p, mmu, high & IST_MASK);
  if (pointer === undefined) return false;
  const frame = pointer - (pointer & 0xf) - FRAME.SIZE;
  const memory = frameAt(mmu, frame, "write", FRAME.SS);
  if (memory < 0) return false;
  mmu.noticeWrite(memory, FRAME.SIZE);
  const ram = mmu.memory.view;
  const store = (offset: number, lowHalf: number, highHalf: number): void => {
    ram.setUint32(memory + offset, lowHalf, true);
    ram.setUint32(memory + offset + 4, highHalf, true);
  };
  store(FRAME.SS, p.selector(ss), 0);
  store(FRAME.RSP, view.getUint32(RSP, true), view.getUint32(RSP + 4, true));
  store(FRAME.RFLAGS, p.rflags, 0);
  store(FRAME.CS, p.selector(cs), 0);
  store(FRAME.RIP, view.getUint32(STATE.RIP, true), view.getUint32(STATE.RIP + 4, true));
  setNumber(p, RSP, frame);
  p.changeSystemFlags(CLEARED | (kind === INTERRUPT_GATE ? RFLAGS.IF : 0), 0);
  setHalves(p, STATE.RIP, target, upper);
  return true;
}

/** Where a handler's stack begins; undefined if the general way has to see. */
function stackOf(p: Processor, mmu: Mmu, ist: number): number | undefined {
  const at = segmentOffset(tr);
  if (ist === 0) {
    const rsp = linearAt(p, RSP);
    return isCanonicalLinear(rsp) ? rsp : undefined;
  }
  const offset = TSS_64_IST + 8 * (ist - 1);
  if (offset + 7 > p.view.getUint32(at + SEGMENT.LIMIT, true)) return undefined;
  const linear = linearAt(p, at + SEGMENT.BASE) + offset;
  if (!isCanonicalLinear(linear) || !isCanonicalLinear(linear + 7)) return undefined;
  const low = mmu.read(linear, 4, false);
  const pointer = linearOfHalves(low, mmu.read(linear + 4, 4, false));
  return isCanonicalLinear(pointer) ? pointer : undefined;
}

/**
 * IRETQ to the same level and segments.
 * @returns whether it is done; if not, nothing has changed
 * @throws CpuException as the general way would
 */
export function returnAtSameLevel(p: Processor, mmu: Mmu): boolean {
  if (!isLevel0In64(p) || (p.systemFlags & RFLAGS.NT) !== 0) return false;
  const memory = frameAt(mmu, linearAt(p, RSP), "read", FRAME.RIP);
  if (memory < 0) return false;
  const ram = mmu.memory.view;
  const half = (offset: number): number => ram.getUint32(memory + offset, true);
  if (ram.getUint16(memory + FRAME.CS, true) !== p.selector(cs)) return false;
  if (ram.getUint16(memory + FRAME.SS, true) !== p.selector(ss)) return false;
  const target = linearOfHalves(half(FRAME.RIP), half(FRAME.RIP + 4));
  if (!isCanonicalLinear(target)) return false;
  if (!isUpToDate(p, mmu, cs) || !isUpToDate(p, mmu, ss)) return false;
  const virtualFlags = RFLAGS.VIF | RFLAGS.VIP;
  p.rflags = mergeFlags(p, half(FRAME.RFLAGS) | 0, 64, RFLAGS.RF | virtualFlags);
  setHalves(p, RSP, half(FRAME.RSP), half(FRAME.RSP + 4));
  setHalves(p, STATE.RIP, half(FRAME.RIP), half(FRAME.RIP + 4));
  return true;
}
