import { expect, test } from "vitest";
import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import { GuestMemory, RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { MIB, NEVER } from "../../../src/core/units.ts";
import { begin, interpreter } from "./machine.ts";

const WASM_PAGE = 64 * 1024;
const RAM_SIZE = 4 * MIB;
const PATIENCE = 40_000;

/** mov ecx, …; again: add eax, ecx; dec ecx; jnz again */
const loop = (times: number): number[] => [
  ...[0xb9, times & 0xff, times >> 8, 0, 0],
  ...[0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa],
];
const HLT = 0xf4;

/** A processor that executes a program up to `hlt`. */
function halted(code: readonly number[], executed?: () => void): FallbackCpu {
  const pages = (RAM_OFFSET + RAM_SIZE) / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const cpu = createFallbackCpu({
    ...{ memory, ramSize: RAM_SIZE, clock: new VirtualClock(), hostWaits: () => false },
    ...(executed !== undefined && { executed }),
    keptInterpreter: () => interpreter,
    jit: { threshold: 30, patience: PATIENCE },
  });
  begin({ cpu, ram: new GuestMemory(memory.buffer, RAM_OFFSET) }, code);
  while (cpu.run(NEVER).kind !== "halt");
  return cpu;
}

const regions = (cpu: FallbackCpu): string => new Map(cpu.notes).get("jit")?.split(" ")[0] ?? "";

test("what was hot before translation began is translated while the guest waits", () => {
  const cpu = halted([...loop(8000), HLT]);
  expect(regions(cpu)).toBe("0");
  expect(cpu.hasSpareWork).toBe(true);
  cpu.doSpareWork();
  expect(regions(cpu)).toBe("1");
  expect(cpu.hasSpareWork).toBe(false);
});

test("less than half of the patience is too little", () => {
  expect(halted([...loop(5000), HLT]).hasSpareWork).toBe(false);
});

test("what is no longer where it was is left alone", () => {
  const cpu = halted([...loop(8000), HLT]);
  cpu.reset();
  cpu.doSpareWork();
  expect(regions(cpu)).toBe("0");
});

test("with counted time there is none: there waiting takes none", () => {
  expect(halted([...loop(8000), HLT], () => {}).hasSpareWork).toBe(false);
});
