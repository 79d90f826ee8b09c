import type { SnippetCpu } from "./driver.ts";
import { Fallback } from "./fallback.ts";
import { KvmSilicon } from "./kvm-silicon.ts";
import { Silicon } from "./silicon.ts";

/** Processors that can be tested, by name; the first is the one tested when nothing is said. */
export const PROCESSORS: ReadonlyMap<string, () => SnippetCpu> = new Map<string, () => SnippetCpu>([
  ["fallback", () => new Fallback()],
  ["jit", () => new Fallback(undefined, "jit")],
  // Itself once more: shows that the judge says the same thing twice.
  ["silicon", () => new Silicon()],
  ["kvm", () => new KvmSilicon()],
]);
