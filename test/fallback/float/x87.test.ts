import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as arithmetic from "../../../fallback/float/arithmetic.ts";
import { compare } from "../../../fallback/float/compare.ts";
import { FloatContext, TOWARD_ZERO } from "../../../fallback/float/context.ts";
import {
  BINARY32,
  BINARY64,
  type Encoded,
  EXTENDED,
  type Operand,
  signExponent,
  unpack,
  unpackExtended,
} from "../../../fallback/float/format.ts";
import { integerOperand, toInteger, withRounding } from "../../../fallback/float/integer.ts";
import * as x87 from "../../../fallback/float/x87.ts";
import { SeededRandom } from "../../support/random.ts";
import {
  type ExtendedBits,
  neighbourExtended,
  randomBits,
  randomExtended,
  randomInteger,
} from "./operands.ts";
import {
  type Answer,
  COUNT,
  noSilicon,
  type Question,
  SEED,
  Silicon,
  type X87Instruction,
} from "./silicon.ts";

/** What an instruction leaves; what is absent it does not write. */
interface Outcome {
  readonly first?: Encoded;
  readonly second?: Encoded;
  readonly memory?: bigint;
  /** Condition codes that are not C1's usual meaning. */
  readonly conditions?: number | undefined;
}

interface Case extends X87Instruction {
  /** What `b` is: a register, or bits in memory. */
  readonly operand: "register" | "binary32" | "binary64" | "int16" | "int32" | "int64" | "decimal";
  /** Bits that a store writes. */
  readonly stored?: number;
  /** The condition codes that it defines, beside C1 (SDM vol. 2). */
  readonly conditions?: number;
  readonly run: (ctx: FloatContext, a: Operand, b: Operand, bits: bigint) => Outcome;
}

const register = (
  text: string,
  first: (ctx: FloatContext, a: Operand, b: Operand) => Encoded,
): Case => ({
  kind: "x87",
  name: text.replaceAll("%%", ""),
  text,
  operand: "register",
  run: (ctx, a, b) => ({ first: first(ctx, a, b) }),
});

const COMPARISON = x87.C0 | x87.C2 | x87.C3;
const ORDER = { [-1]: x87.C0, 0: x87.C3, 1: 0, 2: COMPARISON } as const;

const comparison = (text: string, quiet: boolean, operand: Case["operand"] = "register"): Case => ({
  kind: "x87",
  name: text.replaceAll("%%", ""),
  text,
  operand,
  conditions: COMPARISON,
  run: (ctx, a, b) => ({ conditions: ORDER[compare(ctx, a, b, quiet)] }),
});

const remainder = (text: string, rounding: "truncate" | "nearest"): Case => ({
  kind: "x87",
  name: text,
  text,
  operand: "register",
  conditions: COMPARISON,
  run: (ctx, a, b) => {
    const { value, conditions } = x87.remainder(ctx, a, b, rounding);
    return { first: value, conditions };
  },
});

const memory = (
  text: string,
  operand: Case["operand"],
  first: (ctx: FloatContext, a: Operand, b: Operand) => Encoded,
): Case => ({ ...register(text, first), operand });

const store = (
  text: string,
  stored: number,
  bits: (ctx: FloatContext, a: Operand) => bigint,
): Case => ({
  kind: "x87",
  name: text,
  text,
  operand: "register",
  stored,
  run: (ctx, a) => ({ memory: bits(ctx, a) }),
});

const constant = (text: string, name: Parameters<typeof x87.constant>[1]): Case =>
  register(text, (ctx) => x87.constant(ctx, name));

const ZERO_OPERAND = unpackExtended(0, 0n);

