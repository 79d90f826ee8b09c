import { describe, expect, it } from "vitest";
import { createFallbackCpu, interpreterModule } from "../../fallback/index.ts";
import { machineCodeOf, takesMachineCode } from "../../fallback/wasm/machine-code.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { gpa, nanos } from "../../src/core/units.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { allowMachineCode, optimisingAll } from "../support/optimised.ts";

allowMachineCode();

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

/** An instance that can do nothing but settle flags. */
function startInterpreter(module: WebAssembly.Module): { settleFlags: () => void } {
  const none = (): number => 0;
  const { exports } = new WebAssembly.Instance(module, {
    cpu: {
      memory: allocateMemory(2, false).whole,
      regions: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
      ...{ load: none, store: none, checkSegment: none, procedure: none },
      ...{ findBlock: none, touch: none, synchronise: none },
    },
  });
  return exports as unknown as { settleFlags: () => void };
}

describe.skipIf(!takesMachineCode())("an interpreter that is optimised already", () => {
  const bytes = interpreterModule(true);
  const module = new WebAssembly.Module(bytes);
  const { settleFlags } = startInterpreter(module);
  // One function is enough.
  optimisingAll(settleFlags);
  const code = machineCodeOf(module, [settleFlags]);
  // V8 compares its flags.
  const foreign = optimisingAll(() => machineCodeOf(module, [settleFlags]));
  const kept = interpreterModule(false);

  /** Runs `mov ax, 7; hlt` in real mode. @returns which of the kept interpreters was asked for */
  function run(optimised: Uint8Array<ArrayBuffer> | undefined): boolean[] {
    const { whole: memory, ram } = allocateMemory(2, false);
    const asked: boolean[] = [];
    const cpu = createFallbackCpu({
      ...{ memory, ramSize: ram.size, clock: new VirtualClock(), hostWaits: () => false },
      keptInterpreter: (inline) => {
        asked.push(inline);
        return kept;
      },
      optimisedInterpreter: () => optimised && { bytes, code: optimised },
    });
    ram.write(gpa(0x1000), Uint8Array.of(0xb8, 7, 0, 0xf4));
    const registers = cpu.readRegisters();
    registers.cs = { ...registers.cs, selector: 0, base: 0n };
    cpu.writeRegisters({ ...registers, rip: 0x1000n });
    expect(cpu.run(nanos(1)).kind).toBe("halt");
    expect(cpu.readRegisters().rax & 0xffffn).toBe(7n);
    return asked;
  }

  it("is the first and the only one", () => {
    expect(run(code)).toEqual([]);
  });

  it("is not there where V8 refuses it, or nobody kept it", () => {
    expect(run(foreign)).toEqual([false]);
    expect(run(undefined)).toEqual([false]);
  });
});
