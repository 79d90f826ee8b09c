/** The AT's floppy disk controller as the small PC has it, for the image of a floppy. */

import { floppyGeometry } from "../boot/bios/drive.ts";
import type { BlockBackend } from "../core/backends.ts";
import type { Bus } from "../core/bus.ts";
import { byteDevice } from "../core/byte-device.ts";
import type { Clock } from "../core/clock.ts";
import type { IrqLine } from "../core/irq-line.ts";
import type { DmaChannel } from "../devices/dma/dma-channel.ts";
import { FloppyController } from "../devices/floppy/floppy-controller.ts";
import { FloppyDrive } from "../devices/floppy/floppy-drive.ts";

/** 0x3f6 in between is a disk's. */
const PORT = { FIRST: 0x3f0, COUNT: 6, LAST: 0x3f7 } as const;

export interface FloppyWiring {
  readonly ports: Bus;
  readonly clock: Clock;
  readonly irq: IrqLine;
  readonly dma: DmaChannel;
}

/** A drive with a disk in it, or none. */
export function floppyDrive(disk: BlockBackend | undefined): FloppyDrive | undefined {
  const geometry = disk && floppyGeometry(disk.capacity);
  return disk && geometry && new FloppyDrive(disk, geometry);
}

export function floppyController(drive: FloppyDrive, wiring: FloppyWiring): FloppyController {
  const { ports, ...rest } = wiring;
  const controller = new FloppyController({ ...rest, drive });
  const last = PORT.LAST - PORT.FIRST;
  ports.claim(PORT.FIRST, PORT.COUNT, controller);
  ports.claim(
    PORT.LAST,
    1,
    byteDevice({
      readByte: () => controller.readByte(last),
      writeByte: (_offset, value) => controller.writeByte(last, value),
    }),
  );
  return controller;
}
