import type { AccessSize, BusDevice, Resettable } from "../../core/device.ts";
import { assert } from "../../core/errors.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import { hex, PAGE_SIZE } from "../../core/units.ts";
import { type ApicMessage, DELIVERY } from "./apic-message.ts";

/** Intel 82093AA data sheet (290566) §3.1: an index and a window. */
const LAYOUT = [
  { name: "IOREGSEL", offset: 0x00, size: 4 },
  { name: "IOWIN", offset: 0x10, size: 4 },
] as const satisfies readonly RegisterSpec[];

/** §3.2: what the index selects. */
const IOAPICID = 0x00;
const IOAPICVER = 0x01;
const IOAPICARB = 0x02;
const IOREDTBL = 0x10;

const PINS = 24;
const VERSION = 0x11 | ((PINS - 1) << 16);
const ID_WRITABLE = 0x0f00_0000;

/** The lower half of a redirection table entry (§3.2.4). Delivery is immediate: never "pending". */
const VECTOR = 0xff;
const MODE = 7;
const MODE_SHIFT = 8;
const LOGICAL = 1 << 11;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const ENTRY_WRITABLE = 0x1afff;
const DESTINATION_SHIFT = 24;
const DESTINATION_WRITABLE = 0xff00_0000;

/** Where messages go: returns whether somebody took it. */
export type ApicBus = (message: ApicMessage) => boolean;

/**
 * The I/O APIC of a PC: 24 pins, each with an entry that says what message it sends and to whom.
 * Source: Intel 82093AA data sheet (290566).
 *
 * A message that nobody takes is lost. Pins get logical levels, so the polarity bit is kept but has
 * no effect: guests that take a line's polarity from a table and those that guess both work.
 * Destinations have eight bits in physical mode too, as in every I/O APIC since.
 */
export class IoApic implements BusDevice, Resettable {
  /** Bytes of the register page. */
  readonly length = PAGE_SIZE;
  readonly #send: ApicBus;
  readonly #registers: RegisterMap<typeof LAYOUT>;
  readonly #lower = new Uint32Array(PINS).fill(MASKED);
  readonly #upper = new Uint32Array(PINS);
  /** Levels of the pins. */
  #inputs = 0;
  #extInt = false;
  #index = 0;
  #id = 0;

  /** A pin may have been masked or unmasked. */
  onMasks: () => void = () => {};

  constructor(send: ApicBus) {
    this.#send = send;
    this.#registers = new RegisterMap(
      LAYOUT,
      {
        IOREGSEL: {
          read: () => this.#index,
          write: (value) => {
            this.#index = value & 0xff;
          },
        },
        IOWIN: { read: () => this.#readSelected(), write: (value) => this.#writeSelected(value) },
      },
      PAGE_SIZE,
    );
  }

  /** The pins that are not masked. */
  describe(): readonly string[] {
    const open = [...this.#lower].flatMap((entry, pin) => {
      if ((entry & MASKED) !== 0) return [];
      const trigger = (entry & LEVEL) !== 0 ? "level" : "edge";
      const up = (this.#inputs & (1 << pin)) !== 0 ? ", up" : "";
      return `  pin ${pin}: vector ${hex(entry & VECTOR, 2)}, ${trigger}${up}`;
    });
    return [`I/O APIC: ${open.length === 0 ? "all pins masked" : "pins"}`, ...open];
  }

  /** The pins keep the levels that devices drive. */
  reset(): void {
    this.#lower.fill(MASKED);
    this.#upper.fill(0);
    this.#extInt = false;
    this.#index = 0;
    this.#id = 0;
  }

