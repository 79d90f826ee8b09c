import { describe, expect, it } from "vitest";
import { gpa } from "../../src/core/units.ts";
import { CODE, machine } from "./jit/machine.ts";

const DEADLINE = Number.MAX_SAFE_INTEGER as never;
const STI = 0xfb;
const HLT = 0xf4;
const NOP = 0x90;

describe("HLT behind STI", () => {
  it.each([false, true])(
    "halts so that interrupts come, in two instructions, one waits: %s",
    (waits) => {
      const { cpu } = machine([STI, HLT, NOP], undefined);
      cpu.requestInterruptWindow(waits);
      const before = cpu.instructions;
      expect(cpu.run(DEADLINE)).toEqual({ kind: "halt", interruptible: true });
      expect(cpu.readRegisters().rip).toBe(BigInt(CODE + 2));
      expect(cpu.interruptible).toBe(true);
      expect(cpu.instructions - before).toBe(2);
    },
  );

  it("is looked for anew each time, where an interrupt waits for it", () => {
    const { cpu, ram } = machine([STI, HLT, NOP], undefined);
    cpu.requestInterruptWindow(true);
    cpu.run(DEADLINE);
    cpu.requestInterruptWindow(false);
    ram.write(gpa(CODE + 1), Uint8Array.of(NOP, 0xfa, HLT)); // sti; nop; cli; hlt
    const registers = cpu.readRegisters();
    cpu.writeRegisters({ ...registers, rip: BigInt(CODE), rflags: 2n });
    expect(cpu.run(DEADLINE)).toEqual({ kind: "halt", interruptible: false });
    expect(cpu.readRegisters().rip).toBe(BigInt(CODE + 4));
  });

  it("traps under TF as any instruction does", () => {
    const { cpu } = machine([STI, HLT, NOP], undefined);
    const registers = cpu.readRegisters();
    cpu.writeRegisters({ ...registers, rflags: 0x102n });
    // There is no handler for #DB.
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "shutdown" });
  });
});
