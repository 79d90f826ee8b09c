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
/** Nobody claims it. */
const PORT = 0x2e0;
const WANTED = 0.9;

const LOOPS: Readonly<Record<string, LoopBody>> = {
  "out dx, al": { port: PORT, instructions: OUT_BYTE },
  "in al, dx": { port: PORT, instructions: IN_BYTE },
};

/** Exits in a second through our machine. */
async function ours(body: LoopBody): Promise<number> {
  const { machine } = createLoopMachine(() => loopCode(body, EXITS));
  const start = performance.now();
  await runLoop(machine);
  return EXITS / ((performance.now() - start) / 1e3);
}

/** The same through the C program. */
function plainC(program: string, body: LoopBody): number {
  const code = join(SCRATCH, "loop.bin");
  writeFileSync(code, loopCode(body, EXITS));
  const [exits, nanoseconds] = mustRun(program, code, `${body.port}`).split(" ").map(Number);
  if (exits !== EXITS) throw new Error(`the C loop saw ${exits} exits instead of ${EXITS}`);
  return EXITS / ((nanoseconds ?? 0) / 1e9);
}

export const exits: Benchmark = {
  name: "exits",
  title: "exits a second: our run loop against a plain C loop over the same ioctls",
  rounds: 11,
  async run({ rounds }: BenchmarkOptions) {
    const program = compile("exits");
    const rows: string[][] = [];
    for (const [name, body] of Object.entries(LOOPS)) {
      const [here, there] = [new Sample(), new Sample()];
      await ours(body); // V8 compiles.
      for (let round = 0; round < rounds; round++) {
        here.add(await ours(body));
        there.add(plainC(program, body));
      }
      const ratios = ratio(here, there);
      const wanted = verdict(ratios, { atLeast: WANTED });
      rows.push([name, here.format(0), there.format(0), ratios.format(3), wanted]);
    }
    printTable(["guest loop", "ours /s", "C /s", "ratio", ""], rows);
  },
};
