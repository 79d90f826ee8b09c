/** Bits of general registers by three operands (Intel SDM vol. 1 §7.3.15; BMI1 and BMI2). */
import { type I64, i32, i64, select } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter } from "./emitter.ts";
import { signExtend, zeroExtend } from "./flag-emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";
import { highUnsigned } from "./multiply.ts";
import type { Operand } from "./operand.ts";

const RDX = 2;

type Value = Local<"i64">;

const inverted = (value: I64): I64 => i64.xor(value, i64.const(-1));
/** The lowest `count` bits. */
const ones = (count: I64): I64 => i64.sub(i64.shl(i64.const(1), count), i64.const(1));

const RESULT_FLAGS: FlagUse = { written: "OSZC", undefined: "AP" };

/** BLSR, BLSMSK and BLSI. @param carry by the source's being zero */
const lowestBit = (
  name: string,
  digit: number,
  combine: (value: Value) => I64,
  carry: "zero" | "nonzero",
): Instruction => ({
  name,
  forms: [`VEX.0 NP 0F 38 F3/${digit} By,Ey`],
  flags: RESULT_FLAGS,
  meaning(e, destination: Operand, source: Operand) {
    const value = e.read(source);
    const result = e.let(combine(value));
    const isZero = i64.eqz(value);
    e.write(destination, result);
    const carryOut = e.let(carry === "zero" ? isZero : i32.eqz(isZero));
    e.flags.resultWith(
      zeroExtend(result, destination.bits),
      destination.bits,
      i32.const(0),
      carryOut,
    );
  },
});

/** Shifts that neither change flags nor need CL: the count is modulo the width. */
const shift = (
  name: string,
  prefix: string,
  shifted: (value: I64, count: I64, bits: number) => I64,
): Instruction => ({
  name,
  forms: [`VEX.0 ${prefix} 0F 38 F7 Gy,Ey,By`],
  meaning(e, destination: Operand, source: Operand, by: Operand) {
    const value = e.read(source);
    const { bits } = destination;
    e.write(destination, shifted(value, i64.and(e.read(by), i64.const(bits - 1)), bits));
  },
});

/** For each distance of a power of two, bits of a mask that have that much to go down (after Steele). */
function moves(e: Emitter, mask: Value, bits: number): Value[] {
  const distances = [1, 2, 4, 8, 16, 32].filter((distance) => distance < bits);
  let rest: I64 = mask;
  let skipped: I64 = i64.shl(inverted(mask), i64.const(1));
  return distances.map((distance) => {
    const before = e.let(skipped);
    // Whether an odd number of bits is skipped below.
    const odd = distances.reduce(
      (parity, by) => e.let(i64.xor(parity, i64.shl(parity, i64.const(by)))),
      before,
    );
    const left = e.let(rest);
    const moving = e.let(i64.and(odd, left));
    rest = i64.or(i64.xor(left, moving), i64.shrU(moving, i64.const(distance)));
    skipped = i64.and(before, inverted(odd));
    return moving;
  });
}

/** The bits that the mask has, one after the other. */
function extract(e: Emitter, value: Value, mask: Value, bits: number): I64 {
  let left = e.let(i64.and(value, mask));
  for (const [power, moving] of moves(e, mask, bits).entries()) {
    const moved = e.let(i64.and(left, moving));
    left = e.let(i64.or(i64.xor(left, moved), i64.shrU(moved, i64.const(1 << power))));
  }
  return left;
}

/** The other way round. */
function deposit(e: Emitter, value: Value, mask: Value, bits: number): I64 {
  let left = value;
  for (const [power, moving] of [...moves(e, mask, bits).entries()].reverse()) {
    const moved = i64.and(i64.shl(left, i64.const(1 << power)), moving);
    left = e.let(i64.or(i64.and(left, inverted(moving)), moved));
  }
  return i64.and(left, mask);
}

