import { COMMAND_BUS_MASTER, COMMAND_IO, COMMAND_MEMORY, HEADER } from "./config-space.ts";
import type { PciBus } from "./pci-bus.ts";

export interface ResourcePool {
  /** First port that may be given away; all of them up to 0xffff should be free. */
  readonly ioBase: number;
  /** First address for memory; enough room behind it should be free. */
  readonly memoryBase: number;
  /** The line that every function's interrupt pin is wired to, for the guest to read. */
  readonly interruptLine: number;
}

/**
 * What a PC's firmware does before it starts the operating system, and has to do again after a bus
 * reset: gives every function its ports and memory and tells it its interrupt line, then enables
 * decoding and DMA. Guests rely on the latter: some never touch the command register.
 */
export function assignResources(bus: PciBus, pool: ResourcePool): void {
  const next = { io: pool.ioBase, memory: pool.memoryBase };
  for (const { config, bars } of bus.functions()) {
    for (const { index, space, length } of bars) {
      // A range is aligned to its own length.
      const base = Math.ceil(next[space] / length) * length;
      config.write(HEADER.BAR0 + 4 * index, 4, base);
      next[space] = base + length;
    }
    if (config.read(HEADER.INTERRUPT_PIN, 1) !== 0) {
      config.write(HEADER.INTERRUPT_LINE, 1, pool.interruptLine);
    }
    config.write(HEADER.COMMAND, 2, COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER);
  }
  bus.updateDecoding();
}
