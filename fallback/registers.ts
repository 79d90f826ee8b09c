import { APIC_BASE_AT_RESET } from "../src/core/apic-base.ts";
import {
  type DescriptorTable,
  GENERAL_REGISTERS,
  type Registers,
  SEGMENT_REGISTERS,
  type Segment,
} from "../src/core/cpu.ts";
import { YMM_UPPERS_SIZE } from "../src/core/processor-state.ts";
import { CR0, RFLAGS } from "./bits.ts";
import { INITIAL_MXCSR, INITIAL_X87_CONTROL } from "./extended-state.ts";
import { ATTRIBUTE, attributesDpl, GPR, type Processor } from "./processor.ts";
import { SEGMENT_INDEX, STATE } from "./state.ts";
import { PROCESSOR_SIGNATURE } from "./system/cpuid.ts";

const ALL_SEGMENTS = [...SEGMENT_REGISTERS, "ldtr", "tr"] as const;

/**
 * The architectural state in the form that all CPUs share. As one literal: properties that are added by
 * name one after the other take several times as long, and a BIOS's services ask for each of their calls.
 */
export function readRegisters(p: Processor): Registers {
  return {
    rip: p.rip,
    rflags: BigInt(p.rflags),
    cr0: BigInt(p.cr0),
    cr2: p.cr2,
    cr3: p.cr3,
    cr4: BigInt(p.cr4),
    cr8: BigInt(p.cr8),
    efer: BigInt(p.efer),
    gdtr: readTable(p, STATE.GDTR_BASE, STATE.GDTR_LIMIT),
    idtr: readTable(p, STATE.IDTR_BASE, STATE.IDTR_LIMIT),
    rax: p.gpr(GPR.rax),
    rcx: p.gpr(GPR.rcx),
    rdx: p.gpr(GPR.rdx),
    rbx: p.gpr(GPR.rbx),
    rsp: p.gpr(GPR.rsp),
    rbp: p.gpr(GPR.rbp),
    rsi: p.gpr(GPR.rsi),
    rdi: p.gpr(GPR.rdi),
    r8: p.gpr(GPR.r8),
    r9: p.gpr(GPR.r9),
    r10: p.gpr(GPR.r10),
    r11: p.gpr(GPR.r11),
    r12: p.gpr(GPR.r12),
    r13: p.gpr(GPR.r13),
    r14: p.gpr(GPR.r14),
    r15: p.gpr(GPR.r15),
    es: p.segment(SEGMENT_INDEX.es),
    cs: p.segment(SEGMENT_INDEX.cs),
    ss: p.segment(SEGMENT_INDEX.ss),
    ds: p.segment(SEGMENT_INDEX.ds),
    fs: p.segment(SEGMENT_INDEX.fs),
    gs: p.segment(SEGMENT_INDEX.gs),
    ldtr: p.segment(SEGMENT_INDEX.ldtr),
    tr: p.segment(SEGMENT_INDEX.tr),
  };
}

/**
 * Sets the state as it is given. The caller tells the MMU (`Mmu.stateReplaced`).
 */
export function writeRegisters(p: Processor, registers: Registers): void {
  p.rip = registers.rip;
  p.rflags = Number(BigInt.asIntN(32, registers.rflags));
  p.cr0 = Number(BigInt.asUintN(32, registers.cr0));
  p.cr2 = registers.cr2;
  p.cr3 = registers.cr3;
  p.cr4 = Number(BigInt.asUintN(32, registers.cr4));
  p.cr8 = Number(registers.cr8 & 0xfn);
  p.efer = Number(BigInt.asUintN(32, registers.efer));
  writeTable(p, STATE.GDTR_BASE, STATE.GDTR_LIMIT, registers.gdtr);
  writeTable(p, STATE.IDTR_BASE, STATE.IDTR_LIMIT, registers.idtr);
  for (const name of GENERAL_REGISTERS) p.setGpr(GPR[name], registers[name]);
  for (const name of ALL_SEGMENTS) p.setSegment(SEGMENT_INDEX[name], registers[name]);
  p.cpl = privilegeLevel(p);
}

