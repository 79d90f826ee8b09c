/** What generated code computes with x87's 80 bits, against `float/`. */
import { describe, expect, it } from "vitest";
import {
  buildX87Functions,
  COMPARED,
  kindOf,
  MEMORY_KIND,
  STORE_KIND,
  type X87Function,
} from "../../../fallback/emission/x87-functions.ts";
import * as exact from "../../../fallback/float/arithmetic.ts";
import { compare, EQUAL, LESS } from "../../../fallback/float/compare.ts";
import { FloatContext, TOWARD_ZERO } from "../../../fallback/float/context.ts";
import {
  BINARY32,
  BINARY64,
  type Encoded,
  EXTENDED,
  NORMAL,
  type Operand,
  signExponent,
  unpack,
  unpackExtended,
  ZERO,
} from "../../../fallback/float/format.ts";
import { toInteger, withRounding } from "../../../fallback/float/integer.ts";
import { C1, load, loadInteger, store } from "../../../fallback/float/x87.ts";
import { FXSAVE, STATE } from "../../../fallback/state.ts";
import { SeededRandom } from "../../support/random.ts";

const memory = new WebAssembly.Memory({ initial: 1 });
const view = new DataView(memory.buffer);
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(buildX87Functions(1, false)), {
  cpu: { memory },
});
const call = (name: X87Function, ...parameters: (number | bigint)[]): number =>
  (exports[name] as (...parameters: (number | bigint)[]) => number)(...parameters);

const CONTROL = STATE.FX_AREA + FXSAVE.CONTROL_WORD;
const STATUS = STATE.FX_AREA + FXSAVE.STATUS_WORD;
const TAGS = STATE.FX_AREA + FXSAVE.TAG_WORD;
const ST = STATE.FX_AREA + FXSAVE.ST;
const PRECISIONS = [0x07f, 0x17f, 0x27f, 0x37f];
const TESTS = 20_000;

/** TOP is 0: ST(n) is register n. */
function begin(control: number, registers: readonly Encoded[]): FloatContext {
  view.setUint16(CONTROL, control, true);
  view.setUint16(STATUS, 0, true);
  view.setUint8(TAGS, (1 << registers.length) - 1);
  for (const [n, value] of registers.entries()) {
    view.setBigUint64(ST + 16 * n, value.significand, true);
    view.setUint16(ST + 16 * n + 8, signExponent(value), true);
  }
  const modes = new FloatContext();
  modes.useControlWord(control);
  modes.begin();
  return modes;
}

const register = (n: number): readonly [bigint, number] => [
  view.getBigUint64(ST + 16 * n, true),
  view.getUint16(ST + 16 * n + 8, true),
];

const bitsOf = (value: Encoded): readonly [bigint, number] => [
  value.significand,
  signExponent(value),
];

const flagsOf = (modes: FloatContext): number => modes.flags | (modes.roundedUp ? C1 : 0);
const operandOf = (value: Encoded): Operand =>
  unpackExtended(signExponent(value), value.significand);

/** Many zeros or ones in a row: where rounding is close. */
function significand(random: SeededRandom): bigint {
  const word = (BigInt(random.next()) << 32n) | BigInt(random.next());
  const shift = BigInt(random.below(64));
  const few = random.pick([word, word << shift, ~(word << shift), 0n, -1n, 1n << shift]);
  return BigInt.asUintN(64, few) | (1n << 63n);
}

function number(random: SeededRandom, exponent: number): Encoded {
  const sign = random.below(2);
  if (random.chance(4)) return { sign, exponent: 0, significand: 0n };
  return { sign, exponent, significand: significand(random) };
}

/** Unbiased exponents near each other, or anywhere. */
function pair(random: SeededRandom): readonly [Encoded, Encoded] {
  const first = random.chance(90) ? 16383 + random.below(200) - 100 : 1 + random.below(0x7ffe);
  const near = first + random.below(140) - 70;
  const second = random.chance(90) ? Math.min(Math.max(near, 1), 0x7ffe) : 1 + random.below(0x7ffe);
  return [number(random, first), number(random, second)];
}

