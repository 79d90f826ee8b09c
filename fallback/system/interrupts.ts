/** Delivery of interrupts and exceptions (Intel SDM vol. 3A chapter 6; vol. 2A, INT n). */
import type { FailedException } from "../../src/core/cpu.ts";
import { CR4, DR7, RFLAGS } from "../bits.ts";
import {
  CpuException,
  doubleFaultClass,
  exceptionClass,
  generalProtection,
  hasErrorCode,
  TripleFault,
  VECTOR,
} from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { type Processor, SHADOW } from "../processor.ts";
import { debugException } from "./debug.ts";
import { deliverThroughGate } from "./interrupt-gate.ts";
import { isSystems } from "./io-permission.ts";
import { deliverReal, deliverToProgram } from "./real-mode-interrupt.ts";
import { deliverAtSameLevel } from "./same-level.ts";

/** What is delivered. */
export interface InterruptEvent {
  readonly vector: number;
  /** Pushed, except in real mode. */
  readonly errorCode: number | undefined;
  /** By INT n, INT3 or INTO: the gate's DPL counts, and EXT does not. */
  readonly software: boolean;
  /** Whether RFLAGS is saved with RF set, so that the instruction is not stopped at again. */
  readonly resume: boolean;
}

/**
 * Delivers an exception; RIP is at the instruction for a fault, behind it for a trap. What goes
 * wrong in delivery is delivered in its place, or becomes a double fault.
 * @throws TripleFault
 */
export function deliverException(p: Processor, mmu: Mmu, exception: CpuException): void {
  let current = exception;
  const failed: FailedException[] = [];
  for (;;) {
    const address = current.vector === VECTOR.PF ? p.cr2 : undefined;
    const failure = attempt(p, mmu, eventOf(current));
    if (failure === undefined) {
      if (current.vector === VECTOR.DB) p.setDr(7, p.dr(7) & ~BigInt(DR7.GD));
      return;
    }
    failed.push({ vector: current.vector, errorCode: current.errorCode, address });
    current = combine(failed, failure);
  }
}

/** Delivers an external interrupt; RIP is at the next instruction. @throws TripleFault */
export function deliverInterrupt(p: Processor, mmu: Mmu, vector: number): void {
  const event = { vector, errorCode: undefined, software: false, resume: false };
  const failure = attempt(p, mmu, event);
  if (failure !== undefined) deliverException(p, mmu, failure);
}

/** Delivers an NMI and holds off further ones until IRET. @throws TripleFault */
export function deliverNmi(p: Processor, mmu: Mmu): void {
  p.shadow |= SHADOW.NMI;
  deliverInterrupt(p, mmu, VECTOR.NMI);
}

/** INT n. @throws CpuException as {@link softwareInterrupt} */
export function interruptInstruction(p: Processor, mmu: Mmu, vector: number): void {
  // INT3 and INTO are not affected by virtual-8086 mode.
  if (p.virtual8086) {
    if ((p.cr4 & CR4.VME) !== 0 && !isSystems(p, mmu, vector)) {
      deliverToProgram(p, mmu, vector);
      return;
    }
    if (p.iopl !== 3) throw generalProtection();
  }
  softwareInterrupt(p, mmu, vector);
}

/**
 * INT3, INTO, and INT n's delivery: RIP is behind the instruction. Their failures are faults of the instruction,
 * for the caller to deliver.
 * @throws CpuException
 */
export function softwareInterrupt(p: Processor, mmu: Mmu, vector: number): void {
  const steps = (p.systemFlags & RFLAGS.TF) !== 0;
  deliver(p, mmu, { vector, errorCode: undefined, software: true, resume: false });
  if (steps) p.shadow |= SHADOW.INT;
}

/**
 * INT1: a debug exception that no gate's privilege level stands in the way of. Data breakpoints that
 * MOV SS has held off come with it.
 */
export function debugInstruction(p: Processor, mmu: Mmu): void {
  const steps = (p.systemFlags & RFLAGS.TF) !== 0;
  deliver(p, mmu, { vector: VECTOR.DB, errorCode: undefined, software: false, resume: false });
  debugException(p, mmu.takeWatchpointHits());
  if (steps) p.shadow |= SHADOW.INT;
}

function eventOf({ vector, errorCode }: CpuException): InterruptEvent {
  return {
    vector,
    errorCode: hasErrorCode(vector) ? (errorCode ?? 0) : undefined,
    software: false,
    resume: exceptionClass(vector) === "fault",
  };
}

/** @returns the exception that delivery failed with, or that the task it entered begins with */
function attempt(p: Processor, mmu: Mmu, event: InterruptEvent): CpuException | undefined {
  try {
    // Tables and stacks of an event are in RAM, or nowhere.
    mmu.mmio.unanswered(() => deliver(p, mmu, event));
    return p.takePendingTrap();
  } catch (error) {
    if (error instanceof CpuException) return error;
    throw error;
  }
}

const isExternal = ({ errorCode, software, resume }: InterruptEvent): boolean =>
  errorCode === undefined && !software && !resume;

function deliver(p: Processor, mmu: Mmu, event: InterruptEvent): void {
  if (!p.protectedMode) deliverReal(p, mmu, event);
  else if (!isExternal(event) || !deliverAtSameLevel(p, mmu, event.vector)) {
    deliverThroughGate(p, mmu, event);
  }
  p.shadow &= SHADOW.NMI;
}

/** Table 6-5: what a second exception during the delivery of a first one becomes. */
function combine(failed: readonly FailedException[], second: CpuException): CpuException {
  const first = failed.at(-1)?.vector ?? second.vector;
  const later = doubleFaultClass(second.vector);
  if (later === "benign") return second;
  if (first === VECTOR.DF) throw new TripleFault(failed);
  const earlier = doubleFaultClass(first);
  const serial = earlier === "benign" || (earlier === "contributory" && later === "page-fault");
  return serial ? second : new CpuException(VECTOR.DF, 0);
}
