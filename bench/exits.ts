import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, ratio, Sample, verdict } from "./support/figures.ts";
import {
  createLoopMachine,
  IN_BYTE,
  type LoopBody,
  loopCode,
  OUT_BYTE,
  runLoop,
} from "./support/loop-guest.ts";
import { compile, mustRun, SCRATCH } from "./support/monitors.ts";

const EXITS = 20_000;
const WARM_UP_ROUNDS = 4;
/** Nobody claims it. */
const PORT = 0x2e0;
const WANTED = 0.9;

const LOOPS: Readonly<Record<string, LoopBody>> = {
  "out dx, al": { port: PORT, instructions: OUT_BYTE },
  "in al, dx": { port: PORT, instructions: IN_BYTE },
};

/** What `EXITS` exits took, in milliseconds. */
interface Took {
  readonly elapsed: number;
  /** On a processor, all threads. */
  readonly cpu: number;
}

/** Through our machine. */
async function ours(body: LoopBody): Promise<Took> {
  const { machine } = createLoopMachine(() => loopCode(body, EXITS));
  const [start, cpuStart] = [performance.now(), process.cpuUsage()];
  await runLoop(machine);
  const { user, system } = process.cpuUsage(cpuStart);
  return { elapsed: performance.now() - start, cpu: (user + system) / 1e3 };
}

/** Through the C program. */
function plainC(program: string, body: LoopBody): Took {
  const code = join(SCRATCH, "loop.bin");
  writeFileSync(code, loopCode(body, EXITS));
  const report = mustRun(program, code, `${body.port}`);
  const [exits, elapsed = 0, cpu = 0] = report.split(" ").map(Number);
  if (exits !== EXITS) throw new Error(`the C loop saw ${exits} exits instead of ${EXITS}`);
  return { elapsed: elapsed / 1e6, cpu: cpu / 1e6 };
}

const perSecond = (milliseconds: number): number => EXITS / (milliseconds / 1e3);

export const exits: Benchmark = {
  name: "exits",
  title: "exits a second: our run loop against a plain C loop over the same ioctls",
  rounds: 11,
  async run({ rounds }: BenchmarkOptions) {
    const program = compile("exits");
    const rows: string[][] = [];
    for (const [name, body] of Object.entries(LOOPS)) {
      const rates = { ours: new Sample(), c: new Sample() };
      const cpuRates = { ours: new Sample(), c: new Sample() };
      // V8 compiles what runs often, in the background.
      for (let round = 0; round < WARM_UP_ROUNDS; round++) await ours(body);
      for (let round = 0; round < rounds; round++) {
        const [here, there] = [await ours(body), plainC(program, body)];
        rates.ours.add(perSecond(here.elapsed));
        rates.c.add(perSecond(there.elapsed));
        cpuRates.ours.add(perSecond(here.cpu));
        cpuRates.c.add(perSecond(there.cpu));
      }
      const ratios = ratio(rates.ours, rates.c);
      const cpuRatios = ratio(cpuRates.ours, cpuRates.c);
      rows.push([
        ...[name, rates.ours.format(0), rates.c.format(0), ratios.format(3)],
        ...[cpuRatios.format(3), verdict(cpuRatios, { atLeast: WANTED })],
      ]);
    }
    printTable(["guest loop", "ours /s", "C /s", "ratio", "ratio of CPU time", ""], rows);
  },
};
