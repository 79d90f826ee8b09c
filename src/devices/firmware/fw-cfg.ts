import { type AccessSize, type BusDevice, floating } from "../../core/device.ts";

/** Keys (QEMU, docs/specs/fw_cfg.rst; their numbers are part of its machines' interface). */
const KEY = {
  SIGNATURE: 0x00,
  ID: 0x01,
  RAM_SIZE: 0x03,
  NB_CPUS: 0x05,
  MAX_CPUS: 0x0f,
  FILE_DIR: 0x19,
} as const;

const SIGNATURE = "QEMU";
/** The bit of a selector that once asked to write. */
const WRITE_CHANNEL = 1 << 14;
/** The selector register and the data port behind it. */
const LENGTH = 2;
const SELECTOR = 0;
const DATA = 1;
/** The traditional interface of two ports, without DMA. */
const TRADITIONAL = 1;

/**
 * QEMU's firmware configuration: how its guests learn how much memory and how many processors there
 * are when no firmware has told them. Only what never changes is here; there are no files.
 *
 * A word written to the first port selects an item, of which each byte read at the second is the
 * next; behind its end, and where there is no item, zeros follow.
 */
export class FwCfg implements BusDevice {
  readonly length = LENGTH;
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #selected: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor({ memoryBytes }: { memoryBytes: number }) {
    const processors = littleEndian(2, 1n);
    this.#items = new Map([
      [KEY.SIGNATURE, Uint8Array.from(SIGNATURE, (letter) => letter.charCodeAt(0))],
      [KEY.ID, littleEndian(4, BigInt(TRADITIONAL))],
      [KEY.RAM_SIZE, littleEndian(8, BigInt(memoryBytes))],
      [KEY.NB_CPUS, processors],
      [KEY.MAX_CPUS, processors],
      // The number of files.
      [KEY.FILE_DIR, new Uint8Array(4)],
    ]);
    this.reset();
  }

  reset(): void {
    this.#select(KEY.SIGNATURE);
  }

  read(offset: number, size: AccessSize): number {
    if (offset !== DATA || size !== 1) return floating(size);
    const byte = this.#selected[this.#position] ?? 0;
    this.#position++;
    return byte;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === SELECTOR && size === 2) this.#select(value & ~WRITE_CHANNEL);
  }

  #select(key: number): void {
    this.#selected = this.#items.get(key) ?? new Uint8Array(0);
    this.#position = 0;
  }
}

function littleEndian(bytes: number, value: bigint): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
