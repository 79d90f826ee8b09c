import { RegisterBytes } from "../../core/register-bytes.ts";

/** What a function says about itself (PCI Local Bus 3.0 §6.2.1 and §6.2.4). */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and programming interface, 24 bits. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** Set on function 0 of a slot that has others. */
  readonly multifunction?: boolean;
  /** 0: none, 1: INTA, … 4: INTD. */
  readonly interruptPin?: number;
}

export const COMMAND_IO = 0x1;
export const COMMAND_MEMORY = 0x2;
export const COMMAND_BUS_MASTER = 0x4;
export const COMMAND_INTX_DISABLE = 0x400;

const COMMAND_WRITABLE = COMMAND_IO | COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_INTX_DISABLE;

/** Status bits (§6.2.3). */
const STATUS_CAPABILITIES = 0x10;

/** Offsets in the type 0 header (PCI Local Bus 3.0 §6.1). */
export const HEADER = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION_ID: 0x08,
  CLASS_CODE: 0x09,
  HEADER_TYPE: 0x0e,
  BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c,
  SUBSYSTEM_ID: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** BAR bit 0: the range is of I/O ports (§6.2.5.1). */
const BAR_IO = 0x1;
/** The low bits of a BAR that are no address. */
const BAR_IO_FLAGS = 0x3;
const BAR_MEMORY_FLAGS = 0xf;
/** Where the header ends. */
const FIRST_CAPABILITY = 0x40;

/** The 256 bytes of configuration space of one function, type 0 header. */
export class ConfigSpace extends RegisterBytes {
  /** Where the next capability goes, and the pointer that shall lead to it. */
  #free = FIRST_CAPABILITY;
  #link: number = HEADER.CAPABILITIES;

  constructor(identity: PciIdentity) {
    super(256);
    this.define(HEADER.VENDOR_ID, 2, identity.vendor);
    this.define(HEADER.DEVICE_ID, 2, identity.device);
    this.define(HEADER.COMMAND, 2, 0, COMMAND_WRITABLE);
    this.define(HEADER.REVISION_ID, 1, identity.revision ?? 0);
    this.define(HEADER.CLASS_CODE, 3, identity.classCode);
    this.define(HEADER.HEADER_TYPE, 1, identity.multifunction ? 0x80 : 0);
    this.define(HEADER.SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendor ?? 0);
    this.define(HEADER.SUBSYSTEM_ID, 2, identity.subsystem ?? 0);
    this.define(HEADER.INTERRUPT_LINE, 1, 0, 0xff);
    this.define(HEADER.INTERRUPT_PIN, 1, identity.interruptPin ?? 0);
  }

  get command(): number {
    return this.read(HEADER.COMMAND, 2);
  }

  /**
   * Makes BAR `index` ask for `length` I/O ports: all ones written read back as the size's mask.
   * @param length a power of two, 4 to 256
   */
  defineIoBar(index: number, length: number): void {
    this.define(HEADER.BAR0 + 4 * index, 4, BAR_IO, -length);
  }

  /**
   * The same for `length` bytes of memory, anywhere below 4 GiB and not prefetchable.
   * @param length a power of two, at least 16
   */
  defineMemoryBar(index: number, length: number): void {
    this.define(HEADER.BAR0 + 4 * index, 4, 0, -length);
  }

  /** The first address of BAR `index`; what the guest wrote may lie beyond port 0xffff. */
  barBase(index: number): number {
    const value = this.read(HEADER.BAR0 + 4 * index, 4);
    const flags = (value & BAR_IO) !== 0 ? BAR_IO_FLAGS : BAR_MEMORY_FLAGS;
    return (value & ~flags) >>> 0;
  }

  /**
   * Appends to the list of capabilities (§6.7) one whose bytes behind the first two are the
   * caller's to define.
   * @param length bytes, those two included
   * @returns where it is
   */
  addCapability(id: number, length: number): number {
    const at = this.#free;
    this.define(HEADER.STATUS, 2, STATUS_CAPABILITIES);
    this.define(this.#link, 1, at);
    this.define(at, 1, id);
    this.#link = at + 1;
    this.#free += (length + 3) & ~3;
    return at;
  }
}
