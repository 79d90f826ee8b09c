import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample, verdict } from "./support/figures.ts";
import { GuestProcess } from "./support/guest-process.ts";
import { mustRun, ROOT, SCRATCH } from "./support/monitors.ts";

/** Of the guest that `cpu` has: see there. */
const WORKLOADS = ["mix", "bytecode"] as const;
const GUESTS = join(SCRATCH, "cpu");
/** A tenth of a per cent is nothing; this is what the noise allows to say. */
const WANTED = 1.02;

export const gdb: Benchmark = {
  name: "gdb",
  title: "--gdb with nobody attached against a run without: milliseconds of the whole process",
  rounds: 10,
  async run({ rounds, ours: [{ emulated }] }: BenchmarkOptions) {
    mustRun("make", "-s", "-C", join(ROOT, "bench", "cpu"), `B=${GUESTS}`);
    const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-bench-"));
    const listening = ["--gdb", `unix:${join(folder, "gdb")}`];
    const rows: string[][] = [];
    for (const workload of WORKLOADS) {
      const [without, withIt] = [new Sample(), new Sample()];
      for (let round = 0; round < rounds; round++) {
        for (const [options, sample] of [
          [[], without],
          [listening, withIt],
        ] as const) {
          const command = [...emulated.command(join(GUESTS, "guest64")), ...options];
          sample.add(await new GuestProcess([...command, "--", workload]).end());
        }
      }
      const ratios = ratio(withIt, without);
      rows.push([
        workload,
        ...[without.format(0), withIt.format(0), ratios.format(3)],
        verdict(ratios, { atMost: WANTED }),
      ]);
    }
    rmSync(folder, { recursive: true });
    printTable(["", "without", "--gdb", "ratio", ""], rows);
  },
};
