import {
  type AccessSize,
  type BusDevice,
  type Describable,
  floating,
  type Resettable,
  readBytewise,
  writeBytewise,
} from "../../core/device.ts";
import { assert } from "../../core/errors.ts";
import type { BaseAddress } from "./base-address.ts";
import { type ConfigSpace, HEADER } from "./config-space.ts";

/** One function of a PCI device: its header, and what its base address registers decode. */
export interface PciFunction extends Resettable, Partial<Describable> {
  readonly config: ConfigSpace;
  readonly bars: readonly BaseAddress[];
  /** The guest wrote to the configuration space. */
  configWritten?(): void;
}

/** A function that has a header and nothing else that this bus would know of. */
export class HeaderOnlyFunction implements PciFunction {
  readonly config: ConfigSpace;
  readonly bars: readonly BaseAddress[] = [];

  constructor(config: ConfigSpace) {
    this.config = config;
  }

  reset(): void {
    this.config.reset();
  }
}

const hexDigits = (value: number, digits: number): string =>
  value.toString(16).padStart(digits, "0");

/** Who it is, where its ranges are, and its interrupt line. */
function describeHeader(config: ConfigSpace): string {
  const ids = [HEADER.VENDOR_ID, HEADER.DEVICE_ID].map((at) => hexDigits(config.read(at, 2), 4));
  const bars = [0, 1, 2, 3, 4, 5].flatMap((n) => {
    const bar = config.read(HEADER.BAR0 + 4 * n, 4) >>> 0;
    if (bar === 0) return [];
    return (bar & 1) !== 0
      ? `ports ${hexDigits(bar & ~3, 4)}`
      : `memory ${hexDigits((bar & ~15) >>> 0, 8)}`;
  });
  const pin = config.read(HEADER.INTERRUPT_PIN, 1);
  const line = pin === 0 ? [] : [`IRQ ${config.read(HEADER.INTERRUPT_LINE, 1)}`];
  return [ids.join(":"), ...bars, ...line].join(", ");
}

const SLOTS = 32;
const FUNCTIONS_PER_SLOT = 8;

const ADDRESS_ENABLE = 0x8000_0000;
/** Enable, bus, device, function and register: the other bits read as zero. */
const ADDRESS_MASK = 0x80ff_fffc;

/** Ports from 0xcf8: the address register, and in its second byte the reset control register. */
const RESET_CONTROL_OFFSET = 1;
const DATA_OFFSET = 4;

/**
 * PCI bus 0 behind configuration mechanism #1 (PCI Local Bus 3.0 §3.2.2.3.2): the eight ports from
 * 0xcf8. The address register exists for 32-bit accesses only; the byte at 0xcf9 is the chipset's
 * reset control register.
 */
export class PciBus implements BusDevice, Resettable {
  readonly #functions = new Array<PciFunction | undefined>(SLOTS * FUNCTIONS_PER_SLOT);
  readonly #resetControl: BusDevice;
  #address = 0;

  /** @param resetControl one port, at 0xcf9 */
  constructor(resetControl: BusDevice) {
    this.#resetControl = resetControl;
  }

  /** @param slot device number, 0 to 31 */
  plug(slot: number, fn: PciFunction, functionNumber = 0): void {
    const index = slot * FUNCTIONS_PER_SLOT + functionNumber;
    assert(slot < SLOTS && functionNumber < FUNCTIONS_PER_SLOT, "the slot exists");
    assert(this.#functions[index] === undefined, `slot ${slot}.${functionNumber} is free`);
    this.#functions[index] = fn;
  }

  /** What is plugged in, in order of device and function number. */
  functions(): PciFunction[] {
    return this.#functions.filter((fn) => fn !== undefined);
  }

  /** Every function, with what it has to say itself. */
  describe(): readonly string[] {
    return this.#functions.flatMap((fn, index) => {
      if (fn === undefined) return [];
      const slot = Math.floor(index / FUNCTIONS_PER_SLOT);
      return [
        `PCI 00:${hexDigits(slot, 2)}.${index % FUNCTIONS_PER_SLOT} ${describeHeader(fn.config)}`,
        ...(fn.describe?.() ?? []),
      ];
    });
  }

  /**
   * Makes every range be decoded where its registers say. Ranges are given up first, so that two
   * functions can trade places, and one that had to wait for a port to become free gets it.
   */
  updateDecoding(): void {
    const bars = this.functions().flatMap((fn) => fn.bars);
    for (const bar of bars) bar.releaseStale();
    for (const bar of bars) bar.claim();
  }

  /** Bus reset: headers go back to power-on values, and nothing is decoded until they are set. */
  reset(): void {
    this.#address = 0;
    for (const fn of this.functions()) fn.reset();
    this.updateDecoding();
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= DATA_OFFSET) return this.#readData(offset - DATA_OFFSET, size);
    if (size === 4 && offset === 0) return this.#address;
    if (size === 1) {
      return offset === RESET_CONTROL_OFFSET ? this.#resetControl.read(0, 1) : floating(1);
    }
    return offset + size > DATA_OFFSET ? readBytewise(this, offset, size) : floating(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= DATA_OFFSET) this.#writeData(offset - DATA_OFFSET, size, value);
    else if (size === 4 && offset === 0) this.#address = (value & ADDRESS_MASK) >>> 0;
    else if (size === 1 && offset === RESET_CONTROL_OFFSET) this.#resetControl.write(0, 1, value);
    else if (offset + size > DATA_OFFSET) writeBytewise(this, offset, size, value);
  }

  #readData(offset: number, size: AccessSize): number {
    const config = this.#selected()?.config;
    if (config === undefined) return floating(size);
    return config.read((this.#address & 0xfc) + offset, size);
  }

  #writeData(offset: number, size: AccessSize, value: number): void {
    const fn = this.#selected();
    if (fn === undefined) return;
    fn.config.write((this.#address & 0xfc) + offset, size, value);
    this.updateDecoding();
    fn.configWritten?.();
  }

  /** The function that the address register selects: bus 0 is the only bus. */
  #selected(): PciFunction | undefined {
    const address = this.#address;
    if ((address & ADDRESS_ENABLE) === 0 || (address & 0x00ff_0000) !== 0) return undefined;
    return this.#functions[(address >>> 8) & 0xff];
  }
}
