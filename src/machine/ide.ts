/** The AT's disk interface as the small PC has it: where its channels are, and what is at them. */

import type { BlockBackend } from "../core/backends.ts";
import type { Bus } from "../core/bus.ts";
import type { Clock } from "../core/clock.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import type { IrqLine } from "../core/irq-line.ts";
import { type Irq, irq } from "../core/units.ts";
import type { AtaDevice } from "../devices/ata/ata-device.ts";
import { AtaDisk } from "../devices/ata/ata-disk.ts";
import { AtapiDrive } from "../devices/ata/atapi-drive.ts";
import type { Disc } from "../devices/ata/cd-commands.ts";
import { AtaChannel } from "../devices/ata/channel.ts";
import { EmptyChannel } from "../devices/ata/empty-channel.ts";
import { ideController } from "../devices/pci/ide-controller.ts";
import type { PciFunction } from "../devices/pci/pci-bus.ts";

/** Command block, control block, interrupt: as on an AT. */
const PRIMARY = { command: 0x1f0, control: 0x3f6, irq: irq(14) } as const;
const SECONDARY = { command: 0x170, control: 0x376, irq: irq(15) } as const;
const COMMAND_PORTS = 8;

/** What the image is, for a guest that has drivers of its own. */
export interface ImageMedia {
  /** At the primary channel. */
  readonly disk?: BlockBackend | undefined;
  /** At the secondary one. */
  readonly cd?: Disc | undefined;
  /** At the floppy disk controller. */
  readonly floppy?: BlockBackend | undefined;
  /** Nothing of these but a kernel, of which nothing is known. */
  readonly isKernel?: boolean;
}

export interface IdeWiring {
  readonly clock: Clock;
  readonly ports: Bus;
  readonly memory: GuestMemory;
  readonly wire: (line: Irq) => IrqLine;
}

/**
 * What is at the interface, but for a CD drive.
 * @param others the machine's disks besides the image. If there is an image of a medium or a kernel they are
 *   at the places that are left, as in a PC: it may know no virtio
 */
export function ideDisks(
  { disk, cd, floppy, isKernel = false }: ImageMedia,
  others: readonly BlockBackend[],
): BlockBackend[] {
  const wanted = isKernel || (disk ?? cd ?? floppy) !== undefined;
  return [disk, ...(wanted ? others : [])].filter((one) => one !== undefined);
}

/**
 * @param others as of {@link ideDisks}
 * @returns `undefined` when there is nothing to be at it: the ports are there all the same
 */
export function ide(
  media: ImageMedia,
  others: readonly BlockBackend[],
  wiring: IdeWiring,
): PciFunction | undefined {
  const { cd } = media;
  const disks = ideDisks(media, others).map((one) => new AtaDisk(one));
  const [first, second, third, fourth] = disks;
  const primary = channel(first, second, PRIMARY, wiring);
  const secondary = cd
    ? channel(new AtapiDrive(cd), third, SECONDARY, wiring)
    : channel(third, fourth, SECONDARY, wiring);
  if (primary === undefined && secondary === undefined) return undefined;
  return ideController({ channels: [primary, secondary], ...wiring });
}

function channel(
  device: AtaDevice | undefined,
  other: AtaDevice | undefined,
  at: typeof PRIMARY | typeof SECONDARY,
  { clock, ports, wire }: IdeWiring,
): AtaChannel | undefined {
  if (device === undefined) {
    const empty = new EmptyChannel();
    ports.claim(at.command, COMMAND_PORTS, empty.commandBlock);
    ports.claim(at.control, 1, empty.controlBlock);
    return undefined;
  }
  const made = new AtaChannel({
    clock,
    irq: wire(at.irq),
    devices: other === undefined ? [device] : [device, other],
  });
  ports.claim(at.command, COMMAND_PORTS, made.commandBlock);
  ports.claim(at.control, 1, made.controlBlock);
  return made;
}
