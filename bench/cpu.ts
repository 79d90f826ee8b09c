import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { barChart } from "./support/chart.ts";
import { geometricMean, printTable, ratio, Sample, verdict } from "./support/figures.ts";
import { mustRun, qemuMultiboot, ROOT, SCRATCH } from "./support/monitors.ts";

const WORKLOADS = [
  "fib",
  "sieve",
  "quicksort",
  "mix",
  "bytecode",
  "sha256",
  "copy",
  "rep",
  "nbody",
] as const;
type Workload = (typeof WORKLOADS)[number];

/** How fast the processor in TypeScript should be, against QEMU's TCG. */
const WANTED_MEAN = 2;
const WANTED_EACH = 1;
/** What it should do without its JIT, in millions of instructions a second. */
const WANTED_MIPS = 100;
const MIPS_WORKLOADS = ["fib", "sieve", "quicksort", "mix", "bytecode"] as const;

const GUESTS = join(SCRATCH, "cpu");
const CHART = join(ROOT, "docs", "cpu.svg");
const SECONDS = 1e3;
const GIVE_UP_AFTER = 300 * SECONDS;

/** What runs the workloads: each a command, and how often it was measured what it took. */
interface Contender {
  readonly name: string;
  command(workload: Workload): string[];
  /** Milliseconds of the whole process. */
  readonly took: Readonly<Record<Workload, Sample>>;
}

