/** Which processor runs the guest: KVM's, or the one written in TypeScript. */
import { createFallbackCpu } from "../fallback/index.ts";
import type { Clock } from "./core/clock.ts";
import type { Cpu } from "./core/cpu.ts";
import { HostError } from "./core/errors.ts";
import { loadAddon } from "./host/addon.ts";
import type { WaitForEvents } from "./host/event-loop.ts";
import { readInterpreter } from "./host/interpreter-file.ts";
import type { KvmAddon } from "./kvm/addon.ts";
import { KvmCpu } from "./kvm/kvm-cpu.ts";
import type { MachineMemory } from "./machine/memory.ts";

export const ACCELERATORS = ["auto", "kvm", "emu"] as const;
export type Accelerator = (typeof ACCELERATORS)[number];

const KVM_DEVICE = "/dev/kvm";

export interface ProcessorRequest {
  /** `auto`: KVM's where it can be had, else the other. */
  readonly accelerator: Accelerator;
  readonly memory: MachineMemory;
  readonly clock: Clock;
  readonly timed: boolean;
  /** Hears in one line why `auto` decided against KVM. */
  readonly explain: (reason: string) => void;
}

export interface ChosenProcessor {
  readonly cpu: Cpu;
  /** Where there is the addon. */
  readonly waitForEvents: WaitForEvents | undefined;
}

/** @throws HostError when `kvm` is asked for and cannot be had */
export function createProcessor(request: ProcessorRequest): ChosenProcessor {
  if (request.accelerator === "emu") return fallback(request);
  try {
    return kvm(request);
  } catch (error) {
    if (request.accelerator === "kvm" || !(error instanceof HostError)) throw error;
    request.explain(`no KVM, so the processor in TypeScript runs the guest: ${error.message}`);
    return fallback(request);
  }
}

type Addon = KvmAddon & { readonly waitForEvents: WaitForEvents };

function kvm({ memory, clock, timed }: ProcessorRequest): ChosenProcessor {
  const addon = loadAddon<Addon>();
  const cpu = new KvmCpu({ addon, memory: memory.ram, clock, device: KVM_DEVICE, timed });
  return { cpu, waitForEvents: addon.waitForEvents };
}

function fallback({ memory, clock }: ProcessorRequest): ChosenProcessor {
  const waitForEvents = optionalAddon()?.waitForEvents;
  const cpu = createFallbackCpu({
    memory: memory.whole,
    ramSize: memory.ram.size,
    clock,
    hostWaits: waitForEvents === undefined ? everyMillisecond() : () => waitForEvents(0),
    interpreter: readInterpreter(),
  });
  return { cpu, waitForEvents };
}

function optionalAddon(): Addon | undefined {
  try {
    return loadAddon<Addon>();
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

/** Without the addon nobody knows whether the event loop has work: it gets its turn regularly. */
function everyMillisecond(): () => boolean {
  let last = performance.now();
  return () => {
    const now = performance.now();
    if (now - last < 1) return false;
    last = now;
    return true;
  };
}