const byMask = (name: string, prefix: string, make: typeof extract): Instruction => ({
  name,
  forms: [`VEX.0 ${prefix} 0F 38 F5 Gy,By,Ey`],
  meaning(e, destination: Operand, source: Operand, mask: Operand) {
    const which = e.read(mask);
    e.write(destination, make(e, e.read(source), which, destination.bits));
  },
});

const instructions: Family = [
  {
    name: "ANDN",
    forms: ["VEX.0 NP 0F 38 F2 Gy,By,Ey"],
    flags: RESULT_FLAGS,
    meaning(e, destination: Operand, first: Operand, second: Operand) {
      const b = e.read(second);
      const result = e.let(i64.and(inverted(e.read(first)), b));
      e.write(destination, result);
      e.flags.logic(result, destination.bits);
    },
  },
  {
    name: "BEXTR",
    forms: ["VEX.0 NP 0F 38 F7 Gy,Ey,By"],
    flags: { written: "OZC", undefined: "SAP" },
    meaning(e, destination: Operand, source: Operand, control: Operand) {
      const value = e.read(source);
      const range = e.read(control);
      const byte = (at: number) => i64.and(i64.shrU(range, i64.const(at)), i64.const(0xff));
      const start = e.let(byte(0));
      const length = e.let(byte(8));
      const isInside = i64.ltU(start, i64.const(64));
      const from = e.let(select(isInside, i64.shrU(value, start), i64.const(0)));
      const isPart = i64.ltU(length, i64.const(64));
      const result = e.let(select(isPart, i64.and(from, ones(length)), from));
      e.write(destination, result);
      e.flags.logic(result, destination.bits);
    },
  },
  lowestBit("BLSR", 1, (value) => i64.and(value, i64.sub(value, i64.const(1))), "zero"),
  lowestBit("BLSMSK", 2, (value) => i64.xor(value, i64.sub(value, i64.const(1))), "zero"),
  lowestBit("BLSI", 3, (value) => i64.and(value, i64.sub(i64.const(0), value)), "nonzero"),
  {
    name: "BZHI",
    forms: ["VEX.0 NP 0F 38 F5 Gy,Ey,By"],
    flags: RESULT_FLAGS,
    meaning(e, destination: Operand, source: Operand, index: Operand) {
      const { bits } = destination;
      const value = e.read(source);
      const count = e.let(i64.and(e.read(index), i64.const(0xff)));
      const isBeyond = e.let(i64.geU(count, i64.const(bits)));
      const result = e.let(select(isBeyond, value, i64.and(value, ones(count))));
      e.write(destination, result);
      e.flags.resultWith(result, bits, i32.const(0), isBeyond);
    },
  },
  {
    name: "MULX",
    forms: ["VEX.0 F2 0F 38 F6 Gy,By,Ey"],
    meaning(e, high: Operand, low: Operand, source: Operand) {
      const { bits } = high;
      const b = e.read(source);
      const a = e.let(e.getRegister(RDX, bits === 64 ? 64 : 32));
      const product = e.let(i64.mul(a, b));
      const upper = bits === 64 ? highUnsigned(e, a, b) : e.let(i64.shrU(product, i64.const(32)));
      e.write(low, product);
      // The high half last: of one register it stays.
      e.write(high, upper);
    },
  },
  byMask("PDEP", "F2", deposit),
  byMask("PEXT", "F3", extract),
  {
    name: "RORX",
    forms: ["VEX.0 F2 0F 3A F0 Gy,Ey,Ib"],
    meaning(e, destination: Operand, source: Operand, by: Operand) {
      const value = e.read(source);
      const { bits } = destination;
      const count = e.let(i64.and(e.read(by), i64.const(bits - 1)));
      const twice = i64.or(value, i64.shl(value, i64.const(32)));
      e.write(destination, bits === 64 ? i64.rotr(value, count) : i64.shrU(twice, count));
    },
  },
  shift("SHLX", "66", i64.shl),
  shift("SARX", "F3", (value, count, bits) => i64.shrS(signExtend(value, bits), count)),
  shift("SHRX", "F2", i64.shrU),
];

export const bmi: Family = instructions.map((instruction) => ({ ...instruction, late: true }));