interface Run {
  readonly milliseconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

function contender(name: string, command: (workload: Workload) => string[]): Contender {
  const took = Object.fromEntries(WORKLOADS.map((workload) => [workload, new Sample()]));
  return { name, command, took: took as Record<Workload, Sample> };
}

/** A whole process, from its start until it is gone. The guest's success is QEMU's status 83. */
async function run([program = "", ...args]: readonly string[]): Promise<Run> {
  const start = performance.now();
  const ended = promisify(execFile)(program, args, { timeout: GIVE_UP_AFTER }).catch((error) => {
    if (error.code === 83) return error as { stdout: string; stderr: string };
    throw error;
  });
  const { stdout, stderr } = await ended;
  return { milliseconds: performance.now() - start, stdout, stderr };
}

/** The workload's result, which must be the same everywhere. */
function checksum(workload: Workload, stdout: string): string {
  const found = new RegExp(`^${workload} ([0-9a-f]{16})\\r?$`, "m").exec(stdout)?.[1];
  if (found === undefined) throw new Error(`${workload} printed no checksum:\n${stdout}`);
  return found;
}

export const cpu: Benchmark = {
  name: "cpu",
  title: "nine workloads in a bare-metal guest, whole processes: milliseconds",
  rounds: 3,
  async run({ rounds, ours }: BenchmarkOptions) {
    mustRun("make", "-s", "-C", join(ROOT, "bench", "cpu"), `B=${GUESTS}`);
    const guest = join(GUESTS, "guest64");
    const emulated = ours.flatMap(({ emulated, again, interpreted }) =>
      [emulated, again, interpreted].filter((monitor) => monitor !== undefined),
    );
    const [first, ...others] = emulated.map(({ name, command }) =>
      contender(name, (workload) => [...command(guest), "--", workload]),
    ) as [Contender, ...Contender[]];
    const qemu = contender("qemu", (workload) => qemuMultiboot(guest, workload));
    const v86 = contender("v86, 32-bit", (workload) => [
      process.execPath,
      join(SCRATCH, "cpu", "v86.js"),
      join(GUESTS, "guest32"),
      workload,
    ]);
    const native = contender("native", (workload) => [join(GUESTS, "native"), workload]);
    const contenders = [first, ...others, qemu, v86, native];

    for (let round = 0; round < rounds; round++) {
      for (const workload of WORKLOADS) {
        const sums = new Set<string>();
        for (const each of contenders) {
          const { milliseconds, stdout } = await run(each.command(workload));
          each.took[workload].add(milliseconds);
          sums.add(checksum(workload, stdout));
        }
        if (sums.size > 1) throw new Error(`${workload}: not everybody computed the same`);
      }
    }
    const instructions = await countInstructions(first);
    report(contenders, qemu, instructions);
    judge(first, qemu);
    for (const other of others) if (other.name === ours[0].again?.name) judge(other, qemu);
    const interpreter = others.find(({ name }) => name === ours[0].interpreted?.name) ?? first;
    judgeMips(interpreter, instructions);
    const file = save(contenders, qemu, instructions, rounds);
    console.log(`\n  ${file}, ${CHART}`);
  },
};

/** In millions; from our own `--stats`. */
async function countInstructions(ours: Contender): Promise<Record<Workload, number>> {
  const counts: [Workload, number][] = [];
  for (const workload of WORKLOADS) {
    const command = ours.command(workload);
    command.splice(command.indexOf("--"), 0, "--stats");
    const { stderr } = await run(command);
    const count = /(\d+) instructions/.exec(stderr)?.[1];
    if (count === undefined) throw new Error(`--stats does not tell instructions:\n${stderr}`);
    counts.push([workload, Number(count) / 1e6]);
  }
  return Object.fromEntries(counts) as Record<Workload, number>;
}

/** How many times as fast one is as the other, round by round. */
const speed = (one: Contender, than: Contender, workload: Workload): Sample =>
  ratio(than.took[workload], one.took[workload]);

const meanSpeed = (one: Contender, than: Contender): number =>
  geometricMean(WORKLOADS.map((workload) => speed(one, than, workload).median));

const mips = (one: Contender, workload: Workload, instructions: Record<Workload, number>): number =>
  (instructions[workload] / one.took[workload].median) * SECONDS;

function report(
  contenders: readonly Contender[],
  qemu: Contender,
  instructions: Record<Workload, number>,
): void {
  printTable(
    ["", ...contenders.map(({ name }) => name)],
    WORKLOADS.map((workload) => [
      workload,
      ...contenders.map(({ took }) => took[workload].format(0)),
    ]),
  );
  console.log("\n  times as fast as qemu:");
  printTable(
    ["", ...contenders.map(({ name }) => name)],
    [
      ...WORKLOADS.map((workload) => [
        workload,
        ...contenders.map((each) => speed(each, qemu, workload).format(2)),
      ]),
      ["geometric mean", ...contenders.map((each) => meanSpeed(each, qemu).toFixed(2))],
    ],
  );
  console.log("\n  millions of the 64-bit guest's instructions a second, the start included:");
  const counted = contenders.filter(({ name }) => !name.startsWith("v86"));
  printTable(
    ["", "millions", ...counted.map(({ name }) => name)],
    WORKLOADS.map((workload) => [
      workload,
      instructions[workload].toFixed(0),
      ...counted.map((each) => mips(each, workload, instructions).toFixed(0)),
    ]),
  );
}

function judge(ours: Contender, qemu: Contender): void {
  const mean = new Sample();
  mean.add(meanSpeed(ours, qemu));
  const least = new Sample();
  least.add(Math.min(...WORKLOADS.map((workload) => speed(ours, qemu, workload).median)));
  console.log(`\n  ${ours.name} against qemu:`);
  console.log(
    `  geometric mean ${mean.median.toFixed(2)}, ${verdict(mean, { atLeast: WANTED_MEAN })}`,
  );
  console.log(`  least ${least.median.toFixed(2)}, ${verdict(least, { atLeast: WANTED_EACH })}`);
}

function judgeMips(interpreter: Contender, instructions: Record<Workload, number>): void {
  const mean = new Sample();
  mean.add(geometricMean(MIPS_WORKLOADS.map((each) => mips(interpreter, each, instructions))));
  console.log(
    `  ${interpreter.name}: ${mean.median.toFixed(0)} MIPS, geometric mean of ` +
      `${MIPS_WORKLOADS.join(", ")}; ${verdict(mean, { atLeast: WANTED_MIPS })}`,
  );
}

/** Writes the figures for programs, and the chart for people. */
function save(
  contenders: readonly Contender[],
  qemu: Contender,
  instructions: Record<Workload, number>,
  rounds: number,
): string {
  const file = join(SCRATCH, "cpu.json");
  mkdirSync(SCRATCH, { recursive: true });
  const figures = contenders.map((each) => ({
    name: each.name,
    milliseconds: Object.fromEntries(WORKLOADS.map((name) => [name, each.took[name].values])),
    timesQemu: Object.fromEntries(WORKLOADS.map((name) => [name, speed(each, qemu, name).median])),
    geometricMean: meanSpeed(each, qemu),
  }));
  const description = { rounds, millionsOfInstructions: instructions, contenders: figures };
  writeFileSync(file, `${JSON.stringify(description, undefined, 2)}\n`);
  const shown = contenders.filter(({ name }) => name !== "native");
  writeFileSync(
    CHART,
    barChart({
      title: "Speed as a multiple of QEMU TCG's: whole processes, start included",
      series: shown.map(({ name }) => name),
      groups: [
        ...WORKLOADS.map((name) => ({
          name,
          values: shown.map((each) => speed(each, qemu, name).median),
        })),
        { name: "geometric mean", values: shown.map((each) => meanSpeed(each, qemu)) },
      ],
      mark: 1,
    }),
  );
  return file;
}
