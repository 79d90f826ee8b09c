import fc from "fast-check";
import { expect, test } from "vitest";
import { nanos } from "../../src/core/units.ts";
import { CODE, machine } from "./jit/machine.ts";

/** mov ecx, 300; again: sti; inc ebx; cli; dec ecx; jnz again; hlt */
const SHADOWS = [...[0xb9, 0x2c, 0x01, 0, 0, 0xfb, 0xff, 0xc3, 0xfa, 0xff, 0xc9, 0x75, 0xf8, 0xf4]];
const CLI = BigInt(CODE + 8);
const distances = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });

test.each([undefined, 3])("STI holds interrupts off for one instruction, JIT from %s on", (jit) => {
  fc.assert(
    fc.property(distances, (slices) => {
      const { cpu, clock } = machine(SHADOWS, jit);
      for (let i = 0; ; i++) {
        const exit = cpu.run(nanos(clock.now() + (slices[i % slices.length] as number)));
        const { rip, rbx } = cpu.readRegisters();
        if (exit.kind === "halt") {
          expect(rbx).toBe(0x30_0000n + 300n);
          return;
        }
        expect(cpu.interruptible).toBe(rip === CLI);
      }
    }),
    { numRuns: 10 },
  );
});

test.each([undefined, 3])("where an interrupt waits, it is taken then, JIT from %s on", (jit) => {
  fc.assert(
    fc.property(distances, (slices) => {
      const { cpu, clock } = machine(SHADOWS, jit);
      for (const slice of slices) {
        cpu.requestInterruptWindow(false);
        if (cpu.run(nanos(clock.now() + slice)).kind === "halt") return;
        cpu.requestInterruptWindow(true);
        expect(cpu.run(nanos(clock.now() + 10)).kind).toBe("interrupt-window");
        expect(cpu.readRegisters().rip).toBe(CLI);
      }
    }),
    { numRuns: 10 },
  );
});

/** mov ecx, 300; again: push 0x202; popf; inc ebx; cli; dec ecx; jnz again; hlt */
const POPS = [
  0xb9, 0x2c, 1, 0, 0, 0x68, 2, 2, 0, 0, 0x9d, 0xff, 0xc3, 0xfa, 0xff, 0xc9, 0x75, 0xf3,
];

test.each([undefined, 3])("POPF lets what waits in at once, JIT from %s on", (jit) => {
  fc.assert(
    fc.property(distances, (slices) => {
      const { cpu, clock } = machine([...POPS, 0xf4], jit);
      for (let i = 0; i < 100; i++) {
        const slice = slices[i % slices.length] as number;
        cpu.requestInterruptWindow(false);
        if (cpu.run(nanos(clock.now() + slice)).kind === "halt") return;
        const { interruptible } = cpu;
        const { rip } = cpu.readRegisters();
        expect(interruptible).toBe(rip === BigInt(CODE + 11) || rip === BigInt(CODE + 13));
        cpu.requestInterruptWindow(true);
        const { kind } = cpu.run(nanos(clock.now() + 10));
        if (kind === "halt") return;
        expect(kind).toBe("interrupt-window");
        expect(cpu.readRegisters().rip).toBe(interruptible ? rip : BigInt(CODE + 11));
      }
    }),
    { numRuns: 10 },
  );
});
