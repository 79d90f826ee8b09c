import { expect, it } from "vitest";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
const COUNT = 10_000_000;
const HLT = 0xf4;
/** mov ecx, COUNT; again: inc ebx; dec ecx; jnz again. */
const LOOP = [
  ...[0x66, 0xb9, COUNT & 0xff, (COUNT >> 8) & 0xff, (COUNT >> 16) & 0xff, COUNT >> 24],
  ...[0x66, 0x43, 0x66, 0x49, 0x75, 0xfa],
];
/** sha1nexte xmm0, xmm1. */
const LATE = [0x0f, 0x38, 0xc8, 0xc1];
/** aesenc xmm0, xmm1. */
const LATER = [0x66, 0x0f, 0x38, 0xdc, 0xc1];
const OSFXSR = 0x200n;

/** Runs code in real mode until HLT. */
function run(code: readonly number[]) {
  const { whole, ram } = allocateMemory(2);
  const asked: boolean[] = [];
  const cpu = createFallbackCpu({
    memory: whole,
    ramSize: ram.size,
    clock: new VirtualClock(),
    hostWaits: () => false,
    keptInterpreter: (inline) => {
      asked.push(inline);
      return undefined;
    },
  });
  ram.write(gpa(CODE), Uint8Array.from([...code, HLT]));
  const registers = cpu.readRegisters();
  registers.cs = { ...registers.cs, selector: 0, base: 0n };
  registers.rip = BigInt(CODE);
  registers.cr4 = OSFXSR;
  cpu.writeRegisters(registers);
  expect(asked).toEqual([false]);
  expect(cpu.run(nanos(1)).kind).toBe("halt");
  return { cpu, asked };
}

it("a long run goes on in the interpreter for long runs", () => {
  const { cpu, asked } = run(LOOP);
  expect(asked).toEqual([false, true]);
  const { rbx, rcx } = cpu.readRegisters();
  expect([rbx & 0xffff_ffffn, rcx]).toEqual([BigInt(COUNT), 0n]);
  expect(cpu.instructions).toBe(3 * COUNT + 2);
});

it("that one has the handlers that were made late, and gets more", () => {
  const short = run([...LATE, ...LATE, ...LATER]);
  expect(short.asked).toEqual([false]);
  const long = run([...LATE, ...LOOP, ...LATE, ...LATER]);
  expect(long.asked).toEqual([false, true]);
  expect(long.cpu.readState().fx).toEqual(short.cpu.readState().fx);
});
