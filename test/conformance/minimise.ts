import { plainState } from "./backgrounds.ts";
import { compare } from "./compare.ts";
import { type CpuState, IMAGE, IMAGE_SIZE } from "./cpu-state.ts";
import type { SnippetCpu } from "./driver.ts";
import type { GeneratedTest } from "./generate.ts";
import { undefinedResult } from "./undefined-results.ts";

/** Whether two processors disagree about a snippet, where the result is defined. */
export function disagree(test: GeneratedTest, judge: SnippetCpu, suspect: SnippetCpu): boolean {
  const expected = judge.run(test.snippet);
  const actual = suspect.run(test.snippet);
  return compare(expected, actual, undefinedResult(test, expected)).length > 0;
}

/** Parts of the image that are tried one by one: [offset, length]. */
function* parts(): Generator<readonly [number, number]> {
  const PAGE_QUARTER = 0x400;
  for (let at = IMAGE.DATA; at < IMAGE_SIZE; at += PAGE_QUARTER) yield [at, PAGE_QUARTER];
  for (let at: number = IMAGE.XMM; at < IMAGE.DATA; at += 16) yield [at, 16];
  for (let at: number = IMAGE.ST; at < IMAGE.XMM; at += 16) yield [at, 16];
  yield [IMAGE.FX, IMAGE.MXCSR - IMAGE.FX];
  yield [IMAGE.MXCSR, 4];
  for (let at: number = IMAGE.GPR; at < IMAGE.RIP; at += 8) yield [at, 8];
  for (const at of [IMAGE.RFLAGS, IMAGE.FS_BASE, IMAGE.GS_BASE]) yield [at, 8];
  // What is left of a register or of memory, byte by byte.
  for (let at: number = IMAGE.GPR; at < IMAGE.RIP; at++) yield [at, 1];
  for (let at: number = IMAGE.ST; at < IMAGE.DATA; at++) yield [at, 1];
}

function isPlain(state: CpuState, plain: CpuState, at: number, length: number): boolean {
  const part = (s: CpuState): Uint8Array => s.bytes.subarray(at, at + length);
  return Buffer.compare(part(state), part(plain)) === 0;
}

/** The same instruction from the plainest state in which the two still disagree. */
export function minimise(
  test: GeneratedTest,
  judge: SnippetCpu,
  suspect: SnippetCpu,
): GeneratedTest {
  const plain = plainState();
  let smallest = test;
  for (const [at, length] of parts()) {
    if (isPlain(smallest.snippet.state, plain, at, length)) continue;
    const state = smallest.snippet.state.clone();
    state.bytes.set(plain.bytes.subarray(at, at + length), at);
    const candidate = { ...smallest, snippet: { ...smallest.snippet, state } };
    if (disagree(candidate, judge, suspect)) smallest = candidate;
  }
  return smallest;
}
