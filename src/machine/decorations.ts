import type { BlockBackend, NetBackend } from "../core/backends.ts";
import type { Cpu } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import type { IrqLine } from "../core/irq-line.ts";
import type { Irq } from "../core/units.ts";
import type { VirtioDevice } from "../devices/virtio/virtio-device.ts";

/**
 * What is put between the parts of a machine, to watch them: each member returns what takes the place
 * of what it is given, or that itself.
 */
export interface Decorations {
  cpu(cpu: Cpu, memory: GuestMemory): Cpu;
  /** A device's wire to the interrupt controllers. */
  line(line: Irq, wire: IrqLine): IrqLine;
  /** @param name for people: `net 0` */
  virtio(device: VirtioDevice, name: string): VirtioDevice;
  net(backend: NetBackend, name: string): NetBackend;
  block(backend: BlockBackend, name: string): BlockBackend;
}
