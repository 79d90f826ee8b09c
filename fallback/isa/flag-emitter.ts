import { type I32, type I64, i32, i64, lowHalf, select } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";

/** Where the three flag fields of `state.ts` are kept: in memory, or in locals. */
export interface FlagStore {
  let<Type extends "i32" | "i64">(value: Type extends "i32" ? I32 : I64): Local<Type>;
  getResult(): I64;
  setResult(value: I64): void;
  getCarries(): I64;
  setCarries(value: I64): void;
  getCarry(): I32;
  setCarry(value: I32): void;
}

/** Sign-extends the low `bits`. */
export function signExtend(value: I64, bits: number): I64 {
  switch (bits) {
    case 8:
      return i64.extend8S(value);
    case 16:
      return i64.extend16S(value);
    case 32:
      return i64.extend32S(value);
    default:
      return value;
  }
}

/** Zeroes all but the low `bits`. */
export function zeroExtend(value: I64, bits: number): I64 {
  if (bits === 64 || (value.width !== undefined && value.width <= bits)) return value;
  return bits === 32 ? lowHalf(value) : i64.and(value, i64.const(2 ** bits - 1));
}

const AUXILIARY = 0x10;
const CARRY = 1;
const SIGN_DELTA = 2;
const PARITY_DELTA = 4;

export type FlagLetter = "O" | "S" | "Z" | "A" | "P" | "C";

/**
 * The arithmetic flags, kept lazily as three values that cost an addition a few operations:
 *
 * - *result*, sign-extended: ZF is its being zero, SF its sign, PF the parity of its low byte;
 * - *carries*, sign-extended: the carries into each bit. Bit 4 is AF; the sign is the carry into the
 *   most significant bit, which differs from the one out of it (CF) on signed overflow: OF;
 * - *carry*: bit 0 is CF. Bits 1 and 2 invert SF and PF, for combinations that no result has.
 */
export class FlagEmitter {
  readonly #store: FlagStore;

  constructor(store: FlagStore) {
    this.#store = store;
  }

  /** After `sum = a + b (+ carry)`, not cut to `bits`. The operands are zero-extended. */
  add(a: Local<"i64">, b: Local<"i64">, sum: Local<"i64">, bits: number): void {
    this.#store.setResult(signExtend(sum, bits));
    this.#store.setCarries(signExtend(i64.xor(i64.xor(a, b), sum), bits));
    const carryOut =
      bits < 64
        ? i64.shrU(sum, i64.const(bits))
        : i64.shrU(
            i64.or(i64.and(a, b), i64.and(i64.or(a, b), i64.xor(sum, i64.const(-1)))),
            i64.const(63),
          );
    this.#store.setCarry(i32.wrap(carryOut));
  }

  /** After `difference = a - b (- borrow)`. The operands are zero-extended. */
  subtract(a: Local<"i64">, b: Local<"i64">, difference: Local<"i64">, bits: number): void {
    this.#store.setResult(signExtend(difference, bits));
    this.#store.setCarries(signExtend(i64.xor(i64.xor(a, b), difference), bits));
    const borrowOut =
      bits < 64
        ? i64.shrU(difference, i64.const(63))
        : i64.shrU(
            i64.or(
              i64.and(i64.xor(a, i64.const(-1)), b),
              i64.and(i64.or(i64.xor(a, i64.const(-1)), b), difference),
            ),
            i64.const(63),
          );
    this.#store.setCarry(i32.wrap(borrowOut));
  }

  /** After AND, OR, XOR, TEST: OF, CF and (here) AF are clear. */
  logic(result: I64, bits: number): void {
    this.#store.setResult(signExtend(result, bits));
    this.#store.setCarries(i64.const(0));
    this.#store.setCarry(i32.const(0));
  }