  /** @param index 0 to 23 */
  pin(index: number): IrqLine {
    assert(index >= 0 && index < PINS, `the I/O APIC has a pin ${index}`);
    return { set: (level) => this.#set(index, level) };
  }

  /** Whether nobody sees what happens at a pin. */
  isMasked(pin: number): boolean {
    return (this.#entry(pin) & MASKED) !== 0;
  }

  /** Whether a controller behind a pin in ExtINT mode asks for an acknowledge cycle. */
  get extInt(): boolean {
    return this.#extInt;
  }

  /** A local APIC is through with a level-triggered vector: pins that are still high send again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < PINS; pin++) {
      const entry = this.#entry(pin);
      if ((entry & VECTOR) !== vector || (entry & REMOTE_IRR) === 0) continue;
      this.#lower[pin] = entry & ~REMOTE_IRR;
      this.#serveLevel(pin);
    }
  }

  read(offset: number, size: AccessSize): number {
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#registers.write(offset, size, value);
  }

  #entry(pin: number): number {
    return this.#lower[pin] ?? MASKED;
  }

  #readSelected(): number {
    switch (this.#index) {
      case IOAPICID:
      case IOAPICARB: // Loaded with the ID, and there is nobody to arbitrate with.
        return this.#id;
      case IOAPICVER:
        return VERSION;
    }
    const half = this.#index & 1 ? this.#upper : this.#lower;
    return half[(this.#index - IOREDTBL) >> 1] ?? 0;
  }

  #writeSelected(value: number): void {
    if (this.#index === IOAPICID) this.#id = value & ID_WRITABLE;
    const pin = (this.#index - IOREDTBL) >> 1;
    if (pin < 0 || pin >= PINS) return;
    if (this.#index & 1) this.#upper[pin] = value & DESTINATION_WRITABLE;
    else this.#writeLower(pin, value);
  }

  #writeLower(pin: number, value: number): void {
    // Making an entry edge-triggered clears its remote IRR: drivers of this chip rely on it.
    const remoteIrr = value & LEVEL ? this.#entry(pin) & REMOTE_IRR : 0;
    this.#lower[pin] = (value & ENTRY_WRITABLE) | remoteIrr;
    this.#updateExtInt();
    this.#serveLevel(pin);
    this.onMasks();
  }

  #set(pin: number, level: boolean): void {
    const bit = 1 << pin;
    if (level === ((this.#inputs & bit) !== 0)) return;
    this.#inputs ^= bit;
    const entry = this.#entry(pin);
    if ((entry & MASKED) !== 0) return;
    if (modeOf(entry) === DELIVERY.EXTINT) this.#updateExtInt();
    else if (isLevel(entry)) this.#serveLevel(pin);
    else if (level) this.#deliver(pin, entry);
  }

  #serveLevel(pin: number): void {
    const entry = this.#entry(pin);
    const waiting = isLevel(entry) && (entry & (MASKED | REMOTE_IRR)) === 0;
    if (!waiting || (this.#inputs & (1 << pin)) === 0) return;
    if (this.#deliver(pin, entry)) this.#lower[pin] = entry | REMOTE_IRR;
  }

  #deliver(pin: number, entry: number): boolean {
    return this.#send({
      mode: modeOf(entry),
      vector: entry & VECTOR,
      level: isLevel(entry),
      destination: (this.#upper[pin] ?? 0) >>> DESTINATION_SHIFT,
      logical: (entry & LOGICAL) !== 0,
    });
  }

  /** ExtINT is no message but a wire: there is one processor to look at it. */
  #updateExtInt(): void {
    this.#extInt = this.#lower.some(
      (entry, pin) =>
        (entry & MASKED) === 0 &&
        modeOf(entry) === DELIVERY.EXTINT &&
        (this.#inputs & (1 << pin)) !== 0,
    );
  }
}

const modeOf = (entry: number): number => (entry >> MODE_SHIFT) & MODE;

/** The trigger mode counts for fixed and lowest priority delivery; the others are edges. */
const isLevel = (entry: number): boolean =>
  (entry & LEVEL) !== 0 && modeOf(entry) <= DELIVERY.LOWEST_PRIORITY;
