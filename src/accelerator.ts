/** Which processor runs the guest: KVM's, or the one written in TypeScript. */
import type { FallbackCpu } from "../fallback/cpu.ts";
import type { CheckedCpu } from "../fallback/cross-check/checked-cpu.ts";
import { createCheckedCpu } from "../fallback/index.ts";
import { AssistedCpu } from "./assisted/assisted-cpu.ts";
import { leavesToKvm } from "./assisted/leaves.ts";
import { type Clock, CountedClock } from "./core/clock.ts";
import type { Cpu, Registers } from "./core/cpu.ts";
import { HostError } from "./core/errors.ts";
import { splitMix64 } from "./core/split-mix.ts";
import type { TranslationStore } from "./core/translations.ts";
import { MIB, MICROSECOND } from "./core/units.ts";
import {
  createEmulatedCpu,
  type EmulatedCpuDescription,
  everyMillisecond,
  JIT_THRESHOLD,
} from "./emulated-cpu.ts";
import { loadAddon, optionalAddon } from "./host/addon.ts";
import type { WaitForEvents } from "./host/event-loop.ts";
import { readInterpreter, readOptimisedInterpreter } from "./host/interpreter-file.ts";
import { type KvmVerdict, KvmVerdictFile } from "./host/kvm-verdict-file.ts";
import { useLargePages } from "./host/large-pages.ts";
import type { KvmAddon } from "./kvm/addon.ts";
import { KvmCpu } from "./kvm/kvm-cpu.ts";
import { probeKvm } from "./kvm/probe.ts";
import { allocateMemory, type MachineMemory } from "./machine/memory.ts";

export const ACCELERATORS = ["auto", "kvm", "emu"] as const;
export type Accelerator = (typeof ACCELERATORS)[number];

const KVM_DEVICE = "/dev/kvm";

/** How long a computing guest may go on, in nanoseconds, before it is looked what the host has. */
const ASK_EVERY = 50 * MICROSECOND;

export interface ProcessorRequest {
  /** `auto`: KVM's where it can be had and runs privileged code natively, else the other. */
  readonly accelerator: Accelerator;
  readonly memory: MachineMemory;
  /** Whether the guest is started as operating systems are; a unikernel for a monitor is not. */
  readonly operatingSystem?: boolean;
  /** A `CountedClock` is counted by the processor in TypeScript: no other can be had with it. */
  readonly clock: Clock;
  readonly timed: boolean;
  /** Whether the processor in TypeScript translates what is hot. */
  readonly jit: boolean;
  /**
   * Where what it translates is kept between runs of a guest; nowhere unless given. Runs that are to be
   * the same each time do without.
   */
  readonly translations?: TranslationStore | undefined;
  /** Whether an interpreter checks what the JIT's code does; needs a `CountedClock`. */
  readonly crossCheck?: boolean;
  /** Of the processor in TypeScript: see `FallbackCpuOptions.profile`. */
  readonly profile?: ((elapsed: number, registers: () => Registers) => void) | undefined;
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
  useLargePages(request.memory.ram);
  if (request.clock instanceof CountedClock) return deterministic(request, request.clock);
  switch (request.accelerator) {
    case "kvm":
      return kvm(request);
    case "emu":
      return fallback(request);
    case "auto":
      return automatic(request);
  }
}

/** The same image runs in the same way every time: time and chance are made up. */
function deterministic(request: ProcessorRequest, clock: CountedClock): ChosenProcessor {
  if (request.accelerator === "kvm") {
    throw new HostError("KVM's processor does not run in the same way every time", {
      remedy: "use --accel emu with --deterministic",
    });
  }
  if (request.crossCheck) return { cpu: checkedCpu(request, clock), waitForEvents: undefined };
  const cpu = fallbackCpu(request, undefined, {
    executed: (instructions) => clock.pass(instructions),
    random: splitMix64(),
  });
  return { cpu, waitForEvents: undefined };
}

function automatic(request: ProcessorRequest): ChosenProcessor {
  const { accelerator, reason } = automaticChoice();
  if (accelerator === "kvm") {
    try {
      return kvm(request);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      request.explain(`no KVM (${error.message}): ${INSTEAD}`);
      return fallback(request);
    }
  }
  request.explain(`${reason}: ${INSTEAD}`);
  return fallback(request);
}

