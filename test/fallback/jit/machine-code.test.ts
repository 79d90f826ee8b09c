import { describe, expect, it } from "vitest";
import { type KeptModule, LoadedModule } from "../../../fallback/jit/loaded-module.ts";
import { exportName, RegionModules } from "../../../fallback/jit/module.ts";
import { RAM_BASE } from "../../../fallback/state.ts";
import { takesMachineCode } from "../../../fallback/wasm/machine-code.ts";
import type { Translations } from "../../../src/core/translations.ts";
import { allowMachineCode, optimisingAll } from "../../support/optimised.ts";
import { type Machine, machine, runFor } from "./machine.ts";

allowMachineCode();

/** mov ecx, 2000; again: add eax, ecx; dec ecx; jnz again; hlt */
const SUM = [0xb9, 0xd0, 0x07, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xf4];

interface Kept extends Machine {
  /** Undefined: nothing was given to be kept. */
  readonly kept: Translations | undefined;
}

function run(code: readonly number[], kept?: Translations): Kept {
  let translations: Translations | undefined;
  const m = machine(code, 3, undefined, {
    kept,
    keep: (made) => {
      translations = made;
    },
  });
  while (!runFor(m, 10_000));
  m.cpu.close();
  return { ...m, kept: translations };
}

const jit = ({ cpu }: Machine): string => new Map(cpu.notes).get("jit") ?? "";

/** The module that was kept last. */
const moduleOf = (kept: Translations | undefined) => JSON.parse(kept?.text ?? "").modules.at(-1);

describe.skipIf(!takesMachineCode())("V8's code of regions", () => {
  it("is kept where V8 has optimised them, and is there in the next run", () => {
    const first = optimisingAll(() => run(SUM));
    expect(moduleOf(first.kept)).toMatchObject({ regions: 1, optimised: 1 });
    const second = run(SUM, first.kept);
    expect(jit(second)).toMatch(/^1 regions of an earlier run, 1 as machine code; 0 regions/);
    expect(second.cpu.readRegisters().rax).toBe(2_001_000n);
    expect(second.kept).toBeUndefined();
  });

  it("grows with what V8 optimises of what there was before", () => {
    const modules = new RegionModules(false);
    // No locals, i64.const 1, end.
    const bodies = [1, 2].map((n) => Uint8Array.of(4, 0, 0x42, n, 0x0b));
    const memory = new WebAssembly.Memory({ initial: RAM_BASE / 65_536 });
    const imports = {
      jit: { memory, regions: new WebAssembly.Table({ element: "anyfunc", initial: 0 }) },
    };
    const before: KeptModule = {
      ...{ bytes: modules.module(bodies), code: undefined, optimised: 0, regions: 2 },
      usesX87: false,
    };
    const call = ({ functions }: LoadedModule, position: number): bigint =>
      (functions[exportName(position)] as (depth: number) => bigint)(0);
    const first = new LoadedModule(before, imports);
    expect([first.optimised, first.kept.code]).toEqual([[0, 0], undefined]);
    expect(optimisingAll(() => call(first, 0))).toBe(1n);
    expect(first.optimised).toEqual([0, 1]);
    const second = new LoadedModule(first.kept, imports);
    expect(second.optimised).toEqual([1, 1]);
    expect(optimisingAll(() => call(second, 1))).toBe(2n);
    expect(second.optimised).toEqual([1, 2]);
    expect(new LoadedModule(second.kept, imports).optimised).toEqual([2, 2]);
  });

  it("stays with what this run has not needed", () => {
    /** SUM, and the same behind it with another instruction: add or sub eax, ecx. */
    const twice = (opcode: number): number[] => [...SUM.slice(0, -1), ...SUM.with(5, opcode)];
    const [ADD, SUB] = [0x01, 0x29];
    const first = optimisingAll(() => run(twice(ADD)));
    const second = run(twice(SUB), first.kept);
    expect(second.cpu.readRegisters().rax).toBe(0n);
    expect(jit(run(twice(ADD), second.kept))).toMatch(/2 as machine code; 0 regions/);
  });

  it("is not executed with one bit that is another", () => {
    const { kept } = optimisingAll(() => run(SUM));
    const { text, bytes } = kept as Translations;
    const { at, lengths } = moduleOf(kept);
    for (const place of [
      at + 20,
      at + lengths.bytes + 200,
      at + lengths.bytes + lengths.code - 1,
    ]) {
      const damaged = bytes.slice();
      damaged[place] = (damaged[place] ?? 0) ^ 1;
      const m = run(SUM, { text, bytes: damaged });
      expect(jit(m)).toMatch(/^1 regions of [1-9]/);
      expect(m.cpu.readRegisters().rax).toBe(2_001_000n);
    }
  });

  it("is of no use where V8 refuses it, and the regions are", () => {
    const { kept } = optimisingAll(() => run(SUM));
    // V8 compares its flags.
    const other = optimisingAll(() => run(SUM, kept));
    expect(other.cpu.readRegisters().rax).toBe(2_001_000n);
    expect(jit(other)).toMatch(/^1 regions of an earlier run/);
  });
});
