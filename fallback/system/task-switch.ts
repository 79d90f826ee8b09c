/** Switching tasks by hardware (Intel SDM vol. 3A §8.3). Long mode has none. */
import { CR0, CR4, DR6, RFLAGS } from "../bits.ts";
import { CpuException, generalProtection, invalidTss, notPresent } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import { GPR, type Processor, SHADOW } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { watchData } from "./breakpoints.ts";
import { debugException } from "./debug.ts";
import {
  type Descriptor,
  inLdt,
  isNull,
  linearIn,
  readDescriptor,
  rplOf,
  SYSTEM_TYPE,
  selectorCode,
} from "./descriptors.ts";
import { virtual8086Segment } from "./segments.ts";
import { Stack } from "./stack.ts";
import { loadTaskSegments, unloadedSegment } from "./task-segments.ts";
import {
  checkSave,
  isWide,
  LINK,
  leastLimit,
  readTask,
  saveTask,
  type TaskState,
} from "./tss-image.ts";

/** By what a task is entered: a call, and an event likewise, can be returned from. */
export type TaskEntry = "jump" | "call" | "return";

const { TSS_16, TSS_32, TSS_16_BUSY, TSS_32_BUSY, TASK_GATE } = SYSTEM_TYPE;
const AVAILABLE = new Set<number>([TSS_16, TSS_32]);
const BUSY_TYPES = new Set<number>([TSS_16_BUSY, TSS_32_BUSY]);
const BUSY = 1 << 1;
const TYPE_BYTE = 5;
/** What of RFLAGS a TSS holds. */
const TASK_FLAGS = 0x3f_7fd5;
/** L0 to L3 and LE: breakpoints of the task that is left. */
const LOCAL_BREAKPOINTS = 0x155n;

/**
 * The TSS that JMP or CALL to a descriptor goes to, checked; undefined if it is neither a TSS nor a
 * task gate.
 * @throws CpuException #GP, #NP
 */
export function taskTarget(p: Processor, mmu: Mmu, descriptor: Descriptor): Descriptor | undefined {
  const type = descriptor.systemType;
  const gate = type === TASK_GATE;
  if (p.longMode || !(gate || AVAILABLE.has(type) || BUSY_TYPES.has(type))) return undefined;
  const code = selectorCode(descriptor.selector);
  if (descriptor.dpl < p.cpl || descriptor.dpl < rplOf(descriptor.selector)) {
    throw generalProtection(code);
  }
  if (!gate) return available(descriptor);
  if (!descriptor.present) throw notPresent(code);
  return gatedTask(p, mmu, descriptor);
}

/** The TSS behind a task gate, whose own checks are done. @throws CpuException #GP, #NP */
export function gatedTask(p: Processor, mmu: Mmu, gate: Descriptor, ext = 0): Descriptor {
  const selector = gate.target;
  if (isNull(selector) || inLdt(selector)) throw generalProtection(selectorCode(selector, ext));
  return available(readDescriptor(p, mmu, selector, generalProtection, ext), ext);
}

function available(tss: Descriptor, ext = 0): Descriptor {
  const code = selectorCode(tss.selector, ext);
  const usable = tss.isSystem && AVAILABLE.has(tss.systemType) && !inLdt(tss.selector);
  if (!usable) throw generalProtection(code);
  if (!tss.present) throw notPresent(code);
  return tss;
}

/** IRET with NT: back to the task that the current one is linked to. @throws CpuException #TS, #NP */
export function returnToTask(p: Processor, mmu: Mmu): void {
  const selector = mmu.read(linearIn(p, p.segmentBase(SEGMENT_INDEX.tr), LINK), 2, false);
  const code = selectorCode(selector);
  if (inLdt(selector)) throw invalidTss(code);
  const tss = readDescriptor(p, mmu, selector, invalidTss);
  if (!tss.isSystem || !BUSY_TYPES.has(tss.systemType)) throw invalidTss(code);
  if (!tss.present) throw notPresent(code);
  switchTask(p, mmu, tss, "return");
}

/**
 * Saves the current task and goes on with another one. RIP is where the current one will go on.
 *
 * What cannot be switched to leaves the current task as it is. Once the new one has been entered,
 * faults are its own: they wait in `p.pendingTrap`, as does the trap that its TSS may ask for.
 * @param errorCode goes onto the new task's stack
 * @throws CpuException #TS, #PF
 */
