/** Access field of the control word (Intel 8254 data sheet, "Control Word Format"). */
const ACCESS_LSB = 1;
const ACCESS_MSB = 2;
const ACCESS_BOTH = 3;

/** Status byte of the read-back command. */
const STATUS_OUT = 1 << 7;
const STATUS_NULL_COUNT = 1 << 6;

const NEVER_TICK = Number.POSITIVE_INFINITY;

/**
 * One counter of an 8254. It has no clock: every method is told the present tick, and what the
 * counting element holds, and whether OUT is high, follows from the tick at which it was loaded.
 *
 * Source: Intel 8254 data sheet (231164), "Mode Definitions".
 */
export class PitCounter {
  #mode = 2;
  #access = ACCESS_BOTH;
  #bcd = false;
  #gate: boolean;

  /** The count register, 1 to 65536; undefined between a control word and its count. */
  #written: number | undefined;
  /** Whether the count register holds what the counting element has not taken over yet. */
  #nullCount = true;
  /** The low byte of a count whose high byte is still to come. */
  #lowByte: number | undefined;

  /** What the counting element was loaded with last; 0 if nothing since the control word. */
  #count = 0;
  /** The tick at which it held {@link #count}. A count loads with the tick after its writing. */
  #origin = 0;
  /** Ticks counted when counting was stopped; undefined while it counts. */
  #held: number | undefined;
  /** When modes 2 and 3 take a new count over: the end of the period or half period. */
  #switchAt = NEVER_TICK;

  #latchedCount: number | undefined;
  #latchedStatus: number | undefined;
  #readHigh = false;

  /** @param gate level of the GATE input at power-on */
  constructor(gate: boolean) {
    this.#gate = gate;
  }

  /** Ticks between two rising edges of OUT; infinite where they do not repeat. */
  get period(): number {
    return this.#mode === 2 || this.#mode === 3 ? this.#count : NEVER_TICK;
  }

  /** A control word for this counter, with an access field that is not 0. */
  control(word: number): void {
    this.#access = (word >> 4) & 3;
    const mode = (word >> 1) & 7;
    // Modes 6 and 7 are 2 and 3: the top bit is "don't care" there.
    this.#mode = mode > 5 ? mode - 4 : mode;
    this.#bcd = (word & 1) !== 0;
    this.#written = undefined;
    this.#nullCount = true;
    this.#lowByte = undefined;
    this.#count = 0;
    this.#held = undefined;
    this.#switchAt = NEVER_TICK;
    this.#latchedCount = undefined;
    this.#latchedStatus = undefined;
    this.#readHigh = false;
  }

