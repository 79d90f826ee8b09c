import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { addCampaign, documentedForms, formNames } from "./coverage-document.ts";
import { HAND_WRITTEN } from "./hand-written-forms.ts";

const DOCUMENT = join(import.meta.dirname, "..", "..", "docs", "instruction-coverage.md");

test("the document lists the forms of the table, each of them once", () => {
  expect(documentedForms(readFileSync(DOCUMENT, "utf8"))).toEqual(formNames(FAMILIES));
});

test("a campaign adds to what the document says", () => {
  const name = "ADD 01 Ev,Gv";
  const counts = new Map([[name, { compared: 3, faults: 1 }]]);
  const campaign = { seed: 7, tests: 3, modes: "64", vendor: "Intel" };
  const once = addCampaign("", [HAND_WRITTEN], counts, campaign);
  const twice = addCampaign(once, [HAND_WRITTEN], counts, { ...campaign, seed: 8 });
  expect(twice).toContain(`| \`${name}\` | 6 | 2 |`);
  expect(twice).toContain("- seed 7: 3 tests in 64-bit mode, judged by Intel\n- seed 8: ");
});
