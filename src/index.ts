/**
 * The public API: a virtual machine on Node. {@link createMachine} puts it together, `run` runs it
 * to its end. The command line is one user of it.
 */
import type { ByteSource } from "./boot/byte-source.ts";
import { loadImage } from "./boot/direct-boot.ts";
import type { AlarmQueue, Clock } from "./core/clock.ts";
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

export interface MachineDescription
  extends Pick<MachineOptions, "console" | "nets" | "blocks" | "report"> {
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
}

/**
 * A small PC with its processor, ready to run.
 * @throws HostError when KVM or memory is refused
 */
export function createMachine(description: MachineDescription): Machine {
  const addon = loadAddon<KvmAddon & { waitForEvents: WaitForEvents }>();
  const clock = description.clock ?? new HostClock();
  const { ram: memory } = allocateMemory(description.memoryMib ?? DEFAULT_MEMORY_MIB);
  const cpu = new KvmCpu({
    addon,
    memory,
    clock,
    device: KVM_DEVICE,
    timed: description.timed ?? false,
  });
  return new Machine({
    ...description,
    cpu,
    clock,
    memory,
    eventLoop: new NodeEventLoop(clock, addon.waitForEvents),
    boot: () =>
      loadImage({
        source: description.image,
        memory,
        commandLine: description.guestArguments ?? [],
      }).registers,
  });
}
