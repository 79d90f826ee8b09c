/**
 * The public API: a virtual machine on Node. {@link createMachine} puts it together, `run` runs it
 * to its end. The command line is one user of it.
 */
import type { ByteSource } from "./boot/byte-source.ts";
import { loadImage } from "./boot/direct-boot.ts";
import type { AlarmQueue, Clock } from "./core/clock.ts";
import type { Registers } from "./core/cpu.ts";
import { loadAddon } from "./host/addon.ts";
import { HostClock } from "./host/clock.ts";
import { NodeEventLoop, type WaitForEvents } from "./host/event-loop.ts";
import type { KvmAddon } from "./kvm/addon.ts";
import { KvmCpu } from "./kvm/kvm-cpu.ts";
import { Machine, type MachineOptions } from "./machine/machine.ts";
import { allocateMemory } from "./machine/memory.ts";

export type { BlockBackend, ConsoleBackend, NetBackend } from "./core/backends.ts";
export { Bug, GuestError, HostError } from "./core/errors.ts";
export type { BlockDevice, NetDevice } from "./machine/board.ts";
export type { Machine } from "./machine/machine.ts";
export { MAX_MEMORY_MIB, MIN_MEMORY_MIB } from "./machine/memory.ts";
export type { Outcome } from "./machine/outcome.ts";

export const DEFAULT_MEMORY_MIB = 512;
const KVM_DEVICE = "/dev/kvm";

/** What the guest's devices are connected to. */
export type Connections = Pick<MachineOptions, "console" | "nets" | "blocks">;

export interface MachineDescription extends Pick<MachineOptions, "report"> {
  /** An ISO image, or a Multiboot kernel. */
  readonly image: ByteSource;
  /** Appended to the kernel's command line. */
  readonly guestArguments?: readonly string[];
  /** {@link MIN_MEMORY_MIB} to {@link MAX_MEMORY_MIB}; {@link DEFAULT_MEMORY_MIB} unless given. */
  readonly memoryMib?: number;
  /** The time that devices and back ends share; the host's unless given. */
  readonly clock?: Clock & { readonly alarms: AlarmQueue };
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
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
  const { report, connect, timed = false, clock = new HostClock() } = description;
  const { ram: memory } = allocateMemory(description.memoryMib ?? DEFAULT_MEMORY_MIB);
  const load = (): Registers =>
    loadImage({
      source: description.image,
      memory,
      commandLine: description.guestArguments ?? [],
    }).registers;
  let loaded: Registers | undefined = load();
  const addon = loadAddon<KvmAddon & { waitForEvents: WaitForEvents }>();
  const cpu = new KvmCpu({
    addon,
    memory,
    clock,
    device: KVM_DEVICE,
    timed,
  });
  try {
    return new Machine({
      ...connect(),
      cpu,
      clock,
      memory,
      report,
      timed,
      eventLoop: new NodeEventLoop(clock, addon.waitForEvents),
      boot: () => {
        const registers = loaded ?? load();
        loaded = undefined;
        return registers;
      },
    });
  } catch (error) {
    cpu.close();
    throw error;
  }
}
