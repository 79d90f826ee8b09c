import type { SnippetCpu } from "./driver.ts";
import { Silicon } from "./silicon.ts";

/** Processors that can be tested, by name; the first is the one tested when nothing is said. */
export const PROCESSORS: ReadonlyMap<string, () => SnippetCpu> = new Map([
  // Itself once more: shows that the judge says the same thing twice.
  ["silicon", (): SnippetCpu => new Silicon()],
]);
