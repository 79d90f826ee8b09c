import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  approximateReciprocal,
  approximateReciprocalRoot,
} from "../../../fallback/float/approximation.ts";
import { FloatContext } from "../../../fallback/float/context.ts";
import { BINARY32, BINARY64, type Format } from "../../../fallback/float/format.ts";
import * as sse from "../../../fallback/float/sse.ts";
import { SeededRandom } from "../../support/random.ts";
import { neighbourBits, randomBits, randomInteger } from "./operands.ts";
import { COUNT, noSilicon, type Question, SEED, Silicon, type SseInstruction } from "./silicon.ts";

/** An instruction, and what it does to `a` in XMM0 and `b` in XMM1 or RAX. */
interface Case extends SseInstruction {
  /** Format of `a`, and of `b` unless that is an integer. */
  readonly format: Format;
  /** `b` is an integer of so many bits. */
  readonly integer?: number;
  readonly result: { readonly register: "xmm" | "rax"; readonly width: number };
  readonly run: (ctx: FloatContext, a: bigint, b: bigint) => bigint;
}

const xmm = (width: number) => ({ register: "xmm", width }) as const;
const rax = (width: number) => ({ register: "rax", width }) as const;
const FORMATS = [
  { format: BINARY32, suffix: "ss", width: 32 },
  { format: BINARY64, suffix: "sd", width: 64 },
] as const;
const INTEGERS = [
  { width: 32, register: "%%eax", suffix: "l" },
  { width: 64, register: "%%rax", suffix: "q" },
] as const;

const BINARY: Readonly<Record<string, sse.BinaryOperation>> = {
  add: sse.add,
  sub: sse.subtract,
  mul: sse.multiply,
  div: sse.divide,
  min: sse.minimum,
  max: sse.maximum,
};

/** ZF, PF and CF, of LAHF's image, as COMISS sets them (SDM vol. 2, COMISS). */
const comparisonFlags = (order: number): bigint =>
  ({ [-1]: 0x01n, 0: 0x40n, 1: 0n, 2: 0x45n })[order] as bigint;

const LAHF = "lahf; movzbl %%ah, %%eax; andl $0x45, %%eax";

const CASES: readonly Case[] = FORMATS.flatMap(({ format, suffix, width }): Case[] => [
  ...Object.entries(BINARY).map(
    ([name, operation]): Case => ({
      kind: "sse",
      name: name + suffix,
      text: `${name}${suffix} %%xmm1, %%xmm0`,
      format,
      result: xmm(width),
      run: (ctx, a, b) => operation(ctx, format, a, b),
    }),
  ),
  {
    kind: "sse",
    name: `sqrt${suffix}`,
    text: `sqrt${suffix} %%xmm1, %%xmm0`,
    format,
    result: xmm(width),
    run: (ctx, _a, b) => sse.squareRoot(ctx, format, b),
  },
  {
    kind: "sse",
    name: `comi${suffix}`,
    text: `comi${suffix} %%xmm1, %%xmm0`,
    after: LAHF,
    format,
    result: rax(8),
    run: (ctx, a, b) => comparisonFlags(sse.compareOrdered(ctx, format, a, b)),
  },
  {
    kind: "sse",
    name: `ucomi${suffix}`,
    text: `ucomi${suffix} %%xmm1, %%xmm0`,
    after: LAHF,
    format,
    result: rax(8),
    run: (ctx, a, b) => comparisonFlags(sse.compareUnordered(ctx, format, a, b)),
  },
  ...[0, 1, 2, 3, 4, 5, 6, 7].map(
    (predicate): Case => ({
      kind: "sse",
      name: `cmp${suffix} ${predicate}`,
      text: `cmp${suffix} $${predicate}, %%xmm1, %%xmm0`,
      format,
      result: xmm(width),
      run: (ctx, a, b) =>
        sse.compareBy(ctx, format, a, b, predicate) ? (1n << BigInt(width)) - 1n : 0n,
    }),
  ),
  ...[0, 1, 2, 3, 4, 8, 9, 10, 11, 12].map(
    (control): Case => ({
      kind: "sse",
      name: `round${suffix} ${control}`,
      text: `round${suffix} $${control}, %%xmm1, %%xmm0`,
      format,
      result: xmm(width),
      run: (ctx, _a, b) => sse.roundElement(ctx, format, b, control),
    }),
  ),
  ...INTEGERS.flatMap((integer): Case[] => [
    {
      kind: "sse",
      name: `cvt${suffix}2si ${integer.width}`,
      text: `cvt${suffix}2si %%xmm1, ${integer.register}`,
      format,
      result: rax(integer.width),
      run: (ctx, _a, b) => sse.convertToInteger(ctx, format, b, integer.width),
    },
    {
      kind: "sse",
      name: `cvtt${suffix}2si ${integer.width}`,
      text: `cvtt${suffix}2si %%xmm1, ${integer.register}`,
      format,
      result: rax(integer.width),
      run: (ctx, _a, b) => sse.truncate(ctx, format, b, integer.width),
    },
    {
      kind: "sse",
      name: `cvtsi2${suffix} ${integer.width}`,
      text: `cvtsi2${suffix}${integer.suffix} ${integer.register}, %%xmm0`,
      format,
      integer: integer.width,
      result: xmm(width),
      run: (ctx, _a, b) => sse.convertFromInteger(ctx, format, BigInt.asIntN(integer.width, b)),
    },
  ]),
]).concat([
  {
    kind: "sse",
    name: "rcpss",
    text: "rcpss %%xmm1, %%xmm0",
    format: BINARY32,
    result: xmm(32),
    run: (_ctx, _a, b) => approximateReciprocal(b),
  },
  {
    kind: "sse",
    name: "rsqrtss",
    text: "rsqrtss %%xmm1, %%xmm0",
    format: BINARY32,
    result: xmm(32),
    run: (_ctx, _a, b) => approximateReciprocalRoot(b),
  },
  {
    kind: "sse",
    name: "cvtss2sd",
    text: "cvtss2sd %%xmm1, %%xmm0",
    format: BINARY32,
    result: xmm(64),
    run: (ctx, _a, b) => sse.convert(ctx, BINARY32, BINARY64, b),
  },
  {
    kind: "sse",
    name: "cvtsd2ss",
    text: "cvtsd2ss %%xmm1, %%xmm0",
    format: BINARY64,
    result: xmm(32),
    run: (ctx, _a, b) => sse.convert(ctx, BINARY64, BINARY32, b),
  },
]);

