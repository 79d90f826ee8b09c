import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample, verdict } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import {
  mustRun,
  oursOnBoth,
  packImage,
  qemuMultiboot,
  qemuTrimmed,
  ROOT,
  SCRATCH,
} from "./support/monitors.ts";

const WANTED = 1;
const DISK_BLOCKS = 256;

/** A guest that ends by itself: how each monitor is started on it. */
interface Subject {
  readonly name: string;
  ours(command: (image: string) => string[]): string[];
  readonly qemu: () => string[];
}

/** An application, with what its command lines need besides. */
function application(
  app: string,
  guestArguments: readonly string[] = [],
  extra: { ours?: readonly string[]; qemu?: readonly string[] } = {},
): Subject {
  const image = packImage(app, ...guestArguments);
  return {
    name: [app, ...guestArguments].join(" "),
    ours: (command) => [...command(image), ...(extra.ours ?? [])],
    qemu: () => [...qemuTrimmed.command(image), ...(extra.qemu ?? [])],
  };
}

function subjects(): Subject[] {
  const disk = join(SCRATCH, "disk.img");
  writeFileSync(disk, new Uint8Array(512 * DISK_BLOCKS));
  const guests = join(SCRATCH, "cpu");
  mustRun("make", "-s", "-C", join(ROOT, "bench", "cpu"), `B=${guests}`);
  const cold = join(guests, "guest64");
  return [
    application("hello"),
    application("time"),
    application("exception", ["divide"]),
    application("block", [], {
      ours: ["--block", disk],
      qemu: ["-drive", `file=${disk},format=raw,if=virtio`],
    }),
    {
      name: "1 MiB of code, once",
      ours: (command) => [...command(cold), "--", "cold"],
      qemu: () => qemuMultiboot(cold, "cold"),
    },
  ];
}

export const apps: Benchmark = {
  name: "apps",
  title: "milliseconds from start to exit of what ends by itself: applications, and cold code",
  rounds: 7,
  async run({ rounds, ours }: BenchmarkOptions) {
    const monitors = oursOnBoth(ours);
    const rows = subjects().map((subject) => ({
      subject,
      ours: monitors.map((monitor) => ({ monitor, took: new Sample() })),
      qemu: new Sample(),
    }));
    const measure = async (command: readonly string[]): Promise<number> =>
      await new GuestProcess(command).end();
    for (let round = 0; round < rounds; round++) {
      for (const { subject, ours: each, qemu } of rows) {
        for (const { monitor, took } of each) {
          took.add(await measure(subject.ours((image) => monitor.command(image))));
        }
        qemu.add(await measure(subject.qemu()));
      }
    }
    printTable(
      ["", ...monitors.flatMap(({ name }) => [name, "times as fast as qemu", ""]), "qemu, trimmed"],
      rows.map(({ subject, ours: each, qemu }) => [
        subject.name,
        ...each.flatMap(({ took }) => {
          const speed = ratio(qemu, took);
          return [took.format(0), speed.format(2), verdict(speed, { atLeast: WANTED })];
        }),
        qemu.format(0),
      ]),
    );
  },
};