  /** ZF, SF and PF by a result, whose upper bits do not matter; AF clear; OF and CF as given. */
  resultWith(result: I64, bits: number, overflow: I32, carry: Local<"i32">): void {
    this.#store.setResult(signExtend(result, bits));
    this.#store.setCarries(overflowSign(overflow, carry));
    this.#store.setCarry(carry);
  }

  /** ZF and CF as given (0 or 1 each), the others clear: comparisons of vectors, POPCNT. */
  zeroAndCarry(zero: I32, carry: I32): void {
    const equal = this.#store.let<"i32">(zero);
    // Not zero: an odd number of bits, so that PF is clear; in zero itself it has to be inverted.
    this.#store.setResult(i64.extendU(i32.xor(equal, i32.const(1))));
    const below = this.#store.let<"i32">(carry);
    this.#store.setCarries(overflowSign(i32.const(0), below));
    this.#store.setCarry(i32.or(below, i32.shl(equal, i32.const(2))));
  }

  /** ZF, SF, OF and CF as given (0 or 1 each), the others clear: comparisons of strings. */
  compared(zero: I32, sign: I32, overflow: I32, carry: I32): void {
    const equal = this.#store.let<"i32">(zero);
    // Neither zero nor one has a sign: it is inverted for SF, as parity is for zero.
    this.#store.setResult(i64.extendU(i32.xor(equal, i32.const(1))));
    const below = this.#store.let<"i32">(carry);
    this.#store.setCarries(overflowSign(overflow, below));
    const deltas = i32.or(i32.shl(sign, i32.const(1)), i32.shl(equal, i32.const(2)));
    this.#store.setCarry(i32.or(below, deltas));
  }

