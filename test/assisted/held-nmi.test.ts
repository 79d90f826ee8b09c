import { beforeEach, describe, expect, it } from "vitest";
import type { FallbackCpu } from "../../fallback/cpu.ts";
import { createFallbackCpu } from "../../fallback/index.ts";
import { AssistedCpu } from "../../src/assisted/assisted-cpu.ts";
import { leavesToKvm } from "../../src/assisted/leaves.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { VmExit } from "../../src/core/cpu.ts";
import { NO_STOPS } from "../../src/core/debug.ts";
import type { ProcessorState } from "../../src/core/processor-state.ts";
import { gpa, NEVER } from "../../src/core/units.ts";
import type { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { ScriptedCpu } from "../support/scripted-cpu.ts";

const CODE = 0x1000;
/** cpuid, which is left to KVM; hlt */
const PROGRAM = [0x0f, 0xa2, 0xf4];
/** Of vector 2: hlt */
const HANDLER = 0x2000;
const HLT = 0xf4;

const KICKED: VmExit = { kind: "kicked" };
const STEPPED: VmExit = { kind: "debug", cause: "step", watchpoint: undefined };
const REFUSED: VmExit = {
  kind: "cannot-continue",
  reason: "unknown instruction",
  instruction: Uint8Array.from(PROGRAM),
};

/** What the other processor needs of KVM's, but that it does what a list says. */
class ScriptedKvm extends ScriptedCpu {
  refused = false;
  state: ProcessorState;

  constructor(state: ProcessorState, ...script: VmExit[]) {
    super(...script);
    this.state = state;
  }

  override run(deadline: Parameters<ScriptedCpu["run"]>[0]): VmExit {
    const exit = super.run(deadline);
    this.refused = exit === REFUSED;
    return exit;
  }

  override readState() {
    return { ...this.state, tsc: 0n, componentsInUse: 0n };
  }

  override writeState(state: ProcessorState): void {
    this.state = state;
  }

  settle = (): boolean => true;
  forgetMappings = (): void => {};
}

describe("an NMI that comes while KVM takes a step for a guest with stops", () => {
  let fallback: FallbackCpu;
  let kvm: ScriptedKvm;

  const assisted = (...script: VmExit[]): AssistedCpu => {
    kvm = new ScriptedKvm(fallback.readState(), ...script);
    const cpu = new AssistedCpu({
      kvm: kvm as unknown as KvmCpu,
      fallback: () => fallback,
      clock: new VirtualClock(),
      emulates: false,
    });
    cpu.stopAt({ ...NO_STOPS, breakpoints: new Set([0x5000n]) });
    expect(cpu.run(NEVER)).toBe(KICKED);
    cpu.nmi();
    return cpu;
  };

  beforeEach(() => {
    const { whole, ram } = allocateMemory(2);
    fallback = createFallbackCpu({
      memory: whole,
      ramSize: ram.size,
      clock: new VirtualClock(),
      hostWaits: () => false,
      leaves: leavesToKvm,
    });
    ram.write(gpa(4 * 2), Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0));
    ram.write(gpa(CODE), Uint8Array.from(PROGRAM));
    ram.write(gpa(HANDLER), Uint8Array.of(HLT));
    const registers = fallback.readRegisters();
    const cs = { ...registers.cs, selector: 0, base: 0n };
    fallback.writeRegisters({ ...registers, cs, rip: BigInt(CODE), rsp: 0x8000n });
  });

  const haltedAt = (cpu: AssistedCpu): bigint => {
    expect(cpu.run(NEVER)).toMatchObject({ kind: "halt" });
    return cpu.readRegisters().rip - 1n;
  };

  it.each([
    ["has taken it", STEPPED],
    ["refuses it", REFUSED],
  ])("is delivered behind the instruction, when KVM %s", (_, exit) => {
    expect(haltedAt(assisted(KICKED, exit))).toBe(BigInt(HANDLER));
  });

  it("is gone after a reset", () => {
    const cpu = assisted(KICKED, REFUSED);
    cpu.reset();
    expect(haltedAt(cpu)).toBe(BigInt(CODE + PROGRAM.indexOf(HLT)));
  });
});
