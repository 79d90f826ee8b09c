import { type Nanos, nanos } from "../../core/units.ts";

/**
 * A counter's frequency as an exact fraction. Ticks are counted from clock zero, so that nothing
 * drifts however long the machine runs.
 */
export class TickRate {
  readonly #ticks: number;
  readonly #nanoseconds: number;

  /** `ticks` in `nanoseconds`: integers, with `ticks` times `nanoseconds` below 2^53 */
  constructor(ticks: number, nanoseconds: number) {
    this.#ticks = ticks;
    this.#nanoseconds = nanoseconds;
  }

  /** The number of ticks since clock zero. */
  ticksAt(now: Nanos): number {
    // Whole periods apart from the rest, because `now` times the ticks may exceed 2^53.
    const periods = Math.floor(now / this.#nanoseconds);
    const rest = now - periods * this.#nanoseconds;
    return periods * this.#ticks + Math.floor((rest * this.#ticks) / this.#nanoseconds);
  }

  /** The first nanosecond at which {@link ticksAt} is `tick`. */
  timeOf(tick: number): Nanos {
    if (tick === Number.POSITIVE_INFINITY) return nanos(tick);
    const periods = Math.floor(tick / this.#ticks);
    const rest = tick - periods * this.#ticks;
    return nanos(periods * this.#nanoseconds + Math.ceil((rest * this.#nanoseconds) / this.#ticks));
  }
}

/** 14.31818 MHz / 12: the 8254's input on a PC, 1193181.81… Hz. */
export const PIT_RATE = new TickRate(105, 88_000);

/** 14.31818 MHz / 4: the ACPI timer, 3579545.45… Hz. */
export const ACPI_TIMER_RATE = new TickRate(315, 88_000);