const OPERATIONS = [
  [0, exact.add],
  [1, exact.multiply],
  [4, exact.subtract],
  [5, (ctx, format, a, b) => exact.subtract(ctx, format, b, a)],
  [6, exact.divide],
  [7, (ctx, format, a, b) => exact.divide(ctx, format, b, a)],
] as const satisfies readonly (readonly [number, typeof exact.add])[];

const PRECISION_ONLY = 0x20;

describe("x87 in WebAssembly", () => {
  it.each(OPERATIONS)("operation %i gives what TypeScript does, or nothing", (digit, operation) => {
    const random = new SeededRandom(20_261_129 + digit);
    let refused = 0;
    for (let test = 0; test < TESTS; test++) {
      const [a, b] = pair(random);
      const modes = begin(random.pick(PRECISIONS), [a, b]);
      const result = operation(modes, EXTENDED, operandOf(a), operandOf(b));
      const isUsual = (modes.flags & ~PRECISION_ONLY) === 0;
      const done = call(kindOf(digit), digit, 0, 1, 0) === 1;
      if (!done && isUsual) refused++;
      if (done) expect(isUsual).toBe(true);
      const expected = done ? bitsOf(result) : bitsOf(a);
      const found = register(0);
      if (found[0] !== expected[0] || found[1] !== expected[1]) {
        expect({ a, b, found }).toEqual({ a, b, found: expected });
      }
      expect(view.getUint16(STATUS, true)).toBe(done ? flagsOf(modes) : 0);
    }
    // Results that are denormal but exact.
    expect(refused).toBeLessThan(TESTS / 100);
  });

  it("takes square roots as TypeScript does, or nothing", () => {
    const random = new SeededRandom(20_261_130);
    for (let test = 0; test < TESTS; test++) {
      const [number] = pair(random);
      // Also squares, and what is next to them.
      const short = BigInt.asUintN(32, number.significand) | (1n << 31n);
      const square = BigInt.asUintN(64, short * short + BigInt(random.below(3) - 1));
      const isSquare = random.chance(20) && square >> 63n !== 0n;
      const a = isSquare ? { ...number, sign: 0, significand: square } : number;
      const modes = begin(random.pick(PRECISIONS), [a]);
      const result = exact.squareRoot(modes, EXTENDED, operandOf(a));
      const isUsual = (modes.flags & ~PRECISION_ONLY) === 0;
      const done = call("squareRoot") === 1;
      expect([a, done]).toEqual([a, isUsual]);
      expect({ a, found: register(0) }).toEqual({ a, found: bitsOf(done ? result : a) });
      expect(view.getUint16(STATUS, true)).toBe(done ? flagsOf(modes) : 0);
    }
  });

  it("compares as TypeScript does", () => {
    const random = new SeededRandom(5);
    for (let test = 0; test < TESTS; test++) {
      const [a, other] = pair(random);
      const b = random.chance(20) ? { ...a, sign: random.below(2) } : other;
      const modes = begin(0x37f, [a, b]);
      const order = compare(modes, operandOf(a), operandOf(b), false);
      const expected = order === LESS ? COMPARED.LESS : order === EQUAL ? COMPARED.EQUAL : 0;
      expect(call("compare", 1)).toBe(expected);
    }
  });

  it.each([
    [STORE_KIND.REAL_32, BINARY32],
    [STORE_KIND.REAL_64, BINARY64],
  ])("stores reals as TypeScript does (kind %i)", (kind, format) => {
    const random = new SeededRandom(6 + kind);
    let stored = 0;
    for (let test = 0; test < TESTS; test++) {
      const range = format === BINARY32 ? 300 : 2300;
      const value = number(random, 16383 + random.below(range) - range / 2);
      const modes = begin(random.pick(PRECISIONS), [value]);
      const bits = store(modes, format, operandOf(value));
      const done = call("convert", kind) === 1;
      if (!done) continue;
      stored++;
      expect(modes.flags & ~PRECISION_ONLY).toBe(0);
      expect(view.getBigUint64(STATE.SCRATCH, true)).toBe(bits);
      expect(view.getUint32(STATE.SCRATCH + 12, true)).toBe(flagsOf(modes));
    }
    expect(stored).toBeGreaterThan(TESTS / 2);
  });

  it.each([16, 32, 64])("stores integers of %i bits as TypeScript does", (bits) => {
    const random = new SeededRandom(bits);
    let done = 0;
    for (let test = 0; test < TESTS; test++) {
      const value = number(random, 16383 + random.below(70) - 4);
      const truncates = random.chance(50);
      const modes = begin(random.chance(50) && truncates ? 0xf7f : 0x37f, [value]);
      const convert = () => toInteger(modes, operandOf(value), bits);
      const result = truncates ? withRounding(modes, TOWARD_ZERO, convert) : convert();
      if (call("convert", bits | (truncates ? STORE_KIND.TRUNCATE : 0)) === 0) continue;
      done++;
      expect(BigInt.asUintN(bits, view.getBigUint64(STATE.SCRATCH, true))).toBe(
        BigInt.asUintN(bits, result),
      );
      expect(view.getUint32(STATE.SCRATCH + 12, true)).toBe(flagsOf(modes));
    }
    expect(done).toBeGreaterThan(TESTS / 8);
  });

  it("takes numbers from memory as TypeScript does", () => {
    const random = new SeededRandom(9);
    for (let test = 0; test < TESTS; test++) {
      const word = (BigInt(random.next()) << 32n) | BigInt(random.next());
      const integer = BigInt.asIntN(64, word >> BigInt(random.below(64)));
      const real64 = random.chance(95) ? word : 0n;
      for (const [kind, bits, format] of [
        [MEMORY_KIND.REAL_32, real64 & 0xffff_ffffn, BINARY32],
        [MEMORY_KIND.REAL_64, real64, BINARY64],
        [MEMORY_KIND.INTEGER, integer, undefined],
      ] as const) {
        const modes = begin(0x37f, []);
        const operand = format === undefined ? undefined : unpack(format, bits);
        const isPlain = operand === undefined || operand.kind === NORMAL || operand.kind === ZERO;
        expect(call("pushNumber", kind, bits)).toBe(isPlain ? 1 : 0);
        if (!isPlain) continue;
        const value = operand === undefined ? loadInteger(bits) : load(modes, operand);
        expect(register(7)).toEqual(bitsOf(value));
        expect(view.getUint16(STATUS, true)).toBe(7 << 11);
        expect(view.getUint8(TAGS)).toBe(0x80);
      }
    }
  });

  it("leaves unmasked exceptions, other roundings and stack faults alone", () => {
    const one = { sign: 0, exponent: 16383, significand: 1n << 63n };
    const controls = [
      ...[1, 2, 4, 8, 16, 32].map((mask) => 0x37f & ~mask),
      ...[0x400, 0x800, 0xc00].map((rounding) => 0x37f | rounding),
    ];
    for (const control of controls) {
      begin(control, [one, one]);
      expect(call("add", 0, 0, 1, 0)).toBe(0);
      expect(call("exchange", 1)).toBe(0);
      expect(call("pushRegister", 0)).toBe(0);
      expect(register(0)).toEqual(bitsOf(one));
    }
    begin(0x37f, [one]);
    expect(call("add", 0, 0, 1, 0)).toBe(0);
    expect(call("compare", 1)).toBe(COMPARED.NOT);
    begin(0x37f, new Array(8).fill(one));
    expect(call("pushRegister", 0)).toBe(0);
  });
});
