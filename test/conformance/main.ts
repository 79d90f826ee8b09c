/**
 * `npm run test:silicon -- [--count N] [--seed S] [--cpu NAME[,NAME]] [--forms REGEXP] [--mode 32|64]
 * [--first INDEX] [--failures N] [--document FILE] [--record FILE]`
 *
 * Random single instructions on the real processor and on some of ours. Exit status 1 when they
 * differ anywhere.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { Backgrounds } from "./backgrounds.ts";
import { type CampaignOptions, type FormCoverage, failures, judgedTests } from "./campaign.ts";
import { compare } from "./compare.ts";
import { addCampaign } from "./coverage-document.ts";
import type { SnippetCpu } from "./driver.ts";
import { type TestForm, testForms } from "./forms.ts";
import type { GeneratedTest } from "./generate.ts";
import { HAND_WRITTEN } from "./hand-written-forms.ts";
import { minimise } from "./minimise.ts";
import { PROCESSORS } from "./processors.ts";
import { describeFailure } from "./report.ts";
import { Silicon } from "./silicon.ts";
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
    document: { type: "string" },
    record: { type: "string" },
    "hand-written": { type: "boolean", default: false },
  },
});

function number(name: "count" | "seed" | "first" | "failures"): number {
  const value = Number(options[name]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} takes a whole number`);
  return value;
}

function campaign(silicon: Silicon): CampaignOptions {
  const pattern = new RegExp(options.forms);
  const all = testForms(options["hand-written"] ? [HAND_WRITTEN] : FAMILIES);
  const forms = all.filter(({ name }) => pattern.test(name));
  const wanted = options.mode === undefined ? [32, 64] : [Number(options.mode)];
  const modes = silicon.modes.filter((mode) => wanted.includes(mode));
  const seed = number("seed");
  return {
    ...{ forms, modes, seed, first: number("first"), count: number("count") },
    // Recorded vectors are differences from their backgrounds: few of those make a small file.
    backgrounds: new Backgrounds(seed, options.record === undefined ? 64 : 4, silicon.segmentBases),
  };
}

/** Minimised failures, one for each form; the others are counted. */
function runTests(
  silicon: Silicon,
  suspects: readonly SnippetCpu[],
  tests: CampaignOptions,
): boolean {
  const coverage = new Map<string, FormCoverage>();
  const failed = new Map<string, number>();
  const limit = number("failures");
  const start = performance.now();
  let lost = 0;
  const onLost = (index: number, { form, snippet }: GeneratedTest): void => {
    lost++;
    const code = Buffer.from(snippet.code).toString("hex");
    console.log(`test ${index}: ${form.name}, ${snippet.mode}-bit: ${code}: not judged`);
  };
  for (const failure of failures(tests, silicon, suspects, coverage, onLost)) {
    const { index, test, suspect } = failure;
    const name = `${test.form.name} (${suspect.name})`;
    const before = failed.get(name) ?? 0;
    failed.set(name, before + 1);
    if (before > 0 || failed.size > limit) continue;
    const smallest = minimise(test, silicon, suspect);
    const expected = silicon.run(smallest.snippet);
    const actual = suspect.run(smallest.snippet);
    const differences = compare(expected, actual, undefinedHere(smallest, expected));
    console.log(
      `test ${index}: ${describeFailure(smallest, [silicon.name, suspect.name], differences)}\n`,
    );
  }
  const names = suspects.map((suspect) => suspect.name);
  const seconds = (performance.now() - start) / 1000;
  for (const [name, count] of failed) console.log(`${String(count).padStart(7)} differ: ${name}`);
  const total = [...failed.values()].reduce((sum, count) => sum + count, 0);
  const faults = [...coverage.values()].reduce((sum, counts) => sum + counts.faults, 0);
  console.log(
    `${names.join(" and ")} against ${silicon.name}, seed ${tests.seed}, ${tests.modes.join(" and ")}-bit: ` +
      `${tests.count} tests of ${coverage.size} forms (${faults} faults), ${total} differ, ${lost} not judged; ` +
      `${Math.round(tests.count / seconds)} tests a second`,
  );
  if (options.document !== undefined && total === 0) {
    addToDocument(options.document, coverage, tests);
  }
  return total === 0;
}

/** Adds the counts of a campaign without differences to the document. */
function addToDocument(
  file: string,
  coverage: ReadonlyMap<string, FormCoverage>,
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
  writeFileSync(file, addCampaign(before, FAMILIES, coverage, campaign));
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
  } else {
    const suspects = options.cpu.split(",").map((name) => {
      const create = PROCESSORS.get(name);
      if (create === undefined) {
        throw new Error(`--cpu takes some of: ${[...PROCESSORS.keys()].join(", ")}`);
      }
      return create();
    });
    process.exitCode = runTests(silicon, suspects, tests) ? 0 : 1;
  }
} finally {
  silicon.close();
}
