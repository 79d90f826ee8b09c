import { regionListing } from "../jit/listing.ts";
import type { MadeRegion } from "../jit/region-maker.ts";
import { flat } from "./comparison.ts";
import type { Failure } from "./search.ts";

/**
 * What is to be known of a difference, as text of many lines.
 * @param found what differed at first
 * @param failure where it comes from, if that was found
 * @param instructions that the guest had executed
 * @param regionAt by linear address of its entry
 */
export function describeDifference(
  found: readonly string[],
  failure: Failure | undefined,
  instructions: number,
  regionAt: (linear: bigint) => MadeRegion | undefined,
): string {
  const head = `the JIT and the interpreter differ, before instruction ${instructions} of the guest`;
  if (failure === undefined) return [head, ...found.map(indented)].join("\n");
  const { linear, before } = failure;
  const region = regionAt(linear);
  const state = [...flat(before)].map(([name, value]) => `${name} ${value}`);
  return [
    head,
    ...failure.found.map(indented),
    `within ${failure.instructions} instructions from 0x${linear.toString(16)} in this state:`,
    ...wrapped(state).map(indented),
    region === undefined ? "no region is entered there" : "the region that is entered there:",
    ...(region === undefined ? [] : regionListing(region).map(indented)),
  ].join("\n");
}

const indented = (line: string): string => `  ${line}`;

const ROW = 4;
function wrapped(words: readonly string[]): string[] {
  const rows: string[] = [];
  for (let at = 0; at < words.length; at += ROW) rows.push(words.slice(at, at + ROW).join(", "));
  return rows;
}
