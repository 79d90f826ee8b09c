import { expect, it } from "vitest";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
/** mov ecx, COUNT; again: inc ebx; dec ecx; jnz again; hlt. */
const COUNT = 10_000_000;
const LOOP = [
  ...[0x66, 0xb9, COUNT & 0xff, (COUNT >> 8) & 0xff, (COUNT >> 16) & 0xff, COUNT >> 24],
  ...[0x66, 0x43, 0x66, 0x49, 0x75, 0xfa, 0xf4],
];

it("a long run goes on in the interpreter for long runs", () => {
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
  ram.write(gpa(CODE), Uint8Array.from(LOOP));
  const registers = cpu.readRegisters();
  registers.cs = { ...registers.cs, selector: 0, base: 0n };
  registers.rip = BigInt(CODE);
  cpu.writeRegisters(registers);
  expect(asked).toEqual([false]);
  expect(cpu.run(nanos(1)).kind).toBe("halt");
  expect(asked).toEqual([false, true]);
  const { rbx, rcx } = cpu.readRegisters();
  expect([rbx & 0xffff_ffffn, rcx]).toEqual([BigInt(COUNT), 0n]);
  expect(cpu.instructions).toBe(3 * COUNT + 2);
});
