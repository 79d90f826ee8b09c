import { setTimeout } from "node:timers/promises";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, Sample, verdict } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import { oursOnBoth, packImage, qemuTrimmed } from "./support/monitors.ts";

/** The ping application's line when it starts to wait for packets. */
export const SERVING = "Serving ping on";
/** Milliseconds until a monitor has done what it does after the start. */
export const SETTLING = 1_000;
const WATCHED = 10_000;
const WANTED_PERCENT = 1;

export const idle: Benchmark = {
  name: "idle",
  title: `an idle ping guest over ${WATCHED / 1e3} s: share of a core, and threads woken a second`,
  rounds: 3,
  async run({ rounds, ours }: BenchmarkOptions) {
    const image = packImage("ping", "quiet");
    const rivals = [...oursOnBoth(ours), qemuTrimmed].map((monitor) => ({
      monitor,
      percent: new Sample(),
      wakeUps: new Sample(),
    }));
    for (let round = 0; round < rounds; round++) {
      for (const { monitor, percent, wakeUps } of rivals) {
        const guest = new GuestProcess(monitor.command(image));
        await guest.printed(SERVING);
        await setTimeout(SETTLING);
        const [before, start] = [guest.usage, performance.now()];
        await setTimeout(WATCHED);
        const [after, elapsed] = [guest.usage, performance.now() - start];
        await guest.stop();
        percent.add((100 * (after.cpu - before.cpu)) / (elapsed * 1e6));
        wakeUps.add((after.wakeUps - before.wakeUps) / (elapsed / 1e3));
      }
    }
    printTable(
      ["", "% of a core", "wake-ups /s", ""],
      rivals.map(({ monitor, percent, wakeUps }) => [
        monitor.name,
        percent.format(3),
        wakeUps.format(1),
        monitor === qemuTrimmed ? "" : verdict(percent, { atMost: WANTED_PERCENT }),
      ]),
    );
  },
};
