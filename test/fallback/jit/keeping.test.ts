import { expect, test } from "vitest";
import { NO_STOPS } from "../../../src/core/debug.ts";
import type { Translations } from "../../../src/core/translations.ts";
import { gpa } from "../../../src/core/units.ts";
import { CODE, type Machine, machine, runFor, stateOf } from "./machine.ts";

const THRESHOLD = 3;

/** mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again; hlt */
const SUM = [0xb9, 0xd0, 0x07, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4];

interface Kept extends Machine {
  readonly kept: Translations | undefined;
}

/** Runs a program to its end. */
function run(
  code: readonly number[],
  kept?: Translations,
  prepare: (m: Machine) => void = () => {},
): Kept {
  let translations: Translations | undefined;
  const keep = (made: Translations | undefined): void => {
    translations = made;
  };
  const m = machine(code, THRESHOLD, undefined, { kept, keep });
  prepare(m);
  for (let i = 0; i < 100 && !runFor(m, 10_000); i++);
  m.cpu.close();
  return { ...m, kept: translations };
}

const jit = ({ cpu }: Machine): string => new Map(cpu.notes).get("jit") ?? "";

test("a run begins with the regions of the one before", () => {
  const first = run(SUM);
  expect(jit(first)).toMatch(/^1 regions/);
  const second = run(SUM, first.kept);
  expect(jit(second)).toMatch(/^1 regions of an earlier run; 0 regions/);
  expect(stateOf(second)).toEqual(stateOf(first));
  // There is nothing new to keep.
  expect(second.kept).toBeUndefined();
});

test("procedures, floating point of x87 and jumps through registers are kept as well", () => {
  // mov ecx, 2000; fldz; again: fld1; faddp; cpuid (with ecx and ebx saved); dec ecx;
  // lea rdx, [rip + 2]; jmp rdx; fistp [rbx] behind the loop; hlt
  const body = [0xd9, 0xe8, 0xde, 0xc1, 0x51, 0x53, 0x31, 0xc0, 0x0f, 0xa2, 0x5b, 0x59];
  const jump = [0x48, 0x8d, 0x15, 2, 0, 0, 0, 0xff, 0xe2, 0xff, 0xc9];
  const back = -(body.length + jump.length + 2) & 0xff;
  const head = [0xb9, 0xd0, 0x07, 0, 0, 0xd9, 0xee];
  const code = [...head, ...body, ...jump, 0x75, back, 0xdf, 0x3b, 0xf4];
  const first = run(code);
  const second = run(code, first.kept);
  expect(jit(second)).toMatch(/^[2-9] regions of an earlier run/);
  expect(stateOf(second)).toEqual(stateOf(first));
  expect(stateOf(second).data).not.toBe(stateOf(run([0xf4])).data);
});

test("where the code is other than it was it is translated anew", () => {
  const first = run(SUM);
  // sub eax, ecx
  const other = SUM.map((byte) => (byte === 0x01 ? 0x29 : byte));
  const second = run(other, first.kept);
  expect(jit(second)).toMatch(/^1 regions of [1-9]/);
  expect(second.cpu.readRegisters().rax).toBe(2n ** 32n - 2_001_000n);
  // And that is what is kept from now on.
  expect(jit(run(other, second.kept))).toMatch(/^1 regions of an earlier run; 0 regions/);
});

test("the guest's write to code of a region that has not been executed in this run is noticed", () => {
  const FAR = 0x1000;
  const TAIL = FAR + 0x40;
  const int32 = (value: number): number[] => [...new Uint8Array(Int32Array.of(value).buffer)];
  // mov ecx, 2000; jmp again
  const head = [0xb9, 0xd0, 0x07, 0, 0, 0xeb, 0];
  // again: test esi, esi; jz 1f; mov byte [far + 2], 2
  const store = [0x85, 0xf6, 0x74, 7, 0xc6, 0x05, ...int32(FAR + 2 - 18), 2];
  // 1: test edi, edi; jnz far; jmp tail
  const rest = [0x85, 0xff, 0x0f, 0x85, ...int32(FAR - 26), 0xe9, ...int32(TAIL - 31)];
  const code = [...head, ...store, ...rest];
  // far: add eax, 1; jmp tail
  const far = [0x83, 0xc0, 1, 0xe9, ...int32(TAIL - FAR - 8)];
  // tail: dec ecx; jnz again; hlt
  const tail = [0xff, 0xc9, 0x0f, 0x85, ...int32(head.length - TAIL - 8), 0xf4];
  const putFar = ({ ram }: Machine): void => {
    ram.write(gpa(CODE + FAR), Uint8Array.from(far));
    ram.write(gpa(CODE + TAIL), Uint8Array.from(tail));
  };
  const begin = (m: Machine, rdi: bigint, rsi: bigint): void => {
    m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rdi, rsi });
  };
  const first = run(code, undefined, (m) => {
    putFar(m);
    begin(m, 1n, 0n);
  });
  expect(first.cpu.readRegisters().rax).toBe(2000n);
  let left = 0;
  const second = run(code, first.kept, (m) => {
    putFar(m);
    begin(m, 0n, 0n);
    runFor(m, 500);
    begin(m, 0n, 1n);
    runFor(m, 500);
    expect(jit(m)).toMatch(/^1 regions of an earlier run/);
    left = Number(m.cpu.readRegisters().rcx);
    begin(m, 1n, 0n);
  });
  // The round under way may be past its decision.
  expect([2 * left, 2 * left - 2]).toContain(Number(second.cpu.readRegisters().rax));
});