/** The level that the state implies: outside real mode the stack segment's (vol. 3A §5.5). */
function privilegeLevel(p: Processor): number {
  if (!p.protectedMode) return 0;
  if (p.virtual8086) return 3;
  const stack = p.segmentAttributes(SEGMENT_INDEX.ss);
  // A null SS, which 64-bit code may have below level 3, says it in its selector.
  return (stack & ATTRIBUTE.PRESENT) !== 0
    ? attributesDpl(stack)
    : p.selector(SEGMENT_INDEX.cs) & 3;
}

/** @param base offset of the 64-bit field in the state */
export const readTable = (p: Processor, base: number, limit: number): DescriptorTable => ({
  base: p.field(base),
  limit: p.view.getUint32(limit, true),
});

export function writeTable(
  p: Processor,
  base: number,
  limit: number,
  table: DescriptorTable,
): void {
  p.setField(base, table.base);
  p.view.setUint32(limit, table.limit & 0xffff, true);
}

const REAL_MODE_LIMIT = 0xffff;
/** Present, level 0, read/write data, accessed. */
const REAL_MODE_DATA = 0x93;
const REAL_MODE_CODE = 0x9b;
const LDT = 0x82;
const BUSY_TSS_16 = 0x83;
/** Write-back, write-through, uncached-minus, uncached, twice (vol. 3A §11.12.4). */
const PAT_AFTER_RESET = 0x0007_0406_0007_0406n;
/** Fast strings; branch trace and precise event sampling unavailable. */
const MISC_ENABLE_AFTER_RESET = 0x1801n;
const DR6_AFTER_RESET = 0xffff_0ff0n;
const DR7_AFTER_RESET = 0x400n;
const STATE_END = STATE.YMM_UPPER + YMM_UPPERS_SIZE;

/**
 * Power-on state (Intel SDM vol. 3A table 9-1). Translations and what generated code
 * derives from this state are the caller's.
 */
export function resetProcessor(p: Processor): void {
  new Uint8Array(p.buffer, 0, STATE_END).fill(0);
  p.view.setInt32(STATE.FAULT, -1, true);
  const data = (selector = 0): Segment => ({
    selector,
    base: 0n,
    limit: REAL_MODE_LIMIT,
    attributes: REAL_MODE_DATA,
  });
  for (const name of SEGMENT_REGISTERS) p.setSegment(SEGMENT_INDEX[name], data());
  p.setSegment(SEGMENT_INDEX.cs, {
    selector: 0xf000,
    base: 0xffff_0000n,
    limit: REAL_MODE_LIMIT,
    attributes: REAL_MODE_CODE,
  });
  p.setSegment(SEGMENT_INDEX.ldtr, { ...data(), attributes: LDT });
  p.setSegment(SEGMENT_INDEX.tr, { ...data(), attributes: BUSY_TSS_16 });
  p.view.setUint32(STATE.GDTR_LIMIT, REAL_MODE_LIMIT, true);
  p.view.setUint32(STATE.IDTR_LIMIT, REAL_MODE_LIMIT, true);
  p.rip = 0xfff0n;
  p.rflags = RFLAGS.FIXED;
  p.setGpr32(GPR.rdx, PROCESSOR_SIGNATURE);
  p.cr0 = CR0.CD | CR0.NW | CR0.ET;
  p.setDr(6, DR6_AFTER_RESET);
  p.setDr(7, DR7_AFTER_RESET);
  p.setField(STATE.XCR0, 1n);
  p.setField(STATE.APIC_BASE, BigInt(APIC_BASE_AT_RESET));
  p.setField(STATE.PAT, PAT_AFTER_RESET);
  p.setField(STATE.MISC_ENABLE, MISC_ENABLE_AFTER_RESET);
  p.setField(STATE.SPEC_CTRL, 0n);
  p.view.setUint32(STATE.MXCSR, INITIAL_MXCSR, true);
  p.view.setUint16(STATE.X87_CONTROL, INITIAL_X87_CONTROL, true);
}
