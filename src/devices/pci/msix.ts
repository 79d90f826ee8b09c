import { type AccessSize, type BusDevice, floating } from "../../core/device.ts";
import type { ConfigSpace } from "./config-space.ts";

/** PCI Local Bus 3.0 §6.8.2: the capability. Its table and its pending bits lie in a memory BAR. */
const CAPABILITY_ID = 0x11;
const CAPABILITY_LENGTH = 12;
const MESSAGE_CONTROL = 2;
const TABLE_OFFSET = 4;
const PBA_OFFSET = 8;

const CONTROL_FUNCTION_MASK = 1 << 14;
const CONTROL_ENABLE = 1 << 15;

/** A table entry (§6.8.2.6 to 9): address, its upper half, data, vector control; a doubleword each. */
const ENTRY_WORDS = 4;
const ADDRESS = 0;
const ADDRESS_UPPER = 1;
const DATA = 2;
const VECTOR_CONTROL = 3;
const MASKED = 1;

/** Interrupt messages: a doubleword written to an address of the processors' (Intel SDM, "MSI"). */
export type SendMessage = (address: number, data: number) => void;

export interface MsixOptions {
  readonly config: ConfigSpace;
  /** 1 to 32. */
  readonly vectors: number;
  /** Where table and pending bits are: the BAR's index, offsets in it. */
  readonly bar: number;
  readonly tableOffset: number;
  readonly pendingOffset: number;
  readonly send: SendMessage;
}

/**
 * MSI-X of one function (PCI Local Bus 3.0 §6.8.2): each vector has a message of its own, which the
 * guest writes into the table. A vector that is signalled while masked is pending, and is sent when
 * the mask goes.
 */
export class Msix {
  readonly vectors: number;
  readonly table: BusDevice;
  readonly pendingBits: BusDevice;
  readonly #options: MsixOptions;
  readonly #control: number;
  readonly #entries: Uint32Array;
  #pending = 0;

  constructor(options: MsixOptions) {
    const { config, vectors, bar, tableOffset, pendingOffset } = options;
    this.#options = options;
    this.vectors = vectors;
    const at = config.addCapability(CAPABILITY_ID, CAPABILITY_LENGTH);
    this.#control = at + MESSAGE_CONTROL;
    const writable = CONTROL_FUNCTION_MASK | CONTROL_ENABLE;
    config.define(this.#control, 2, vectors - 1, writable);
    config.define(at + TABLE_OFFSET, 4, tableOffset | bar);
    config.define(at + PBA_OFFSET, 4, pendingOffset | bar);
    this.#entries = new Uint32Array(vectors * ENTRY_WORDS);
    this.reset();
    this.table = {
      read: (offset, size) => this.#readTable(offset, size),
      write: (offset, size, value) => this.#writeTable(offset, size, value),
    };
    this.pendingBits = {
      read: (offset, size) =>
        offset < 4 ? ((this.#pending >>> (8 * offset)) & floating(size)) >>> 0 : 0,
      write: () => {},
    };
  }

  /** Then there is no INTx. */
  get enabled(): boolean {
    return (this.#messageControl & CONTROL_ENABLE) !== 0;
  }

  /** All vectors masked. The capability is the configuration space's to reset. */
  reset(): void {
    this.#entries.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) {
      this.#entries[vector * ENTRY_WORDS + VECTOR_CONTROL] = MASKED;
    }
    this.#pending = 0;
  }

  /** @param vector below {@link vectors} */
  signal(vector: number): void {
    if (!this.enabled) return;
    if (this.#masked(vector)) this.#pending |= 1 << vector;
    else this.#send(vector);
  }

  /** Sends what is pending and masked no more. To be called when the capability was written. */
  update(): void {
    if (this.#pending === 0 || !this.enabled) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      if ((this.#pending & (1 << vector)) === 0 || this.#masked(vector)) continue;
      this.#pending &= ~(1 << vector);
      this.#send(vector);
    }
  }

  get #messageControl(): number {
    return this.#options.config.read(this.#control, 2);
  }

  #masked(vector: number): boolean {
    if ((this.#messageControl & CONTROL_FUNCTION_MASK) !== 0) return true;
    return (this.#word(vector * ENTRY_WORDS + VECTOR_CONTROL) & MASKED) !== 0;
  }

  #send(vector: number): void {
    const entry = vector * ENTRY_WORDS;
    // All processors' addresses are below 4 GiB.
    if (this.#word(entry + ADDRESS_UPPER) !== 0) return;
    this.#options.send(this.#word(entry + ADDRESS), this.#word(entry + DATA));
  }

  #word(index: number): number {
    return this.#entries[index] ?? 0;
  }

  #readTable(offset: number, size: AccessSize): number {
    return ((this.#word(offset >> 2) >>> (8 * (offset & 3))) & floating(size)) >>> 0;
  }

  /** Narrow accesses are not allowed (§6.8.2): what they would do is ours to say, and it is nothing. */
  #writeTable(offset: number, size: AccessSize, value: number): void {
    const index = offset >> 2;
    if (size !== 4 || (offset & 3) !== 0 || index >= this.#entries.length) return;
    this.#entries[index] = index % ENTRY_WORDS === VECTOR_CONTROL ? value & MASKED : value;
    this.update();
  }
}
