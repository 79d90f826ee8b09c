/** Which processor runs the guest: KVM's, or the one written in TypeScript. */
import type { FallbackCpu } from "../fallback/cpu.ts";
import { createFallbackCpu, type FallbackDescription } from "../fallback/index.ts";
import { AssistedCpu } from "./assisted/assisted-cpu.ts";
import { leavesToKvm } from "./assisted/leaves.ts";
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

function kvm(request: ProcessorRequest): ChosenProcessor {
  const { memory, clock, timed } = request;
  const addon = loadAddon<Addon>();
  const { waitForEvents } = addon;
  const cpu = new AssistedCpu({
    kvm: new KvmCpu({ addon, memory: memory.ram, clock, device: KVM_DEVICE, timed }),
    fallback: (timeStamp) =>
      fallbackCpu(request, waitForEvents, { timeStamp, leaves: leavesToKvm }),
    clock,
  });
  return { cpu, waitForEvents };
}

function fallback(request: ProcessorRequest): ChosenProcessor {
  const waitForEvents = optionalAddon()?.waitForEvents;
  return { cpu: fallbackCpu(request, waitForEvents), waitForEvents };
}

function fallbackCpu(
  { memory, clock, timed }: ProcessorRequest,
  waitForEvents: WaitForEvents | undefined,
  role: Pick<FallbackDescription, "timeStamp" | "leaves"> = {},
): FallbackCpu {
  const { whole, ram } = memory;
  const cpu = createFallbackCpu({
    memory: whole,
    ramSize: ram.size,
    clock,
    hostWaits: waitForEvents === undefined ? everyMillisecond() : () => waitForEvents(0),
    timed,
    interpreter: readInterpreter(),
    ...role,
  });
  ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
  return cpu;
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
