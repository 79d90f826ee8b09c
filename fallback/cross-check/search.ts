import type { Registers } from "../../src/core/cpu.ts";
import { type Nanos, nanos } from "../../src/core/units.ts";
import { STATE_BYTES } from "../state.ts";
import type { Moment, Twin } from "./twin.ts";

/** What it takes to execute a stretch again. */
export interface RunAgain {
  /** The pages that it writes, as they were before. */
  readonly pages: Map<number, Uint8Array>;
  readonly until: Nanos;
}

/** The shortest stretch in which the processors come to differ. */
export interface Failure {
  readonly before: Registers;
  /** Linear address of the instruction that it begins with. */
  readonly linear: bigint;
  readonly instructions: number;
  readonly found: readonly string[];
}

const SCRATCH = new Uint8Array(STATE_BYTES);

/** A number between two, that of the first and not of the second kind, next to one of the second. */
function border(yes: number, no: number, isFirst: (value: number) => boolean): number {
  let [first, second] = [yes, no];
  while (Math.abs(first - second) > 1) {
    const middle = Math.floor((first + second) / 2);
    if (isFirst(middle)) first = middle;
    else second = middle;
  }
  return first;
}

/**
 * Executes a stretch again and again to find the shortest part of it in which they differ: from the
 * entry of a region to where that has been left, for single instructions are never translated.
 * @param differs what is not the same now, pages included
 * @returns undefined if it does not happen again
 */
export function search(
  interpreted: Twin,
  translated: Twin,
  before: { readonly interpreted: Moment; readonly translated: Moment },
  { pages, until }: RunAgain,
  differs: (pages: Iterable<number>) => readonly string[] | undefined,
): Failure | undefined {
  const start = before.interpreted.time;
  const putBack = (): void => {
    before.interpreted.putBack(interpreted);
    before.translated.putBack(translated);
    for (const [page, bytes] of pages) {
      interpreted.setPage(page, bytes);
      translated.setPage(page, bytes);
    }
  };
  /** Interpreted by both up to `from`; then each in its own way. */
  const part = (from: number, to: number): readonly string[] | undefined => {
    putBack();
    if (from > 0) {
      interpreted.cpu.run(nanos(start + from));
      become(translated, interpreted, pages.keys());
    }
    const end = nanos(start + to);
    interpreted.cpu.run(end);
    translated.cpu.run(end);
    return differs(pages.keys());
  };
  if (part(0, until - start) === undefined) return undefined;
  const bad = border(until - start, 0, (to) => part(0, to) !== undefined);
  const from = border(0, bad, (first) => part(first, bad) !== undefined);
  const found = part(from, bad) ?? [];
  putBack();
  interpreted.cpu.run(nanos(start + from));
  const registers = interpreted.cpu.readRegisters();
  const { rip, cs } = registers;
  return { before: registers, linear: rip + cs.base, instructions: bad - from, found };
}

/** A twin takes on the other's state, and its pages. */
function become(twin: Twin, other: Twin, pages: Iterable<number>): void {
  other.cpu.copyState(SCRATCH);
  twin.cpu.replaceState(SCRATCH);
  twin.clock.time = other.clock.time;
  twin.random.drawn = other.random.drawn;
  for (const page of pages) twin.setPage(page, other.page(page));
}
