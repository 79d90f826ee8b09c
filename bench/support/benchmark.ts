import type { OurMonitor } from "./monitors.ts";

export interface BenchmarkOptions {
  /** How often everything is measured, one after the other. */
  readonly rounds: number;
  /** Our command line first, then another build of it if asked for. */
  readonly ours: readonly [OurMonitor, ...OurMonitor[]];
}

export interface Benchmark {
  readonly name: string;
  /** One line. */
  readonly title: string;
  /** Rounds unless asked for otherwise. */
  readonly rounds: number;
  run(options: BenchmarkOptions): Promise<void>;
}
