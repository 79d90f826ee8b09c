/** Integer arithmetic, logic and comparison of vectors (Intel SDM vol. 1 §9.4, §11.4.2, §12.6, §12.10). */
import { type I32, type I64, i32, i64, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import {
  type Combine,
  type Controlled,
  controlling,
  type Encoding,
  LEGACY,
  mapping,
  onBoth,
  onlyNarrow,
  pairwise,
} from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { knownByte, lanes, type Meaning, ofBothLengths, range, type Vector } from "./vector.ts";

const zero = (): V128 => i64x2.const(0);

/** The upper halves of 16-bit products. */
const highWords = (low: V128, high: V128): V128 => lanes(low, high, 2, range(1, 8, 2));

/** Adds or subtracts neighbours: those of the destination, then those of the source. */
const horizontal =
  (bytes: number, operation: (a: V128, b: V128) => V128): Combine =>
  (a, b, _e, bits) => {
    const half = bits / 8 / bytes / 2;
    const numbers = (odd: number) => [...range(odd, half, 2), ...range(16 / bytes + odd, half, 2)];
    return operation(lanes(a, b, bytes, numbers(0)), lanes(a, b, bytes, numbers(1)));
  };

type Lanes = typeof i8x16 | typeof i16x8 | typeof i32x4;

/** Negated where the source is negative, zero where it is zero. */
const withSign =
  ({ gtS, sub, eq }: Lanes): Combine =>
  (a, b, e) => {
    const negative = e.let(gtS(zero(), b));
    return v128.andnot(sub(v128.xor(a, negative), negative), eq(b, zero()));
  };

/** Unsigned bytes of the destination times signed ones of the source, in saturating pairs. */
const multiplyBytes: Combine = (a, b) => {
  const eight = () => i32.const(8);
  const even = i16x8.mul(
    v128.and(a, i16x8.const(0xff)),
    i16x8.shrS(i16x8.shl(b, eight()), eight()),
  );
  return i16x8.addSatS(even, i16x8.mul(i16x8.shrU(a, eight()), i16x8.shrS(b, eight())));
};

/** wasm saturates the one product that overflows, which here wraps. */
const multiplyRounding: Combine = (a, b) => {
  const lowest = () => i16x8.const(0x8000);
  const overflow = v128.and(i16x8.eq(a, lowest()), i16x8.eq(b, lowest()));
  return v128.xor(i16x8.q15mulrSatS(a, b), overflow);
};

const sumOfDifferences: Combine = (a, b, e) => {
  const difference = v128.or(i8x16.subSatU(a, b), i8x16.subSatU(b, a));
  const sums = e.let(i32x4.extaddPairwiseU(i16x8.extaddPairwiseU(difference)));
  return i64x2.add(v128.and(sums, i64x2.const(0xffff)), i64x2.shrU(sums, i32.const(32)));
};

/** Lanes 0 and 2 of 32 bits, multiplied to 64. */
const multiplyEven =
  (multiply: (a: V128, b: V128) => V128): Combine =>
  (a, b) =>
    multiply(lanes(a, a, 4, [0, 2]), lanes(b, b, 4, [0, 2]));

/** The least of eight words in the lowest, its index in the next. */
function leastWord(source: Vector, e: Emitter): V128 {
  const keys = range(0, 8).map((lane) =>
    i32.or(i32.shl(i16x8.extractLaneU(source, lane), i32.const(3)), i32.const(lane)),
  );
  const least = e.local("i32");
  keys.forEach((key, lane) => {
    if (lane === 0) {
      e.set(least, key);
      return;
    }
    const other = e.let(key);
    e.set(least, select(i32.ltU(other, least), other, least));
  });
  const index = i32.shl(i32.and(least, i32.const(7)), i32.const(16));
  const result = i32.or(i32.shrU(least, i32.const(3)), index);
  return i32x4.replaceLane(zero(), 0, result);
}

/** Eight sums of four absolute differences: one block of the second source, eight of the first. */
const sumsOfDifferences: Controlled = (e, a, b, control, half) => {
  const controls = i32.wrap(e.read(control));
  const which = e.let(half === 0 ? controls : i32.shrU(controls, i32.const(3)));
  const from = e.let(i32.and(which, i32.const(4)));
  const block = e.let(i32.shl(i32.and(which, i32.const(3)), i32.const(2)));
  const sum = e.local("v128");
  e.set(sum, zero());
  for (const byte of range(0, 4)) {
    const moving = i8x16.add(i8x16.const(...range(byte, 16)), i8x16.splat(from));
    const fixed = i8x16.splat(i32.add(block, i32.const(byte)));
    const x = e.let(i16x8.extendLowU(i8x16.swizzle(a, moving)));
    const y = e.let(i16x8.extendLowU(i8x16.swizzle(b, fixed)));
    e.set(sum, i16x8.add(sum, i16x8.abs(i16x8.sub(x, y))));
  }
  return sum;
};

/** Of shifts: the destination, what is shifted, and by what. */
function shiftOperands(operands: readonly Operand[]): readonly [Operand, Operand, Operand] {
  const [destination, ...others] = operands;
  const count = others.pop();
  if (destination === undefined || count === undefined) throw new Error("no such operand");
  return [destination, others[0] ?? destination, count];
}

/** All lanes by one count: the low 64 bits of a vector, or an immediate. */
const shifting =
  (
    encoding: Encoding,
    width: number,
    shifted: (value: Vector, count: I64, tooFar: I64) => V128,
  ): Meaning =>
  (e, ...operands: Operand[]) => {
    const [destination, first, source] = shiftOperands(operands);
    const count = e.local("i64");
    if (source.kind === "immediate") e.set(count, e.read(source));
    else e.set(count, i64x2.extractLane(encoding.read(e, source)[0] as Vector, 0));
    const values = encoding.read(e, first);
    const tooFar = i64.extendU(i64.geU(count, i64.const(width)));
    const results = values.map((value) => shifted(value, count, tooFar));
    encoding.write(e, destination, first, results);
  };

type Shift = (value: V128, count: I32) => V128;

const logical = (encoding: Encoding, width: number, shift: Shift) =>
  shifting(encoding, width, (value, count, tooFar) =>
    select(i32.wrap(tooFar), zero(), shift(value, i32.wrap(count))),
  );

/** Farther than the width, the sign fills everything. */
const arithmetic = (encoding: Encoding, width: number, shift: Shift) =>
  shifting(encoding, width, (value, count, tooFar) =>
    shift(value, select(i32.wrap(tooFar), i32.const(width - 1), i32.wrap(count))),
  );

/** The whole register, by bytes. @param direction of the indices */
const byteShift =
  (encoding: Encoding, direction: 1 | -1): Meaning =>
  (e, ...operands: Operand[]) => {
    const [destination, first, source] = shiftOperands(operands);
    const by = e.read(source);
    const known = knownByte(by);
    if (known !== undefined) {
      const bytes = Math.min(known, 16);
      const moved = (value: Vector): V128 =>
        direction > 0
          ? i8x16.shuffle(value, zero(), range(bytes, 16))
          : i8x16.shuffle(zero(), value, range(16 - bytes, 16));
      encoding.write(e, destination, first, encoding.read(e, first).map(moved));
      return;
    }
    const count = i8x16.splat(i32.wrap(by));
    const own = i8x16.const(...range(0, 16));
    // Indices that are out of range give zero: more than 15, and less than 0.
    const from = direction > 0 ? i8x16.addSatU(own, count) : i8x16.sub(own, saturated(count));
    const results = encoding.read(e, first).map((value) => i8x16.swizzle(value, from));
    encoding.write(e, destination, first, results);
  };

const saturated = (count: V128): V128 => i8x16.minU(count, i8x16.const(16));

const byImmediate = (encoding: Encoding, opcode: string): readonly string[] =>
  encoding.either(`66 0F ${opcode} Ux,Ib`, ofBothLengths(`66 0F ${opcode} Hx,Ux,Ib`));

const shiftForms = (encoding: Encoding, opcode: string, immediate: string): string[] => [
  ...onBoth(encoding, opcode, { source: encoding.either("Wx", ["Wdq"])[0] as string }),
  ...encoding.either(`NP 0F ${immediate} Nq,Ib`, []),
  ...byImmediate(encoding, immediate),
];

const shifts = (encoding: Encoding): Instruction[] => {
  const by = (name: string, opcode: string, immediate: string, meaning: Meaning) => ({
    name,
    forms: shiftForms(encoding, opcode, immediate),
    meaning,
  });
  return [
    by("PSLLW", "F1", "71/6", logical(encoding, 16, i16x8.shl)),
    by("PSLLD", "F2", "72/6", logical(encoding, 32, i32x4.shl)),
    by("PSLLQ", "F3", "73/6", logical(encoding, 64, i64x2.shl)),
    by("PSRLW", "D1", "71/2", logical(encoding, 16, i16x8.shrU)),
    by("PSRLD", "D2", "72/2", logical(encoding, 32, i32x4.shrU)),
    by("PSRLQ", "D3", "73/2", logical(encoding, 64, i64x2.shrU)),
    by("PSRAW", "E1", "71/4", arithmetic(encoding, 16, i16x8.shrS)),
    by("PSRAD", "E2", "72/4", arithmetic(encoding, 32, i32x4.shrS)),
    {
      name: "PSLLDQ",
      forms: byImmediate(encoding, "73/7"),
      meaning: byteShift(encoding, -1),
    },
    {
      name: "PSRLDQ",
      forms: byImmediate(encoding, "73/3"),
      meaning: byteShift(encoding, 1),
    },
  ];
};

/** ZF: no common bits; CF: no bits of the second outside the first. */
const test =
  (encoding: Encoding): Meaning =>
  (e, first: Operand, second: Operand) => {
    const b = encoding.read(e, second);
    const a = encoding.read(e, first);
    const anywhere = (bits: (a: Vector, b: Vector) => V128): I32 =>
      b.map((y, n) => v128.anyTrue(bits(a[n] as Vector, y))).reduce((x, y) => i32.or(x, y));
    const common = anywhere(v128.and);
    const outside = anywhere((x, y) => v128.andnot(y, x));
    e.flags.zeroAndCarry(i32.eqz(common), i32.eqz(outside));
  };

/** By types of memory operands: one of twice as many elements. */
const TWICE: Readonly<Record<string, string>> = { w: "d", d: "q", q: "dq" };

/** Of different width: the source's low lanes, extended. */
const extending = (
  encoding: Encoding,
  name: string,
  opcode: string,
  type: string,
  extend: (a: V128) => V128,
): Instruction => {
  const head = `66 0F 38 ${opcode}`;
  return {
    name,
    forms: encoding.either(`${head} Vx,W${type}`, [
      `VEX.0 ${head} Vx,W${type}`,
      `VEX.1 ${head} Vx,W${TWICE[type]}`,
    ]),
    meaning(e, destination: Operand, source: Operand) {
      // Two bytes: an integer of 16 bits.
      const value =
        source.bits === 16 ? i64x2.splat(e.read(source)) : (encoding.read(e, source)[0] as Vector);
      if (destination.bits === 128) {
        encoding.write(e, destination, destination, [extend(value)]);
        return;
      }
      const whole = e.let(value);
      const upper = i8x16.shuffle(
        whole,
        whole,
        range(source.bits / 16, 16).map((at) => at % 16),
      );
      encoding.write(e, destination, destination, [extend(whole), extend(upper)]);
    },
  };
};

const extensions = (encoding: Encoding): Instruction[] =>
  (["S", "U"] as const).flatMap((sign, upper) => {
    const [fromBytes, fromWords, fromDoublewords] = [
      i16x8[`extendLow${sign}`],
      i32x4[`extendLow${sign}`],
      i64x2[`extendLow${sign}`],
    ];
    const name = sign === "S" ? "PMOVSX" : "PMOVZX";
    return [
      extending(encoding, `${name}BW`, `${2 + upper}0`, "q", fromBytes),
      extending(encoding, `${name}BD`, `${2 + upper}1`, "d", (a) => fromWords(fromBytes(a))),
      extending(encoding, `${name}BQ`, `${2 + upper}2`, "w", (a) =>
        fromDoublewords(fromWords(fromBytes(a))),
      ),
      extending(encoding, `${name}WD`, `${2 + upper}3`, "q", fromWords),
      extending(encoding, `${name}WQ`, `${2 + upper}4`, "d", (a) => fromDoublewords(fromWords(a))),
      extending(encoding, `${name}DQ`, `${2 + upper}5`, "q", fromDoublewords),
    ];
  });

export const integerArithmetic = (encoding: Encoding): Family => {
  const both = (name: string, opcode: string, combine: Combine): Instruction => ({
    name,
    forms: onBoth(encoding, opcode),
    meaning: pairwise(encoding, combine),
  });
  const xmmOnly = (name: string, opcode: string, combine: Combine): Instruction => ({
    name,
    forms: encoding.forms(`66 0F ${opcode}`, { type: "x" }),
    meaning: pairwise(encoding, combine),
  });
  const instructions: readonly Instruction[] = [
    both("PADDB", "FC", i8x16.add),
    both("PADDW", "FD", i16x8.add),
    both("PADDD", "FE", i32x4.add),
    both("PADDQ", "D4", i64x2.add),
    both("PADDSB", "EC", i8x16.addSatS),
    both("PADDSW", "ED", i16x8.addSatS),
    both("PADDUSB", "DC", i8x16.addSatU),
    both("PADDUSW", "DD", i16x8.addSatU),
    both("PSUBB", "F8", i8x16.sub),
    both("PSUBW", "F9", i16x8.sub),
    both("PSUBD", "FA", i32x4.sub),
    both("PSUBQ", "FB", i64x2.sub),
    both("PSUBSB", "E8", i8x16.subSatS),
    both("PSUBSW", "E9", i16x8.subSatS),
    both("PSUBUSB", "D8", i8x16.subSatU),
    both("PSUBUSW", "D9", i16x8.subSatU),
    both("PMULLW", "D5", i16x8.mul),
    both("PMULHW", "E5", (a, b) => highWords(i32x4.extmulLowS(a, b), i32x4.extmulHighS(a, b))),
    both("PMULHUW", "E4", (a, b) => highWords(i32x4.extmulLowU(a, b), i32x4.extmulHighU(a, b))),
    both("PMADDWD", "F5", i32x4.dotS),
    both("PMULUDQ", "F4", multiplyEven(i64x2.extmulLowU)),
    both("PAVGB", "E0", i8x16.avgrU),
    both("PAVGW", "E3", i16x8.avgrU),
    both("PMINUB", "DA", i8x16.minU),
    both("PMAXUB", "DE", i8x16.maxU),
    both("PMINSW", "EA", i16x8.minS),
    both("PMAXSW", "EE", i16x8.maxS),
    both("PSADBW", "F6", sumOfDifferences),
    both("PCMPEQB", "74", i8x16.eq),
    both("PCMPEQW", "75", i16x8.eq),
    both("PCMPEQD", "76", i32x4.eq),
    both("PCMPGTB", "64", i8x16.gtS),
    both("PCMPGTW", "65", i16x8.gtS),
    both("PCMPGTD", "66", i32x4.gtS),
    both("PAND", "DB", v128.and),
    both("PANDN", "DF", (a, b) => v128.andnot(b, a)),
    both("POR", "EB", v128.or),
    both("PXOR", "EF", v128.xor),
    both("PHADDW", "38 01", horizontal(2, i16x8.add)),
    both("PHADDD", "38 02", horizontal(4, i32x4.add)),
    both("PHADDSW", "38 03", horizontal(2, i16x8.addSatS)),
    both("PHSUBW", "38 05", horizontal(2, i16x8.sub)),
    both("PHSUBD", "38 06", horizontal(4, i32x4.sub)),
    both("PHSUBSW", "38 07", horizontal(2, i16x8.subSatS)),
    both("PMADDUBSW", "38 04", multiplyBytes),
    both("PMULHRSW", "38 0B", multiplyRounding),
    both("PSIGNB", "38 08", withSign(i8x16)),
    both("PSIGNW", "38 09", withSign(i16x8)),
    both("PSIGND", "38 0A", withSign(i32x4)),
    {
      name: "PABSB",
      forms: onBoth(encoding, "38 1C", { unary: true }),
      meaning: mapping(encoding, i8x16.abs),
    },
    {
      name: "PABSW",
      forms: onBoth(encoding, "38 1D", { unary: true }),
      meaning: mapping(encoding, i16x8.abs),
    },
    {
      name: "PABSD",
      forms: onBoth(encoding, "38 1E", { unary: true }),
      meaning: mapping(encoding, i32x4.abs),
    },
    xmmOnly("PMINSB", "38 38", i8x16.minS),
    xmmOnly("PMINSD", "38 39", i32x4.minS),
    xmmOnly("PMINUW", "38 3A", i16x8.minU),
    xmmOnly("PMINUD", "38 3B", i32x4.minU),
    xmmOnly("PMAXSB", "38 3C", i8x16.maxS),
    xmmOnly("PMAXSD", "38 3D", i32x4.maxS),
    xmmOnly("PMAXUW", "38 3E", i16x8.maxU),
    xmmOnly("PMAXUD", "38 3F", i32x4.maxU),
    xmmOnly("PMULDQ", "38 28", multiplyEven(i64x2.extmulLowS)),
    xmmOnly("PMULLD", "38 40", i32x4.mul),
    xmmOnly("PCMPEQQ", "38 29", i64x2.eq),
    xmmOnly("PCMPGTQ", "38 37", i64x2.gtS),
    {
      name: "PHMINPOSUW",
      forms: onlyNarrow(encoding, "66 0F 38 41 Vx,Wx"),
      meaning: mapping(encoding, leastWord),
    },
    {
      name: "MPSADBW",
      forms: encoding.forms("66 0F 3A 42", { type: "x", more: ",Ib" }),
      meaning: controlling(encoding, sumsOfDifferences),
    },
    {
      name: "PTEST",
      forms: encoding.forms("66 0F 38 17", { type: "x", unary: true }),
      flags: { written: "OSZAPC" },
      meaning: test(encoding),
    },
    ...shifts(encoding),
    ...extensions(encoding),
  ];
  return instructions.map(encoding.instruction);
};

/** Logic of floating point, which is that of bits. */
const floatLogic: readonly Instruction[] = (
  [
    ["ANDPS", "54", v128.and],
    ["ANDNPS", "55", (a, b) => v128.andnot(b, a)],
    ["ORPS", "56", v128.or],
    ["XORPS", "57", v128.xor],
  ] satisfies [string, string, Combine][]
).map(([name, opcode, combine]) => ({
  name,
  forms: [`NP 0F ${opcode} Vx,Wx`, `66 0F ${opcode} Vx,Wx`],
  meaning: pairwise(LEGACY, combine),
}));

export const sseInteger: Family = [...integerArithmetic(LEGACY), ...floatLogic];
