import { describe, expect, it } from "vitest";
import type { FallbackCpu } from "../../fallback/cpu.ts";
import { createFallbackCpu } from "../../fallback/index.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { gpa, nanos } from "../../src/core/units.ts";
import { allocateMemory } from "../../src/machine/memory.ts";

const CODE = 0x1000;
const INVALID_OPCODE_HANDLER = 0x3000;

/** A processor in real mode that another one asks for help. */
function helper(code: readonly number[], at = CODE): FallbackCpu {
  const { whole, ram } = allocateMemory(2);
  const cpu = createFallbackCpu({
    memory: whole,
    ramSize: ram.size,
    clock: new VirtualClock(),
    hostWaits: () => false,
    leaves: () => true,
  });
  ram.write(gpa(4 * 6), Uint8Array.of(0, INVALID_OPCODE_HANDLER >> 8, 0, 0));
  if (at < ram.size) ram.write(gpa(at), Uint8Array.from(code));
  const registers = cpu.readRegisters();
  registers.cs = { ...registers.cs, selector: 0, base: BigInt(at) };
  registers.rip = 0n;
  registers.rsp = 0x8000n;
  cpu.writeRegisters(registers);
  return cpu;
}

describe("an instruction that another processor gave up", () => {
  it("has a name", () => {
    expect(helper([0xf3, 0x0f, 0xb8, 0xc1]).nextInstruction()).toBe("popcnt");
  });

  it("that is none raises #UD when it is executed all the same", () => {
    const cpu = helper([0x0f, 0x04]);
    expect(cpu.nextInstruction()).toBe("(unknown)");
    cpu.executeForced();
    expect(cpu.readRegisters().rip).toBe(BigInt(INVALID_OPCODE_HANDLER));
  });

  it("shuts the processor down later if its fault cannot be delivered", () => {
    const cpu = helper([0xf4]);
    const state = cpu.readState();
    const idtr = { base: 0n, limit: 0 };
    const exception = { vector: 6, errorCode: undefined };
    cpu.writeState({
      ...state,
      registers: { ...state.registers, idtr },
      pending: { nmi: false, exception },
    });
    const exit = cpu.run(nanos(1));
    expect(exit).toMatchObject({ kind: "shutdown", exceptions: [{ vector: 6 }, {}, {}] });
  });

  it("cannot be named where there is no memory", () => {
    expect(helper([], 0x1000_0000).nextInstruction()).toBeUndefined();
  });
});
