/** Shifts and rotates (Intel SDM vol. 1 §7.3.6). A count of zero changes nothing, flags included. */
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter } from "./emitter.ts";
import { signExtend, zeroExtend } from "./flag-emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";

const SHIFT_FLAGS: FlagUse = { written: "OSZPC", undefined: "AO" };
const ROTATE_FLAGS: FlagUse = { written: "OC", undefined: "O" };

const groupForms = (digit: number): string[] =>
  ["C0|Eb,Ib", "C1|Ev,Ib", "D0|Eb,1", "D1|Ev,1", "D2|Eb,CL", "D3|Ev,CL"].map((form) =>
    form.replace("|", `/${digit} `),
  );

const bit = (value: I64, position: I64 | number): I32 =>
  i32.wrap(
    i64.and(
      i64.shrU(value, typeof position === "number" ? i64.const(position) : position),
      i64.const(1),
    ),
  );

const topBit = (value: I64, bits: number): I32 => bit(value, bits - 1);

/** The count, cut to five bits (six for 64-bit operands). */
function readCount(e: Emitter, operand: Operand, bits: number): Local<"i64"> {
  return e.let(i64.and(e.read(operand), i64.const(bits === 64 ? 63 : 31)));
}

interface ShiftParts {
  readonly e: Emitter;
  /** Zero-extended. */
  readonly value: Local<"i64">;
  /** 1 to 31 or 63. */
  readonly count: Local<"i64">;
  readonly bits: number;
}

interface Shifted {
  readonly result: Local<"i64">;
  readonly carry: Local<"i32">;
  readonly overflow: I32;
}

/**
 * @param shift what comes of a count that is not zero
 * @param setFlags with the result, if the count is not zero
 */
function shifting(
  name: string,
  digits: readonly number[],
  flags: FlagUse,
  setFlags: (e: Emitter, shifted: Shifted, bits: number) => void,
  shift: (parts: ShiftParts) => Shifted,
): Instruction {
  return {
    name,
    forms: digits.flatMap(groupForms),
    flags,
    meaning(e, operand, amount) {
      if (operand === undefined || amount === undefined) return;
      const { bits } = operand;
      const count = readCount(e, amount, bits);
      let shifted: Shifted | undefined;
      e.modify(operand, (value) => {
        shifted = shift({ e, value, count, bits });
        return shifted.result;
      });
      const done = shifted;
      if (done === undefined) return;
      e.if(i32.eqz(i64.eqz(count)), () => setFlags(e, done, bits));
    },
  };
}

const setShiftFlags = (e: Emitter, { result, carry, overflow }: Shifted, bits: number): void =>
  e.flags.resultWith(result, bits, overflow, carry);

const setRotateFlags = (e: Emitter, { carry, overflow }: Shifted): void =>
  e.flags.overflowAndCarry(overflow, carry);

/** `count` modulo the operand's width, for rotates of 8 and 16 bits. */
const modulo = (count: Local<"i64">, bits: number): I64 => i64.and(count, i64.const(bits - 1));

/** A shift by up to 63, where WebAssembly would take a larger count modulo 64. */
const sum = (a: I64, b: number): I64 => i64.add(a, i64.const(b));

function rotateLeft({ e, value, count, bits }: ShiftParts): Shifted {
  const result = e.let(rotated(e, value, e.let(modulo(count, bits)), bits));
  const carry = e.let(bit(result, 0));
  return { result, carry, overflow: i32.xor(topBit(result, bits), carry) };
}

/** Rotates the low `bits` left by a count below `bits`. */
function rotated(e: Emitter, value: Local<"i64">, count: Local<"i64">, bits: number): I64 {
  if (bits === 64) return i64.rotl(value, count);
  if (bits === 32) return i64.extendU(i32.rotl(i32.wrap(value), i32.wrap(count)));
  const back = e.let(i64.sub(i64.const(bits), count));
  return zeroExtend(i64.or(i64.shl(value, count), i64.shrU(value, back)), bits);
}

function rotateRight({ e, value, count, bits }: ShiftParts): Shifted {
  const left = e.let(i64.and(i64.sub(i64.const(bits), modulo(count, bits)), i64.const(bits - 1)));
  const result = e.let(rotated(e, value, left, bits));
  const carry = e.let(topBit(result, bits));
  return { result, carry, overflow: i32.xor(topBit(result, bits), bit(result, bits - 2)) };
}

/** Rotates `bits` + 1 bits, the carry being the top one. @returns result and carry */
function throughCarry(
  { e, value, count, bits }: ShiftParts,
  leftwards: boolean,
): { result: Local<"i64">; carry: Local<"i32"> } {
  const width = bits + 1;
  const turns = e.let(bits >= 32 ? count : i64.remU(count, i64.const(width)));
  const left = e.let(
    leftwards ? turns : i64.remU(i64.sub(i64.const(width), turns), i64.const(width)),
  );
  const carryIn = e.let(i64.extendU(e.flags.get("C")));
  const result = e.variable(value);
  const carry = e.variable(i32.wrap(carryIn));
  // left is 0 to bits. The carry comes in at bit left - 1, the upper bits behind it.
  e.if(i32.eqz(i64.eqz(left)), () => {
    const entering = i64.shl(carryIn, sum(left, -1));
    const upper = shiftedRight(e, value, e.let(i64.sub(i64.const(width), left)));
    const lower = shiftedLeft(e, value, left);
    e.set(carry, bit(value, i64.sub(i64.const(bits), left)));
    e.set(result, zeroExtend(i64.or(i64.or(lower, entering), upper), bits));
  });
  return { result, carry };
}

