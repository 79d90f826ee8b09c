/**
 * `docs/instruction-coverage.md`: how often each form of the table was compared with a real
 * processor. The document is its own store: campaigns add to what it says already.
 */
import { parseForms } from "../../fallback/isa/form.ts";
import type { Family } from "../../fallback/isa/instruction.ts";
import type { FormCoverage } from "./campaign.ts";
import { testForms } from "./forms.ts";

/** A campaign that went into the counts. */
export interface CampaignLine {
  readonly seed: number;
  readonly tests: number;
  /** `64` or `32 and 64`. */
  readonly modes: string;
  /** The judge's vendor. */
  readonly vendor: string;
}

interface Document {
  readonly campaigns: readonly string[];
  readonly counts: ReadonlyMap<string, FormCoverage>;
}

const ROW = /^\| `([^`]+)` \| (\d+) \| (\d+) \|$/;
const CAMPAIGN = /^- seed \d+: /;
const NOT_COMPARED = "not compared";

/** Names of all forms; eight opcodes of one with an opcode register are one. */
export function formNames(families: readonly Family[]): string[] {
  const names = families
    .flat()
    .flatMap(parseForms)
    .map(({ instruction, text }) => `${instruction.name} ${text}`);
  return [...new Set(names)].sort();
}

/** Names in the document's rows, in order. */
export const documentedForms = (text: string): string[] =>
  text.split("\n").flatMap((line) => /^\| `([^`]+)` \|/.exec(line)?.[1] ?? []);

function parse(text: string): Document {
  const counts = new Map<string, FormCoverage>();
  const campaigns: string[] = [];
  for (const line of text.split("\n")) {
    if (CAMPAIGN.test(line)) campaigns.push(line);
    const [, name, compared, faults] = ROW.exec(line) ?? [];
    if (name === undefined) continue;
    counts.set(name, { compared: Number(compared), faults: Number(faults) });
  }
  return { campaigns, counts };
}

/** The document after a campaign that found no difference. @param before its text, or none */
export function addCampaign(
  before: string,
  families: readonly Family[],
  coverage: ReadonlyMap<string, FormCoverage>,
  campaign: CampaignLine,
): string {
  const { campaigns, counts } = parse(before);
  const comparable = new Set(testForms(families).map(({ name }) => name));
  const sum = (name: string): FormCoverage => {
    const old = counts.get(name) ?? { compared: 0, faults: 0 };
    const now = coverage.get(name) ?? { compared: 0, faults: 0 };
    return { compared: old.compared + now.compared, faults: old.faults + now.faults };
  };
  const rows = formNames(families).map((name) => {
    if (!comparable.has(name)) return `| \`${name}\` | ${NOT_COMPARED} | |`;
    const { compared, faults } = sum(name);
    return `| \`${name}\` | ${compared} | ${faults} |`;
  });
  const { seed, tests, modes, vendor } = campaign;
  const line = `- seed ${seed}: ${tests} tests in ${modes}-bit mode, judged by ${vendor}`;
  return [
    "# How often each instruction was compared with a real processor",
    "",
    "Made by `npm run test:silicon -- --seed S --count N --document docs/instruction-coverage.md`,",
    "which adds its counts if nothing differed; do not edit. A form is an encoding of the table in",
    "`fallback/isa/`; the last column counts the comparisons that ended in a fault. Forms that depend",
    "on the machine or on descriptor tables are not compared: guests test those (`test/guest/system`).",
    "",
    ...campaigns,
    line,
    "",
    "| form | compared | faults |",
    "|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