const PACKED: readonly SseInstruction[] = [
  { kind: "sse", name: "divpd", text: "divpd %%xmm1, %%xmm0" },
];

const MASKS = 0x1f80;

function randomMxcsr(random: SeededRandom): number {
  const masks = random.chance(80) ? MASKS : random.next() & MASKS;
  const flush = random.chance(25) ? 0x8000 : 0;
  const zeros = random.chance(25) ? 0x40 : 0;
  return masks | flush | zeros | (random.below(4) << 13);
}

function question(random: SeededRandom, index: number, { format, integer }: Case): Question {
  const a = randomBits(random, format);
  const b =
    integer === undefined ? neighbourBits(random, format, a) : randomInteger(random, integer);
  return {
    instruction: index,
    controlWord: 0x37f,
    mxcsr: randomMxcsr(random),
    a: { low: a, high: 0n },
    b: { low: BigInt.asUintN(64, b), high: 0n },
  };
}

const show = (value: bigint): string => BigInt.asUintN(64, value).toString(16);

describe.skipIf(noSilicon())("SSE as the processor does it", () => {
  let silicon: Silicon;
  beforeAll(() => {
    silicon = new Silicon([...CASES, ...PACKED]);
  });
  afterAll(() => silicon.dispose());

  test.each(CASES.map((each, index) => [each.name, each, index] as const))(
    "%s",
    (_name, each, index) => {
      const random = new SeededRandom(SEED + index);
      const questions = Array.from({ length: COUNT }, () => question(random, index, each));
      const answers = silicon.ask(questions);
      const ctx = new FloatContext();
      const differences = questions.flatMap(({ a, b, mxcsr }, at) => {
        const answer = answers[at] as (typeof answers)[number];
        ctx.useMxcsr(mxcsr);
        ctx.begin();
        const result = each.run(ctx, a.low, b.low);
        const trapped = ctx.complete() !== 0;
        const { register, width } = each.result;
        const theirs = register === "xmm" ? answer.first.low : answer.second.low;
        const isSame =
          trapped === answer.trapped &&
          ctx.flags === (answer.mxcsr & 63) &&
          (trapped || BigInt.asUintN(width, result) === BigInt.asUintN(width, theirs));
        if (isSame) return [];
        const ours = `${show(result)} flags ${ctx.flags} ${trapped ? "trapped" : ""}`;
        return `${show(a.low)} ${show(b.low)} mxcsr ${mxcsr.toString(16)}: ${ours}, silicon ${show(theirs)} flags ${answer.mxcsr & 63} ${answer.trapped ? "trapped" : ""}`;
      });
      expect(differences.slice(0, 5)).toEqual([]);
    },
  );

  test("flags of packed elements, exceptions unmasked", () => {
    const random = new SeededRandom(SEED);
    const index = CASES.length;
    const questions = Array.from({ length: COUNT }, (): Question => {
      const elements = [0, 1].map(() => randomBits(random, BINARY64)) as [bigint, bigint];
      return {
        instruction: index,
        controlWord: 0x37f,
        mxcsr: random.next() & MASKS,
        a: { low: elements[0], high: elements[1] },
        b: {
          low: neighbourBits(random, BINARY64, elements[0]),
          high: neighbourBits(random, BINARY64, elements[1]),
        },
      };
    });
    const ctx = new FloatContext();
    const answers = silicon.ask(questions);
    const differences = questions.filter(({ a, b, mxcsr }, at) => {
      const answer = answers[at] as (typeof answers)[number];
      ctx.useMxcsr(mxcsr);
      ctx.begin();
      sse.divide(ctx, BINARY64, a.low, b.low);
      sse.divide(ctx, BINARY64, a.high, b.high);
      const trapped = ctx.complete() !== 0;
      return trapped !== answer.trapped || ctx.flags !== (answer.mxcsr & 63);
    });
    expect(differences.slice(0, 5)).toEqual([]);
  });
});
