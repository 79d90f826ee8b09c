import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FloatContext } from "../../../fallback/float/context.ts";
import {
  type Encoded,
  EXTENDED,
  type Operand,
  signExponent,
  unpackExtended,
} from "../../../fallback/float/format.ts";
import { arctangent } from "../../../fallback/float/transcendental/arctangent.ts";
import { exponentialMinusOne } from "../../../fallback/float/transcendental/exponential.ts";
import { yLog2X, yLog2XPlusOne } from "../../../fallback/float/transcendental/logarithm.ts";
import {
  cosine,
  type Pair,
  sine,
  sineAndCosine,
  tangent,
} from "../../../fallback/float/transcendental/trigonometry.ts";
import { C1, C2 } from "../../../fallback/float/x87.ts";
import { SeededRandom } from "../../support/random.ts";
import { type ExtendedBits, neighbourExtended, randomExtended } from "./operands.ts";
import {
  type Answer,
  COUNT,
  noSilicon,
  type Question,
  SEED,
  Silicon,
  type X87Instruction,
} from "./silicon.ts";

type Run = (ctx: FloatContext, a: Operand, b: Operand) => Encoded | Pair | undefined;

const FUNCTIONS: Readonly<Record<string, Run>> = {
  fsin: sine,
  fcos: cosine,
  fsincos: sineAndCosine,
  fptan: tangent,
  fpatan: arctangent,
  f2xm1: exponentialMinusOne,
  fyl2x: yLog2X,
  fyl2xp1: yLog2XPlusOne,
};
const NAMES = Object.keys(FUNCTIONS);

/** Most results may differ in the last bit: in a hundred. The processor's own error is of that size. */
const TOLERATED_PERCENT = 15;

const ONE = 1n << 63n;
const special = (high: number, significand: bigint): ExtendedBits => ({
  signExponent: high,
  significand,
});

/** With either sign: where the tables of special operands have their lines. */
const SPECIAL: readonly ExtendedBits[] = [
  special(0, 0n),
  special(0, 1n),
  special(0, ONE),
  special(1, ONE),
  special(0x3fbe, ONE),
  special(0x3ffe, ONE),
  special(0x3fff, ONE),
  special(0x3fff, ONE | 1n),
  special(0x4000, ONE),
  special(0x4000, 3n << 62n),
  special(0x403d, ONE),
  special(0x403e, ONE),
  special(0x7ffe, 2n * ONE - 1n),
  special(0x7fff, ONE),
  special(0x7fff, ONE | 5n),
  special(0x7fff, 3n << 62n),
  special(0x7fff, (3n << 62n) | 5n),
  special(0x7fff, 0n),
  special(5, 1n),
].flatMap((bits) => [bits, { ...bits, signExponent: bits.signExponent | 0x8000 }]);

const ROUNDINGS = [0x37f, 0x77f, 0xb7f, 0xf7f];

/** Numbers of moderate size, as programs have them. */
function moderate(random: SeededRandom): ExtendedBits {
  const exponent = EXTENDED.bias + random.below(100) - 70;
  const fraction = (BigInt(random.next()) << 32n) | BigInt(random.next());
  return { signExponent: (random.below(2) << 15) | exponent, significand: fraction | ONE };
}

const operandOf = ({ signExponent: high, significand }: ExtendedBits): Operand =>
  unpackExtended(high, significand);

interface Trial {
  readonly a: ExtendedBits;
  readonly b: ExtendedBits;
  readonly controlWord: number;
}

const question = (instruction: number, { a, b, controlWord }: Trial): Question => ({
  instruction,
  controlWord,
  mxcsr: 0x1f80,
  a: { low: a.significand, high: BigInt(a.signExponent) },
  b: { low: b.significand, high: BigInt(b.signExponent) },
});

/** Sign and magnitude on a line, so that neighbours differ by one. */
function position(high: number, significand: bigint): bigint {
  const magnitude = (BigInt(high & 0x7fff) << 63n) | (significand & (ONE - 1n));
  return high & 0x8000 ? -magnitude : magnitude;
}

const distance = (ours: Encoded, theirs: Answer["first"]): number => {
  const high = Number(theirs.high & 0xffffn);
  const apart = position(signExponent(ours), ours.significand) - position(high, theirs.low);
  const isSameSign = ours.sign === high >> 15;
  return isSameSign ? Math.abs(Number(apart)) : Number.POSITIVE_INFINITY;
};

