/** Integer arithmetic, logic and comparison of vectors (Intel SDM vol. 1 §9.4, §11.4.2, §12.6, §12.10). */
import { type I64, i32, i64, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { atBits, combining, lanes, mapping, onBoth, range, type Vector } from "./vector.ts";

type Combine = (a: Vector, b: Vector, bits: number, e: Emitter) => V128;

const both = (name: string, opcode: string, combine: Combine): Instruction => ({
  name,
  forms: onBoth(opcode),
  meaning: combining(combine),
});

const xmmOnly = (name: string, opcode: string, combine: Combine): Instruction => ({
  name,
  forms: [`66 0F ${opcode} Vx,Wx`],
  meaning: combining(combine),
});

const hot = (instruction: Instruction): Instruction => ({ ...instruction, hot: true });

const zero = (): V128 => i64x2.const(0);

/** The upper halves of 16-bit products. */
const highWords = (low: V128, high: V128): V128 => lanes(low, high, 2, range(1, 8, 2));

/** Adds or subtracts neighbours: those of the destination, then those of the source. */
const horizontal =
  (bytes: number, operation: (a: V128, b: V128) => V128): Combine =>
  (a, b, bits) => {
    const half = bits / 8 / bytes / 2;
    const numbers = (odd: number) => [...range(odd, half, 2), ...range(16 / bytes + odd, half, 2)];
    return operation(lanes(a, b, bytes, numbers(0)), lanes(a, b, bytes, numbers(1)));
  };

type Lanes = typeof i8x16 | typeof i16x8 | typeof i32x4;

/** Negated where the source is negative, zero where it is zero. */
const withSign =
  ({ gtS, sub, eq }: Lanes): Combine =>
  (a, b, _bits, e) => {
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

const sumOfDifferences: Combine = (a, b, _bits, e) => {
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

/** Eight sums of four absolute differences: one block of the source, eight of the destination. */
function sumsOfDifferences(e: Emitter, destination: Operand, source: Operand, control: Operand) {
  const b = e.readVector(source);
  const a = e.readVector(destination);
  const which = e.let(i32.wrap(e.read(control)));
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
  e.writeVector(destination, sum);
}

/** All lanes by one count: the low 64 bits of a vector, or an immediate. */
const shifting =
  (width: number, shifted: (e: Emitter, value: Vector, count: I64, tooFar: I64) => V128) =>
  (e: Emitter, destination: Operand, source: Operand): void => {
    const count = e.local("i64");
    if (source.kind === "immediate") e.set(count, e.read(source));
    else e.set(count, i64x2.extractLane(e.readVector(source), 0));
    const value = e.readVector(destination);
    const tooFar = i64.extendU(i64.geU(count, i64.const(width)));
    e.writeVector(destination, shifted(e, value, count, tooFar));
  };

type Shift = (value: V128, count: ReturnType<typeof i32.const>) => V128;

const logical = (width: number, shift: Shift) =>
  shifting(width, (_e, value, count, tooFar) =>
    select(i32.wrap(tooFar), zero(), shift(value, i32.wrap(count))),
  );

/** Farther than the width, the sign fills everything. */
const arithmetic = (width: number, shift: Shift) =>
  shifting(width, (_e, value, count, tooFar) =>
    shift(value, select(i32.wrap(tooFar), i32.const(width - 1), i32.wrap(count))),
  );

const shiftForms = (opcode: string, immediate: string): string[] => [
  ...onBoth(opcode),
  `NP 0F ${immediate} Nq,Ib`,
  `66 0F ${immediate} Ux,Ib`,
];

/** The whole register, by bytes. @param direction of the indices */
const byteShift =
  (direction: 1 | -1) =>
  (e: Emitter, destination: Operand, source: Operand): void => {
    const count = i8x16.splat(i32.wrap(e.read(source)));
    const own = i8x16.const(...range(0, 16));
    // Indices that are out of range give zero: more than 15, and less than 0.
    const from = direction > 0 ? i8x16.addSatU(own, count) : i8x16.sub(own, saturated(count));
    e.writeVector(destination, i8x16.swizzle(e.readVector(destination), from));
  };

const saturated = (count: V128): V128 => i8x16.minU(count, i8x16.const(16));

/** ZF: no common bits; CF: no bits of the source outside the destination. */
function test(e: Emitter, first: Operand, second: Operand): void {
  const b = e.readVector(second);
  const a = e.readVector(first);
  const common = v128.anyTrue(v128.and(a, b));
  const outside = v128.anyTrue(v128.andnot(b, a));
  e.flags.zeroAndCarry(i32.eqz(common), i32.eqz(outside));
}

const PSHIFTS: readonly Instruction[] = [
  { name: "PSLLW", forms: shiftForms("F1", "71/6"), meaning: logical(16, i16x8.shl) },
  { name: "PSLLD", forms: shiftForms("F2", "72/6"), meaning: logical(32, i32x4.shl) },
  { name: "PSLLQ", forms: shiftForms("F3", "73/6"), meaning: logical(64, i64x2.shl) },
  { name: "PSRLW", forms: shiftForms("D1", "71/2"), meaning: logical(16, i16x8.shrU) },
  { name: "PSRLD", forms: shiftForms("D2", "72/2"), meaning: logical(32, i32x4.shrU) },
  { name: "PSRLQ", forms: shiftForms("D3", "73/2"), meaning: logical(64, i64x2.shrU) },
  { name: "PSRAW", forms: shiftForms("E1", "71/4"), meaning: arithmetic(16, i16x8.shrS) },
  { name: "PSRAD", forms: shiftForms("E2", "72/4"), meaning: arithmetic(32, i32x4.shrS) },
  { name: "PSLLDQ", forms: ["66 0F 73/7 Ux,Ib"], meaning: byteShift(-1) },
  { name: "PSRLDQ", forms: ["66 0F 73/3 Ux,Ib"], meaning: byteShift(1) },
];

/** Of different width: the source's low lanes, extended. */
const extending = (name: string, opcode: string, type: string, extend: (a: V128) => V128) => ({
  name,
  forms: [`66 0F 38 ${opcode} Vx,W${type}`],
  meaning: mapping(extend),
});

const EXTENSIONS: readonly Instruction[] = [
  extending("PMOVSXBW", "20", "q", i16x8.extendLowS),
  extending("PMOVSXBD", "21", "d", (a) => i32x4.extendLowS(i16x8.extendLowS(a))),
  extending("PMOVSXWD", "23", "q", i32x4.extendLowS),
  extending("PMOVSXWQ", "24", "d", (a) => i64x2.extendLowS(i32x4.extendLowS(a))),
  extending("PMOVSXDQ", "25", "q", i64x2.extendLowS),
  extending("PMOVZXBW", "30", "q", i16x8.extendLowU),
  extending("PMOVZXBD", "31", "d", (a) => i32x4.extendLowU(i16x8.extendLowU(a))),
  extending("PMOVZXWD", "33", "q", i32x4.extendLowU),
  extending("PMOVZXWQ", "34", "d", (a) => i64x2.extendLowU(i32x4.extendLowU(a))),
  extending("PMOVZXDQ", "35", "q", i64x2.extendLowU),
  ...(["S", "U"] as const).map((sign): Instruction => {
    const wide = (a: V128): V128 => {
      const words = i16x8[`extendLow${sign}`](a);
      return i64x2[`extendLow${sign}`](i32x4[`extendLow${sign}`](words));
    };
    // Two bytes: an integer of 16 bits.
    const meaning = (e: Emitter, destination: Operand, source: Operand): void => {
      const bytes = e.read(atBits(source, 16));
      e.writeVector(destination, wide(i64x2.splat(bytes)));
    };
    const name = sign === "S" ? "PMOVSXBQ" : "PMOVZXBQ";
    return { name, forms: [`66 0F 38 ${sign === "S" ? "22" : "32"} Vx,Ww`], meaning };
  }),
];

export const sseInteger: Family = [
  both("PADDB", "FC", i8x16.add),
  both("PADDW", "FD", i16x8.add),
  hot(both("PADDD", "FE", i32x4.add)),
  hot(both("PADDQ", "D4", i64x2.add)),
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
  hot(both("PCMPEQB", "74", i8x16.eq)),
  both("PCMPEQW", "75", i16x8.eq),
  both("PCMPEQD", "76", i32x4.eq),
  both("PCMPGTB", "64", i8x16.gtS),
  both("PCMPGTW", "65", i16x8.gtS),
  both("PCMPGTD", "66", i32x4.gtS),
  both("PAND", "DB", v128.and),
  both("PANDN", "DF", (a, b) => v128.andnot(b, a)),
  both("POR", "EB", v128.or),
  hot(both("PXOR", "EF", v128.xor)),
  { name: "ANDPS", forms: ["NP 0F 54 Vx,Wx", "66 0F 54 Vx,Wx"], meaning: combining(v128.and) },
  {
    name: "ANDNPS",
    forms: ["NP 0F 55 Vx,Wx", "66 0F 55 Vx,Wx"],
    meaning: combining((a, b) => v128.andnot(b, a)),
  },
  { name: "ORPS", forms: ["NP 0F 56 Vx,Wx", "66 0F 56 Vx,Wx"], meaning: combining(v128.or) },
  {
    name: "XORPS",
    forms: ["NP 0F 57 Vx,Wx", "66 0F 57 Vx,Wx"],
    hot: true,
    meaning: combining(v128.xor),
  },
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
  { name: "PABSB", forms: onBoth("38 1C"), meaning: mapping(i8x16.abs) },
  { name: "PABSW", forms: onBoth("38 1D"), meaning: mapping(i16x8.abs) },
  { name: "PABSD", forms: onBoth("38 1E"), meaning: mapping(i32x4.abs) },
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
  { name: "PHMINPOSUW", forms: ["66 0F 38 41 Vx,Wx"], meaning: mapping(leastWord) },
  { name: "MPSADBW", forms: ["66 0F 3A 42 Vx,Wx,Ib"], meaning: sumsOfDifferences },
  {
    name: "PTEST",
    forms: ["66 0F 38 17 Vx,Wx"],
    flags: { written: "OSZAPC" },
    meaning: test,
  },
  ...PSHIFTS,
  ...EXTENSIONS,
];
