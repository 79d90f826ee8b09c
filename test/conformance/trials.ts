import { type CampaignOptions, type FormCoverage, failures } from "./campaign.ts";
import { compare } from "./compare.ts";
import type { SnippetCpu } from "./driver.ts";
import type { GeneratedTest } from "./generate.ts";
import { minimise } from "./minimise.ts";
import { describeFailure } from "./report.ts";
import { Silicon } from "./silicon.ts";
import { undefinedHere } from "./vendor.ts";

/** Tests of a campaign by their numbers. */
export interface Part {
  readonly first: number;
  readonly count: number;
}

/** What came of some tests, as it can be sent from process to process. */
export interface Tally {
  tests: number;
  /** Tests that the judge has not come back from. */
  lost: number;
  /** By the forms' names. */
  readonly coverage: Record<string, FormCoverage>;
  /** How often a processor's results of a form differed, by the names of both. */
  readonly failed: Record<string, number>;
}

export const nothing = (): Tally => ({ tests: 0, lost: 0, coverage: {}, failed: {} });

export function add(sum: Tally, more: Tally): void {
  sum.tests += more.tests;
  sum.lost += more.lost;
  for (const [name, { compared, faults }] of Object.entries(more.coverage)) {
    sum.coverage[name] ??= { compared: 0, faults: 0 };
    sum.coverage[name].compared += compared;
    sum.coverage[name].faults += faults;
  }
  for (const [name, count] of Object.entries(more.failed)) {
    sum.failed[name] = (sum.failed[name] ?? 0) + count;
  }
}

export const differing = ({ failed }: Tally): number =>
  Object.values(failed).reduce((sum, count) => sum + count, 0);

/** Runs parts of a campaign and prints failures, minimised: one for each form, the others are counted. */
export class Trials {
  readonly #silicon: Silicon;
  readonly #suspects: readonly SnippetCpu[];
  readonly #options: Omit<CampaignOptions, keyof Part>;
  /** Failures to be printed at most. */
  readonly #limit: number;
  readonly #printed = new Set<string>();
  /** For what is minimised: the other one is at work already. */
  #again: Silicon | undefined;

  constructor(
    silicon: Silicon,
    suspects: readonly SnippetCpu[],
    options: Omit<CampaignOptions, keyof Part>,
    limit: number,
  ) {
    this.#silicon = silicon;
    this.#suspects = suspects;
    this.#options = options;
    this.#limit = limit;
  }

  run(part: Part): Tally {
    const tally = nothing();
    const coverage = new Map<string, FormCoverage>();
    const onLost = (index: number, { form, snippet }: GeneratedTest): void => {
      tally.lost++;
      const code = Buffer.from(snippet.code).toString("hex");
      console.log(`test ${index}: ${form.name}, ${snippet.mode}-bit: ${code}: not judged`);
    };
    const options = { ...this.#options, ...part };
    for (const failure of failures(options, this.#silicon, this.#suspects, coverage, onLost)) {
      const { index, test, suspect } = failure;
      const name = `${test.form.name} (${suspect.name})`;
      tally.failed[name] = (tally.failed[name] ?? 0) + 1;
      if (this.#printed.has(name) || this.#printed.size >= this.#limit) continue;
      this.#printed.add(name);
      this.#print(index, test, suspect);
    }
    add(tally, { ...nothing(), tests: part.count, coverage: Object.fromEntries(coverage) });
    return tally;
  }

  #print(index: number, test: GeneratedTest, suspect: SnippetCpu): void {
    this.#again ??= new Silicon();
    const silicon = this.#again;
    const smallest = minimise(test, silicon, suspect);
    const expected = silicon.run(smallest.snippet);
    const actual = suspect.run(smallest.snippet);
    const differences = compare(expected, actual, undefinedHere(smallest, expected));
    const text = describeFailure(smallest, [silicon.name, suspect.name], differences);
    console.log(`test ${index}: ${text}\n`);
  }
}
