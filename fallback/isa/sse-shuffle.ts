/** Lanes moved about: shuffles, packs, blends, insertions (Intel SDM vol. 1 §9.4.4, §11.4.2, §12.10). */
import { type I64, i32, select, type V128 } from "../wasm/expression.ts";
import { i8x16, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import {
  type Combine,
  type Controlled,
  controlling,
  type Encoding,
  immediate,
  LEGACY,
  mapping,
  onBoth,
  pairwise,
  readPairs,
} from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { chosenLanes, floatElements, integerElements } from "./sse-elements.ts";
import { knownByte, lanes, type Meaning, ofBothLengths, range, type Vector } from "./vector.ts";

const BYTES = range(0, 16);
const zero = (): V128 => i64x2.const(0);

/** Four selectors of two bits, each in a lane of its own: moved to bits 7 and 6, then down. */
const selectors = (which: I64, width: 16 | 32): V128 => {
  const { splat, mul, shrU, const: constant } = width === 16 ? i16x8 : i32x4;
  const moved = mul(splat(i32.wrap(which)), constant(64, 16, 4, 1));
  return v128.and(shrU(moved, i32.const(6)), constant(3));
};

/** The same where they are known. */
const fieldsOf = (which: number): [number, number, number, number] => [
  which & 3,
  (which >> 2) & 3,
  (which >> 4) & 3,
  (which >> 6) & 3,
];

/** Selectors of four lanes of 32 bits, as indices of bytes. */
const doublewordIndices = (which: I64): V128 =>
  i32x4.add(i32x4.mul(selectors(which, 32), i32x4.const(0x0404_0404)), i32x4.const(0x0302_0100));

const shuffleDoublewords = (value: Vector, e: Emitter, control: Operand): V128 => {
  const which = e.read(control);
  const known = knownByte(which);
  if (known !== undefined) return lanes(value, value, 4, fieldsOf(known));
  return i8x16.swizzle(value, doublewordIndices(which));
};

/** Four words of one half, the others as they are. */
const shuffleWords =
  (high: boolean) =>
  (value: Vector, e: Emitter, control: Operand): V128 => {
    const which = e.read(control);
    const known = knownByte(which);
    if (known !== undefined) {
      const fields = fieldsOf(known);
      const words = high
        ? [...range(0, 4), ...fields.map((n) => n + 4)]
        : [...fields, ...range(4, 4)];
      return lanes(value, value, 2, words);
    }
    const each = high
      ? [0, 0, 0, 0, 0x0202, 0x0202, 0x0202, 0x0202]
      : [0x0202, 0x0202, 0x0202, 0x0202, 0, 0, 0, 0];
    const own = [0x0100, 0x0302, 0x0504, 0x0706, 0x0908, 0x0b0a, 0x0d0c, 0x0f0e];
    const base = own.map((index, lane) => (each[lane] === 0 ? index : high ? 0x0908 : 0x0100));
    const chosen = i16x8.mul(selectors(which, 16), i16x8.const(...each));
    return i8x16.swizzle(value, i16x8.add(chosen, i16x8.const(...base)));
  };

/** Two lanes of the first source, then two of the second. */
export const shuffleSingles: Controlled = (e, a, b, control) => {
  const which = e.read(control);
  const known = knownByte(which);
  if (known !== undefined) {
    const [first, second, third, fourth] = fieldsOf(known);
    return lanes(a, b, 4, [first, second, third + 4, fourth + 4]);
  }
  const indices = e.let(doublewordIndices(which));
  const low = i8x16.swizzle(a, indices);
  return lanes(low, i8x16.swizzle(b, indices), 4, [0, 1, 6, 7]);
};

export const shuffleDoubles: Controlled = (e, a, b, control, half) => {
  const which = immediate(e, control);
  const known = knownByte(which);
  if (known !== undefined) {
    const ofHalf = known >> (2 * half);
    return lanes(a, b, 8, [ofHalf & 1, 2 + ((ofHalf >> 1) & 1)]);
  }
  const choose = (from: Vector, bit: number) => {
    const isHigh = i32.and(which, i32.const(bit << (2 * half)));
    return select(isHigh, i64x2.extractLane(from, 1), i64x2.extractLane(from, 0));
  };
  return i64x2.replaceLane(i64x2.splat(choose(a, 1)), 1, choose(b, 2));
};

export const floatShuffles = (encoding: Encoding): Instruction[] => [
  {
    name: "SHUFPS",
    forms: encoding.forms("NP 0F C6", { type: "x", more: ",Ib" }),
    meaning: controlling(encoding, shuffleSingles),
  },
  {
    name: "SHUFPD",
    forms: encoding.forms("66 0F C6", { type: "x", more: ",Ib" }),
    meaning: controlling(encoding, shuffleDoubles),
  },
];

/** By index, or zero where the index's bit 7 is set. */
const shuffleBytes: Combine = (a, indices, _e, bits) =>
  i8x16.swizzle(a, v128.and(indices, i8x16.const(bits === 64 ? 0x87 : 0x8f)));

/** Bytes of the first source (high) and the second (low) together, from an offset on. */
const align: Controlled = (e, a, b, control, _half, bits) => {
  const offset = immediate(e, control);
  const known = knownByte(offset);
  if (known !== undefined && bits === 128) {
    const isFar = known > 16;
    const from = isFar ? Math.min(known - 16, 16) : known;
    return i8x16.shuffle(isFar ? a : b, isFar ? zero() : a, range(from, 16));
  }
  // Indices over 15 give zero.
  const indices = e.let(i8x16.addSatU(i8x16.const(...BYTES), i8x16.splat(offset)));
  if (bits === 64) return i8x16.swizzle(lanes(b, a, 8, [0, 2]), indices);
  const high = i8x16.swizzle(a, i8x16.sub(indices, i8x16.const(16)));
  return v128.or(i8x16.swizzle(b, indices), high);
};

/** Lanes of both in turn. */
const interleave =
  (bytes: number, high: boolean): Combine =>
  (a, b, _e, bits) => {
    const count = bits / 8 / bytes;
    const first = high ? count / 2 : 0;
    return lanes(
      a,
      b,
      bytes,
      range(first, count / 2).flatMap((lane) => [lane, lane + 16 / bytes]),
    );
  };

const LETTERS = ["BW", "WD", "DQ"] as const;

const unpacking = (encoding: Encoding): Instruction[] =>
  LETTERS.flatMap((letters, index) => {
    const bytes = 1 << index;
    const low = (0x60 + index).toString(16);
    return [
      {
        name: `PUNPCKL${letters}`,
        // Of memory MMX reads 32 bits only.
        forms: [
          ...encoding.either(`NP 0F ${low} Pq,Qd`, []),
          ...encoding.forms(`66 0F ${low}`, { type: "x" }),
        ],
        meaning: pairwise(encoding, interleave(bytes, false)),
      },
      {
        name: `PUNPCKH${letters}`,
        forms: onBoth(encoding, (0x68 + index).toString(16).toUpperCase()),
        meaning: pairwise(encoding, interleave(bytes, true)),
      },
    ];
  });

export const floatUnpacking = (encoding: Encoding): Instruction[] =>
  (
    [
      ["UNPCKLPS", "NP 0F 14", interleave(4, false)],
      ["UNPCKLPD", "66 0F 14", interleave(8, false)],
      ["UNPCKHPS", "NP 0F 15", interleave(4, true)],
      ["UNPCKHPD", "66 0F 15", interleave(8, true)],
    ] as const
  ).map(([name, head, combine]) => ({
    name,
    forms: encoding.forms(head, { type: "x" }),
    meaning: pairwise(encoding, combine),
  }));

/** Narrows lanes of the destination, then of the source. */
const packing =
  (narrow: (a: V128, b: V128) => V128): Combine =>
  (a, b, e, bits) => {
    if (bits === 128) return narrow(a, b);
    const both = e.let(narrow(a, b));
    return lanes(both, both, 4, [0, 2]);
  };

/** @param step how many bits of the immediate are for 128 bits, if not all of them are for all */
export const blending =
  (width: 16 | 32 | 64, step: number): Controlled =>
  (e, a, b, control, half) => {
    const which = immediate(e, control);
    const known = knownByte(which);
    if (known !== undefined) {
      const count = 128 / width;
      const isSecond = (lane: number): boolean => ((known >> (half * step + lane)) & 1) !== 0;
      const chosen = range(0, count).map((lane) => (isSecond(lane) ? lane + count : lane));
      return lanes(a, b, width / 8, chosen);
    }
    const here = half === 0 ? which : i32.shrU(which, i32.const(half * step));
    return v128.bitselect(b, a, chosenLanes(here, width));
  };

export const floatBlends = (encoding: Encoding): Instruction[] => [
  {
    name: "BLENDPS",
    forms: encoding.forms("66 0F 3A 0C", { type: "x", more: ",Ib" }),
    meaning: controlling(encoding, blending(32, 4)),
  },
  {
    name: "BLENDPD",
    forms: encoding.forms("66 0F 3A 0D", { type: "x", more: ",Ib" }),
    meaning: controlling(encoding, blending(64, 2)),
  },
];

/** Where the lanes of the third operand are negative. */
export const blendingBySign =
  (encoding: Encoding, gtS: (a: V128, b: V128) => V128): Meaning =>
  (e, ...operands: Operand[]) => {
    const { roles, pairs } = readPairs(encoding, e, operands);
    const [destination, first, , control] = roles;
    const controls = control === undefined ? [] : encoding.read(e, control);
    const results = pairs.map(([a, b], n) =>
      v128.bitselect(b, a, gtS(zero(), controls[n] ?? zero())),
    );
    encoding.write(e, destination, first, results);
  };

export const integerShuffles = (encoding: Encoding): Family => {
  const vectors = (name: string, opcode: string, combine: Combine): Instruction => ({
    name,
    forms: encoding.forms(`66 0F ${opcode}`, { type: "x" }),
    meaning: pairwise(encoding, combine),
  });
  const both = (name: string, opcode: string, combine: Combine): Instruction => ({
    name,
    forms: onBoth(encoding, opcode),
    meaning: pairwise(encoding, combine),
  });
  const chosen = (name: string, prefix: string, map: typeof shuffleDoublewords): Instruction => ({
    name,
    forms: encoding.forms(`${prefix} 0F 70`, { type: "x", more: ",Ib", unary: true }),
    meaning: mapping(encoding, map),
  });
  const instructions: readonly Instruction[] = [
    chosen("PSHUFD", "66", shuffleDoublewords),
    chosen("PSHUFLW", "F2", shuffleWords(false)),
    chosen("PSHUFHW", "F3", shuffleWords(true)),
    both("PSHUFB", "38 00", shuffleBytes),
    {
      name: "PALIGNR",
      forms: [
        ...encoding.either("NP 0F 3A 0F Pq,Qq,Ib", []),
        ...encoding.forms("66 0F 3A 0F", { type: "x", more: ",Ib" }),
      ],
      meaning: controlling(encoding, align),
    },
    ...unpacking(encoding),
    vectors("PUNPCKLQDQ", "6C", interleave(8, false)),
    vectors("PUNPCKHQDQ", "6D", interleave(8, true)),
    both("PACKSSWB", "63", packing(i8x16.narrowS)),
    both("PACKUSWB", "67", packing(i8x16.narrowU)),
    both("PACKSSDW", "6B", packing(i16x8.narrowS)),
    vectors("PACKUSDW", "38 2B", packing(i16x8.narrowU)),
    {
      name: "PBLENDW",
      forms: encoding.forms("66 0F 3A 0E", { type: "x", more: ",Ib" }),
      meaning: controlling(encoding, blending(16, 0)),
    },
    {
      name: "PBLENDVB",
      forms: encoding.either(
        "66 0F 38 10 Vx,Wx,XMM0",
        ofBothLengths("66 0F 3A 4C Vx,Hx,Wx,Lx noW"),
      ),
      meaning: blendingBySign(encoding, i8x16.gtS),
    },
    ...integerElements(encoding),
  ];
  return instructions.map(encoding.instruction);
};

export const sseShuffle: Family = [
  ...integerShuffles(LEGACY),
  { name: "PSHUFW", forms: ["NP 0F 70 Pq,Qq,Ib"], meaning: mapping(LEGACY, shuffleWords(false)) },
  ...floatShuffles(LEGACY),
  ...floatUnpacking(LEGACY),
  ...floatBlends(LEGACY),
  {
    name: "BLENDVPS",
    forms: ["66 0F 38 14 Vx,Wx,XMM0"],
    meaning: blendingBySign(LEGACY, i32x4.gtS),
  },
  {
    name: "BLENDVPD",
    forms: ["66 0F 38 15 Vx,Wx,XMM0"],
    meaning: blendingBySign(LEGACY, i64x2.gtS),
  },
  ...floatElements(LEGACY),
];