interface Verdict {
  /** Units in the last place. */
  readonly apart: number;
  readonly sameFlags: boolean;
  readonly sameC1: boolean;
}

function judge(ctx: FloatContext, run: Run, trial: Trial, answer: Answer): Verdict {
  ctx.useControlWord(trial.controlWord);
  ctx.begin();
  const result = run(ctx, operandOf(trial.a), operandOf(trial.b));
  ctx.complete();
  const sameFlags = ctx.flags === (answer.statusWord & 63);
  const sameC1 = ctx.roundedUp === ((answer.statusWord & C1) !== 0);
  const isIncomplete = (answer.statusWord & C2) !== 0;
  if (result === undefined || isIncomplete) {
    const apart = result === undefined && isIncomplete ? 0 : Number.POSITIVE_INFINITY;
    return { apart, sameFlags, sameC1 };
  }
  if (ctx.keepsDestination(false)) return { apart: 0, sameFlags, sameC1 };
  const apart =
    "pushed" in result
      ? Math.max(distance(result.pushed, answer.first), distance(result.replaced, answer.second))
      : distance(result, answer.first);
  return { apart, sameFlags, sameC1 };
}

const shown = ({ a, b, controlWord }: Trial, { apart, sameFlags, sameC1 }: Verdict): string =>
  `${a.signExponent.toString(16)}:${a.significand.toString(16)} ` +
  `${b.signExponent.toString(16)}:${b.significand.toString(16)} control ${controlWord.toString(16)}: ` +
  `${apart} ulp apart, flags ${sameFlags ? "same" : "differ"}, C1 ${sameC1 ? "same" : "differs"}`;

describe.skipIf(noSilicon())("transcendental functions beside the processor's", () => {
  let silicon: Silicon;
  beforeAll(() => {
    silicon = new Silicon(NAMES.map((name): X87Instruction => ({ kind: "x87", name, text: name })));
  });
  afterAll(() => silicon.dispose());

  const verdicts = (name: string, trials: readonly Trial[]): Verdict[] => {
    const questions = trials.map((trial) => question(NAMES.indexOf(name), trial));
    const answers = silicon.ask(questions);
    const ctx = new FloatContext();
    return trials.map((trial, index) =>
      judge(ctx, FUNCTIONS[name] as Run, trial, answers[index] as Answer),
    );
  };

  test.each(NAMES)("%s of special operands has the same flags and all but last bits", (name) => {
    const trials = SPECIAL.flatMap((a) =>
      SPECIAL.flatMap((b) => ROUNDINGS.map((controlWord): Trial => ({ a, b, controlWord }))),
    );
    const wrong = verdicts(name, trials).flatMap((verdict, index) =>
      verdict.apart <= 1 && verdict.sameFlags ? [] : shown(trials[index] as Trial, verdict),
    );
    expect(wrong.slice(0, 5)).toEqual([]);
  });

  test.each(NAMES)("%s of any operands is within one unit of the last place", (name) => {
    const random = new SeededRandom(SEED);
    const trials = Array.from({ length: COUNT }, (): Trial => {
      const a = random.chance(60) ? moderate(random) : randomExtended(random, EXTENDED);
      const b = random.chance(60) ? moderate(random) : neighbourExtended(random, EXTENDED, a);
      const masks = random.chance(80) ? 0x3f : random.below(64);
      return { a, b, controlWord: 0x340 | masks | (random.below(4) << 10) };
    });
    const results = verdicts(name, trials);
    const wrong = results.flatMap((verdict, index) =>
      verdict.apart <= 1 && verdict.sameFlags ? [] : shown(trials[index] as Trial, verdict),
    );
    expect(wrong.slice(0, 5)).toEqual([]);
    const lastBits = results.filter(({ apart }) => apart === 1).length;
    const onlyC1 = results.filter(({ apart, sameC1 }) => apart === 0 && !sameC1).length;
    console.info(`${name}: of ${COUNT}, ${lastBits} differ in the last bit, ${onlyC1} only in C1`);
    expect((100 * (lastBits + onlyC1)) / COUNT).toBeLessThan(TOLERATED_PERCENT);
  });
});
