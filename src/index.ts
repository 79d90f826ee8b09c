/**
 * The public API: a virtual machine on Node. {@link createMachine} puts it together, `run` runs it
 * to its end. The command line is one user of it.
 */
import { type Accelerator, createProcessor } from "./accelerator.ts";
import { type BootMode, planBoot } from "./boot/boot-plan.ts";
import type { ByteSource } from "./boot/byte-source.ts";
import { type LoadedImage, type LoadRequest, loadImage } from "./boot/direct-boot.ts";
import { type AlarmQueue, type Clock, CountedClock } from "./core/clock.ts";
import type { Registers } from "./core/cpu.ts";
import { HostClock } from "./host/clock.ts";
import { CountedEventLoop, NodeEventLoop } from "./host/event-loop.ts";
import { Machine, type MachineOptions } from "./machine/machine.ts";
import { allocateMemory } from "./machine/memory.ts";

export { ACCELERATORS, type Accelerator, automaticChoice } from "./accelerator.ts";
export { BOOT_MODES, type BootMode } from "./boot/boot-plan.ts";
export type { BlockBackend, ConsoleBackend, EntropySource, NetBackend } from "./core/backends.ts";
export { CountedClock } from "./core/clock.ts";
export { Bug, GuestError, HostError } from "./core/errors.ts";
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
  /** An ISO image, a Multiboot kernel, or the image of a disk. */
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
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
  /** Whether the processor in TypeScript translates what is hot to WebAssembly; unless not wanted. */
  readonly jit?: boolean;
  /**
   * Opens what the guest's devices are connected to. Called when the image is in memory and the
   * processor is there, so that files and networks stay as they are for a guest that cannot run.
   */
  readonly connect: () => Connections;
}

/**
 * A small PC with its processor, ready to run.
 * @throws GuestError when the image cannot be booted, HostError when KVM or memory is refused; what
 *   `connect` throws
 */
export function createMachine(description: MachineDescription): Machine {
  const { report, connect, timed = false, jit = true, clock = new HostClock() } = description;
  const whole = allocateMemory(description.memoryMib ?? DEFAULT_MEMORY_MIB, true);
  const memory = whole.ram;
  const explain = description.explain ?? (() => {});
  const request = {
    source: description.image,
    memory,
    commandLine: description.guestArguments ?? [],
    initrd: description.initrd,
  };
  const plan = planBoot(request, description.bootMode ?? "auto");
  if (plan.kind === "bios" && plan.reason !== undefined) {
    explain(`${plan.reason}: it is started as a PC would start it`);
  }
  const { cpu, waitForEvents } = createProcessor({
    accelerator: description.accelerator ?? "auto",
    memory: whole,
    clock,
    timed,
    jit,
    explain,
  });
  try {
    return new Machine({
      ...connect(),
      cpu,
      clock,
      memory,
      report,
      timed,
      eventLoop:
        clock instanceof CountedClock
          ? new CountedEventLoop(clock)
          : new NodeEventLoop(clock, waitForEvents),
      boot: plan.kind === "bios" ? plan.image : loadedOnce(plan.loaded, request),
    });
  } catch (error) {
    cpu.close();
    throw error;
  }
}

/** The image is in memory for the first start already. */
function loadedOnce(first: LoadedImage, request: LoadRequest): () => Registers {
  let loaded: LoadedImage | undefined = first;
  return () => {
    const { registers } = loaded ?? loadImage(request);
    loaded = undefined;
    return registers;
  };
}
