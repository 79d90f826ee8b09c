/** The values that a share of a sample lies below, by linear interpolation. */
function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** What one thing measured gave, round by round. */
export class Sample {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
  }

  get values(): readonly number[] {
    return this.#values;
  }

  get median(): number {
    return quantile(this.#sorted, 0.5);
  }

  /** `median (lower quartile–upper quartile)` */
  format(digits = 1): string {
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) =>
      quantile(this.#sorted, share).toFixed(digits),
    );
    return `${middle} (${low}–${high})`;
  }

  get #sorted(): number[] {
    return this.#values.toSorted((a, b) => a - b);
  }
}

/**
 * `of` against `to`, round by round: what was measured next to each other shared the host's mood,
 * so the ratios spread less than the values.
 */
export function ratio(of: Sample, to: Sample): Sample {
  const ratios = new Sample();
  of.values.forEach((value, round) => {
    ratios.add(value / (to.values[round] ?? Number.NaN));
  });
  return ratios;
}

export const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Rows under a heading, columns aligned: the first to the left, the others to the right. */
export function printTable(heading: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of all) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(`  ${cells.join("   ")}`);
  }
}

/** A ratio with what is wanted of it, and whether it is. */
export function verdict(measured: Sample, wanted: { atLeast?: number; atMost?: number }): string {
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = wanted;
  const met = measured.median >= atLeast && measured.median <= atMost;
  const bound = wanted.atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `${bound}: ${met ? "yes" : "NO"}`;
}
