/**
 * What iputils' ping(8) counts and how it prints it. Times are whole microseconds, as there; output
 * is the same to the character.
 */
export class PingStatistics {
  transmitted = 0;
  received = 0;
  duplicates = 0;
  errors = 0;
  #minimum = Number.POSITIVE_INFINITY;
  #maximum = 0;
  #sum = 0;
  #sumOfSquares = 0;

  /** @param micros round trip of a first reply, in microseconds */
  addReply(micros: number): void {
    this.received++;
    this.#minimum = Math.min(this.#minimum, micros);
    this.#maximum = Math.max(this.#maximum, micros);
    this.#sum += micros;
    this.#sumOfSquares += micros * micros;
  }

  /**
   * The block at the end.
   * @param target as the user named it
   * @param elapsedMillis from the first request to now
   */
  summary(target: string, elapsedMillis: number): string[] {
    const counts = [
      `${this.transmitted} packets transmitted, ${this.received} received`,
      ...(this.duplicates > 0 ? [`+${this.duplicates} duplicates`] : []),
      ...(this.errors > 0 ? [`+${this.errors} errors`] : []),
      ...(this.transmitted > 0 ? [`${this.#loss()}% packet loss, time ${elapsedMillis}ms`] : []),
    ].join(", ");
    const lines = ["", `--- ${target} ping statistics ---`, counts];
    if (this.received > 0) lines.push(this.#roundTrips());
    return lines;
  }

  /** As C's %g: at most six significant digits. */
  #loss(): string {
    const percent = ((this.transmitted - this.received) * 100) / this.transmitted;
    return Number(percent.toPrecision(6)).toString();
  }

  #roundTrips(): string {
    const average = Math.floor(this.#sum / this.received);
    const variance = Math.floor(this.#sumOfSquares / this.received) - average * average;
    const deviation = Math.floor(Math.sqrt(Math.max(variance, 0)));
    const figures = [this.#minimum, average, this.#maximum, deviation];
    const millis = figures.map((micros) => (micros / 1000).toFixed(3));
    return `rtt min/avg/max/mdev = ${millis.join("/")} ms`;
  }
}

/** `time=` of one reply, in milliseconds with three significant digits. @param micros microseconds */
export function formatRoundTrip(micros: number): string {
  // Each limit is where the coarser form's rounding begins.
  if (micros >= 100_000 - 50) return `${Math.floor((micros + 500) / 1000)} ms`;
  if (micros >= 10_000 - 5) return `${(Math.floor((micros + 50) / 100) / 10).toFixed(1)} ms`;
  if (micros >= 1_000) return `${(Math.floor((micros + 5) / 10) / 100).toFixed(2)} ms`;
  return `${(micros / 1000).toFixed(3)} ms`;
}