export function switchTask(
  p: Processor,
  mmu: Mmu,
  tss: Descriptor,
  entry: TaskEntry,
  { ext = 0, resume = false, errorCode }: TaskEvent = {},
): void {
  // Nothing of this can be done twice: tasks are in RAM.
  mmu.mmio.unanswered(() => {
    const task = leaveTask(p, mmu, tss, entry, { ext, resume });
    try {
      enterTask(p, mmu, task, ext);
      if (errorCode !== undefined) pushErrorCode(p, mmu, isWide(tss.systemType), errorCode);
    } catch (error) {
      if (!(error instanceof CpuException)) throw error;
      p.pendingTrap = error;
    }
  });
}

/** What an exception or interrupt adds to a switch. */
export interface TaskEvent {
  readonly ext?: number;
  /** Whether RF is set in the flags that are saved. */
  readonly resume?: boolean;
  readonly errorCode?: number | undefined;
}

/** All that can fail in the old task's name, and then what changes memory. */
function leaveTask(
  p: Processor,
  mmu: Mmu,
  tss: Descriptor,
  entry: TaskEntry,
  { ext, resume }: { ext: number; resume: boolean },
): TaskState {
  const wide = isWide(tss.systemType);
  const old = p.segment(SEGMENT_INDEX.tr);
  const oldWide = isWide(old.attributes & 0xf);
  const oldBase = linearIn(p, old.base, 0);
  if (tss.limit < leastLimit(wide)) throw invalidTss(selectorCode(tss.selector, ext));
  checkSave(mmu, oldBase, oldWide);
  mmu.check(tss.at + TYPE_BYTE, 1, "write", false);
  const oldAt = linearIn(p, p.field(STATE.GDTR_BASE), old.selector & 0xfff8) + TYPE_BYTE;
  if (entry !== "call") mmu.check(oldAt, 1, "write", false);
  if (entry === "call") mmu.check(tss.base + LINK, 2, "write", false);
  const task = readTask(mmu, tss.base, wide);

  const nested = entry === "return" ? RFLAGS.NT : 0;
  saveTask(p, mmu, oldBase, oldWide, (p.rflags | (resume ? RFLAGS.RF : 0)) & ~nested);
  if (entry === "call") mmu.write(tss.base + LINK, 2, old.selector, false);
  else mmu.write(oldAt, 1, mmu.read(oldAt, 1, false) & ~BUSY, false);
  const attributes = tss.attributes | BUSY;
  if (entry !== "return") mmu.write(tss.at + TYPE_BYTE, 1, attributes & 0xff, false);
  p.setSegment(SEGMENT_INDEX.tr, { ...tss.segment(tss.selector), attributes });
  return entry === "call" ? { ...task, flags: task.flags | RFLAGS.NT } : task;
}

/** @throws CpuException in the new task, of which everything is loaded that could be */
function enterTask(p: Processor, mmu: Mmu, task: TaskState, ext: number): void {
  // A single step of the old task ends with it.
  const stepped = (p.systemFlags & RFLAGS.TF) !== 0;
  p.shadow = (p.shadow & SHADOW.NMI) | (stepped ? SHADOW.INT : 0);
  p.cr0 |= CR0.TS;
  p.setDr(7, p.dr(7) & ~LOCAL_BREAKPOINTS);
  watchData(p, mmu);
  p.rflags = (task.flags & TASK_FLAGS) | RFLAGS.FIXED;
  p.rip = BigInt(task.ip);
  for (const [n, value] of task.registers.entries()) p.setGpr32(GPR.rax + n, value);
  const { virtual8086 } = p;
  for (const [index, selector] of task.selectors.entries()) {
    p.setSegment(index, virtual8086 ? virtual8086Segment(selector) : unloadedSegment(selector));
  }
  p.setSegment(SEGMENT_INDEX.ldtr, unloadedSegment(task.ldt));
  mmu.changePrivilege(virtual8086 ? 3 : rplOf(p.selector(SEGMENT_INDEX.cs)));
  if (p.paging && task.cr3 !== undefined) {
    if ((p.cr4 & CR4.PAE) !== 0) mmu.loadPdptes(BigInt(task.cr3));
    p.cr3 = BigInt(task.cr3);
    mmu.loadRoot();
  }
  loadTaskSegments(p, mmu, task, ext);
  if (p.rip > p.segmentLimit(SEGMENT_INDEX.cs)) throw generalProtection(ext);
  if (task.trap) throw debugException(p, DR6.BT);
}

function pushErrorCode(p: Processor, mmu: Mmu, wide: boolean, errorCode: number): void {
  const stack = Stack.current(p, mmu);
  stack.push(BigInt(errorCode), wide ? 4 : 2);
  stack.commit(p);
}