const INSTEAD = "the processor in TypeScript runs the guest";

/** What `auto` would take, and why. */
export function automaticChoice(): { accelerator: "kvm" | "emu"; reason: string } {
  try {
    const verdict = kvmVerdict();
    if (verdict.native) return { accelerator: "kvm", reason: "KVM runs privileged code natively" };
    return { accelerator: "emu", reason: emulating(verdict) };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { accelerator: "emu", reason: `no KVM (${error.message})` };
  }
}

function emulating({ nanosecondsPerInstruction }: KvmVerdict): string {
  const cost = `about ${Math.round(nanosecondsPerInstruction)} ns an instruction`;
  return `KVM emulates privileged code on this host (${cost})`;
}

/**
 * How this host's KVM runs privileged code. Only found out once until the machine starts again.
 * @throws HostError when there is no KVM
 */
function kvmVerdict(): KvmVerdict {
  const addon = loadAddon<Addon>();
  const file = new KvmVerdictFile(KVM_DEVICE);
  const known = file.read();
  if (known !== undefined) return known;
  const verdict = probeKvm(addon, KVM_DEVICE, () => performance.now());
  file.write(verdict);
  return verdict;
}

type Addon = KvmAddon & { readonly waitForEvents: WaitForEvents };

function kvm(request: ProcessorRequest): ChosenProcessor {
  const { memory, clock, timed } = request;
  const addon = loadAddon<Addon>();
  const { waitForEvents } = addon;
  const verdict = kvmVerdict();
  if (request.operatingSystem === true && !verdict.native) {
    const unfit = "it gives up what operating systems find in CPUID";
    request.explain(`${emulating(verdict)}, and ${unfit}: ${INSTEAD}`);
    return fallback(request);
  }
  const cpu = new AssistedCpu({
    kvm: new KvmCpu({ addon, memory: memory.ram, clock, device: KVM_DEVICE, timed }),
    fallback: (timeStamp) =>
      fallbackCpu(request, waitForEvents, { timeStamp, leaves: leavesToKvm }),
    clock,
    emulates: !verdict.native,
  });
  return { cpu, waitForEvents };
}

function fallback(request: ProcessorRequest): ChosenProcessor {
  const waitForEvents = optionalAddon<Addon>()?.waitForEvents;
  const { translations } = request;
  return { cpu: fallbackCpu(request, waitForEvents, { translations }), waitForEvents };
}

/** What depends on whom the processor in TypeScript stands for. */
type FallbackRole = Pick<
  EmulatedCpuDescription,
  "timeStamp" | "leaves" | "executed" | "random" | "translations"
>;

function fallbackCpu(
  { memory, clock, timed, jit, profile }: ProcessorRequest,
  waitForEvents: WaitForEvents | undefined,
  role: FallbackRole,
): FallbackCpu {
  const hostWaits =
    waitForEvents === undefined
      ? everyMillisecond(() => performance.now())
      : occasionally(clock, waitForEvents);
  return createEmulatedCpu({
    ...{ memory, clock, timed, jit, profile, hostWaits },
    keptInterpreter: readInterpreter,
    optimisedInterpreter: readOptimisedInterpreter,
    ...role,
  });
}

function checkedCpu({ memory, timed, profile }: ProcessorRequest, clock: CountedClock): CheckedCpu {
  const { whole, ram, shared } = memory;
  const cpu = createCheckedCpu({
    ...{ memory: whole, shared, clock, timed, profile },
    twinMemory: allocateMemory(ram.extent / MIB, shared).whole,
    ramSize: ram.extent,
    keptInterpreter: readInterpreter,
    optimisedInterpreter: readOptimisedInterpreter,
    jit: { threshold: JIT_THRESHOLD },
  });
  cpu.protect(ram.protections);
  ram.onWrite = (address, length) => cpu.noticeWrite(address, length);
  return cpu;
}

/** Asking is a system call: not at each exit of a guest that makes many. */
function occasionally(clock: Clock, waitForEvents: WaitForEvents): () => boolean {
  let last = clock.now();
  return () => {
    const now = clock.now();
    if (now - last < ASK_EVERY) return false;
    last = now;
    return waitForEvents(0);
  };
}
