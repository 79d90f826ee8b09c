import { SeededRandom } from "../support/random.ts";
import type { Backgrounds } from "./backgrounds.ts";
import { compare, type Difference, isSame } from "./compare.ts";
import {
  BATCH,
  type Judge,
  type Mode,
  type Snippet,
  type SnippetCpu,
  type SnippetResult,
} from "./driver.ts";
import type { TestForm } from "./forms.ts";
import { type GeneratedTest, generate } from "./generate.ts";
import { differsByVendor, undefinedHere } from "./vendor.ts";

/** How often a form was compared, and how often that ended in a fault. */
export interface FormCoverage {
  compared: number;
  faults: number;
}

export interface Failure {
  /** Number of the test in its campaign. */
  readonly index: number;
  readonly test: GeneratedTest;
  readonly suspect: SnippetCpu;
  readonly differences: readonly Difference[];
}

export interface CampaignOptions {
  readonly forms: readonly TestForm[];
  readonly modes: readonly Mode[];
  readonly seed: number;
  /** Index of the first test, and how many. */
  readonly first: number;
  readonly count: number;
  readonly backgrounds: Backgrounds;
}

export interface JudgedTest {
  readonly index: number;
  readonly test: GeneratedTest;
  readonly expected: SnippetResult;
}

/** The number in its campaign of a test that the judge has not come back from, and the test. */
type OnLost = (index: number, test: GeneratedTest) => void;

/**
 * Random tests, each of which depends on nothing but the seed and its number, with the judge's
 * results.
 */
export function* judgedTests(
  options: CampaignOptions,
  judge: Judge,
  onLost: OnLost = () => {},
  prepare: (snippets: readonly Snippet[]) => void = () => {},
): Generator<JudgedTest> {
  const { modes, seed, first, count, backgrounds } = options;
  const forms = options.forms.filter((form) => form.modes.some((mode) => modes.includes(mode)));
  if (forms.length === 0) throw new Error("no form to test");
  const testAt = (index: number): GeneratedTest => {
    const random = new SeededRandom(Math.imul(seed, 0x9e37_79b1) ^ index);
    const form = random.pick(forms);
    const mode = random.pick(form.modes.filter((candidate) => modes.includes(candidate)));
    for (;;) {
      const test = generate(form, mode, random, backgrounds);
      if (!differsByVendor(test)) return test;
    }
  };
  const begin = (from: number): Batch => {
    const length = Math.min(BATCH, first + count - from);
    const tests = Array.from({ length }, (_, offset) => testAt(from + offset));
    const snippets = tests.map(({ snippet }) => snippet);
    const finish = judge.start?.(snippets) ?? (() => judge.runAll(snippets));
    return { from, tests, snippets, finish };
  };
  let next = count > 0 ? begin(first) : undefined;
  while (next !== undefined) {
    const { from, tests, snippets, finish } = next;
    const results = finish();
    const behind = from + tests.length;
    // The judge goes on while the others do what it has done.
    next = behind < first + count ? begin(behind) : undefined;
    prepare(snippets);
    for (const [offset, test] of tests.entries()) {
      const [index, expected] = [from + offset, results[offset]];
      if (expected === undefined) onLost(index, test);
      else yield { index, test, expected };
    }
  }
}

/** Tests that the judge is at. */
interface Batch {
  readonly from: number;
  readonly tests: readonly GeneratedTest[];
  readonly snippets: readonly Snippet[];
  finish(): (SnippetResult | undefined)[];
}

/**
 * Compares processors with the judge.
 * @param coverage counted up, by the forms' names
 */
export function* failures(
  options: CampaignOptions,
  judge: Judge,
  suspects: readonly SnippetCpu[],
  coverage: Map<string, FormCoverage>,
  onLost: OnLost = () => {},
): Generator<Failure> {
  const prepare = (snippets: readonly Snippet[]): void => {
    for (const suspect of suspects) suspect.prepare?.(snippets);
  };
  for (const { index, test, expected } of judgedTests(options, judge, onLost, prepare)) {
    const counts = coverage.get(test.form.name) ?? { compared: 0, faults: 0 };
    counts.compared++;
    if (expected.fault !== undefined) counts.faults++;
    coverage.set(test.form.name, counts);
    for (const suspect of suspects) {
      const actual = suspect.run(test.snippet);
      if (isSame(expected, actual)) continue;
      const differences = compare(expected, actual, undefinedHere(test, expected));
      if (differences.length > 0) yield { index, test, suspect, differences };
    }
    expected.state.giveUp();
    test.snippet.state.giveUp();
  }
}