  /** OF and CF alone (0 or 1 each). */
  overflowAndCarry(overflow: I32, carry: Local<"i32">): void {
    const auxiliary = i64.and(this.#store.getCarries(), i64.const(AUXILIARY));
    this.#store.setCarries(i64.or(auxiliary, overflowSign(overflow, carry)));
    this.#replaceCarry(carry);
  }

  /** CF alone: OF is relative to it, and stays. */
  carryOnly(value: I32): void {
    const carry = this.#store.let<"i32">(value);
    const changed = i32.and(i32.xor(this.#store.getCarry(), carry), i32.const(CARRY));
    const sign = i64.shl(i64.extendU(changed), i64.const(63));
    this.#store.setCarries(i64.xor(this.#store.getCarries(), sign));
    this.#replaceCarry(carry);
  }

  /** Keeps CF as {@link add} and the others will set it, for INC and DEC. */
  keepingCarry(set: () => void): void {
    const before = this.#store.let<"i32">(i32.and(this.#store.getCarry(), i32.const(CARRY)));
    set();
    this.carryOnly(before);
  }

  /** ZF alone, with SF and PF as they are. */
  zeroOnly(zero: I32): void {
    const wanted = this.#store.let<"i32">(zero);
    const sign = this.#store.let<"i32">(this.get("S"));
    const parity = this.#store.let<"i32">(this.get("P"));
    this.#setResultFlags(wanted, sign, parity);
  }

  /**
   * All six from the positions they have in RFLAGS (SF 7, ZF 6, AF 4, PF 2, CF 0, OF 11).
   * @param image i32
   */
  fromImage(image: Local<"i32">): void {
    const bit = (n: number): I32 => i32.and(i32.shrU(image, i32.const(n)), i32.const(1));
    const carry = this.#store.let<"i32">(bit(0));
    const sign = i64.shl(i64.extendU(i32.xor(bit(11), carry)), i64.const(63));
    const auxiliary = i64.extendU(i32.and(image, i32.const(AUXILIARY)));
    this.#store.setCarries(i64.or(sign, auxiliary));
    this.#store.setCarry(carry);
    const [zero, negative, parity] = [6, 7, 2].map((n) => this.#store.let<"i32">(bit(n)));
    if (zero && negative && parity) this.#setResultFlags(zero, negative, parity);
  }

  /** The six in their positions in RFLAGS. */
  image(): I32 {
    const at = (letter: FlagLetter, position: number): I32 =>
      i32.shl(this.get(letter), i32.const(position));
    return (["S", "Z", "A", "P", "O"] as const)
      .map((letter) => at(letter, { S: 7, Z: 6, A: 4, P: 2, O: 11 }[letter]))
      .reduce((all, one) => i32.or(all, one), this.get("C"));
  }

  /** One flag, 0 or 1. */
  get(letter: FlagLetter): I32 {
    const store = this.#store;
    switch (letter) {
      case "C":
        return i32.and(store.getCarry(), i32.const(CARRY));
      case "Z":
        return i64.eqz(store.getResult());
      case "S":
        return i32.xor(signBit(store.getResult()), this.#delta(SIGN_DELTA));
      case "O":
        return i32.xor(signBit(store.getCarries()), this.get("C"));
      case "A":
        return i32.wrap(i64.and(i64.shrU(store.getCarries(), i64.const(4)), i64.const(1)));
      case "P": {
        const low = i32.and(i32.wrap(store.getResult()), i32.const(0xff));
        const odd = i32.and(i32.popcnt(low), i32.const(1));
        return i32.xor(i32.xor(odd, i32.const(1)), this.#delta(PARITY_DELTA));
      }
    }
  }

  /** A condition by its encoding (Intel SDM vol. 1 §B.1): 0 O, 1 NO, 2 B, … 15 NLE. */
  condition(encoding: number): I32 {
    const holds = this.#evenCondition(encoding & ~1);
    return (encoding & 1) === 0 ? holds : i32.eqz(holds);
  }

  #evenCondition(encoding: number): I32 {
    switch (encoding) {
      case 0:
        return this.get("O");
      case 2:
        return this.get("C");
      case 4:
        return this.get("Z");
      case 6:
        return i32.or(this.get("C"), this.get("Z"));
      case 8:
        return this.get("S");
      case 10:
        return this.get("P");
      case 12:
        return i32.xor(this.get("S"), this.get("O"));
      default:
        return i32.or(this.get("Z"), i32.xor(this.get("S"), this.get("O")));
    }
  }

  #delta(bit: number): I32 {
    const shift = bit === SIGN_DELTA ? 1 : 2;
    return i32.and(i32.shrU(this.#store.getCarry(), i32.const(shift)), i32.const(1));
  }

  /** CF, with the deltas as they are. */
  #replaceCarry(value: I32): void {
    const deltas = i32.and(this.#store.getCarry(), i32.const(SIGN_DELTA | PARITY_DELTA));
    this.#store.setCarry(i32.or(deltas, value));
  }

  /** A result with these flags, and the deltas for what no result has: ZF with SF or without PF. */
  #setResultFlags(zero: Local<"i32">, sign: Local<"i32">, parity: Local<"i32">): void {
    const store = this.#store;
    // Not zero: bit 8 keeps it so, bit 0 makes the parity odd.
    const low = i32.or(i32.const(0x100), i32.xor(parity, i32.const(1)));
    const nonZero = i64.or(i64.extendU(low), i64.shl(i64.extendU(sign), i64.const(63)));
    store.setResult(select(zero, i64.const(0), nonZero));
    const deltas = i32.or(
      i32.shl(sign, i32.const(1)),
      i32.shl(i32.xor(parity, i32.const(1)), i32.const(2)),
    );
    const carry = i32.and(store.getCarry(), i32.const(CARRY));
    store.setCarry(i32.or(carry, select(zero, deltas, i32.const(0))));
  }
}

/** The sign of the carries that makes OF what it should be beside this CF. */
const overflowSign = (overflow: I32, carry: I32): I64 =>
  i64.shl(i64.extendU(i32.xor(overflow, carry)), i64.const(63));

const signBit = (value: I64): I32 => i32.wrap(i64.shrU(value, i64.const(63)));
