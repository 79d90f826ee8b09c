import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import { compile, networkRivals, packImage } from "./support/monitors.ts";
import { GUEST_ADDRESS, Namespace, TAP } from "./support/namespace.ts";

const SERVING = "Serving UDP on";
const MESSAGES = 10_000;
const WARM_UP = 1_000;
const SIZES = [64, 1400];
const WINDOW = 16;
/** How long a guest has echoed messages of a size before they are counted once more. */
const LATER_SECONDS = 1;
/** As many messages as go in that time, at most. */
const MAX_BETWEEN = 100_000;

export const udp: Benchmark = {
  name: "udp",
  title: `UDP messages a second echoed over a tap, ${WINDOW} on the way (needs root)`,
  rounds: 5,
  async run({ rounds, ours }: BenchmarkOptions) {
    const image = packImage("udp", "quiet");
    const program = compile("udp-load");
    const rivals = networkRivals(ours).map((monitor) => ({
      monitor,
      rates: SIZES.map(() => new Sample()),
      later: SIZES.map(() => new Sample()),
    }));
    const network = new Namespace();
    const load = (count: number, size: number): number => {
      const report = network.run(program, GUEST_ADDRESS, `${count}`, `${size}`, `${WINDOW}`);
      const [received, nanoseconds] = report.split(" ").map(Number);
      if (received !== count) throw new Error(`${received} of ${count} messages came back`);
      return count / ((nanoseconds ?? 0) / 1e9);
    };
    const measure = async ({ monitor, rates, later }: (typeof rivals)[number]): Promise<void> => {
      const guest = new GuestProcess(network.command(monitor.command(image, TAP)));
      try {
        await guest.printed(SERVING);
        load(WARM_UP, SIZES[0] ?? 0);
        for (const [i, size] of SIZES.entries()) rates[i]?.add(load(MESSAGES, size));
        for (const [i, size] of SIZES.entries()) {
          const rate = rates[i]?.median ?? 0;
          load(Math.min(MAX_BETWEEN, Math.round(rate * LATER_SECONDS)), size);
          later[i]?.add(load(MESSAGES, size));
        }
      } finally {
        await guest.stop();
      }
    };
    try {
      for (let round = 0; round < rounds; round++) {
        for (const rival of rivals) await measure(rival);
      }
    } finally {
      network.close();
    }
    const qemu = rivals.at(-1) as (typeof rivals)[number];
    const columns = (when: "rates" | "later", title: string): void => {
      printTable(
        [title, ...SIZES.flatMap((size) => [`${size} bytes`, `÷ ${qemu.monitor.name}`])],
        rivals.map((rival) => [
          rival.monitor.name,
          ...rival[when].flatMap((rate, i) => [
            rate.format(0),
            ratio(rate, qemu[when][i] as Sample).format(2),
          ]),
        ]),
      );
    };
    columns("rates", `the first ${MESSAGES}`);
    columns("later", `after ${LATER_SECONDS} s more`);
  },
};
