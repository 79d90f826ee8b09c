import { APIC_BASE_AT_RESET } from "../../src/core/apic-base.ts";
import type { Cpu, Registers, VmExit } from "../../src/core/cpu.ts";
import { GENERAL_REGISTERS } from "../../src/core/cpu.ts";
import { type DebugStops, NO_STOPS } from "../../src/core/debug.ts";
import { assert } from "../../src/core/errors.ts";
import {
  FX_IMAGE_SIZE,
  type ProcessorState,
  STATE_MSRS,
  YMM_UPPERS_SIZE,
} from "../../src/core/processor-state.ts";
import type { Nanos } from "../../src/core/units.ts";

/** What the guest does next; a function may first do something else. */
export type Scripted = VmExit | ((deadline: Nanos) => VmExit);

/** A Cpu whose guest does what a list says, exit by exit. */
export class ScriptedCpu implements Cpu {
  readonly name = "scripted";
  readonly times = { cpu: 0, exits: 0 };
  readonly tscKhz = 1_000_000;
  interruptible = true;
  cr8 = 0;
  apicBase = APIC_BASE_AT_RESET;
  /** What the run loop did, in order. */
  readonly log: string[] = [];
  readonly deadlines: Nanos[] = [];
  registers = registersAt(0);
  readonly #script: Scripted[];

  constructor(...script: Scripted[]) {
    this.#script = script;
  }

  /** Exits not made yet. */
  get left(): number {
    return this.#script.length;
  }

  run(deadline: Nanos): VmExit {
    const next = this.#script.shift();
    assert(next !== undefined, "the run loop ran on after the end of the script");
    this.log.push("run");
    this.deadlines.push(deadline);
    return typeof next === "function" ? next(deadline) : next;
  }

  interrupt(vector: number): void {
    assert(this.interruptible, "an interrupt may be delivered only when the CPU takes it");
    this.log.push(`interrupt ${vector}`);
  }

  nmi(): void {
    this.log.push("nmi");
  }

  requestInterruptWindow(wanted: boolean): void {
    this.log.push(`window ${wanted}`);
  }

  kick(): void {
    this.log.push("kick");
  }

  rest(): void {
    this.log.push("rest");
  }

  readRegisters(): Registers {
    return this.registers;
  }

  writeRegisters(registers: Registers): void {
    this.registers = registers;
    this.log.push(`registers at ${registers.rip}`);
  }

  stops: DebugStops = NO_STOPS;

  stopAt(stops: DebugStops): void {
    this.stops = stops;
    const at = [...stops.breakpoints].map(String).join();
    this.log.push(`stop at [${at}]${stops.step ? " step" : ""}`);
  }

  readState(): ProcessorState {
    return { ...stateAt(0), registers: this.registers };
  }

  writeState({ registers }: ProcessorState): void {
    this.writeRegisters(registers);
  }

  reset(): void {
    this.log.push("reset");
  }

  close(): void {}
}

/** Registers that are all zero but RIP. */
export function registersAt(rip: number): Registers {
  const segment = { selector: 0, base: 0n, limit: 0, attributes: 0 };
  const table = { base: 0n, limit: 0 };
  const general = Object.fromEntries(GENERAL_REGISTERS.map((name) => [name, 0n]));
  return {
    ...(general as Record<(typeof GENERAL_REGISTERS)[number], bigint>),
    ...{ cr0: 0n, cr2: 0n, cr3: 0n, cr4: 0n, cr8: 0n, efer: 0n, rflags: 2n, rip: BigInt(rip) },
    ...{ es: segment, cs: segment, ss: segment, ds: segment, fs: segment, gs: segment },
    ...{ ldtr: segment, tr: segment, gdtr: table, idtr: table },
  };
}

/** A state that is all zero but RIP. */
export const stateAt = (rip: number): ProcessorState => ({
  registers: registersAt(rip),
  apicBase: APIC_BASE_AT_RESET,
  debugRegisters: Array.from({ length: 8 }, () => 0n),
  fx: new Uint8Array(FX_IMAGE_SIZE),
  ymmUppers: new Uint8Array(YMM_UPPERS_SIZE),
  xcr0: 1n,
  msrs: Object.fromEntries(
    Object.keys(STATE_MSRS).map((name) => [name, 0n]),
  ) as unknown as ProcessorState["msrs"],
  shadow: { sti: false, movSs: false },
  nmiMasked: false,
  pending: { nmi: false },
});

export const portWrite = (port: number, size: 1 | 2 | 4, ...values: number[]): VmExit => ({
  kind: "port-write",
  port,
  size,
  count: values.length,
  value: (index) => values[index] as number,
});

/** `read` gets what the guest reads. */
export const portRead = (port: number, size: 1 | 2 | 4, read: number[], count = 1): VmExit => ({
  kind: "port-read",
  port,
  size,
  count,
  complete: (index, value) => {
    assert(index === read.length, "elements are completed in order");
    read.push(value);
  },
});

export const HALT: VmExit = { kind: "halt", interruptible: true };
export const KICKED: VmExit = { kind: "kicked" };
