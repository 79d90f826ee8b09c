import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { run } from "./snippets.ts";

type Words = readonly number[];

/** XMM1 after an instruction on XMM1, XMM2 and XMM0, as words, the lowest first. */
function execute(code: string, first: Words, second: Words, implied: Words = []): number[] {
  const { state } = run(code, (before) => {
    for (const [register, words] of [implied, first, second].entries()) {
      before
        .xmm(register)
        .set(new Uint8Array(Uint32Array.from([...words, 0, 0, 0, 0]).buffer, 0, 16));
    }
  });
  const bytes = state.xmm(1);
  return [...new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 16))];
}

/** A block of one message, the padding of FIPS 180-4 §5.1.1 in it, as words. */
function paddedBlock(text: string): number[] {
  const block = Buffer.alloc(64);
  block.write(text);
  block[text.length] = 0x80;
  block.writeUInt32BE(8 * text.length, 60);
  return Array.from({ length: 16 }, (_, word) => block.readUInt32BE(4 * word));
}

const plus = (a: Words, b: Words): number[] => a.map((word, at) => (word + (b[at] ?? 0)) >>> 0);
const digest = (words: Words): string =>
  words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
const TEXT = "a message of a single block";
const GROUPS = [0, 4, 8, 12];

test("SHA-1 of a block", () => {
  const start = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
  const e = 0xc3d2_e1f0;
  const block = paddedBlock(TEXT);
  // The highest word comes first.
  const messages = GROUPS.map((at) => block.slice(at, at + 4).reverse());
  for (let group = 4; group < 20; group++) {
    const [a, b, c, d] = messages.slice(-4) as [number[], number[], number[], number[]];
    const first = execute("0f 38 c9 ca", a, b).map((word, at) => (word ^ (c[at] ?? 0)) >>> 0);
    messages.push(execute("0f 38 ca ca", first, d));
  }
  let state = [...start].reverse();
  let before: number[] | undefined;
  for (const [group, message] of messages.entries()) {
    const next =
      before === undefined ? plus(message, [0, 0, 0, e]) : execute("0f 38 c8 ca", before, message);
    before = state;
    state = execute(`0f 3a cc ca 0${Math.floor(group / 5)}`, state, next);
  }
  const last = execute("0f 38 c8 ca", before ?? [], [0, 0, 0, e]);
  const sums = [...plus([...state].reverse(), start), last[3] ?? 0];
  expect(digest(sums)).toBe(createHash("sha1").update(TEXT).digest("hex"));
});

/** FIPS 180-4 §4.2.2 and §5.3.3: of the first primes' roots, the first 32 bits behind the point. */
const PRIMES = Array.from({ length: 312 }, (_, at) => at).filter(
  (n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
);
const fraction = (root: number): number => Math.floor((root % 1) * 2 ** 32);

test("SHA-256 of a block", () => {
  const [a, b, c, d, e, f, g, h] = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
  const [outer, inner] = [[f, e, b, a] as number[], [h, g, d, c] as number[]];
  const constants = PRIMES.slice(0, 64).map((prime) => fraction(Math.cbrt(prime)));
  const block = paddedBlock(TEXT);
  const messages = GROUPS.map((at) => block.slice(at, at + 4));
  for (let group = 4; group < 16; group++) {
    const [p, q, r, s] = messages.slice(-4) as [number[], number[], number[], number[]];
    const first = plus(execute("0f 38 cc ca", p, q), [...r.slice(1), s[0] ?? 0]);
    messages.push(execute("0f 38 cd ca", first, s));
  }
  let [now, then] = [outer, inner];
  for (const [group, message] of messages.entries()) {
    const words = plus(message, constants.slice(4 * group, 4 * group + 4));
    for (const pair of [words.slice(0, 2), words.slice(2)]) {
      [now, then] = [execute("0f 38 cb ca", then, now, pair), now];
    }
  }
  const [abef, cdgh] = [plus(now, outer), plus(then, inner)].map((words) => words.reverse());
  const sums = [...(abef ?? []).slice(0, 2), ...(cdgh ?? []).slice(0, 2)];
  const others = [...(abef ?? []).slice(2), ...(cdgh ?? []).slice(2)];
  expect(digest([...sums, ...others])).toBe(createHash("sha256").update(TEXT).digest("hex"));
});
