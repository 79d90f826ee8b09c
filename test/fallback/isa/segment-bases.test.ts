import { describe, expect, test } from "vitest";
import { CR4 } from "../../../fallback/bits.ts";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { STATE } from "../../../fallback/state.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import { gpa } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";
import { PageTables, PTE } from "../../conformance/page-tables.ts";
import { run } from "./snippets.ts";

const CODE = 0x1000;
const WRFSBASE_RAX = [0xf3, 0x48, 0x0f, 0xae, 0xd0];
const RDGSBASE_EAX = [0xf3, 0x0f, 0xae, 0xc8];
const RDPID_RAX = [0xf3, 0x0f, 0xc7, 0xf8];

/** 64-bit code. @returns the vector that an instruction raises, and RAX */
function execute(code: readonly number[], cr4: number) {
  const { whole, ram } = allocateMemory(2);
  const cpu = createFallbackCpu({
    memory: whole,
    ramSize: ram.size,
    clock: new VirtualClock(),
    hostWaits: () => false,
  });
  const tables = new PageTables(ram, 2 * CODE);
  tables.map(CODE, CODE, PTE.WRITABLE);
  ram.write(gpa(CODE), Uint8Array.from(code));
  const registers = cpu.readRegisters();
  cpu.writeRegisters({
    ...registers,
    ...{ cr0: 0x8000_0011n, cr3: BigInt(tables.root), cr4: BigInt(CR4.PAE | cr4), efer: 0x500n },
    cs: { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xa09b },
    gs: { ...registers.gs, base: 0x1234_5678_9abcn },
    ...{ rip: BigInt(CODE), rax: 0x7000n },
  });
  cpu.processor.setField(STATE.TSC_AUX, 0x1_0005n);
  const vector = cpu.executeOne()?.vector;
  return { vector, ...cpu.readRegisters() };
}

describe("bases of FS and GS", () => {
  test("can be had where the system permits it", () => {
    expect(execute(WRFSBASE_RAX, CR4.FSGSBASE).fs.base).toBe(0x7000n);
    expect(execute(WRFSBASE_RAX, 0).vector).toBe(6);
    expect(execute(RDGSBASE_EAX, CR4.FSGSBASE).rax).toBe(0x5678_9abcn);
    expect(execute(RDGSBASE_EAX, 0).vector).toBe(6);
  });

  test("are canonical", () => {
    const { fault, state } = run("f3 48 0f ae d0", (before) => {
      before.fsBase = 1n;
      before.setGpr(0, 1n << 47n);
    });
    expect([fault?.vector, fault?.errorCode, state.fsBase]).toEqual([13, 0, 1n]);
  });
});

test("RDPID reads what RDTSCP does beside the time", () => {
  expect(execute(RDPID_RAX, 0).rax).toBe(0x1_0005n);
});
