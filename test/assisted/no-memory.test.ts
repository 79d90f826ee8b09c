import { expect, it } from "vitest";
import { createFallbackCpu } from "../../fallback/index.ts";
import { AssistedCpu } from "../../src/assisted/assisted-cpu.ts";
import { leavesToKvm } from "../../src/assisted/leaves.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { VmExit } from "../../src/core/cpu.ts";
import { NO_STOPS } from "../../src/core/debug.ts";
import { gpa, MICROSECOND, type Nanos, NEVER, nanos } from "../../src/core/units.ts";
import type { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { ScriptedCpu } from "../support/scripted-cpu.ts";

const CODE = 0x1000;
/** Behind the memory's end. */
const NOWHERE = 0x30_0000;
/** fwait; jmp NOWHERE */
const PROGRAM = [0x9b, 0xe9, ...[0, 8, 16, 24].map((n) => ((NOWHERE - CODE - 6) >> n) & 0xff)];
const PAGE_DIRECTORY = 0x3000;
const REFUSED: VmExit = {
  kind: "cannot-continue",
  reason: "unknown instruction",
  instruction: Uint8Array.from(PROGRAM),
};

/** Gives up when it was looked at too often. */
class PassingClock extends VirtualClock {
  #looks = 0;

  override now(): Nanos {
    this.#looks++;
    if (this.#looks > 100_000) throw new Error("the processor keeps the thread");
    return nanos(this.#looks * MICROSECOND);
  }
}

it.each([
  ["", NO_STOPS],
  [", for a debugger", { ...NO_STOPS, breakpoints: new Set([0x5000n]) }],
])("ends a run with paging that is not KVM's where there is nothing to fetch%s", (_, stops) => {
  const { whole, ram } = allocateMemory(2);
  const clock = new PassingClock();
  const fallback = createFallbackCpu({
    ...{ memory: whole, ramSize: ram.size, clock, leaves: leavesToKvm },
    hostWaits: () => false,
  });
  ram.write(gpa(CODE), Uint8Array.from(PROGRAM));
  // 4 MiB at 0: present, writable, large.
  ram.write(gpa(PAGE_DIRECTORY), Uint8Array.of(0x83, 0, 0, 0));
  const registers = fallback.readRegisters();
  const flat = { base: 0n, limit: 0xffff_ffff };
  fallback.writeRegisters({
    ...registers,
    ...{ rip: BigInt(CODE), rsp: 0x8000n, cr0: 0x8000_0011n, cr3: BigInt(PAGE_DIRECTORY) },
    cr4: 0x10n,
    cs: { ...registers.cs, ...flat, selector: 8, attributes: 0xc09b },
    ss: { ...registers.ss, ...flat, selector: 16, attributes: 0xc093 },
    ds: { ...registers.ds, ...flat, selector: 16, attributes: 0xc093 },
  });
  const state = fallback.readState();
  const kvm = Object.assign(new ScriptedCpu(REFUSED), {
    refused: true,
    readState: () => ({ ...state, tsc: 0n, componentsInUse: 0n }),
    settle: () => true,
    forgetMappings: () => {},
  });
  const cpu = new AssistedCpu({
    ...{ kvm: kvm as unknown as KvmCpu, fallback: () => fallback, clock, emulates: false },
  });
  cpu.stopAt(stops);
  expect(cpu.run(NEVER)).toMatchObject({ kind: "cannot-continue" });
  expect(cpu.readRegisters().rip).toBe(BigInt(NOWHERE));
});
