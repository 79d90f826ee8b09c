import { join } from "node:path";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample, verdict } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import {
  builtImage,
  type Monitor,
  oursOnBoth,
  qemuAsTyped,
  qemuDirect,
  qemuTrimmed,
  ROOT,
} from "./support/monitors.ts";

/** How many times as early as that of QEMU as typed the first byte should be. */
const WANTED = 2;
/** The last line of the kernel's banner. */
const BANNER_END = "'--------------------------------'";
const HELLO = "Hello, World";

const MILESTONES = ["first byte", "banner", "hello", "exit"] as const;
type Milestones = Record<(typeof MILESTONES)[number], Sample>;

interface Contender {
  readonly monitor: Monitor;
  readonly image: string;
  readonly reached: Milestones;
}

async function boot({ monitor, image, reached }: Contender): Promise<void> {
  const guest = new GuestProcess(monitor.command(image));
  reached.banner.add(await guest.printed(BANNER_END));
  reached.hello.add(await guest.printed(HELLO));
  reached.exit.add(await guest.end());
  reached["first byte"].add(guest.firstByte);
}

export const bootTime: Benchmark = {
  name: "boot",
  title: "milliseconds from starting the process, booting hello.iso",
  rounds: 15,
  async run({ rounds, ours }: BenchmarkOptions) {
    const contender = (monitor: Monitor, image: string): Contender => ({
      monitor,
      image,
      reached: {
        "first byte": new Sample(),
        banner: new Sample(),
        hello: new Sample(),
        exit: new Sample(),
      },
    });
    const kernel = join(ROOT, "kernel", "build", "apps", "hello", "kernel");
    const iso = builtImage("hello");
    const contenders = [
      ...oursOnBoth(ours).map((each) => contender(each, iso)),
      contender(qemuAsTyped, iso),
      contender(qemuTrimmed, iso),
      contender(qemuDirect, kernel),
    ];
    for (let round = 0; round < rounds; round++) {
      for (const each of contenders) await boot(each);
    }
    printTable(
      ["", ...MILESTONES],
      contenders.map(({ monitor, reached }) => [
        monitor.name,
        ...MILESTONES.map((milestone) => reached[milestone].format(0)),
      ]),
    );
    const isOurs = ({ monitor }: Contender): boolean => !monitor.name.startsWith("qemu");
    const others = contenders.filter((each) => !isOurs(each));
    for (const each of contenders.filter(isOurs)) compare(each, others);
  },
};

function compare(one: Contender, others: readonly Contender[]): void {
  console.log(`\n  times that ${one.monitor.name} is faster:`);
  printTable(
    ["than", ...MILESTONES, "first byte"],
    others.map(({ monitor, reached }) => {
      const ratios = MILESTONES.map((name) => ratio(reached[name], one.reached[name]));
      const judged = monitor === qemuAsTyped;
      return [
        monitor.name,
        ...ratios.map((each) => each.format(2)),
        judged ? verdict(ratios[0] as Sample, { atLeast: WANTED }) : "",
      ];
    }),
  );
}
