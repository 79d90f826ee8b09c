/** All of the processor's state in the form in which processors hand it to each other. */
import { type ProcessorState, STATE_MSRS, type StateMsr } from "../src/core/processor-state.ts";
import { ymmUppers } from "./extended-state.ts";
import { readFxImage, writeFxImage } from "./fx-image.ts";
import type { Mmu } from "./memory/mmu.ts";
import { type Processor, SHADOW } from "./processor.ts";
import { readRegisters, writeRegisters } from "./registers.ts";
import { STATE } from "./state.ts";
import { watchData } from "./system/breakpoints.ts";

const DEBUG_REGISTERS = [0, 1, 2, 3, 4, 5, 6, 7] as const;

const MSR_FIELDS: Readonly<Record<StateMsr, number>> = {
  sysenterCs: STATE.SYSENTER_CS,
  sysenterEsp: STATE.SYSENTER_ESP,
  sysenterEip: STATE.SYSENTER_EIP,
  star: STATE.STAR,
  lstar: STATE.LSTAR,
  cstar: STATE.CSTAR,
  sfmask: STATE.SFMASK,
  kernelGsBase: STATE.KERNEL_GS_BASE,
  tscAux: STATE.TSC_AUX,
};
const MSR_NAMES = Object.keys(STATE_MSRS) as StateMsr[];

/** @param nmi whether a non-maskable interrupt is pending */
export function readState(p: Processor, nmi: boolean): ProcessorState {
  return {
    registers: readRegisters(p),
    apicBase: Number(p.field(STATE.APIC_BASE)),
    debugRegisters: DEBUG_REGISTERS.map((n) => p.dr(n)),
    fx: readFxImage(p),
    ymmUppers: ymmUppers(p).slice(),
    xcr0: p.field(STATE.XCR0),
    msrs: Object.fromEntries(MSR_NAMES.map((name) => [name, p.field(MSR_FIELDS[name])])) as Record<
      StateMsr,
      bigint
    >,
    shadow: { sti: (p.shadow & SHADOW.STI) !== 0, movSs: (p.shadow & SHADOW.MOV_SS) !== 0 },
    nmiMasked: (p.shadow & SHADOW.NMI) !== 0,
    pending: { nmi },
  };
}

/** Sets the state but for what is pending, and tells the MMU. */
export function writeState(p: Processor, mmu: Mmu, state: ProcessorState): void {
  writeRegisters(p, state.registers);
  p.setField(STATE.APIC_BASE, BigInt(state.apicBase));
  for (const n of DEBUG_REGISTERS) p.setDr(n, state.debugRegisters[n] ?? 0n);
  writeFxImage(p, state.fx);
  ymmUppers(p).set(state.ymmUppers);
  p.setField(STATE.XCR0, state.xcr0);
  for (const name of MSR_NAMES) p.setField(MSR_FIELDS[name], state.msrs[name]);
  const { shadow, nmiMasked } = state;
  p.shadow =
    (shadow.sti ? SHADOW.STI : 0) |
    (shadow.movSs ? SHADOW.MOV_SS : 0) |
    (nmiMasked ? SHADOW.NMI : 0);
  mmu.stateReplaced();
  watchData(p, mmu);
}
