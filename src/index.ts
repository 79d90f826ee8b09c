/**
 * The public API: a virtual machine on Node. {@link createMachine} puts it together, `run` runs it
 * to its end. The command line is one user of it.
 */
import { type Accelerator, createProcessor } from "./accelerator.ts";
import type { BootMode } from "./boot/boot-plan.ts";
import type { ByteSource } from "./boot/byte-source.ts";
import type { Manifest } from "./boot/solo5/manifest.ts";
import { type AlarmQueue, type Clock, CountedClock } from "./core/clock.ts";
import type { Registers } from "./core/cpu.ts";
import type { TranslationStore } from "./core/translations.ts";
import { HostClock } from "./host/clock.ts";
import { CountedEventLoop, NodeEventLoop } from "./host/event-loop.ts";
import type { Decorations } from "./machine/decorations.ts";
import { planGuest } from "./machine/guest-plan.ts";
import { Machine, type MachineOptions } from "./machine/machine.ts";
import { allocateMemory } from "./machine/memory.ts";

export { ACCELERATORS, type Accelerator, automaticChoice } from "./accelerator.ts";
export { BOOT_MODES, type BootMode } from "./boot/boot-plan.ts";
export type { Manifest } from "./boot/solo5/manifest.ts";
export type { BlockBackend, ConsoleBackend, EntropySource, NetBackend } from "./core/backends.ts";
export { CountedClock } from "./core/clock.ts";
export { Bug, GuestError, HostError } from "./core/errors.ts";
export { isBlockSize } from "./devices/hvt/block-port.ts";
export type { BlockDevice, NetDevice } from "./machine/board.ts";
export type { Machine } from "./machine/machine.ts";
export { MAX_MEMORY_MIB, MIN_MEMORY_MIB } from "./machine/memory.ts";
export type { Outcome } from "./machine/outcome.ts";

export const DEFAULT_MEMORY_MIB = 512;

/** What the guest's devices are connected to. */
export type Connections = Pick<
  MachineOptions,
  "console" | "nets" | "blocks" | "virtioConsole" | "entropy"
>;

export interface MachineDescription extends Pick<MachineOptions, "report"> {
  /** An ISO image, a Multiboot kernel, a unikernel for Solo5's hvt, or the image of a disk. */
  readonly image: ByteSource;
  /** The first files of a Linux kernel. */
  readonly initrd?: ByteSource | undefined;
  /** Whether to start the kernel in the image directly, or by way of the BIOS; `auto` unless given. */
  readonly bootMode?: BootMode;
  /** Appended to the kernel's command line. */
  readonly guestArguments?: readonly string[];
  /** {@link MIN_MEMORY_MIB} to {@link MAX_MEMORY_MIB}; {@link DEFAULT_MEMORY_MIB} unless given. */
  readonly memoryMib?: number;
  /**
   * The time that devices and back ends share; the host's unless given. With a {@link CountedClock}
   * the run is deterministic, on the processor in TypeScript.
   */
  readonly clock?: Clock & { readonly alarms: AlarmQueue };
  /** Which processor; `auto` unless given. */
  readonly accelerator?: Accelerator;
  /** Hears in one line why an `auto` decided against KVM, or for the BIOS. */
  readonly explain?: (reason: string) => void;
  /** Put between the machine's parts, to watch them. */
  readonly decorations?: Decorations | undefined;
  /** Whether the machine may start anew when the guest resets it; unless not, the image decides. */
  readonly reboot?: boolean;
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
  /** Whether the processor in TypeScript translates what is hot to WebAssembly; unless not wanted. */
  readonly jit?: boolean;
  /** Where translations are kept for the next run of the same guest; nowhere unless given. */
  readonly translations?: TranslationStore | undefined;
  /**
   * Whether an interpreter executes the same and is compared with the JIT; with a `CountedClock`. What
   * they differ in ends the run as a `Bug`.
   */
  readonly crossCheck?: boolean;
  /**
   * Hears, from the processor in TypeScript, how many nanoseconds the guest has run since the last
   * call, and may ask where it stands.
   */
  readonly profile?: ((elapsed: number, registers: () => Registers) => void) | undefined;
  /**
   * Opens what the guest's devices are connected to. Called when the image is in memory and the
   * processor is there, so that files and networks stay as they are for a guest that cannot run.
   * @param manifest the devices that the image wants, if it says so
   */
  readonly connect: (manifest: Manifest | undefined) => Connections;
}

/**
 * A machine with its processor, ready to run.
 * @throws GuestError when the image cannot be booted, HostError when KVM or memory is refused; what
 *   `connect` throws
 */
export function createMachine(description: MachineDescription): Machine {
  const { report, connect, timed = false, jit = true, clock = new HostClock() } = description;
  const { explain = () => {} } = description;
  const plan = planGuest({
    source: description.image,
    memoryMib: description.memoryMib ?? DEFAULT_MEMORY_MIB,
    bootMode: description.bootMode ?? "auto",
    commandLine: description.guestArguments ?? [],
    initrd: description.initrd,
  });
  const whole = allocateMemory(plan.memoryMib, true);
  const memory = whole.ram;
  memory.fresh = true;
  const notice = plan.load(memory);
  memory.fresh = false;
  if (notice !== undefined) explain(notice);
  const { cpu, waitForEvents } = createProcessor({
    accelerator: description.accelerator ?? "auto",
    operatingSystem: plan.operatingSystem,
    memory: whole,
    clock,
    timed,
    jit,
    translations: description.translations,
    crossCheck: description.crossCheck ?? false,
    profile: description.profile,
    explain,
  });
  try {
    const connections = plan.arrange(connect(plan.manifest));
    return new Machine({
      ...connections,
      cpu,
      clock,
      memory,
      report,
      timed,
      media: plan.media,
      endsAtReset: description.reboot === false || plan.endsAtReset,
      decorations: description.decorations,
      eventLoop:
        clock instanceof CountedClock
          ? new CountedEventLoop(clock)
          : new NodeEventLoop(clock, waitForEvents),
      boot: plan.start(memory, cpu, connections),
    });
  } catch (error) {
    cpu.close();
    throw error;
  }
}