const CASES: readonly Case[] = [
  register("fadd %%st(1), %%st", (ctx, a, b) => arithmetic.add(ctx, EXTENDED, a, b)),
  register("fsub %%st(1), %%st", (ctx, a, b) => arithmetic.subtract(ctx, EXTENDED, a, b)),
  register("fsubr %%st(1), %%st", (ctx, a, b) => arithmetic.subtract(ctx, EXTENDED, b, a)),
  register("fmul %%st(1), %%st", (ctx, a, b) => arithmetic.multiply(ctx, EXTENDED, a, b)),
  register("fdiv %%st(1), %%st", (ctx, a, b) => arithmetic.divide(ctx, EXTENDED, a, b)),
  register("fdivr %%st(1), %%st", (ctx, a, b) => arithmetic.divide(ctx, EXTENDED, b, a)),
  register("fsqrt", (ctx, a) => arithmetic.squareRoot(ctx, EXTENDED, a)),
  register("frndint", x87.roundToInteger),
  register("fscale", x87.scale),
  remainder("fprem", "truncate"),
  remainder("fprem1", "nearest"),
  {
    ...register("fxtract", x87.load),
    run: (ctx, a) => {
      const { exponent, significand } = x87.extract(ctx, a);
      return { first: significand, second: exponent };
    },
  },
  {
    ...register("fxam", x87.load),
    conditions: COMPARISON,
    run: (_ctx, a) => ({ conditions: x87.examine(a) }),
  },
  comparison("fcom %%st(1)", false),
  comparison("fucom %%st(1)", true),
  comparison("fcoms %[m]", false, "binary32"),
  comparison("fcoml %[m]", false, "binary64"),
  comparison("ficoms %[m]", false, "int16"),
  comparison("ficoml %[m]", false, "int32"),
  {
    ...comparison("ftst", false),
    run: (ctx, a) => ({ conditions: ORDER[compare(ctx, a, ZERO_OPERAND, false)] }),
  },
  memory("fadds %[m]", "binary32", (ctx, a, b) => arithmetic.add(ctx, EXTENDED, a, b)),
  memory("fmull %[m]", "binary64", (ctx, a, b) => arithmetic.multiply(ctx, EXTENDED, a, b)),
  memory("fidivl %[m]", "int32", (ctx, a, b) => arithmetic.divide(ctx, EXTENDED, a, b)),
  memory("fisubrs %[m]", "int16", (ctx, a, b) => arithmetic.subtract(ctx, EXTENDED, b, a)),
  memory("flds %[m]", "binary32", (ctx, _a, b) => x87.load(ctx, b)),
  memory("fldl %[m]", "binary64", (ctx, _a, b) => x87.load(ctx, b)),
  ...(["int16", "int32", "int64"] as const).map((operand, index): Case => {
    const text = `fild${["s", "l", "q"][index]} %[m]`;
    const run: Case["run"] = (_ctx, _a, _b, bits) => ({ first: x87.loadInteger(bits) });
    return { kind: "x87", name: text, text, operand, run };
  }),
  {
    kind: "x87",
    name: "fbld",
    text: "fbld %[m]",
    operand: "decimal",
    run: (_ctx, _a, _b, bits) => ({ first: x87.loadDecimal(bits) }),
  },
  store("fsts %[m]", 32, (ctx, a) => x87.store(ctx, BINARY32, a)),
  store("fstl %[m]", 64, (ctx, a) => x87.store(ctx, BINARY64, a)),
  store("fists %[m]", 16, (ctx, a) => toInteger(ctx, a, 16)),
  store("fistl %[m]", 32, (ctx, a) => toInteger(ctx, a, 32)),
  store("fistpq %[m]", 64, (ctx, a) => toInteger(ctx, a, 64)),
  ...([16, 32, 64] as const).map((width, index) =>
    store(`fisttp${["s", "l", "q"][index]} %[m]`, width, (ctx, a) =>
      withRounding(ctx, TOWARD_ZERO, () => toInteger(ctx, a, width)),
    ),
  ),
  store("fbstp %[m]", 80, x87.storeDecimal),
  constant("fldl2t", "log2Of10"),
  constant("fldl2e", "log2OfE"),
  constant("fldpi", "pi"),
  constant("fldlg2", "log10Of2"),
  constant("fldln2", "ln2"),
];

function randomControlWord(random: SeededRandom): number {
  const masks = random.chance(75) ? 0x3f : random.below(64);
  return 0x40 | masks | (random.below(16) << 8);
}

const widths = { int16: 16, int32: 32, int64: 64 } as const;

function memoryBits(random: SeededRandom, operand: Exclude<Case["operand"], "register">): bigint {
  switch (operand) {
    case "binary32":
      return randomBits(random, BINARY32);
    case "binary64":
      return randomBits(random, BINARY64);
    case "decimal": {
      const digits = Array.from({ length: 18 }, () => random.below(10)).join("");
      return (BigInt(random.below(2)) << 79n) | BigInt(`0x${digits.slice(random.below(18))}`);
    }
    default:
      return randomInteger(random, widths[operand]);
  }
}

/** Also integers with a fraction, where conversions to integers and decimals round and overflow. */
function nearInteger(random: SeededRandom): ExtendedBits {
  const significand = (1n << 63n) | (BigInt(random.next()) << 31n) | BigInt(random.next() >>> 1);
  const cleared = BigInt(random.below(64));
  return {
    signExponent: (random.below(2) << 15) | (EXTENDED.bias + random.below(66) - 1),
    significand: random.chance(50) ? significand : (significand >> cleared) << cleared,
  };
}

interface Trial {
  readonly question: Question;
  readonly a: Operand;
  readonly b: Operand;
  readonly bits: bigint;
}

