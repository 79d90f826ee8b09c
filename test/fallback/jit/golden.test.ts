import { describe, expect, test } from "vitest";
import { regionListing } from "../../../fallback/jit/listing.ts";
import type { MadeRegion } from "../../../fallback/jit/region-maker.ts";
import { CODE, machine, runFor } from "./machine.ts";
import { LOOP_OFFSET, SNIPPETS, type Snippet } from "./snippets.ts";

/** Of the first region that is entered at the loop's start. */
function listingOf({ name, code, bits, segmented = false }: Snippet): string {
  let listing: readonly string[] | undefined;
  const onRegion = (made: MadeRegion): void => {
    const [entry] = made.blocks;
    if (entry?.address === CODE + LOOP_OFFSET) listing ??= regionListing(made);
  };
  const guest = machine(code, 3, { name, bits, segmented }, { onRegion });
  expect(runFor(guest, 10_000)).toBe(true);
  return `${listing?.join("\n")}\n`;
}

/**
 * Whoever changes the code that is made runs `npx vitest run test/fallback/jit/golden.test.ts -u`, and
 * reads the difference in the files before they are committed.
 */
describe("the WebAssembly that becomes of", () => {
  test.each(SNIPPETS)("$name is what is kept", async (snippet) => {
    await expect(listingOf(snippet)).toMatchFileSnapshot(`golden/${snippet.name}.wat`);
  });
});
