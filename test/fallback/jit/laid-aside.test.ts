import { beforeEach, describe, expect, test } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { CODE, machine, runFor } from "./machine.ts";

/** mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again; hlt */
const LOOP = [0xb9, 0xd0, 7, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4];
/** Of ADD's ModRM: EAX, and EDX in its place. */
const CHANGED = CODE + 6;
const EAX = 0xc8;
const EDX = 0xca;
const SUM = 2_001_000n;

let m: ReturnType<typeof machine>;

beforeEach(() => {
  m = machine(LOOP, 3);
  m.ram.onWrite = (address, length) => m.cpu.mmu.noticeWrite(address, length);
  run();
});

/** The program once more. @returns what EAX and EDX are then */
function run(): readonly [eax: bigint, edx: bigint] {
  m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rip: BigInt(CODE), rax: 0n, rdx: 0n });
  while (!runFor(m, 10_000));
  const { rax, rdx } = m.cpu.readRegisters();
  return [rax, rdx];
}

const made = (): string | undefined => m.cpu.notes.find(([name]) => name === "jit")?.[1];

describe("a region whose code is written to", () => {
  test("is taken up again where that is what it was", () => {
    m.ram.writeU8(gpa(CHANGED), EAX);
    expect(run()).toEqual([SUM, 0n]);
    expect(made()).toMatch(/^1 regions .* 1 dropped$/);
  });

  test("is not where it is other code", () => {
    m.ram.writeU8(gpa(CHANGED), EDX);
    expect(run()).toEqual([0n, SUM]);
    expect(made()).toMatch(/^2 regions .* 1 dropped$/);
  });

  test("is when its own code is back", () => {
    for (const [value, results] of [
      [EDX, [0n, SUM]],
      [EAX, [SUM, 0n]],
      [EDX, [0n, SUM]],
    ] as const) {
      m.ram.writeU8(gpa(CHANGED), value);
      expect(run()).toEqual(results);
    }
    expect(made()).toMatch(/^2 regions .* 3 dropped$/);
  });
});
