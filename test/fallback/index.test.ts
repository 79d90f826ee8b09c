import { describe, expect, it } from "vitest";
import { createFallbackCpu, interpreterModule } from "../../fallback/index.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { allocateMemory } from "../../src/machine/memory.ts";

describe.each([true, false])("with memory that is shared: %s", (shared) => {
  const { whole: memory, ram } = allocateMemory(2, shared);
  const description = {
    memory,
    ramSize: ram.size,
    clock: new VirtualClock(),
    hostWaits: () => false,
    shared,
  };

  it("the memory is of that kind", () => {
    expect(Object.prototype.toString.call(memory.buffer)).toBe(
      shared ? "[object SharedArrayBuffer]" : "[object ArrayBuffer]",
    );
  });

  it("the interpreter is made for it", () => {
    const cpu = createFallbackCpu(description);
    expect(cpu.readRegisters().rip).toBe(0xfff0n);
  });

  it("an interpreter kept for it does, and none for the other kind", () => {
    const kept = interpreterModule(false, { shared });
    const other = interpreterModule(false, { shared: !shared });
    const create = (bytes: Uint8Array<ArrayBuffer>) =>
      createFallbackCpu({ ...description, keptInterpreter: () => bytes });
    expect(() => create(kept)).not.toThrow();
    expect(() => create(other)).toThrow(/memory/);
  });
});
