import { RFLAGS } from "../bits.ts";
import { type CpuException, generalProtection, notPresent } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { GPR, type Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { checkTarget, enterCode, transferDescriptor } from "./code-segments.ts";
import { Descriptor, linearIn, markAccessed, SYSTEM_TYPE, selectorCode } from "./descriptors.ts";
import type { InterruptEvent } from "./interrupts.ts";
import { nullSegment } from "./segments.ts";
import { type SlotBytes, Stack } from "./stack.ts";
import { gatedTask, switchTask } from "./task-switch.ts";
import { innerStack, interruptStack64, levelStack64, type NewStack, newStack64 } from "./tss.ts";

/** Error code bit: the selector index is a vector (§6.13). */
const IDT = 1 << 1;
const IST_MASK = 7;
/** Interrupt stacks of long mode are aligned to 16 bytes (§6.14.2). */
const STACK_ALIGNMENT = ~0xfn;
const CLEARED = RFLAGS.TF | RFLAGS.NT | RFLAGS.RF | RFLAGS.VM;

interface InterruptGate {
  readonly target: Descriptor;
  readonly offset: bigint;
  /** Of what is pushed. */
  readonly bytes: SlotBytes;
  readonly clearsInterruptFlag: boolean;
  readonly ist: number;
}

/**
 * Delivery through the IDT in protected and long mode. Nothing changes but the stack's memory until
 * everything is checked.
 * @throws CpuException #GP, #NP, #TS, #SS, #PF
 */
export function deliverThroughGate(p: Processor, mmu: Mmu, event: InterruptEvent): void {
  const ext = event.software ? 0 : 1;
  const gate = readGate(p, mmu, event);
  if (gate instanceof Descriptor) {
    const { resume, errorCode } = event;
    switchTask(p, mmu, gatedTask(p, mmu, gate, ext), "call", { ext, resume, errorCode });
    return;
  }
  const { target, offset, bytes } = gate;
  const level = handlerLevel(p, target, ext);
  const segment = target.segment((target.selector & ~3) | level);
  checkTarget(p, segment, offset, ext);
  const entered = chooseStack(p, mmu, gate, level, ext);
  const { stack } = entered;
  const from8086 = p.virtual8086;
  if (from8086) pushDataSegments(p, stack, bytes);
  if (p.longMode || level !== p.cpl) {
    stack.push(BigInt(p.selector(SEGMENT_INDEX.ss)), bytes);
    stack.push(p.gpr(GPR.rsp), bytes);
  }
  const flags = p.rflags | (event.resume ? RFLAGS.RF : 0);
  stack.push(BigInt(flags), bytes);
  stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), bytes);
  stack.push(p.rip, bytes);
  if (event.errorCode !== undefined) stack.push(BigInt(event.errorCode), bytes);
  markAccessed(mmu, target);
  if ("segment" in entered) p.setSegment(SEGMENT_INDEX.ss, entered.segment);
  stack.commit(p);
  if (from8086) dropDataSegments(p);
  p.changeSystemFlags(CLEARED | (gate.clearsInterruptFlag ? RFLAGS.IF : 0), 0);
  enterCode(p, mmu, segment, offset, level);
}

/** The gate of an event, its own checks done; a task gate as it is. */
function readGate(p: Processor, mmu: Mmu, event: InterruptEvent): InterruptGate | Descriptor {
  const ext = event.software ? 0 : 1;
  const code = (event.vector << 3) | IDT | ext;
  const entryBytes = p.longMode ? 16 : 8;
  const at = event.vector * entryBytes;
  if (at + entryBytes - 1 > p.view.getUint32(STATE.IDTR_LIMIT, true)) throw generalProtection(code);
  const linear = linearIn(p, p.field(STATE.IDTR_BASE), at);
  const low = mmu.read(linear, 4, false);
  const gate = new Descriptor(low >>> 16, linear, low, mmu.read(linear + 4, 4, false));
  const kind = gateKind(p, gate);
  if (kind === undefined) throw generalProtection(code);
  if (event.software && gate.dpl < p.cpl) throw generalProtection(code);
  if (!gate.present) throw notPresent(code);
  if (kind === "task") return gate;
  const upper = p.longMode ? mmu.read(linear + 8, 4, false) : 0;
  const offset = kind.bytes === 2 ? gate.offset & 0xffff : gate.offset;
  return {
    ...kind,
    target: transferDescriptor(p, mmu, gate.target, ext),
    offset: (BigInt(upper) << 32n) | BigInt(offset),
    ist: p.longMode ? gate.high & IST_MASK : 0,
  };
}

/** Undefined: no gate that an interrupt can go through. */
function gateKind(
  p: Processor,
  gate: Descriptor,
): Pick<InterruptGate, "bytes" | "clearsInterruptFlag"> | "task" | undefined {
  if (!gate.isSystem) return undefined;
  const wide = p.longMode ? 8 : 4;
  switch (gate.systemType) {
    case SYSTEM_TYPE.TASK_GATE:
      return p.longMode ? undefined : "task";
    case SYSTEM_TYPE.INTERRUPT_GATE_32:
      return { bytes: wide, clearsInterruptFlag: true };
    case SYSTEM_TYPE.TRAP_GATE_32:
      return { bytes: wide, clearsInterruptFlag: false };
    case SYSTEM_TYPE.INTERRUPT_GATE_16:
      return p.longMode ? undefined : { bytes: 2, clearsInterruptFlag: true };
    case SYSTEM_TYPE.TRAP_GATE_16:
      return p.longMode ? undefined : { bytes: 2, clearsInterruptFlag: false };
    default:
      return undefined;
  }
}

/** The level that the handler runs at, from checks of its code segment. */
function handlerLevel(p: Processor, target: Descriptor, ext: number): number {
  const code = selectorCode(target.selector, ext);
  const fail = (): CpuException => generalProtection(code);
  if (!target.isCode || target.dpl > p.cpl) throw fail();
  if (p.longMode && (!target.isLong || target.isBig)) throw fail();
  if (!target.present) throw notPresent(code);
  const level = target.isConformingCode ? p.cpl : target.dpl;
  if (p.virtual8086 && level !== 0) throw fail();
  return level;
}

function chooseStack(
  p: Processor,
  mmu: Mmu,
  gate: InterruptGate,
  level: number,
  ext: number,
): NewStack | { readonly stack: Stack } {
  const inner = level !== p.cpl;
  if (!p.longMode)
    return inner ? innerStack(p, mmu, level, ext) : { stack: Stack.current(p, mmu, ext) };
  let pointer = p.gpr(GPR.rsp);
  if (gate.ist !== 0) pointer = interruptStack64(p, mmu, gate.ist, ext);
  else if (inner) pointer = levelStack64(p, mmu, level, ext);
  const entered = newStack64(mmu, level, pointer & STACK_ALIGNMENT, ext);
  return inner ? entered : { stack: entered.stack };
}

const { es, ds, fs, gs } = SEGMENT_INDEX as Record<"es" | "ds" | "fs" | "gs", number>;

/** On the way out of virtual-8086 mode the data segments are saved on the new stack. */
function pushDataSegments(p: Processor, stack: Stack, bytes: SlotBytes): void {
  for (const index of [gs, fs, ds, es]) stack.push(BigInt(p.selector(index)), bytes);
}

function dropDataSegments(p: Processor): void {
  for (const index of [gs, fs, ds, es]) p.setSegment(index, nullSegment());
}
