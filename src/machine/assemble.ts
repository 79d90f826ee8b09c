/** A machine put together for an image, whatever the host is that runs it. */

import type { BootMode } from "../boot/boot-plan.ts";
import type { ByteSource } from "../boot/byte-source.ts";
import type { Manifest } from "../boot/solo5/manifest.ts";
import type { AlarmQueue, Clock } from "../core/clock.ts";
import type { Cpu } from "../core/cpu.ts";
import type { EventLoop } from "../core/event-loop.ts";
import type { Decorations } from "./decorations.ts";
import { planGuest } from "./guest-plan.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import { allocateMemory, type MachineMemory } from "./memory.ts";

export const DEFAULT_MEMORY_MIB = 512;

/** What the guest's devices are connected to. */
export type Connections = Pick<
  MachineOptions,
  "console" | "nets" | "blocks" | "virtioConsole" | "entropy"
>;

export interface GuestDescription extends Pick<MachineOptions, "report"> {
  /** An ISO image, a Multiboot kernel, a unikernel for Solo5's hvt, or the image of a disk. */
  readonly image: ByteSource;
  /** The first files of a Linux kernel. */
  readonly initrd?: ByteSource | undefined;
  /** Whether to start the kernel in the image directly, or by way of the BIOS; `auto` unless given. */
  readonly bootMode?: BootMode;
  /** Appended to the kernel's command line. */
  readonly guestArguments?: readonly string[];
  /** `MIN_MEMORY_MIB` to `MAX_MEMORY_MIB`; {@link DEFAULT_MEMORY_MIB} unless given. */
  readonly memoryMib?: number;
  /** Hears in one line why an `auto` decided against KVM, or for the BIOS. */
  readonly explain?: (reason: string) => void;
  /** Whether a PC has a display that shows pictures, too; unless not wanted, text is all that it shows. */
  readonly display?: boolean;
  /** Put between the machine's parts, to watch them. */
  readonly decorations?: Decorations | undefined;
  /** Whether the machine may start anew when the guest resets it; unless not, the image decides. */
  readonly reboot?: boolean;
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
  /**
   * Opens what the guest's devices are connected to. Called when the image is in memory and the
   * processor is there, so that files and networks stay as they are for a guest that cannot run.
   * @param manifest the devices that the image wants, if it says so
   */
  readonly connect: (manifest: Manifest | undefined) => Connections;
}

/** What a machine needs of who runs it. */
export interface MachineHost {
  readonly clock: Clock & { readonly alarms: AlarmQueue };
  /** Whether guest memory is to be of the shared kind: see `allocateMemory`. */
  readonly sharedMemory: boolean;
  /**
   * @param operatingSystem see `GuestPlan.operatingSystem`
   * @throws HostError when there is none to be had
   */
  readonly createProcessor: (
    memory: MachineMemory,
    operatingSystem: boolean,
  ) => { readonly cpu: Cpu; readonly eventLoop: EventLoop };
}

/**
 * A machine with its processor, ready to run.
 * @throws GuestError when the image cannot be booted, HostError when memory is refused; what
 *   `createProcessor` and `connect` throw
 */
export function assembleMachine(guest: GuestDescription, host: MachineHost): Machine {
  const { report, connect, timed = false, explain = () => {} } = guest;
  const plan = planGuest({
    source: guest.image,
    memoryMib: guest.memoryMib ?? DEFAULT_MEMORY_MIB,
    bootMode: guest.bootMode ?? "auto",
    commandLine: guest.guestArguments ?? [],
    initrd: guest.initrd,
    display: guest.display,
  });
  const whole = allocateMemory(plan.memoryMib, host.sharedMemory, guest.display);
  const memory = whole.ram;
  memory.fresh = true;
  const notice = plan.load(memory);
  memory.fresh = false;
  if (notice !== undefined) explain(notice);
  const { cpu, eventLoop } = host.createProcessor(whole, plan.operatingSystem);
  try {
    const connections = plan.arrange(connect(plan.manifest));
    return new Machine({
      ...connections,
      cpu,
      eventLoop,
      clock: host.clock,
      memory,
      report,
      timed,
      media: plan.media,
      graphics: plan.graphics,
      endsAtReset: guest.reboot === false || plan.endsAtReset,
      decorations: guest.decorations,
      boot: plan.start(memory, cpu, connections),
    });
  } catch (error) {
    cpu.close();
    throw error;
  }
}
