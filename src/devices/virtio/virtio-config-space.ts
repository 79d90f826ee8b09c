import type { AccessSize, BusDevice } from "../../core/device.ts";
import { ConfigSpace, type PciIdentity } from "../pci/config-space.ts";

/** Vendor-specific capabilities (virtio 1.2 §4.1.4): `virtio_pci_cap`, with what some add to it. */
const CAPABILITY_ID = 0x09;
const CAPABILITY_LENGTH = 16;
const LONG_CAPABILITY_LENGTH = 20;
const CAP_LEN = 2;
const CFG_TYPE = 3;
const BAR = 4;
const OFFSET = 8;
const LENGTH = 12;
const NOTIFY_MULTIPLIER = 16;
const PCI_CFG_DATA = 16;

const VIRTIO_PCI_CAP_COMMON_CFG = 1;
const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
const VIRTIO_PCI_CAP_ISR_CFG = 3;
const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
const VIRTIO_PCI_CAP_PCI_CFG = 5;

interface Place {
  readonly offset: number;
  readonly length: number;
}

export interface Structures {
  readonly common: Place;
  readonly notify: Place & { readonly multiplier: number };
  readonly isr: Place;
  readonly device: Place;
}

/** Tells drivers where the structures of virtio 1.0 and later are, all in one BAR. */
export function addVirtioCapabilities(config: ConfigSpace, bar: number, where: Structures): void {
  const add = (type: number, { offset, length }: Place, size = CAPABILITY_LENGTH): number => {
    const at = config.addCapability(CAPABILITY_ID, size);
    config.define(at + CAP_LEN, 1, size);
    config.define(at + CFG_TYPE, 1, type);
    config.define(at + BAR, 1, bar);
    config.define(at + OFFSET, 4, offset);
    config.define(at + LENGTH, 4, length);
    return at;
  };
  add(VIRTIO_PCI_CAP_COMMON_CFG, where.common);
  const notify = add(VIRTIO_PCI_CAP_NOTIFY_CFG, where.notify, LONG_CAPABILITY_LENGTH);
  config.define(notify + NOTIFY_MULTIPLIER, 4, where.notify.multiplier);
  add(VIRTIO_PCI_CAP_ISR_CFG, where.isr);
  add(VIRTIO_PCI_CAP_DEVICE_CFG, where.device);
}

/** The BAR that the window looks into. */
export interface WindowedBar {
  readonly bar: number;
  readonly length: number;
  readonly registers: BusDevice;
}

/**
 * Configuration space with a window to the registers in memory, for drivers that cannot map a BAR:
 * the configuration access capability (virtio 1.2 §4.1.4.9).
 */
export class VirtioConfigSpace extends ConfigSpace {
  readonly #window: WindowedBar;
  readonly #at: number;

  constructor(identity: PciIdentity, window: WindowedBar) {
    super(identity);
    this.#window = window;
    this.#at = this.addCapability(CAPABILITY_ID, LONG_CAPABILITY_LENGTH);
    this.define(this.#at + CAP_LEN, 1, LONG_CAPABILITY_LENGTH);
    this.define(this.#at + CFG_TYPE, 1, VIRTIO_PCI_CAP_PCI_CFG);
    this.define(this.#at + BAR, 1, 0, 0xff);
    this.define(this.#at + OFFSET, 4, 0, 0xffff_ffff);
    this.define(this.#at + LENGTH, 4, 0, 0xffff_ffff);
  }

  override read(offset: number, size: AccessSize): number {
    const at = this.#target(offset, size);
    return at === undefined ? super.read(offset, size) : this.#window.registers.read(at, size);
  }

  override write(offset: number, size: AccessSize, value: number): void {
    const at = this.#target(offset, size);
    if (at === undefined) super.write(offset, size, value);
    else this.#window.registers.write(at, size, value);
  }

  /** Where an access of the window's data goes, if it is one and as wide as the driver said. */
  #target(offset: number, size: AccessSize): number | undefined {
    if (offset !== this.#at + PCI_CFG_DATA) return undefined;
    const length = super.read(this.#at + LENGTH, 4);
    const at = super.read(this.#at + OFFSET, 4);
    const { bar, length: end } = this.#window;
    const valid = super.read(this.#at + BAR, 1) === bar && length === size && at % size === 0;
    return valid && at + size <= end ? at : undefined;
  }
}
