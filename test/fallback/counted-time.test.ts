import fc from "fast-check";
import { expect, test } from "vitest";
import type { FallbackCpu } from "../../fallback/cpu.ts";
import { createFallbackCpu, interpreterModule } from "../../fallback/index.ts";
import { CountedClock } from "../../src/core/clock.ts";
import { GuestMemory, RAM_OFFSET } from "../../src/core/guest-memory.ts";
import { gpa, MIB, nanos } from "../../src/core/units.ts";

const RAM_SIZE = MIB;
const WASM_PAGE = 64 * 1024;
const CODE = 0x1000;
const UNDEFINED_OPCODE = 6;
const interpreter = interpreterModule(false);

/** A processor at 16-bit code that counts its clock. */
function machine(...code: number[]): { cpu: FallbackCpu; clock: CountedClock; ram: GuestMemory } {
  const pages = (RAM_OFFSET + RAM_SIZE) / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const ram = new GuestMemory(memory.buffer, RAM_OFFSET);
  const clock = new CountedClock(0);
  const cpu = createFallbackCpu({
    memory,
    ramSize: RAM_SIZE,
    clock,
    keptInterpreter: () => interpreter,
    hostWaits: () => false,
    executed: (instructions) => clock.pass(instructions),
  });
  ram.write(gpa(CODE), Uint8Array.from(code));
  const registers = cpu.readRegisters();
  registers.cs = { ...registers.cs, selector: 0, base: 0n };
  registers.rip = BigInt(CODE);
  registers.rsp = 0x8000n;
  cpu.writeRegisters(registers);
  return { cpu, clock, ram };
}

/**
 * mov cx, 300; again: rdtsc; add ebx, eax; push ax; in al, 0x80; pop ax; add [0x3000], eax;
 * loop again; hlt
 */
const READS_TIME = [
  ...[0xb9, 0x2c, 0x01, 0x0f, 0x31, 0x66, 0x01, 0xc3, 0x50, 0xe4, 0x80, 0x58],
  ...[0x66, 0x01, 0x06, 0x00, 0x30, 0xe2, 0xf0, 0xf4],
];

/** Runs to the halt, with deadlines at these distances, over and over. */
function runToHalt({ cpu, clock }: ReturnType<typeof machine>, distances: readonly number[]) {
  for (let i = 0; ; i++) {
    const deadline = nanos(clock.now() + (distances[i % distances.length] as number));
    const exit = cpu.run(deadline);
    if (exit.kind === "kicked") expect(clock.now()).toBe(deadline);
    else if (exit.kind === "port-read") exit.complete(0, clock.now() & 0xff);
    else {
      expect(exit.kind).toBe("halt");
      const { rbx, rip } = cpu.readRegisters();
      return { rbx, rip, now: clock.now(), instructions: cpu.instructions };
    }
  }
}

test("time is the number of instructions, to each one", () => {
  // rdtsc; mov ebx, eax; nop; nop; rdtsc; sub eax, ebx; hlt
  const { cpu, clock } = machine(
    ...[0x0f, 0x31, 0x66, 0x89, 0xc3, 0x90, 0x90, 0x0f, 0x31, 0x66, 0x29, 0xd8, 0xf4],
  );
  expect(cpu.run(nanos(1000)).kind).toBe("halt");
  expect(cpu.readRegisters().rax).toBe(4n);
  expect(clock.now()).toBe(7);
  expect(cpu.instructions).toBe(7);
});

test("a reset takes no time, whatever was left of the slice, or taken beyond it", () => {
  const restart = ({ cpu }: ReturnType<typeof machine>): void => {
    cpu.reset();
    const registers = cpu.readRegisters();
    const cs = { ...registers.cs, selector: 0, base: 0n };
    cpu.writeRegisters({ ...registers, cs, rip: BigInt(CODE) });
  };
  // mov cx, 50; rep lodsb; in al, 0x80; hlt
  const counted = machine(0xb9, 50, 0, 0xf3, 0xac, 0xe4, 0x80, 0xf4);
  for (const [distance, runs] of [
    [1000, 1],
    [3, 2],
  ] as const) {
    const { cpu, clock } = counted;
    for (let run = 0; run < runs; run++) cpu.run(nanos(clock.now() + distance));
    const [before, executed] = [clock.now(), cpu.instructions];
    restart(counted);
    expect([clock.now(), cpu.instructions]).toEqual([before, executed]);
    expect(cpu.run(nanos(before + 1)).kind).toBe("kicked");
    expect([clock.now(), cpu.instructions]).toEqual([before + 1, executed + 1]);
  }
});

test("slices end exactly at their deadline, and make no difference otherwise", () => {
  const whole = runToHalt(machine(...READS_TIME), [1e9]);
  expect(whole.instructions).toBe(2 + 300 * 7);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (distances) => {
      expect(runToHalt(machine(...READS_TIME), distances)).toEqual(whole);
    }),
    { numRuns: 20 },
  );
});

test("a handler that faults at once does not keep the thread", () => {
  // mov sp, 0x8000; ud2, which is its own handler
  const { cpu, ram } = machine(0xbc, 0x00, 0x80, 0x0f, 0x0b);
  ram.writeU16(gpa(UNDEFINED_OPCODE * 4), CODE);
  expect(cpu.run(nanos(10_000)).kind).toBe("kicked");
});
