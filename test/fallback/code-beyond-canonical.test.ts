import { describe, expect, test } from "vitest";
import { gpa, nanos } from "../../src/core/units.ts";
import { CODE, machine, TABLES } from "./jit/machine.ts";

const LARGE = 0x20_0000;
const PRESENT_WRITABLE = 3;
/** Where addresses cease to be canonical. */
const END = 0x8000_0000_0000n;
const [GP, DF] = [13, 8];
const ONE = [0xb8, 1, 0, 0, 0];

/** The last page below {@link END} and the first of the upper half lead to the same memory: that of the code. */
function runAtTheEnd(code: readonly number[], threshold: number | undefined) {
  const { cpu, ram, clock } = machine([], threshold);
  const entry = (table: number, index: number, value: number): void =>
    ram.write(gpa(table + 8 * index), new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  let table = 0x13_0000;
  for (const [first, index] of [
    [255, 511],
    [256, 0],
  ] as const) {
    entry(TABLES, first, table | PRESENT_WRITABLE);
    entry(table, index, (table + 0x1000) | PRESENT_WRITABLE);
    entry(table + 0x1000, index, CODE | 0x80 | PRESENT_WRITABLE);
    table += 0x2000;
  }
  // mov eax, 1; hlt
  ram.write(gpa(CODE), Uint8Array.of(...ONE, 0xf4));
  ram.write(gpa(CODE + LARGE - code.length), Uint8Array.from(code));
  cpu.writeRegisters({ ...cpu.readRegisters(), rax: 0n, rip: END - BigInt(code.length) });
  const exit = cpu.run(nanos(clock.now() + 1000));
  const vectors = exit.kind === "shutdown" ? exit.exceptions?.map(({ vector }) => vector) : [];
  const { rip, rax } = cpu.readRegisters();
  return { kind: exit.kind, vectors, rip, rax };
}

const FAULT = { kind: "shutdown", vectors: [GP, DF], rax: 0n };

describe.each([undefined, 1])("code at the end of the lower half, threshold %s", (threshold) => {
  test.each([
    ["nop", [0x90, 0x90]],
    ["jmp", [0x90, 0xeb, 0]],
    ["jne", [0x75, 0]],
    ["call", [0xe8, 0, 0, 0, 0]],
  ])("does not go on in the upper one behind it: %s", (_, code) => {
    expect(runAtTheEnd(code, threshold)).toEqual({ ...FAULT, rip: END });
  });

  test("has no instruction that begins there and ends in the upper one", () => {
    expect(runAtTheEnd([0x90, 0xb8, 1], threshold)).toEqual({ ...FAULT, rip: END - 2n });
  });

  test("is executed to its last byte", () => {
    expect(runAtTheEnd([...ONE, 0xf4], threshold)).toMatchObject({ kind: "halt", rax: 1n });
  });
});
