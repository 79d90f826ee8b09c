import type { AtaGeometry } from "../../core/ata-geometry.ts";
import { ByteDevice } from "../../core/byte-device.ts";
import type { Alarm, Clock } from "../../core/clock.ts";
import type { Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { MICROSECOND, nanos, SECOND } from "../../core/units.ts";
import {
  type ByteFormat,
  decodeTime,
  encodeTime,
  nextAlarm,
  RTC_CENTURY,
  RTC_HOURS_ALARM,
  RTC_MINUTES_ALARM,
  RTC_SECONDS_ALARM,
  RTC_YEAR,
} from "./calendar.ts";
import { CMOS_SIZE, configuredCmos } from "./cmos.ts";

const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;

const A_UPDATE_IN_PROGRESS = 1 << 7;
const A_RATE = 0x0f;
/** Divider bits 11x hold the divider, and with it the clock, in reset. */
const A_DIVIDER_RESET = 0x60;
/** 32768 Hz crystal, periodic rate 1024 Hz: as a BIOS sets it. */
const A_POWER_ON = 0x26;

const B_SET = 1 << 7;
const B_PERIODIC = 1 << 6;
const B_ALARM = 1 << 5;
const B_UPDATE_ENDED = 1 << 4;
const B_SQUARE_WAVE = 1 << 3;
const B_BINARY = 1 << 2;
const B_24_HOURS = 1 << 1;

/** Flags of register C; each at the place of its enable bit in register B. */
const C_INTERRUPT = 1 << 7;
const C_PERIODIC = B_PERIODIC;
const C_ALARM = B_ALARM;
const C_UPDATE_ENDED = B_UPDATE_ENDED;

const D_VALID = 1 << 7;

/** From UIP's rise to the end of the update: t_BUC and t_UC at 32768 Hz (table 5, figure 17). */
const UPDATE_TIME = (244 + 1984) * MICROSECOND;

const CRYSTAL_HZ = 32_768;

/**
 * The real-time clock and its 128 bytes of memory. Source: Motorola MC146818A data sheet.
 *
 * The time is the host's civil time plus an offset, which setting the clock changes. Nothing ticks:
 * time bytes and flags are worked out when they are read, and an alarm is set only for an interrupt
 * that is enabled and whose flag is clear. So a guest that does not answer gets no more than one.
 */
export class Mc146818 extends ByteDevice implements Resettable {
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #alarm: Alarm;
  readonly #bytes: Uint8Array;
  #index = 0;
  #registerA = A_POWER_ON;
  #registerB = B_24_HOURS;
  #flags = 0;
  /** The clock's time less the host's: whole seconds, and nanoseconds below one. */
  #offsetSeconds = 0;
  #phase = 0;
  /** Until when events have been turned into flags, as a {@link #time}. */
  #flaggedUntil: number;

  constructor(options: {
    clock: Clock;
    irq: IrqLine;
    memoryBytes: number;
    floppyType?: number | undefined;
    hardDisks?: readonly AtaGeometry[] | undefined;
  }) {
    super();
    this.#clock = options.clock;
    this.#irq = options.irq;
    this.#bytes = configuredCmos(options.memoryBytes, options.floppyType, options.hardDisks);
    this.#alarm = options.clock.alarm(() => this.#update());
    this.#flaggedUntil = this.#time();
  }

  /** The chip runs on a battery: its RESET pin only quiets the interrupts. */
  reset(): void {
    this.#registerB &= ~(B_PERIODIC | B_ALARM | B_UPDATE_ENDED | B_SQUARE_WAVE);
    this.#flags = 0;
    this.#flaggedUntil = this.#time();
    this.#update();
  }

  /** Offset 0 is the index port (write only), 1 the data port. */
  readByte(offset: number): number {
    if (offset === 0) return 0xff;
    switch (this.#index) {
      case REGISTER_A:
        return this.#registerA | (this.#updating ? A_UPDATE_IN_PROGRESS : 0);
      case REGISTER_B:
        return this.#registerB;
      case REGISTER_C:
        return this.#readFlags();
      case REGISTER_D:
        return D_VALID;
      default:
        if (this.#running) this.#writeTimeBytes();
        return this.#bytes[this.#index] ?? 0;
    }
  }

  writeByte(offset: number, value: number): void {
    if (offset === 0) {
      // Bit 7 of the index port masks the NMI, of which there is none.
      this.#index = value & (CMOS_SIZE - 1);
      return;
    }
    this.#collectFlags();
    switch (this.#index) {
      case REGISTER_A:
        this.#control(value & ~A_UPDATE_IN_PROGRESS, this.#registerB);
        break;
      case REGISTER_B:
        // SET going high clears UIE.
        this.#control(this.#registerA, (value & B_SET) !== 0 ? value & ~B_UPDATE_ENDED : value);
        break;
      case REGISTER_C:
      case REGISTER_D:
        break;
      default:
        this.#writeMemory(this.#index, value);
    }
    this.#update();
  }

  /** Nanoseconds in which seconds begin when the clock's do. */
  #time(): number {
    return this.#clock.wall() + this.#phase;
  }

  /** The clock's time, in seconds since 1970 (while it runs). */
  #secondsAt(time: number): number {
    return Math.floor(time / SECOND) + this.#offsetSeconds;
  }

  /** Whether the divider chain runs: the periodic events come from it. */
  get #dividing(): boolean {
    return (this.#registerA & A_DIVIDER_RESET) !== A_DIVIDER_RESET;
  }

  /** Whether the clock is updated every second. */
  get #running(): boolean {
    return this.#dividing && (this.#registerB & B_SET) === 0;
  }

  get #updating(): boolean {
    const time = this.#time();
    return this.#running && (Math.floor(time / SECOND) + 1) * SECOND - time <= UPDATE_TIME;
  }

  get #format(): ByteFormat {
    return {
      binary: (this.#registerB & B_BINARY) !== 0,
      hours24: (this.#registerB & B_24_HOURS) !== 0,
    };
  }

  /** Crystal ticks between two periodic events; infinite when they are off (table 5). */
  get #period(): number {
    const rate = this.#registerA & A_RATE;
    if (rate === 0) return Number.POSITIVE_INFINITY;
    // The two fastest rates do not exist with this crystal: they are those of 8 and 9.
    return 2 ** (rate < 3 ? rate + 6 : rate - 1);
  }

  #writeTimeBytes(): void {
    encodeTime(this.#secondsAt(this.#time()), this.#format, this.#bytes);
  }

  #control(registerA: number, registerB: number): void {
    const wasRunning = this.#running;
    const wasDividing = this.#dividing;
    if (wasRunning) this.#writeTimeBytes();
    this.#registerA = registerA;
    this.#registerB = registerB;
    if (!wasRunning && this.#running) this.#start(!wasDividing);
  }

  #writeMemory(index: number, value: number): void {
    const isTime = index <= RTC_YEAR || index === RTC_CENTURY;
    const isAlarm =
      index === RTC_SECONDS_ALARM || index === RTC_MINUTES_ALARM || index === RTC_HOURS_ALARM;
    const sets = isTime && !isAlarm && this.#running;
    if (sets) this.#writeTimeBytes();
    this.#bytes[index] = value;
    if (sets) this.#start(false);
  }

  /**
   * The clock goes on from the time in its bytes.
   * @param afterReset of the divider: the next second comes half a second later. Otherwise the
   *   seconds keep their beat.
   */
  #start(afterReset: boolean): void {
    const fraction = this.#time() % SECOND;
    if (afterReset) this.#phase = (this.#phase + 1.5 * SECOND - fraction) % SECOND;
    const seconds = decodeTime(this.#bytes, this.#format);
    this.#offsetSeconds += seconds - this.#secondsAt(this.#time());
    this.#flaggedUntil = this.#time();
  }

  #readFlags(): number {
    this.#collectFlags();
    const flags = this.#flags | (this.#interrupting ? C_INTERRUPT : 0);
    this.#flags = 0;
    // An event that comes right now is an edge of its own.
    this.#irq.set(false);
    this.#update();
    return flags;
  }

  get #interrupting(): boolean {
    return (this.#flags & this.#registerB) !== 0;
  }

  /** Sets the flags of what has happened since the last time. */
  #collectFlags(): void {
    const since = this.#flaggedUntil;
    const now = this.#time();
    this.#flaggedUntil = now;
    // The host's civil time may be set back.
    if (!this.#dividing || now <= since) return;
    if (this.#periodicCount(now) > this.#periodicCount(since)) this.#flags |= C_PERIODIC;
    if (!this.#running) return;
    if (nextSecond(since) <= now) this.#flags |= C_UPDATE_ENDED;
    if ((this.#flags & C_ALARM) === 0 && this.#nextAlarm(since) <= now) this.#flags |= C_ALARM;
  }

  #update(): void {
    this.#collectFlags();
    this.#irq.set(this.#interrupting);
    const now = this.#flaggedUntil;
    const awaited = this.#registerB & ~this.#flags;
    let next = Number.POSITIVE_INFINITY;
    if (this.#dividing && (awaited & B_PERIODIC) !== 0) next = this.#nextPeriodic(now);
    if (this.#running) {
      if ((awaited & B_UPDATE_ENDED) !== 0) next = Math.min(next, nextSecond(now));
      if ((awaited & B_ALARM) !== 0) next = Math.min(next, this.#nextAlarm(now));
    }
    // Civil time has steps of 256 ns: an alarm must not come back within one.
    const delay = Math.max(MICROSECOND, next - now);
    this.#alarm.set(nanos(this.#clock.now() + delay));
  }

  /** Periodic events up to `time`. */
  #periodicCount(time: number): number {
    const second = Math.floor(time / SECOND);
    const ticks = Math.floor(((time - second * SECOND) * CRYSTAL_HZ) / SECOND);
    return Math.floor((second * CRYSTAL_HZ + ticks) / this.#period);
  }

  #nextPeriodic(after: number): number {
    if (this.#period === Number.POSITIVE_INFINITY) return this.#period;
    const ticks = (this.#periodicCount(after) + 1) * this.#period;
    const second = Math.floor(ticks / CRYSTAL_HZ);
    return second * SECOND + Math.ceil(((ticks % CRYSTAL_HZ) * SECOND) / CRYSTAL_HZ);
  }

  #nextAlarm(after: number): number {
    const next = nextAlarm(this.#secondsAt(after), this.#bytes, this.#format);
    return (next - this.#offsetSeconds) * SECOND;
  }
}

const nextSecond = (after: number): number => (Math.floor(after / SECOND) + 1) * SECOND;
