import type { IrqLine } from "../../core/irq-line.ts";
import { DELIVERY } from "./apic-message.ts";

/** Fields of a local vector table entry (Intel SDM vol. 3A, "Local Vector Table"). */
const VECTOR = 0xff;
const MODE_SHIFT = 8;
const MODE = 7 << MODE_SHIFT;
const POLARITY = 1 << 13;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const PERIODIC = 1 << 17;

/** Which fields each kind of entry has. The delivery status is always idle, and so reads as 0. */
const TIMER_FIELDS = VECTOR | MASKED | PERIODIC;
const SENSOR_FIELDS = VECTOR | MODE | MASKED;
const PIN_FIELDS = VECTOR | MODE | POLARITY | LEVEL | MASKED;
const ERROR_FIELDS = VECTOR | MASKED;

/** One entry of the local vector table: what becomes of an interrupt from inside the APIC. */
export class LocalVector {
  readonly #fields: number;
  #value = MASKED;

  private constructor(fields: number) {
    this.#fields = fields;
  }

  static timer = (): LocalVector => new LocalVector(TIMER_FIELDS);
  /** Thermal sensor and performance counters. */
  static sensor = (): LocalVector => new LocalVector(SENSOR_FIELDS);
  static pin = (): LocalVector => new LocalVector(PIN_FIELDS);
  static error = (): LocalVector => new LocalVector(ERROR_FIELDS);

  get value(): number {
    return this.#value;
  }

  set value(value: number) {
    this.#value = value & this.#fields;
  }

  get vector(): number {
    return this.#value & VECTOR;
  }

  /** One of DELIVERY. */
  get mode(): number {
    return (this.#value & MODE) >> MODE_SHIFT;
  }

  get level(): boolean {
    return (this.#value & LEVEL) !== 0;
  }

  get periodic(): boolean {
    return (this.#value & PERIODIC) !== 0;
  }

  get masked(): boolean {
    return (this.#value & MASKED) !== 0;
  }

  mask(): void {
    this.#value |= MASKED;
  }

  reset(): void {
    this.#value = MASKED;
  }
}

/** What a pin does to its APIC. */
export interface PinOutputs {
  /** Returns whether the APIC takes the interrupt. */
  readonly request: (vector: number, level: boolean) => boolean;
  readonly nmi: () => void;
}

/**
 * LINT0 or LINT1: a wire into the local APIC. SMI and INIT by a pin do nothing on this machine.
 * "High" is asserted, whatever the polarity bit says: boards hand over logical levels.
 */
export class LocalPin implements IrqLine {
  readonly #entry = LocalVector.pin();
  readonly #outputs: PinOutputs;
  #high = false;
  /** A level-triggered interrupt was taken, and its handler is not done. */
  #remoteIrr = false;

  constructor(outputs: PinOutputs) {
    this.#outputs = outputs;
  }

  set(level: boolean): void {
    if (level === this.#high) return;
    this.#high = level;
    if (!level || this.#entry.masked) return;
    const { mode, vector } = this.#entry;
    if (mode === DELIVERY.NMI) this.#outputs.nmi();
    else if (mode !== DELIVERY.FIXED) return;
    else if (this.#entry.level) this.#serveLevel();
    else this.#outputs.request(vector, false);
  }

  get value(): number {
    return this.#entry.value | (this.#remoteIrr ? REMOTE_IRR : 0);
  }

  set value(value: number) {
    this.#entry.value = value;
    if (!this.#entry.level) this.#remoteIrr = false;
    this.#serveLevel();
  }

  /** An external controller behind this pin asks for an acknowledge cycle. */
  get extInt(): boolean {
    return this.#high && !this.#entry.masked && this.#entry.mode === DELIVERY.EXTINT;
  }

  /** The handler of a level-triggered interrupt is done. */
  endOfInterrupt(vector: number): void {
    if (!this.#remoteIrr || vector !== this.#entry.vector) return;
    this.#remoteIrr = false;
    this.#serveLevel();
  }

  mask(): void {
    this.#entry.mask();
  }

  /** The wire keeps the level that the board drives. */
  reset(): void {
    this.#entry.reset();
    this.#remoteIrr = false;
  }

  #serveLevel(): void {
    const { mode, level, masked, vector } = this.#entry;
    if (!this.#high || !level || masked || mode !== DELIVERY.FIXED || this.#remoteIrr) return;
    this.#remoteIrr = this.#outputs.request(vector, true);
  }
}
