/** Elements of vectors: insertions and extractions (Intel SDM vol. 1 §10.4.4, §12.10). */
import { type I32, type I64, i32, i64, type V128 } from "../wasm/expression.ts";
import { i8x16, i16x8, i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Encoding, immediate } from "./encoding.ts";
import type { Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { atBits, knownByte, type Meaning, range, type Vector } from "./vector.ts";

const BYTES = range(0, 16);
const zero = (): V128 => i64x2.const(0);

/** All ones in the lanes whose bit is set in the immediate. */
export const chosenLanes = (which: I32, width: 16 | 32 | 64): V128 => {
  if (width === 64) {
    const halves = chosenLanes(which, 32);
    return i8x16.shuffle(halves, zero(), [0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4]);
  }
  const { splat, eq, const: constant } = width === 16 ? i16x8 : i32x4;
  const bits = range(0, 128 / width).map((lane) => 1 << lane);
  return eq(v128.and(splat(which), constant(...bits)), constant(...bits));
};

const LANE_NUMBERS = {
  8: () => i8x16.const(...BYTES),
  16: () => i16x8.const(...range(0, 8)),
  32: () => i32x4.const(...range(0, 4)),
  64: () => i64x2.const(0, 1),
} as const;
type LaneBits = keyof typeof LANE_NUMBERS;

export const splatLane = (value: ReturnType<Emitter["read"]>, bits: LaneBits): V128 => {
  switch (bits) {
    case 8:
      return i8x16.splat(i32.wrap(value));
    case 16:
      return i16x8.splat(i32.wrap(value));
    case 32:
      return i32x4.splat(i32.wrap(value));
    case 64:
      return i64x2.splat(value);
  }
};

const equalLanes = { 8: i8x16.eq, 16: i16x8.eq, 32: i32x4.eq, 64: i64x2.eq } as const;

const replaceLane = (vector: Vector, lane: number, value: I64, bits: LaneBits): V128 => {
  if (bits === 64) return i64x2.replaceLane(vector, lane, value);
  const { replaceLane } = { 8: i8x16, 16: i16x8, 32: i32x4 }[bits];
  return replaceLane(vector, lane, i32.wrap(value));
};

/** A lane's number: the immediate modulo how many there are. */
const laneNumber = (e: Emitter, control: Operand, total: number, bits: number) =>
  e.let(i64.and(e.read(control), i64.const(total / bits - 1)));

const inserting =
  (encoding: Encoding, laneBits?: 8 | 16): Meaning =>
  (e, ...operands: Operand[]) => {
    const [destination, first, source, control] = encoding.roles(operands);
    if (control === undefined) throw new Error("no immediate");
    const bits = (laneBits ?? source.bits) as LaneBits;
    const value = e.read(source);
    const lane = laneNumber(e, control, destination.bits, bits);
    const known = knownByte(lane);
    if (known !== undefined) {
      const inserted = replaceLane(e.readVector(first), known, value, bits);
      encoding.write(e, destination, first, [inserted]);
      return;
    }
    const mask = equalLanes[bits](LANE_NUMBERS[bits](), splatLane(lane, bits));
    const before = e.readVector(first);
    const inserted = v128.bitselect(splatLane(value, bits), before, mask);
    encoding.write(e, destination, first, [inserted]);
  };

/** A lane's value, zero-extended. */
const extractLane = (
  e: Emitter,
  source: Vector,
  lane: ReturnType<typeof laneNumber>,
  bits: number,
) => {
  const known = knownByte(lane);
  if (known !== undefined && bits === 64) return e.let(i64x2.extractLane(source, known));
  if (known !== undefined) {
    const ofBits = { 8: i8x16.extractLaneU, 16: i16x8.extractLaneU, 32: i32x4.extractLane };
    return e.let(i64.extendU(ofBits[bits as keyof typeof ofBits](source, known)));
  }
  const offset = i32.mul(i32.wrap(lane), i32.const(bits / 8));
  const indices = i8x16.add(i8x16.const(...BYTES), i8x16.splat(offset));
  const low = i64x2.extractLane(i8x16.swizzle(source, indices), 0);
  return e.let(bits === 64 ? low : i64.and(low, i64.const((1n << BigInt(bits)) - 1n)));
};

const extracting =
  (laneBits?: 8 | 16): Meaning =>
  (e, destination: Operand, source: Operand, control: Operand) => {
    const bits = laneBits ?? destination.bits;
    const lane = laneNumber(e, control, source.bits, bits);
    e.write(destination, extractLane(e, e.readVector(source), lane, bits));
  };

/** One lane of the source (memory has but one) to any lane; then some lanes become zero. */
const insertSingle =
  (encoding: Encoding): Meaning =>
  (e, ...operands: Operand[]) => {
    const [destination, first, source, control] = encoding.roles(operands);
    const which = immediate(e, control);
    const field = (shift: number) => i32.and(i32.shrU(which, i32.const(shift)), i32.const(3));
    let value: ReturnType<Emitter["read"]>;
    if (source.kind === "memory") value = e.read(source);
    else {
      const from = e.let(i64.extendU(field(6)));
      value = extractLane(e, e.readVector(atBits(source, 128)), from, 32);
    }
    const place = i32x4.eq(LANE_NUMBERS[32](), i32x4.splat(field(4)));
    const inserted = v128.bitselect(splatLane(value, 32), e.readVector(first), place);
    encoding.write(e, destination, first, [v128.andnot(inserted, chosenLanes(which, 32))]);
  };

export const floatElements = (encoding: Encoding): Instruction[] => [
  {
    name: "EXTRACTPS",
    forms: encoding.either("66 0F 3A 17 Ed,Vdq,Ib", ["VEX.0 66 0F 3A 17 Ed,Vdq,Ib"]),
    meaning: extracting(),
  },
  {
    name: "INSERTPS",
    forms: encoding.either("66 0F 3A 21 Vdq,Wd,Ib", ["VEX.0 66 0F 3A 21 Vdq,Hdq,Wd,Ib"]),
    meaning: insertSingle(encoding),
  },
];

/** Of a register's elements: VEX.L has to be 0. @param first what VEX names besides */
const elementForms = (encoding: Encoding, ...forms: readonly string[]): string[] =>
  forms.flatMap((form) =>
    encoding.either(form, [`VEX.0 ${form.replace(/ Vdq,(?=[RME])/, " Vdq,Hdq,")}`]),
  );

export const integerElements = (encoding: Encoding): Instruction[] => [
  {
    name: "PINSRB",
    forms: elementForms(encoding, "66 0F 3A 20 Vdq,Rd,Ib", "66 0F 3A 20 Vdq,Mb,Ib"),
    meaning: inserting(encoding, 8),
  },
  {
    name: "PINSRW",
    forms: [
      ...["NP 0F C4 Pq,Rd,Ib", "NP 0F C4 Pq,Mw,Ib"].flatMap((form) => encoding.either(form, [])),
      ...elementForms(encoding, "66 0F C4 Vdq,Rd,Ib", "66 0F C4 Vdq,Mw,Ib"),
    ],
    meaning: inserting(encoding, 16),
  },
  {
    name: "PINSRD",
    forms: elementForms(encoding, "66 0F 3A 22 Vdq,Ey,Ib"),
    meaning: inserting(encoding),
  },
  {
    name: "PEXTRB",
    forms: elementForms(encoding, "66 0F 3A 14 Rd,Vdq,Ib", "66 0F 3A 14 Mb,Vdq,Ib"),
    meaning: extracting(8),
  },
  {
    name: "PEXTRW",
    forms: [
      ...encoding.either("NP 0F C5 Gd,Nq,Ib", []),
      ...elementForms(encoding, "66 0F C5 Gd,Udq,Ib"),
      ...elementForms(encoding, "66 0F 3A 15 Rd,Vdq,Ib", "66 0F 3A 15 Mw,Vdq,Ib"),
    ],
    meaning: extracting(16),
  },
  {
    name: "PEXTRD",
    forms: elementForms(encoding, "66 0F 3A 16 Ey,Vdq,Ib"),
    meaning: extracting(),
  },
];
