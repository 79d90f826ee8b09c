import { setTimeout } from "node:timers/promises";
import { SERVING, SETTLING } from "./idle.ts";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import {
  builtImage,
  MEMORY_MIB,
  type Monitor,
  oursOnBoth,
  packImage,
  qemuAsTyped,
  qemuTrimmed,
} from "./support/monitors.ts";

async function helloPeak(monitor: Monitor): Promise<number> {
  const guest = new GuestProcess(monitor.command(builtImage("hello")));
  const peak = await guest.peakMemory(true);
  await guest.end();
  return peak;
}

async function pingPeak(monitor: Monitor, image: string): Promise<number> {
  const guest = new GuestProcess(monitor.command(image));
  await guest.printed(SERVING);
  await setTimeout(SETTLING);
  const peak = await guest.peakMemory(false);
  await guest.stop();
  return peak;
}

export const memory: Benchmark = {
  name: "memory",
  title: `peak resident MiB of the process, guest of ${MEMORY_MIB} MiB`,
  rounds: 5,
  async run({ rounds, ours }: BenchmarkOptions) {
    const ping = packImage("ping", "quiet");
    const rivals = [...oursOnBoth(ours), qemuAsTyped, qemuTrimmed].map((monitor) => ({
      monitor,
      hello: new Sample(),
      ping: new Sample(),
    }));
    for (let round = 0; round < rounds; round++) {
      for (const { monitor, ...peak } of rivals) {
        peak.hello.add(await helloPeak(monitor));
        peak.ping.add(await pingPeak(monitor, ping));
      }
    }
    const first = rivals[0] as (typeof rivals)[number];
    printTable(
      ["", "hello", "idle ping", `hello ÷ ${first.monitor.name}`, "idle ping ÷"],
      rivals.map(({ monitor, hello, ping: idle }) => [
        monitor.name,
        hello.format(1),
        idle.format(1),
        ratio(hello, first.hello).format(2),
        ratio(idle, first.ping).format(2),
      ]),
    );
  },
};