function trial(random: SeededRandom, index: number, { operand, stored }: Case): Trial {
  const isInteger = stored !== undefined || random.chance(10);
  const first =
    isInteger && random.chance(50) ? nearInteger(random) : randomExtended(random, EXTENDED);
  const bits =
    operand === "register"
      ? asBits(neighbourExtended(random, EXTENDED, first))
      : memoryBits(random, operand);
  const pattern = BigInt.asUintN(80, bits);
  const low = BigInt.asUintN(64, pattern);
  const high = pattern >> 64n;
  const question = {
    instruction: index,
    controlWord: randomControlWord(random),
    mxcsr: 0x1f80,
    a: { low: first.significand, high: BigInt(first.signExponent) },
    b: { low, high },
  };
  const a = unpackExtended(first.signExponent, first.significand);
  return { question, a, b: decoded(operand, bits), bits };
}

const asBits = ({ signExponent: high, significand }: ExtendedBits): bigint =>
  (BigInt(high) << 64n) | significand;

function decoded(operand: Case["operand"], bits: bigint): Operand {
  switch (operand) {
    case "register":
      return unpackExtended(Number(bits >> 64n), BigInt.asUintN(64, bits));
    case "binary32":
      return unpack(BINARY32, bits);
    case "binary64":
      return unpack(BINARY64, bits);
    default:
      return integerOperand(bits);
  }
}

/** Everything an instruction leaves, as text to compare and to show. */
const told = (first: string, second: string, memoryText: string, flags: number, codes: number) =>
  `st0 ${first} st1 ${second} memory ${memoryText} flags ${flags} codes ${codes.toString(16)}`;

const hexEncoded = (value: Encoded | undefined): string =>
  value === undefined
    ? "-"
    : `${signExponent(value).toString(16)}:${value.significand.toString(16)}`;

const hexOperand = ({ low, high }: { low: bigint; high: bigint }): string =>
  `${(high & 0xffffn).toString(16)}:${low.toString(16)}`;

/** Both what we say and what the processor said. */
function judge(ctx: FloatContext, each: Case, { question, a, b, bits }: Trial, answer: Answer) {
  ctx.useControlWord(question.controlWord);
  ctx.begin();
  const outcome = each.run(ctx, a, b, bits);
  ctx.complete();
  const defined = (each.conditions ?? 0) | x87.C1;
  const keeps = ctx.keepsDestination(each.stored !== undefined);
  const codes = (outcome.conditions ?? 0) | (ctx.roundedUp ? x87.C1 : 0);
  const flags = ctx.flags;
  const theirCodes = answer.statusWord & defined;
  const theirFlags = answer.statusWord & 63;
  const mask = (1n << BigInt(each.stored ?? 0)) - 1n;
  const stored = keeps ? (question.b.high << 64n) | question.b.low : outcome.memory;
  const theirMemory = ((answer.memory.high & 0xffffn) << 64n) | answer.memory.low;
  const hasFirst = outcome.first !== undefined && !keeps;
  const hasSecond = outcome.second !== undefined && !keeps;
  return {
    ours: told(
      hasFirst ? hexEncoded(outcome.first) : "-",
      hasSecond ? hexEncoded(outcome.second) : "-",
      stored === undefined ? "-" : (stored & mask).toString(16),
      flags,
      codes,
    ),
    theirs: told(
      hasFirst ? hexOperand(answer.first) : "-",
      hasSecond ? hexOperand(answer.second) : "-",
      stored === undefined ? "-" : (theirMemory & mask).toString(16),
      theirFlags,
      theirCodes,
    ),
  };
}

describe.skipIf(noSilicon())("x87 as the processor does it", () => {
  let silicon: Silicon;
  beforeAll(() => {
    silicon = new Silicon(CASES);
  });
  afterAll(() => silicon.dispose());

  test.each(CASES.map((each, index) => [each.name, each, index] as const))(
    "%s",
    (_name, each, index) => {
      const random = new SeededRandom(SEED + index);
      const trials = Array.from({ length: COUNT }, () => trial(random, index, each));
      const answers = silicon.ask(trials.map(({ question }) => question));
      const ctx = new FloatContext();
      const differences = trials.flatMap((one, at) => {
        const { ours, theirs } = judge(ctx, each, one, answers[at] as Answer);
        if (ours === theirs) return [];
        const { a, b, controlWord } = one.question;
        return `${hexOperand(a)} ${hexOperand(b)} control ${controlWord.toString(16)}: ${ours}, silicon ${theirs}`;
      });
      expect(differences.slice(0, 5)).toEqual([]);
    },
  );
});
