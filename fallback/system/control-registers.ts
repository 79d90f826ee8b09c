/** MOV to control registers, LMSW, CLTS and EFER (Intel SDM vol. 3A §2.5, §9.8.5, §4.4.1). */
import { CR0, CR4, EFER, PHYSICAL_BITS } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { ATTRIBUTE, type Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { SYSTEM_TYPE } from "./descriptors.ts";

const allOf = (bits: Readonly<Record<string, number>>): number =>
  Object.values(bits).reduce((all, bit) => (all | bit) >>> 0, 0);

const CR0_BITS = allOf(CR0);
const CR4_BITS = allOf(CR4);
/** LMA is not written but follows from LME and CR0.PG. */
const EFER_WRITABLE = EFER.SCE | EFER.LME | EFER.NXE;
/** Changes that make PAE paging read its four upper entries anew. */
const CR0_RELOADING = CR0.PG | CR0.CD | CR0.NW;
const CR4_RELOADING = CR4.PAE | CR4.PGE | CR4.PSE;
/** Changes that translations depend on. Without paging before and after, real mode's are the same. */
const CR0_TRANSLATING = CR0.PG | CR0.WP;
/** Bit 63 of a value for CR3 asks for translations to be kept where there is PCID; here: reserved. */
const CR3_RESERVED = -1n << BigInt(PHYSICAL_BITS);
const CR8_BITS = 0xfn;
const MACHINE_STATUS_WORD = CR0.PE | CR0.MP | CR0.EM | CR0.TS;

/** @param index 0, 2, 3, 4 or 8 @throws CpuException #UD for others */
export function readControlRegister(p: Processor, index: number): bigint {
  switch (index) {
    case 0:
      return BigInt(p.cr0);
    case 2:
      return p.cr2;
    case 3:
      return p.cr3;
    case 4:
      return BigInt(p.cr4);
    case 8:
      return BigInt(p.cr8);
    default:
      throw undefinedOpcode();
  }
}

/**
 * MOV to CR.
 * @param value zero-extended outside 64-bit mode
 * @throws CpuException #GP(0), #UD
 */
export function writeControlRegister(p: Processor, mmu: Mmu, index: number, value: bigint): void {
  switch (index) {
    case 0:
      writeCr0(p, mmu, value);
      return;
    case 2:
      p.cr2 = value;
      return;
    case 3:
      writeCr3(p, mmu, value);
      return;
    case 4:
      writeCr4(p, mmu, value);
      return;
    case 8:
      if ((value & ~CR8_BITS) !== 0n) throw generalProtection();
      p.cr8 = Number(value);
      return;
    default:
      throw undefinedOpcode();
  }
}

function writeCr0(p: Processor, mmu: Mmu, value: bigint): void {
  if (value >> 32n !== 0n) throw generalProtection();
  // Reserved bits of the lower half are ignored.
  const cr0 = ((Number(value) & CR0_BITS) | CR0.ET) >>> 0;
  const paging = (cr0 & CR0.PG) !== 0;
  if (paging && (cr0 & CR0.PE) === 0) throw generalProtection();
  if ((cr0 & CR0.NW) !== 0 && (cr0 & CR0.CD) === 0) throw generalProtection();
  const entersLongMode = paging && !p.paging && (p.efer & EFER.LME) !== 0;
  if (entersLongMode) checkLongModeEntry(p);
  if (!paging && p.code64) throw generalProtection();
  const changed = cr0 ^ p.cr0;
  const pae = (p.cr4 & CR4.PAE) !== 0 && !p.longMode && !entersLongMode;
  if (paging && pae && (changed & CR0_RELOADING) !== 0) mmu.loadPdptes(p.cr3);
  p.cr0 = cr0;
  if (entersLongMode) p.efer |= EFER.LMA;
  else if (!paging) p.efer &= ~EFER.LMA;
  if ((changed & CR0_TRANSLATING) !== 0) mmu.flush();
}

/** §9.8.5: PAE first, and neither a 64-bit code segment nor a 16-bit TSS. */
function checkLongModeEntry(p: Processor): void {
  if ((p.cr4 & CR4.PAE) === 0) throw generalProtection();
  if ((p.segmentAttributes(SEGMENT_INDEX.cs) & ATTRIBUTE.LONG) !== 0) throw generalProtection();
  const tss = p.segmentAttributes(SEGMENT_INDEX.tr) & 0xf;
  if (tss === SYSTEM_TYPE.TSS_16_BUSY) throw generalProtection();
}

function writeCr3(p: Processor, mmu: Mmu, value: bigint): void {
  if (p.longMode) {
    if ((value & CR3_RESERVED) !== 0n) throw generalProtection();
  } else if (p.paging && (p.cr4 & CR4.PAE) !== 0) mmu.loadPdptes(value);
  p.cr3 = value;
  mmu.loadRoot();
}

function writeCr4(p: Processor, mmu: Mmu, value: bigint): void {
  if ((value & ~BigInt(CR4_BITS)) !== 0n) throw generalProtection();
  const cr4 = Number(value);
  const pae = (cr4 & CR4.PAE) !== 0;
  if (p.longMode && !pae) throw generalProtection();
  const changed = cr4 ^ p.cr4;
  if (p.paging && pae && !p.longMode && (changed & CR4_RELOADING) !== 0) mmu.loadPdptes(p.cr3);
  p.cr4 = cr4;
  if ((changed & CR4_RELOADING) !== 0) mmu.flush();
}

/** WRMSR to EFER. @throws CpuException #GP(0) */
export function writeEfer(p: Processor, mmu: Mmu, value: bigint): void {
  if ((value & ~BigInt(EFER_WRITABLE | EFER.LMA)) !== 0n) throw generalProtection();
  const efer = (Number(value) & EFER_WRITABLE) | (p.efer & EFER.LMA);
  const changed = efer ^ p.efer;
  if (p.paging && (changed & EFER.LME) !== 0) throw generalProtection();
  p.efer = efer;
  if ((changed & EFER.NXE) !== 0) mmu.flush();
}

/** LMSW: the lower four bits of CR0, of which PE can only be set. */
export function loadMachineStatusWord(p: Processor, mmu: Mmu, value: number): void {
  const kept = p.cr0 & (~MACHINE_STATUS_WORD | CR0.PE);
  writeCr0(p, mmu, BigInt((kept | (value & MACHINE_STATUS_WORD)) >>> 0));
}

export function clearTaskSwitched(p: Processor): void {
  p.cr0 = (p.cr0 & ~CR0.TS) >>> 0;
}