  /** A byte for the count register. */
  write(byte: number, now: number): void {
    this.#settle(now);
    if (this.#access === ACCESS_LSB) this.#countWritten(byte, now);
    else if (this.#access === ACCESS_MSB) this.#countWritten(byte << 8, now);
    else if (this.#lowByte === undefined) {
      this.#lowByte = byte;
      // Mode 0: the first byte stops the counting and takes OUT low.
      if (this.#mode === 0) this.#count = 0;
    } else {
      const value = (byte << 8) | this.#lowByte;
      this.#lowByte = undefined;
      this.#countWritten(value, now);
    }
  }

  read(now: number): number {
    if (this.#latchedStatus !== undefined) {
      const status = this.#latchedStatus;
      this.#latchedStatus = undefined;
      return status;
    }
    const value = this.#latchedCount ?? this.#value(now);
    const high = this.#access === ACCESS_MSB || (this.#access === ACCESS_BOTH && this.#readHigh);
    if (this.#access === ACCESS_BOTH) this.#readHigh = !this.#readHigh;
    if (high || this.#access === ACCESS_LSB) this.#latchedCount = undefined;
    return high ? value >> 8 : value & 0xff;
  }

  /** Holds the count for reading. A second latch before it is read has no effect. */
  latchCount(now: number): void {
    this.#latchedCount ??= this.#value(now);
  }

  latchStatus(now: number): void {
    this.#settle(now);
    const loading = this.#held === undefined && now < this.#origin;
    this.#latchedStatus ??=
      (this.out(now) ? STATUS_OUT : 0) |
      (this.#nullCount || loading ? STATUS_NULL_COUNT : 0) |
      (this.#access << 4) |
      (this.#mode << 1) |
      (this.#bcd ? 1 : 0);
  }

  setGate(level: boolean, now: number): void {
    if (level === this.#gate) return;
    this.#settle(now);
    this.#gate = level;
    if (this.#stoppedByGate) {
      if (!level) this.#held = Math.max(0, now - this.#origin);
      else if (this.#mode === 0 || this.#mode === 4) {
        this.#origin = now - (this.#held ?? 0);
        this.#held = undefined;
      } else this.#load(now);
    } else if (level) this.#load(now);
  }

  /** The level of the OUT pin. */
  out(now: number): boolean {
    this.#settle(now);
    if (this.#count === 0) return this.#mode !== 0;
    const elapsed = this.#elapsed(now);
    switch (this.#mode) {
      case 0:
        return elapsed >= this.#count;
      case 1:
        return elapsed >= this.#count;
      case 2:
        return !this.#gate || elapsed < 0 || elapsed % this.#count !== this.#count - 1;
      case 3:
        return !this.#gate || elapsed < 0 || elapsed % this.#count < Math.ceil(this.#count / 2);
      default:
        return elapsed !== this.#count;
    }
  }

  /** The first tick after `now` at which OUT goes from low to high; infinite if none will. */
  nextRise(now: number): number {
    this.#settle(now);
    if (this.#count === 0 || this.#held !== undefined) return NEVER_TICK;
    switch (this.#mode) {
      case 0:
      case 1:
        return this.#ifAhead(this.#origin + this.#count, now);
      case 2:
      case 3: {
        // A count of 1 is not allowed: OUT never changes.
        if (this.#count < 2) return NEVER_TICK;
        const end = this.#periodEnd(now);
        if (this.#switchAt >= end) return end;
        // Mode 3 takes the new count over for the low half that comes next.
        return this.#switchAt + Math.floor((this.#written ?? 0) / 2);
      }
      default:
        return this.#ifAhead(this.#origin + this.#count + 1, now);
    }
  }

  /** Whether a low GATE stops the counting; in modes 1 and 5 its rising edge is a trigger only. */
  get #stoppedByGate(): boolean {
    return this.#mode !== 1 && this.#mode !== 5;
  }

  #countWritten(value: number, now: number): void {
    this.#written = this.#decode(value);
    this.#nullCount = true;
    const loaded = this.#count !== 0 && now >= this.#origin;
    switch (this.#mode) {
      case 0:
      case 4:
        this.#load(now);
        break;
      case 2:
      case 3:
        if (!loaded) this.#load(now);
        else if (this.#gate) this.#switchAt = this.#takeOver(now);
        break;
      default: // Modes 1 and 5 wait for a trigger.
    }
  }

  /** The counting element takes the count register over, with the next tick. */
  #load(now: number): void {
    if (this.#written === undefined) return;
    this.#count = this.#written;
    this.#origin = now + 1;
    this.#held = this.#stoppedByGate && !this.#gate ? 0 : undefined;
    this.#switchAt = NEVER_TICK;
    this.#nullCount = false;
  }

  /** Goes over to the count written meanwhile, if its time has come. */
  #settle(now: number): void {
    if (now < this.#switchAt || this.#written === undefined) return;
    const atPeriodEnd = (this.#switchAt - this.#origin) % this.#count === 0;
    this.#count = this.#written;
    this.#origin = this.#switchAt - (atPeriodEnd ? 0 : Math.ceil(this.#count / 2));
    this.#switchAt = NEVER_TICK;
    this.#nullCount = false;
  }

  #takeOver(now: number): number {
    const end = this.#periodEnd(now);
    if (this.#mode === 2) return end;
    const middle = end - Math.floor(this.#count / 2);
    return middle > now ? middle : end;
  }

  /** The end of the period (modes 2 and 3) that is under way. */
  #periodEnd(now: number): number {
    const periods = Math.max(0, Math.floor((now - this.#origin) / this.#count));
    return this.#origin + (periods + 1) * this.#count;
  }

  #ifAhead(tick: number, now: number): number {
    return tick > now ? tick : NEVER_TICK;
  }

  #elapsed(now: number): number {
    return this.#held ?? now - this.#origin;
  }

  /** What the counting element holds, as the 16 bits that are read. */
  #value(now: number): number {
    this.#settle(now);
    if (this.#count === 0) return 0;
    const elapsed = Math.max(0, this.#elapsed(now));
    if (this.#mode === 2) return this.#encode(this.#count - (elapsed % this.#count));
    if (this.#mode === 3) {
      // Each half counts down by two from the count, less one if it is odd.
      const position = elapsed % this.#count;
      const highHalf = Math.ceil(this.#count / 2);
      const inHalf = position < highHalf ? position : position - highHalf;
      return this.#encode(this.#count - (this.#count % 2) - 2 * inHalf);
    }
    return this.#encode(this.#count - elapsed);
  }

  get #modulus(): number {
    return this.#bcd ? 10_000 : 65_536;
  }

  /** The count that `value` stands for: 0 is the largest. */
  #decode(value: number): number {
    if (!this.#bcd) return value === 0 ? 65_536 : value;
    let count = 0;
    for (let shift = 12; shift >= 0; shift -= 4) count = count * 10 + ((value >> shift) & 0xf);
    return count % 10_000 === 0 ? 10_000 : count % 10_000;
  }

  #encode(count: number): number {
    // Counting goes on past zero: to ffff, or to 9999 in BCD.
    const modulus = this.#modulus;
    let rest = ((count % modulus) + modulus) % modulus;
    if (!this.#bcd) return rest;
    let value = 0;
    for (let shift = 0; shift < 16; shift += 4) {
      value |= (rest % 10) << shift;
      rest = Math.floor(rest / 10);
    }
    return value;
  }
}
