/**
 * `npm run test:silicon -- [--count N] [--seed S] [--cpu NAME[,NAME]] [--forms REGEXP] [--mode 32|64]
 * [--first INDEX] [--failures N] [--jobs N] [--document FILE] [--record FILE]`
 *
 * Random single instructions on the real processor and on some of ours, by several processes if there
 * are `--jobs`. Exit status 1 when they differ anywhere.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { Backgrounds } from "./backgrounds.ts";
import { type CampaignOptions, judgedTests } from "./campaign.ts";
import { addCampaign } from "./coverage-document.ts";
import { type TestForm, testForms } from "./forms.ts";
import { HAND_WRITTEN } from "./hand-written-forms.ts";
import { judgedForms } from "./judge-features.ts";
import { inProcesses, partsOf, serve } from "./processes.ts";
import { PROCESSORS } from "./processors.ts";
import { Silicon } from "./silicon.ts";
import { add, differing, nothing, type Part, type Tally, Trials } from "./trials.ts";
import { encodeVectors, type Vector } from "./vectors.ts";
import { judgeIsAmd, recordable, undefinedHere } from "./vendor.ts";

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    first: { type: "string", default: "0" },
    cpu: { type: "string", default: PROCESSORS.keys().next().value ?? "" },
    forms: { type: "string", default: "" },
    mode: { type: "string" },
    failures: { type: "string", default: "10" },
    jobs: { type: "string", default: "1" },
    document: { type: "string" },
    record: { type: "string" },
    "hand-written": { type: "boolean", default: false },
    // Among processes: this is one of the several.
    serve: { type: "boolean", default: false },
  },
});

function number(name: "count" | "seed" | "first" | "failures" | "jobs"): number {
  const value = Number(options[name]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} takes a whole number`);
  return value;
}

function campaign(silicon: Silicon): CampaignOptions {
  const pattern = new RegExp(options.forms);
  const all = testForms(options["hand-written"] ? [HAND_WRITTEN] : FAMILIES);
  const wanted = all.filter(({ name }) => pattern.test(name));
  const forms = judgedForms(wanted, (feature, count) => {
    if (!options.serve)
      console.log(`left out, as this processor has no ${feature}: ${count} forms`);
  });
  const mode = options.mode === undefined ? undefined : Number(options.mode);
  const modes = silicon.modes.filter((candidate) => mode === undefined || candidate === mode);
  const seed = number("seed");
  return {
    ...{ forms, modes, seed, first: number("first"), count: number("count") },
    // Recorded vectors are differences from their backgrounds: few of those make a small file.
    backgrounds: new Backgrounds(seed, options.record === undefined ? 64 : 4, silicon.segmentBases),
  };
}

/** Tests against the processors that `--cpu` names. */
function trials(silicon: Silicon, tests: CampaignOptions): Trials {
  const suspects = names().map((name) => {
    const create = PROCESSORS.get(name);
    if (create === undefined) {
      throw new Error(`--cpu takes some of: ${[...PROCESSORS.keys()].join(", ")}`);
    }
    return create();
  });
  // Every function that the JIT makes for a test is called: V8 compiles them quicker all at once.
  setFlagsFromString("--no-wasm-lazy-compilation");
  return new Trials(silicon, suspects, tests, number("failures"));
}

const names = (): string[] => options.cpu.split(",");

/** All tests, by this process or several, and what came of them: each tenth, where that takes long. */
async function runTests(silicon: Silicon, tests: CampaignOptions): Promise<Tally> {
  const sum = nothing();
  const parts = partsOf(tests);
  const onTally = (tally: Tally): void => {
    const tenths = (): number => Math.floor((10 * sum.tests) / tests.count);
    const before = tenths();
    add(sum, tally);
    if (before === tenths() || sum.tests === tests.count) return;
    console.log(`${sum.tests} of ${tests.count} tests: ${differing(sum)} differ`);
  };
  const jobs = number("jobs");
  if (jobs > 1) {
    await inProcesses(jobs, parts, onTally);
    return sum;
  }
  const here = trials(silicon, tests);
  for (const part of parts) onTally(here.run(part));
  return sum;
}

/** The last lines. */
function summarise(sum: Tally, tests: CampaignOptions, seconds: number): void {
  const { coverage, failed, lost } = sum;
  for (const [name, count] of Object.entries(failed)) {
    console.log(`${String(count).padStart(7)} differ: ${name}`);
  }
  const forms = Object.values(coverage);
  const faults = forms.reduce((all, counts) => all + counts.faults, 0);
  console.log(
    `${names().join(" and ")} against silicon, seed ${tests.seed}, ${tests.modes.join(" and ")}-bit: ` +
      `${tests.count} tests of ${forms.length} forms (${faults} faults), ${differing(sum)} differ, ${lost} not judged; ` +
      `${Math.round(tests.count / seconds)} tests a second`,
  );
}

/** Adds the counts of a campaign without differences to the document. */
function addToDocument(
  file: string,
  coverage: Tally["coverage"],
  { seed, count, modes }: CampaignOptions,
): void {
  let before = "";
  try {
    before = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
  const vendor = judgeIsAmd() ? "AMD" : "Intel";
  const campaign = { seed, tests: count, modes: modes.join(" and "), vendor };
  writeFileSync(file, addCampaign(before, FAMILIES, new Map(Object.entries(coverage)), campaign));
}

/** The same number of vectors for each form. */
function record(file: string, silicon: Silicon, tests: CampaignOptions): void {
  const share = Math.max(1, Math.floor(tests.count / countNames(tests.forms)));
  const taken = new Map<string, number>();
  const vectors: Vector[] = [];
  for (const { test, expected } of judgedTests(tests, silicon)) {
    const { name } = test.form;
    const count = taken.get(name) ?? 0;
    if (count >= share) continue;
    taken.set(name, count + 1);
    const undefinedParts = undefinedHere(test, expected);
    if (!recordable(undefinedParts)) continue;
    vectors.push({ name, snippet: test.snippet, result: expected, undefinedParts });
  }
  const bytes = encodeVectors(vectors, tests.backgrounds.states);
  writeFileSync(file, bytes);
  console.log(`${vectors.length} vectors of ${taken.size} forms, ${bytes.length} bytes`);
}

const countNames = (forms: readonly TestForm[]): number =>
  new Set(forms.map(({ name }) => name)).size;

const silicon = new Silicon();
try {
  const tests = campaign(silicon);
  if (options.record !== undefined) {
    record(options.record, silicon, tests);
  } else if (options.serve) {
    const here = trials(silicon, tests);
    await serve((part: Part) => here.run(part));
  } else {
    const start = performance.now();
    const sum = await runTests(silicon, tests);
    summarise(sum, tests, (performance.now() - start) / 1000);
    const agrees = differing(sum) === 0;
    if (agrees && options.document !== undefined) {
      addToDocument(options.document, sum.coverage, tests);
    }
    process.exitCode = agrees ? 0 : 1;
  }
} finally {
  silicon.close();
}
