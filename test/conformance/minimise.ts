import { plainState } from "./backgrounds.ts";
import { compare } from "./compare.ts";
import { type CpuState, IMAGE, IMAGE_SIZE } from "./cpu-state.ts";
import type { Judge, SnippetCpu } from "./driver.ts";
import type { GeneratedTest } from "./generate.ts";
import { undefinedHere } from "./vendor.ts";

/** Where two processors disagree about a snippet, as far as the result is defined. */
function disagreements(test: GeneratedTest, judge: Judge, suspect: SnippetCpu): string[] {
  const [expected] = judge.runAll([test.snippet]);
  if (expected === undefined) return [];
  const actual = suspect.run(test.snippet);
  return compare(expected, actual, undefinedHere(test, expected)).map(({ what }) => what);
}

/** Offset, length, and the length below which it is not divided. */
type Part = readonly [at: number, length: number, least: number];

const PARTS: readonly Part[] = [
  [IMAGE.DATA, IMAGE.YMM_UPPER - IMAGE.DATA, 1],
  [IMAGE.YMM_UPPER, IMAGE_SIZE - IMAGE.YMM_UPPER, 1],
  [IMAGE.XMM, IMAGE.DATA - IMAGE.XMM, 1],
  [IMAGE.ST, IMAGE.XMM - IMAGE.ST, 1],
  [IMAGE.FX, IMAGE.MXCSR - IMAGE.FX, IMAGE.MXCSR - IMAGE.FX],
  [IMAGE.MXCSR, 4, 4],
  [IMAGE.GPR, IMAGE.RIP - IMAGE.GPR, 1],
  [IMAGE.RFLAGS, 8, 8],
  [IMAGE.FS_BASE, 8, 8],
  [IMAGE.GS_BASE, 8, 8],
];

function isPlain(state: CpuState, plain: CpuState, at: number, length: number): boolean {
  const part = (s: CpuState): Uint8Array => s.bytes.subarray(at, at + length);
  return Buffer.compare(part(state), part(plain)) === 0;
}

/** The same instruction from the plainest state in which the two still disagree about the same. */
export function minimise(test: GeneratedTest, judge: Judge, suspect: SnippetCpu): GeneratedTest {
  const plain = plainState();
  const [what] = disagreements(test, judge, suspect);
  if (what === undefined) return test;
  let smallest = test;
  const simplify = ([at, length, least]: Part): void => {
    const { snippet } = smallest;
    if (isPlain(snippet.state, plain, at, length)) return;
    const state = snippet.state.clone();
    state.bytes.set(plain.bytes.subarray(at, at + length), at);
    const candidate = { ...smallest, snippet: { ...snippet, state } };
    if (disagreements(candidate, judge, suspect).includes(what)) {
      smallest = candidate;
    } else if (length > least) {
      const half = Math.ceil(length / 2);
      simplify([at, half, least]);
      simplify([at + half, length - half, least]);
    }
  };
  PARTS.forEach(simplify);
  return smallest;
}
