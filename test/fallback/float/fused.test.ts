import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FloatContext } from "../../../fallback/float/context.ts";
import { BINARY16, BINARY32, BINARY64, type Format } from "../../../fallback/float/format.ts";
import * as sse from "../../../fallback/float/sse.ts";
import { SeededRandom } from "../../support/random.ts";
import { neighbourBits, randomBits } from "./operands.ts";
import { COUNT, noSilicon, type Question, SEED, Silicon, type SseInstruction } from "./silicon.ts";

/** An instruction of XMM0, XMM1 and XMM2, whose result is in XMM0. */
interface Case extends SseInstruction {
  readonly format: Format;
  readonly width: number;
  readonly run: (ctx: FloatContext, values: readonly [bigint, bigint, bigint]) => bigint;
}

const FORMATS = [
  { format: BINARY32, suffix: "ss", width: 32 },
  { format: BINARY64, suffix: "sd", width: 64 },
] as const;

/** Which of the three operands are the factors, and which is the addend. */
const ORDERS = {
  132: [0, 2, 1],
  213: [1, 0, 2],
  231: [1, 2, 0],
} as const;

const SIGNS = { madd: [0, 0], msub: [0, 1], nmadd: [1, 0], nmsub: [1, 1] } as const;

/** XMM2 is what XMM0 has above its low half. */
const withThird = (text: string): string => `vpsrldq $8, %%xmm0, %%xmm2; ${text}`;

const FUSED: readonly Case[] = FORMATS.flatMap(({ format, suffix, width }) =>
  Object.entries(ORDERS).flatMap(([order, places]) =>
    Object.entries(SIGNS).map(([name, [product, addend]]): Case => {
      const mnemonic = `vf${name}${order}${suffix}`;
      return {
        kind: "sse",
        name: mnemonic,
        text: withThird(`${mnemonic} %%xmm2, %%xmm1, %%xmm0`),
        ...{ format, width },
        run(ctx, values) {
          const [a, b, c] = places.map((place) => values[place] as bigint);
          const operands = [a, b, c] as [bigint, bigint, bigint];
          return sse.fusedMultiplyAdd(ctx, format, operands, product, addend);
        },
      };
    }),
  ),
);

const HALVES: readonly Case[] = [
  {
    kind: "sse",
    name: "vcvtph2ps",
    text: "vcvtph2ps %%xmm0, %%xmm0",
    ...{ format: BINARY16, width: 32 },
    run: (ctx, [a]) => sse.convertFromHalf(ctx, a),
  },
  ...[0, 1, 2, 3, 4].map(
    (control): Case => ({
      kind: "sse",
      name: `vcvtps2ph ${control}`,
      text: `vmovq %%xmm0, %%xmm0; vcvtps2ph $${control}, %%xmm0, %%xmm0`,
      ...{ format: BINARY32, width: 16 },
      run: (ctx, [a]) => sse.convertToHalf(ctx, a, control),
    }),
  ),
];

const CASES = [...FUSED, ...HALVES];

const scratch = new DataView(new ArrayBuffer(8));

/** An addend that leaves little of the product, and perhaps a tie. */
function opposed(random: SeededRandom, format: Format, a: bigint, b: bigint): bigint {
  const isDouble = format === BINARY64;
  const number = (bits: bigint): number => {
    scratch.setBigUint64(0, isDouble ? bits : bits << 32n);
    return isDouble ? scratch.getFloat64(0) : scratch.getFloat32(0);
  };
  const product = number(a) * number(b) * (random.chance(80) ? 1 : 2 ** (random.below(120) - 60));
  if (isDouble) scratch.setFloat64(0, product);
  else scratch.setFloat32(0, product);
  const bits = isDouble ? scratch.getBigUint64(0) : BigInt(scratch.getUint32(0));
  const sign = BigInt(random.below(2)) << (isDouble ? 63n : 31n);
  return bits ^ sign ^ BigInt(random.below(4));
}

function randomMxcsr(random: SeededRandom): number {
  const masks = random.chance(80) ? 0x1f80 : random.next() & 0x1f80;
  const flush = random.chance(25) ? 0x8000 : 0;
  const zeros = random.chance(25) ? 0x40 : 0;
  return masks | flush | zeros | (random.below(4) << 13);
}

function question(random: SeededRandom, index: number, { format }: Case): Question {
  const a = randomBits(random, format);
  const b = neighbourBits(random, format, a);
  const c = random.chance(50) ? neighbourBits(random, format, a) : opposed(random, format, a, b);
  const controls = { controlWord: 0x37f, mxcsr: randomMxcsr(random) };
  return { instruction: index, ...controls, a: { low: a, high: c }, b: { low: b, high: 0n } };
}

const lacksThem = noSilicon("fma") || noSilicon("f16c");

describe.skipIf(lacksThem)("FMA and F16C as the processor does them", () => {
  let silicon: Silicon;
  beforeAll(() => {
    silicon = new Silicon(CASES);
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
        const result = each.run(ctx, [a.low, b.low, a.high]);
        const trapped = ctx.complete() !== 0;
        const theirs = BigInt.asUintN(each.width, answer.first.low);
        const isSame =
          trapped === answer.trapped &&
          ctx.flags === (answer.mxcsr & 63) &&
          (trapped || BigInt.asUintN(each.width, result) === theirs);
        if (isSame) return [];
        const operands = [a.low, b.low, a.high].map((value) => value.toString(16)).join(" ");
        const ours = `${result.toString(16)} flags ${ctx.flags} ${trapped ? "trapped" : ""}`;
        return `${operands} mxcsr ${mxcsr.toString(16)}: ${ours}, silicon ${theirs.toString(16)} flags ${answer.mxcsr & 63} ${answer.trapped ? "trapped" : ""}`;
      });
      expect(differences.slice(0, 5)).toEqual([]);
    },
  );
});