test("regions whose code was written to are kept for when it is there again", () => {
  // mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again
  // xor byte [again], 0x28 (add becomes sub); not edx; test edx, edx; jnz begin; hlt
  const int32 = (value: number): number[] => [...new Uint8Array(Int32Array.of(value).buffer)];
  const change = [0x80, 0x35, ...int32(5 - 18), 0x28, 0xf7, 0xd2, 0x85, 0xd2];
  const code = [...SUM.slice(0, -1), ...change, 0x75, -(11 + change.length + 2) & 0xff, 0xf4];
  const begin = (m: Machine): void => {
    m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rdx: 0n });
  };
  const first = run(code, undefined, begin);
  expect(jit(first)).toMatch(/^2 regions of .* [12] dropped/);
  const second = run(code, first.kept, begin);
  expect(jit(second)).toMatch(/^2 regions of an earlier run; 0 regions/);
  expect(stateOf(second)).toEqual(stateOf(first));
  expect(second.cpu.readRegisters().rax).toBe(0n);
});

test("regions of earlier runs do not run past a debugger's breakpoints", () => {
  const first = run(SUM);
  const breakpoints = new Set([BigInt(CODE + 7)]);
  const m = machine(SUM, THRESHOLD, undefined, { kept: first.kept });
  m.cpu.stopAt({ ...NO_STOPS, breakpoints });
  const ended = runFor(m, 10_000);
  expect(ended).toBe(false);
  expect(m.cpu.readRegisters().rip).toBe(BigInt(CODE + 7));
  expect(m.cpu.readRegisters().rcx).toBe(2000n);
});

test.each([
  ["no JSON", { text: "{", bytes: new Uint8Array() }],
  ["something else", { text: "[]", bytes: new Uint8Array() }],
])("what is %s is not taken", (_name, kept) => {
  expect(jit(run(SUM, kept))).toMatch(/^1 regions of [1-9]/);
});

test("a module that was damaged is not taken", () => {
  const { kept } = run(SUM);
  const damaged = { text: kept?.text ?? "", bytes: new Uint8Array(kept?.bytes.length ?? 0) };
  damaged.bytes.set((kept as Translations).bytes);
  damaged.bytes.fill(0xff, 40, 60);
  const m = run(SUM, damaged);
  expect(jit(m)).toMatch(/^1 regions of [1-9]/);
  expect(m.cpu.readRegisters().rax).toBe(2_001_000n);
});

/** SUM, and the same over again behind it, with n added instead. */
const sumAnd = (n: number): number[] => [
  ...SUM.slice(0, -1),
  // mov ecx, 2000; again: add eax, n; dec ecx; jnz again; hlt
  ...[...SUM.slice(0, 5), 0x83, 0xc0, n, 0xff, 0xc9, 0x75, 0xf9, 0xf4],
];

test("what nobody has needed for five runs is given up", () => {
  let { kept } = run(sumAnd(100));
  for (let n = 0; n < 4; n++) {
    kept = run(sumAnd(n), kept).kept;
    expect(kept).toBeDefined();
  }
  expect(jit(run(sumAnd(100), kept))).toMatch(/^2 regions of an earlier run; 0 regions/);
  ({ kept } = run(sumAnd(4), kept));
  expect(jit(run(sumAnd(100), kept))).toMatch(/^1 regions of an earlier run; 1 regions/);
});

test("a run that takes up hardly anything gives up what it has not needed", () => {
  const first = run(sumAnd(100));
  // nop: all is somewhere else.
  const second = run([0x90, ...SUM], first.kept);
  expect(jit(second)).toMatch(/^1 regions of [1-9]/);
  expect(jit(run(sumAnd(100), second.kept))).toMatch(/^2 regions of [1-9]/);
});

test("what is taken up counts as translated: no more lukewarm code gets its turn", () => {
  // mov ecx, 10; again: add eax, ecx (16 times); dec ecx; jnz again; and so 600 times
  const additions = Array.from({ length: 16 }, () => [0x01, 0xc8]).flat();
  const lukewarm = [0xb9, 10, 0, 0, 0, ...additions, 0xff, 0xc9, 0x75, -36 & 0xff];
  const code = [...Array.from({ length: 600 }, () => lukewarm).flat(), 0xf4];
  const first = run(code);
  const second = run(code, first.kept);
  const made = Number(/^(\d+) regions of [0-9]/.exec(jit(first))?.[1]);
  const [, taken, more] = /^(\d+) regions of an earlier run; (\d+)/.exec(jit(second)) ?? [];
  expect(Number(taken)).toBe(made);
  expect(Number(more)).toBeLessThan(made / 2);
});
