import { SERVING } from "./idle.ts";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import { type Monitor, networkRivals, packImage } from "./support/monitors.ts";
import { GUEST_ADDRESS, Namespace, TAP } from "./support/namespace.ts";

const PINGS = 5_000;
const WARM_UP = 500;

/** Floods the guest; returns the mean round trip in microseconds. */
function flood(network: Namespace, count: number): number {
  const report = network.run("ping", "-f", "-q", "-c", `${count}`, GUEST_ADDRESS);
  const received = Number(/(\d+) received/.exec(report)?.[1]);
  const mean = Number(/rtt [^=]*= [\d.]+\/([\d.]+)\//.exec(report)?.[1]);
  if (received !== count) throw new Error(`${count - received} of ${count} pings were lost`);
  return mean * 1e3;
}

export const ping: Benchmark = {
  name: "ping",
  title: `mean round trip in microseconds of ping -f -c ${PINGS} over a tap (needs root)`,
  rounds: 5,
  async run({ rounds, ours }: BenchmarkOptions) {
    const image = packImage("ping", "quiet");
    const rivals = networkRivals(ours).map((monitor) => ({ monitor, mean: new Sample() }));
    const network = new Namespace();
    const measure = async (monitor: Monitor): Promise<number> => {
      const guest = new GuestProcess(network.command(monitor.command(image, TAP)));
      try {
        await guest.printed(SERVING);
        flood(network, WARM_UP);
        return flood(network, PINGS);
      } finally {
        await guest.stop();
      }
    };
    try {
      for (let round = 0; round < rounds; round++) {
        for (const { monitor, mean } of rivals) mean.add(await measure(monitor));
      }
    } finally {
      network.close();
    }
    const qemu = rivals.at(-1) as (typeof rivals)[number];
    printTable(
      ["", "µs", `÷ ${qemu.monitor.name}`],
      rivals.map(({ monitor, mean }) => [
        monitor.name,
        mean.format(0),
        ratio(mean, qemu.mean).format(2),
      ]),
    );
  },
};
