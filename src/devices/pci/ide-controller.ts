import type { Bus } from "../../core/bus.ts";
import { type BusDevice, floating } from "../../core/device.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { BusMaster } from "../ata/bus-master.ts";
import type { AtaChannel } from "../ata/channel.ts";
import { BaseAddress } from "./base-address.ts";
import { ConfigSpace } from "./config-space.ts";
import type { PciFunction } from "./pci-bus.ts";

/** IDE timing of each channel (82371SB datasheet §2.3): the upper bit says that it is decoded. */
const IDETIM = [0x40, 0x42] as const;
const TIMING_DECODE = 0x8000;
const TIMING_WRITABLE = 0x7fff;
/** Slave timing. */
const SIDETIM = 0x44;

const BUS_MASTER_BAR = 4;
const BUS_MASTER_PORTS = 16;
const PORTS_PER_CHANNEL = 8;

export interface IdeControllerOptions {
  /** Primary and secondary; their ports are the AT's, and belong to others. */
  readonly channels: readonly [AtaChannel | undefined, AtaChannel | undefined];
  readonly memory: GuestMemory;
  readonly ports: Bus;
}

/**
 * Intel PIIX3's IDE function, at 0:1.1: two channels at the AT's ports and interrupt lines, with a
 * bus master for each. A channel without devices is not decoded.
 */
export function ideController({ channels, memory, ports }: IdeControllerOptions): PciFunction {
  const config = new ConfigSpace({
    vendor: 0x8086,
    device: 0x7010,
    // IDE, both channels fixed to the AT's ports, bus master.
    classCode: 0x01_01_80,
  });
  IDETIM.forEach((at, i) => {
    config.define(at, 2, channels[i] === undefined ? 0 : TIMING_DECODE, TIMING_WRITABLE);
  });
  config.define(SIDETIM, 1, 0, 0xff);
  const masters = channels.map((channel) => channel && new BusMaster(memory, channel));
  const device: BusDevice = {
    read: (offset, size) =>
      masters[Math.floor(offset / PORTS_PER_CHANNEL)]?.read(offset % PORTS_PER_CHANNEL, size) ??
      floating(size),
    write: (offset, size, value) =>
      masters[Math.floor(offset / PORTS_PER_CHANNEL)]?.write(
        offset % PORTS_PER_CHANNEL,
        size,
        value,
      ),
  };
  const bar = new BaseAddress({
    config,
    index: BUS_MASTER_BAR,
    space: "io",
    length: BUS_MASTER_PORTS,
    bus: ports,
    device,
  });
  return {
    config,
    bars: [bar],
    reset: () => {
      config.reset();
      for (const part of [...channels, ...masters]) part?.reset();
    },
  };
}
