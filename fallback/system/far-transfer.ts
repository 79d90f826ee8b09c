/** JMP, CALL and RET to another segment (Intel SDM vol. 2A and 2B, vol. 3A §5.8). */
import { generalProtection, notPresent } from "../exceptions.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { CodeSize, Processor } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { callThroughGate, jumpThroughGate } from "./call-gate.ts";
import {
  checkDirectTarget,
  checkLongCode,
  checkTarget,
  cutOffset,
  enterCode,
  enterParagraph,
  paragraphCode,
  transferDescriptor,
} from "./code-segments.ts";
import { type Descriptor, isNull, markAccessed, rplOf, selectorCode } from "./descriptors.ts";
import { dropInaccessibleSegments, nullStack, stackDescriptor } from "./segments.ts";
import { Stack, slotBytes } from "./stack.ts";
import { switchTask, taskTarget } from "./task-switch.ts";

/** The selector that CS gets: its RPL is the privilege level. */
export const codeSelector = (selector: number, level: number): number => (selector & ~3) | level;

/** @throws CpuException #GP, #NP */
export function farJump(
  p: Processor,
  mmu: Mmu,
  selector: number,
  offset: bigint,
  size: CodeSize,
): void {
  const target = cutOffset(offset, size);
  if (p.paragraphSegments) {
    enterParagraph(p, selector, Number(target));
    return;
  }
  const descriptor = transferDescriptor(p, mmu, selector);
  if (descriptor.isSystem) {
    const task = taskTarget(p, mmu, descriptor);
    if (task === undefined) jumpThroughGate(p, mmu, descriptor);
    else switchTask(p, mmu, task, "jump");
    return;
  }
  checkDirectTarget(p, descriptor);
  const segment = descriptor.segment(codeSelector(selector, p.cpl));
  checkTarget(p, segment, target);
  markAccessed(mmu, descriptor);
  enterCode(p, mmu, segment, target, p.cpl);
}

/** The return address is RIP, which is behind the instruction. @throws CpuException */
export function farCall(
  p: Processor,
  mmu: Mmu,
  selector: number,
  offset: bigint,
  size: CodeSize,
): void {
  const target = cutOffset(offset, size);
  if (p.paragraphSegments) {
    const segment = paragraphCode(p, selector, target);
    pushReturnAddress(p, mmu, size).commit(p);
    enterCode(p, mmu, segment, target, p.cpl);
    return;
  }
  const descriptor = transferDescriptor(p, mmu, selector);
  if (descriptor.isSystem) {
    const task = taskTarget(p, mmu, descriptor);
    if (task === undefined) callThroughGate(p, mmu, descriptor);
    else switchTask(p, mmu, task, "call");
    return;
  }
  checkDirectTarget(p, descriptor);
  const segment = descriptor.segment(codeSelector(selector, p.cpl));
  checkTarget(p, segment, target);
  const stack = pushReturnAddress(p, mmu, size);
  markAccessed(mmu, descriptor);
  stack.commit(p);
  enterCode(p, mmu, segment, target, p.cpl);
}

function pushReturnAddress(p: Processor, mmu: Mmu, size: CodeSize): Stack {
  const stack = Stack.current(p, mmu);
  const bytes = slotBytes(size);
  stack.push(BigInt(p.selector(SEGMENT_INDEX.cs)), bytes);
  stack.push(p.rip, bytes);
  return stack;
}

/**
 * RET far.
 * @param parameters bytes to take off the stack besides the address
 * @throws CpuException
 */
export function farReturn(p: Processor, mmu: Mmu, size: CodeSize, parameters = 0): void {
  const stack = Stack.current(p, mmu);
  const bytes = slotBytes(size);
  const offset = stack.pop(bytes);
  const selector = stack.popSelector(bytes);
  if (p.paragraphSegments) {
    const segment = paragraphCode(p, selector, offset);
    stack.skip(parameters);
    stack.commit(p);
    enterCode(p, mmu, segment, offset, p.cpl);
    return;
  }
  const target = returnTarget(p, mmu, selector);
  const level = rplOf(selector);
  const segment = target.segment(selector);
  checkTarget(p, segment, offset);
  stack.skip(parameters);
  if (level === p.cpl) {
    markAccessed(mmu, target);
    stack.commit(p);
    enterCode(p, mmu, segment, offset, level);
    return;
  }
  const outer = popOuterStack(p, mmu, stack, target, bytes);
  markAccessed(mmu, target);
  outer.stack.skip(parameters);
  outer.enter();
  enterCode(p, mmu, segment, offset, level);
  dropInaccessibleSegments(p, level);
}

/**
 * The code segment that RET or IRET goes back to: of the same or an outer level.
 * @throws CpuException #GP, #NP
 */
export function returnTarget(p: Processor, mmu: Mmu, selector: number): Descriptor {
  const target = transferDescriptor(p, mmu, selector);
  const code = selectorCode(selector);
  const level = rplOf(selector);
  if (!target.isCode || level < p.cpl) throw generalProtection(code);
  const allowed = target.isConformingCode ? target.dpl <= level : target.dpl === level;
  if (!allowed) throw generalProtection(code);
  checkLongCode(p, target);
  if (!target.present) throw notPresent(code);
  return target;
}

/**
 * SP and SS of the level returned to, popped and checked.
 * @param target the code segment that the stack is for
 */
export function popOuterStack(
  p: Processor,
  mmu: Mmu,
  stack: Stack,
  target: Descriptor,
  bytes: 2 | 4 | 8,
): { readonly stack: Stack; enter(): void } {
  const pointer = stack.pop(bytes);
  const selector = stack.popSelector(bytes);
  // The level returned to; transferDescriptor's selector still has its RPL.
  const level = rplOf(target.selector);
  const to64 = p.longMode && target.isLong;
  if (isNull(selector)) {
    if (!to64 || level === 3 || rplOf(selector) !== level) throw generalProtection();
    return outerStack(p, mmu, nullStack(level), 64, pointer, level);
  }
  const descriptor = stackDescriptor(p, mmu, selector, level, generalProtection);
  markAccessed(mmu, descriptor);
  const size = to64 ? 64 : descriptor.isBig ? 32 : 16;
  return outerStack(p, mmu, descriptor.segment(selector), size, pointer, level);
}

function outerStack(
  p: Processor,
  mmu: Mmu,
  segment: ReturnType<Descriptor["segment"]>,
  size: CodeSize,
  pointer: bigint,
  level: number,
) {
  const stack = new Stack(mmu, segment, size, pointer, level === 3);
  return {
    stack,
    enter: () => {
      p.setSegment(SEGMENT_INDEX.ss, segment);
      stack.commit(p);
    },
  };
}
