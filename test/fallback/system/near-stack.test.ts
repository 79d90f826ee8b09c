import { describe, expect, it } from "vitest";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { Segment } from "../../../src/core/cpu.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
const HANDLER = 0x2000;
const STACK = 0x2_0000;
const VECTOR = 0x21;
const STACK_FAULT = 12;
const HLT = 0xf4;
const [PUSHA, POPA, IRET] = [0x60, 0x61, 0xcf];
const PUSHAD = [0x66, PUSHA];

/** In real mode: the code, and HLT behind it and in the handlers of INT 21h and of #SS. */
function run(code: readonly number[], sp: number, stack: Partial<Segment> = {}) {
  const { whole: memory, ram } = allocateMemory(2);
  const cpu = createFallbackCpu({
    ...{ memory, ramSize: ram.size, clock: new VirtualClock(), hostWaits: () => false },
    jit: undefined,
  });
  ram.write(gpa(CODE), Uint8Array.from([...code, HLT]));
  ram.writeU8(gpa(HANDLER), HLT);
  ram.writeU8(gpa(HANDLER + STACK_FAULT), HLT);
  ram.writeU16(gpa(4 * VECTOR), HANDLER);
  ram.writeU16(gpa(4 * STACK_FAULT), HANDLER + STACK_FAULT);
  // Words that say where they are, seen from the stack's segment.
  for (let at = 0; at < 0x1_0000; at += 2) ram.writeU16(gpa(STACK + at), at ^ 0x5a00);
  const registers = cpu.readRegisters();
  cpu.writeRegisters({
    ...registers,
    cs: { ...registers.cs, selector: 0, base: 0n },
    ss: { ...registers.ss, selector: STACK / 16, base: BigInt(STACK), ...stack },
    ...{ rip: BigInt(CODE), rsp: BigInt(sp) },
    ...{ rax: 0xa1a0n, rcx: 0xc1c0n, rdx: 0xd1d0n, rbx: 0xb1b0n },
    ...{ rbp: 0xb5b0n, rsi: 0x5150n, rdi: 0xd5d0n },
  });
  cpu.run(nanos(1));
  const { rip, rsp, ...after } = cpu.readRegisters();
  const general = [after.rax, after.rcx, after.rdx, after.rbx, after.rbp, after.rsi, after.rdi];
  return {
    ended: Number(rip) - 1,
    sp: Number(rsp),
    general: general.map(Number),
    word: (offset: number) => ram.readU16(gpa(STACK + (offset & 0xffff))),
  };
}

const at = (offset: number): number => (offset & 0xffff) ^ 0x5a00;
const ALL = [0xa1a0, 0xc1c0, 0xd1d0, 0xb1b0, 0xb5b0, 0x5150, 0xd5d0];

describe("what is pushed and popped at once", () => {
  it.each([0x8000, 16, 0xfffe])("PUSHA, down from %i", (sp) => {
    const { ended, sp: after, word } = run([PUSHA], sp);
    expect([ended, after]).toEqual([CODE + 1, sp - 16]);
    const pushed = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => word(sp - 2 - 2 * i));
    expect(pushed).toEqual([...ALL.slice(0, 4), sp, ...ALL.slice(4)]);
  });

  it("PUSHAD keeps the order, in four bytes each", () => {
    const { sp, word } = run(PUSHAD, 0x8000);
    expect(sp).toBe(0x8000 - 32);
    expect([word(0x7ffc), word(0x7ffe), word(0x7fec), word(0x7fe0)]).toEqual([
      ...[0xa1a0, 0, 0x8000, 0xd5d0],
    ]);
  });

  it("PUSHA wraps around where no word of it lies across the end", () => {
    const { ended, sp, word } = run([PUSHA], 6);
    expect([ended, sp]).toEqual([CODE + 1, 0xfff6]);
    expect([word(4), word(0), word(0xfffe), word(0xfff6)]).toEqual([
      ...[0xa1a0, 0xd1d0, 0xb1b0, 0xd5d0],
    ]);
  });

  it("PUSHA faults beyond the limit, where the fault finds no stack either", () => {
    const { ended, sp } = run([PUSHA], 0x1004, { limit: 0x1001 });
    expect([ended + 1, sp]).toEqual([CODE, 0x1004]);
  });

  it("PUSHA goes below an expand-down segment's limit nowhere", () => {
    const downwards = { limit: 0x7fff, attributes: 0x97 };
    expect(run([PUSHA], 0x8010, downwards)).toMatchObject({ ended: CODE + 1, sp: 0x8000 });
    expect(run([PUSHA], 0x800e, downwards).ended).toBe(HANDLER + STACK_FAULT);
  });

  it.each([0x8000, 0xfff0, 0])("POPA, up from %i", (sp) => {
    const { ended, sp: after, general } = run([POPA], sp);
    expect([ended, after]).toEqual([CODE + 1, (sp + 16) & 0xffff]);
    const [di, si, bp, bx, dx, cx, ax] = [0, 2, 4, 8, 10, 12, 14].map((i) => at(sp + i));
    expect(general).toEqual([ax, cx, dx, bx, bp, si, di]);
  });

  it("POPA wraps around where no word of it lies across the end", () => {
    const { sp, general } = run([POPA], 0xfffa);
    expect(sp).toBe(0x000a);
    expect(general.at(-1)).toBe(at(0xfffa));
    expect(general[0]).toBe(at(0x0008));
  });

  it.each([0x8000, 6, 4, 2])("INT, down from %i", (sp) => {
    const { ended, sp: after, word } = run([0xcd, VECTOR], sp);
    expect([ended, after]).toEqual([HANDLER, (sp - 6) & 0xffff]);
    expect([word(sp - 2), word(sp - 4), word(sp - 6)]).toEqual([2, 0, CODE + 2]);
  });

  it.each([0x8000, 0xfffa, 0xfffc])("IRET, up from %i", (sp) => {
    // mov bp, sp; mov word [bp], HANDLER; and CS and FLAGS by the same way round.
    const store = (offset: number, value: number): number[] => {
      const to = (sp + offset) & 0xffff;
      return [0x36, 0xc7, 0x06, to & 0xff, to >> 8, value & 0xff, value >> 8];
    };
    const code = [...store(0, HANDLER), ...store(2, 0), ...store(4, 0x0ed7), IRET];
    expect(run(code, sp)).toMatchObject({ ended: HANDLER, sp: (sp + 6) & 0xffff });
  });
});
