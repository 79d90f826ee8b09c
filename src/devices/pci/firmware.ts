import { COMMAND_BUS_MASTER, COMMAND_IO, HEADER } from "./config-space.ts";
import type { PciBus } from "./pci-bus.ts";

export interface ResourcePool {
  /** First port that may be given away; all of them up to 0xffff should be free. */
  readonly ioBase: number;
  /** The line that every function's interrupt pin is wired to, for the guest to read. */
  readonly interruptLine: number;
}

/**
 * What a PC's firmware does before it starts the operating system, and has to do again after a bus
 * reset: gives every function its ports and tells it its interrupt line, then enables I/O decoding
 * and DMA. Guests rely on the latter: some never touch the command register.
 */
export function assignResources(bus: PciBus, pool: ResourcePool): void {
  let next = pool.ioBase;
  for (const { config, ioBars } of bus.functions()) {
    for (const { index, length } of ioBars) {
      // A range is aligned to its own length.
      const base = Math.ceil(next / length) * length;
      config.write(HEADER.BAR0 + 4 * index, 4, base);
      next = base + length;
    }
    if (config.read(HEADER.INTERRUPT_PIN, 1) !== 0) {
      config.write(HEADER.INTERRUPT_LINE, 1, pool.interruptLine);
    }
    config.write(HEADER.COMMAND, 2, COMMAND_IO | COMMAND_BUS_MASTER);
  }
  bus.updateDecoding();
}
