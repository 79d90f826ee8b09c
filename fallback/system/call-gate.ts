/** JMP and CALL through call gates (Intel SDM vol. 3A §5.8.3 to §5.8.5). */
import { generalProtection, notPresent } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { GPR, type Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { checkTarget, enterCode, transferDescriptor } from "./code-segments.ts";
import {
  type Descriptor,
  markAccessed,
  readUpperHalf,
  rplOf,
  SYSTEM_TYPE,
  selectorCode,
} from "./descriptors.ts";
import { type SlotBytes, Stack } from "./stack.ts";
import { innerStack, levelStack64, newStack64 } from "./tss.ts";

const PARAMETER_COUNT = 0x1f;

interface CallGate {
  /** Of what is pushed. */
  readonly bytes: SlotBytes;
  readonly target: Descriptor;
  readonly offset: bigint;
  readonly parameters: number;
}

/** The level stays: only conforming code or code of the same level. @throws CpuException */
export function jumpThroughGate(p: Processor, mmu: Mmu, descriptor: Descriptor): void {
  const gate = readGate(p, mmu, descriptor);
  const { target, offset } = gate;
  if (!target.isConformingCode && target.dpl !== p.cpl) {
    throw generalProtection(selectorCode(target.selector));
  }
  const segment = target.segment((target.selector & ~3) | p.cpl);
  checkTarget(p, segment, offset);
  markAccessed(mmu, target);
  enterCode(p, mmu, segment, offset, p.cpl);
}

/** @throws CpuException */
export function callThroughGate(p: Processor, mmu: Mmu, descriptor: Descriptor): void {
  const gate = readGate(p, mmu, descriptor);
  const { target, offset, bytes } = gate;
  const inner = !target.isConformingCode && target.dpl < p.cpl;
  const level = inner ? target.dpl : p.cpl;
  const segment = target.segment((target.selector & ~3) | level);
  checkTarget(p, segment, offset);
  const entered = inner ? switchStack(p, mmu, gate) : { stack: Stack.current(p, mmu) };
  const { stack } = entered;
  stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), bytes);
  stack.push(p.rip, bytes);
  markAccessed(mmu, target);
  if ("segment" in entered) p.setSegment(SEGMENT_INDEX.ss, entered.segment);
  // The pointer's width is that of the stack it belongs to, whatever code runs now.
  stack.commit(p);
  enterCode(p, mmu, segment, offset, level);
}

/** The inner level's stack, with the old one's pointer and parameters on it. */
function switchStack(p: Processor, mmu: Mmu, { target, bytes, parameters }: CallGate) {
  const level = target.dpl;
  const entered = p.longMode
    ? newStack64(mmu, level, levelStack64(p, mmu, level))
    : innerStack(p, mmu, level);
  const { stack } = entered;
  const old = Stack.current(p, mmu);
  const copied = Array.from({ length: parameters }, () => old.pop(bytes));
  stack.push(BigInt(p.selector(SEGMENT_INDEX.ss)), bytes);
  stack.push(p.gpr(GPR.rsp), bytes);
  for (const parameter of copied.reverse()) stack.push(parameter, bytes);
  return entered;
}

/** The gate's own checks and those of its code segment that JMP and CALL share. */
function readGate(p: Processor, mmu: Mmu, gate: Descriptor): CallGate {
  const code = selectorCode(gate.selector);
  const bytes = gateBytes(p, gate.systemType);
  if (bytes === undefined) throw generalProtection(code);
  if (gate.dpl < p.cpl || gate.dpl < rplOf(gate.selector)) throw generalProtection(code);
  const upper = p.longMode ? readUpperHalf(p, mmu, gate, generalProtection) : 0;
  if (!gate.present) throw notPresent(code);
  const target = transferDescriptor(p, mmu, gate.target);
  const targetCode = selectorCode(gate.target);
  if (!target.isCode || target.dpl > p.cpl) throw generalProtection(targetCode);
  if (p.longMode && (!target.isLong || target.isBig)) throw generalProtection(targetCode);
  if (!target.present) throw notPresent(targetCode);
  const offset = bytes === 2 ? gate.offset & 0xffff : gate.offset;
  return {
    bytes,
    target,
    offset: (BigInt(upper) << 32n) | BigInt(offset),
    parameters: p.longMode ? 0 : gate.high & PARAMETER_COUNT,
  };
}

function gateBytes(p: Processor, type: number): SlotBytes | undefined {
  if (type === SYSTEM_TYPE.CALL_GATE_32) return p.longMode ? 8 : 4;
  return type === SYSTEM_TYPE.CALL_GATE_16 && !p.longMode ? 2 : undefined;
}