/** Shifts by 0 to 64: WebAssembly takes 64 as 0. */
function shiftedRight(e: Emitter, value: Local<"i64">, count: Local<"i64">): I64 {
  const result = e.variable(i64.shrU(value, count));
  e.if(i64.gtU(count, i64.const(63)), () => e.set(result, i64.const(0)));
  return result;
}

function shiftedLeft(e: Emitter, value: Local<"i64">, count: Local<"i64">): I64 {
  const result = e.variable(i64.shl(value, count));
  e.if(i64.gtU(count, i64.const(63)), () => e.set(result, i64.const(0)));
  return result;
}

/** SHLD and SHRD: bits of a second register move in. */
function doubleShift(name: string, opcodes: readonly string[], left: boolean): Instruction {
  return {
    name,
    forms: [`0F ${opcodes[0]} Ev,Gv,Ib`, `0F ${opcodes[1]} Ev,Gv,CL`],
    flags: { written: "OSZPC", undefined: "AO" },
    meaning(e, operand, filler, amount) {
      if (operand === undefined || filler === undefined || amount === undefined) return;
      const { bits } = operand;
      const count = readCount(e, amount, bits);
      const other = e.read(filler);
      const before = e.local("i64");
      const result = e.local("i64");
      const carry = e.local("i32");
      e.modify(operand, (old) => {
        e.set(before, old);
        e.set(result, doubleShifted({ e, value: before, count, bits }, other, left, carry));
        return result;
      });
      e.if(i32.eqz(i64.eqz(count)), () => {
        const overflow = i32.xor(topBit(result, bits), topBit(before, bits));
        e.flags.resultWith(result, bits, overflow, carry);
      });
    },
  };
}

function doubleShifted(
  { e, value, count, bits }: ShiftParts,
  other: Local<"i64">,
  left: boolean,
  carry: Local<"i32">,
): I64 {
  if (bits === 16) return doubleShifted16({ e, value, count, bits }, other, left, carry);
  const back = e.let(i64.sub(i64.const(bits), count));
  if (left) {
    e.set(carry, bit(value, back));
    const incoming = bits === 64 ? shiftedRight(e, other, back) : i64.shrU(other, back);
    return zeroExtend(i64.or(i64.shl(value, count), incoming), bits);
  }
  e.set(carry, bit(value, sum(count, -1)));
  const incoming = bits === 64 ? shiftedLeft(e, other, back) : i64.shl(other, back);
  return zeroExtend(i64.or(i64.shrU(value, count), incoming), bits);
}

/**
 * Counts above 16 are undefined by the manual; processors go on with the first operand behind the
 * second, which 48 bits side by side describe.
 */
function doubleShifted16(
  { e, value, count }: ShiftParts,
  other: Local<"i64">,
  left: boolean,
  carry: Local<"i32">,
): I64 {
  const at = (v: I64, shift: number): I64 => i64.shl(v, i64.const(shift));
  if (left) {
    const row = e.let(i64.or(i64.or(at(value, 32), at(other, 16)), value));
    e.set(carry, bit(row, i64.sub(i64.const(48), count)));
    return i64.shrU(i64.shl(row, count), i64.const(32));
  }
  const row = e.let(i64.or(i64.or(at(value, 32), at(other, 16)), value));
  e.set(carry, bit(row, sum(count, -1)));
  return i64.shrU(row, count);
}

export const shifts: Family = [
  shifting("ROL", [0], ROTATE_FLAGS, setRotateFlags, rotateLeft),
  shifting("ROR", [1], ROTATE_FLAGS, setRotateFlags, rotateRight),
  shifting("RCL", [2], { ...ROTATE_FLAGS, read: "C" }, setRotateFlags, (parts) => {
    const { result, carry } = throughCarry(parts, true);
    return { result, carry, overflow: i32.xor(topBit(result, parts.bits), carry) };
  }),
  shifting("RCR", [3], { ...ROTATE_FLAGS, read: "C" }, setRotateFlags, (parts) => {
    const { result, carry } = throughCarry(parts, false);
    const { bits } = parts;
    return { result, carry, overflow: i32.xor(topBit(result, bits), bit(result, bits - 2)) };
  }),
  shifting("SHL", [4, 6], SHIFT_FLAGS, setShiftFlags, ({ e, value, count, bits }) => {
    const wide = e.let(i64.shl(value, count));
    const carry = e.let(bits === 64 ? bit(value, i64.sub(i64.const(64), count)) : bit(wide, bits));
    return { result: wide, carry, overflow: i32.xor(topBit(wide, bits), carry) };
  }),
  shifting("SHR", [5], SHIFT_FLAGS, setShiftFlags, ({ e, value, count, bits }) => {
    const result = e.let(i64.shrU(value, count));
    const carry = e.let(bit(value, sum(count, -1)));
    return { result, carry, overflow: topBit(value, bits) };
  }),
  shifting("SAR", [7], SHIFT_FLAGS, setShiftFlags, ({ e, value, count, bits }) => {
    const signed = e.let(signExtend(value, bits));
    const result = e.let(i64.shrS(signed, count));
    const carry = e.let(bit(i64.shrS(signed, sum(count, -1)), 0));
    return { result, carry, overflow: i32.const(0) };
  }),
  doubleShift("SHLD", ["A4", "A5"], true),
  doubleShift("SHRD", ["AC", "AD"], false),
];
