import type { Alarm, Clock } from "../../core/clock.ts";
import { MICROSECOND, type Nanos, NEVER, nanos } from "../../core/units.ts";

/** Bits 0, 1 and 3 of the divide configuration register: 2, 4, 8, … 128, and 1. */
const DIVIDE_WRITABLE = 0b1011;

/** What a guest gets between two periodic interrupts at least. */
const MIN_GAP = 50 * MICROSECOND;

/**
 * The local APIC's timer: a 32-bit down-counter, one-shot or periodic. (There is no TSC-deadline
 * mode, and CPUID claims none.) Its input, the bus clock, is 1 GHz: one count a nanosecond where
 * it is not divided.
 * Source: Intel SDM vol. 3A, "APIC Timer".
 *
 * The expiry is what is kept, and what the count is computed from: nothing drifts. Periods that a
 * late host missed are not made up for, as the APIC remembers one request a vector anyway. A
 * periodic timer faster than {@link MIN_GAP} counts as it should and interrupts less often.
 */
export class ApicTimer {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #onExpiry: () => void;
  #periodic = false;
  #silent = true;
  #initialCount = 0;
  #divideConfiguration = 0;
  #divisor = 2;
  /** When the count reaches zero next; never if it stands at zero. */
  #expiry: Nanos = NEVER;
  /** Before it the next periodic interrupt does not come. */
  #earliest: Nanos = nanos(0);

  /** @param onExpiry the count reached zero, and the timer is not silent */
  constructor({ clock, onExpiry }: { clock: Clock; onExpiry: () => void }) {
    this.#clock = clock;
    this.#alarm = clock.alarm(() => this.#settle());
    this.#onExpiry = onExpiry;
  }

  reset(): void {
    this.#periodic = false;
    this.#silent = true;
    this.#initialCount = 0;
    this.#divideConfiguration = 0;
    this.#divisor = 2;
    this.#expiry = NEVER;
    this.#alarm.cancel();
  }

  /**
   * A count under way goes on in the new mode.
   * @param silent counts, but tells nobody
   */
  configure({ periodic, silent }: { periodic: boolean; silent: boolean }): void {
    this.#settle();
    this.#periodic = periodic;
    this.#silent = silent;
    this.#schedule();
  }

  get initialCount(): number {
    return this.#initialCount;
  }

  /** Starts the count, 32 bits; zero stops it. */
  set initialCount(count: number) {
    this.#settle();
    this.#initialCount = count;
    this.#start(count);
  }

  get currentCount(): number {
    this.#settle();
    if (this.#expiry === NEVER) return 0;
    return Math.ceil((this.#expiry - this.#clock.now()) / this.#divisor);
  }

  get divideConfiguration(): number {
    return this.#divideConfiguration;
  }

  /** A count under way goes on from where it is. */
  set divideConfiguration(value: number) {
    const count = this.currentCount;
    this.#divideConfiguration = value & DIVIDE_WRITABLE;
    const exponent = ((value & 0b1000) >> 1) | (value & 0b11);
    this.#divisor = 2 ** ((exponent + 1) % 8);
    this.#start(count);
  }

  #start(count: number): void {
    this.#expiry = count === 0 ? NEVER : nanos(this.#clock.now() + count * this.#divisor);
    this.#earliest = nanos(0);
    this.#schedule();
  }

  /** Does what is due by now. */
  #settle(): void {
    const now = this.#clock.now();
    if (this.#expiry > now) return;
    if (this.#periodic && this.#initialCount > 0) {
      const period = this.#initialCount * this.#divisor;
      const missed = Math.floor((now - this.#expiry) / period);
      this.#expiry = nanos(this.#expiry + (missed + 1) * period);
      this.#earliest = nanos(now + MIN_GAP);
    } else this.#expiry = NEVER;
    this.#schedule();
    if (!this.#silent) this.#onExpiry();
  }

  #schedule(): void {
    if (this.#silent) this.#alarm.cancel();
    else this.#alarm.set(nanos(Math.max(this.#expiry, this.#earliest)));
  }
}
