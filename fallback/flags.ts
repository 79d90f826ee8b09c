import { ARITHMETIC_FLAGS, RFLAGS } from "./bits.ts";
import { STATE } from "./state.ts";

/**
 * The arithmetic flags are kept as what they are computed from, so that an instruction whose flags
 * nobody reads costs two or three stores:
 *
 * | flag | from |
 * |---|---|
 * | ZF | FLAG_RESULT is 0; it is the last result, sign-extended to 64 bits |
 * | SF | sign of FLAG_RESULT, inverted by bit 1 of FLAG_CARRY |
 * | PF | even parity of the low byte of FLAG_RESULT, inverted by bit 2 of FLAG_CARRY |
 * | CF | bit 0 of FLAG_CARRY |
 * | AF | bit 4 of FLAG_CARRIES |
 * | OF | sign of FLAG_CARRIES, inverted by CF |
 */
export const FLAG_CARRY_BITS = { CF: 1, SF_INVERTED: 2, PF_INVERTED: 4 } as const;

const SIGN_WORD = 4;
const SIGN = 1 << 31;

/** Whether the low byte has an even number of ones. */
function evenParity(value: number): boolean {
  let folded = value & 0xff;
  folded ^= folded >> 4;
  return ((0x9669 >> (folded & 0xf)) & 1) === 1;
}

/** The six arithmetic flags at their places in RFLAGS, from their lazy form. */
export function decodeFlags(state: DataView): number {
  const resultLow = state.getInt32(STATE.FLAG_RESULT, true);
  const resultHigh = state.getInt32(STATE.FLAG_RESULT + SIGN_WORD, true);
  const carries = state.getInt32(STATE.FLAG_CARRIES, true);
  const carriesHigh = state.getInt32(STATE.FLAG_CARRIES + SIGN_WORD, true);
  const carry = state.getInt32(STATE.FLAG_CARRY, true);
  const carryFlag = (carry & FLAG_CARRY_BITS.CF) !== 0;
  const signInverted = (carry & FLAG_CARRY_BITS.SF_INVERTED) !== 0;
  const parityInverted = (carry & FLAG_CARRY_BITS.PF_INVERTED) !== 0;
  return (
    (carryFlag ? RFLAGS.CF : 0) |
    (evenParity(resultLow) !== parityInverted ? RFLAGS.PF : 0) |
    (carries & RFLAGS.AF) |
    ((resultLow | resultHigh) === 0 ? RFLAGS.ZF : 0) |
    (resultHigh < 0 !== signInverted ? RFLAGS.SF : 0) |
    (carriesHigh < 0 !== carryFlag ? RFLAGS.OF : 0)
  );
}

/** Stores a lazy form that decodes to the arithmetic flags of `flags`. */
export function encodeFlags(state: DataView, flags: number): void {
  const zero = (flags & RFLAGS.ZF) !== 0;
  const carry = (flags & RFLAGS.CF) !== 0;
  const overflow = (flags & RFLAGS.OF) !== 0;
  // The results 0 and 1: the first has even parity, the second odd; neither is negative.
  const parityInverted = zero !== ((flags & RFLAGS.PF) !== 0);
  state.setInt32(STATE.FLAG_RESULT, zero ? 0 : 1, true);
  state.setInt32(STATE.FLAG_RESULT + SIGN_WORD, 0, true);
  state.setInt32(STATE.FLAG_CARRIES, flags & RFLAGS.AF, true);
  state.setInt32(STATE.FLAG_CARRIES + SIGN_WORD, overflow !== carry ? SIGN : 0, true);
  state.setInt32(
    STATE.FLAG_CARRY,
    (carry ? FLAG_CARRY_BITS.CF : 0) |
      ((flags & RFLAGS.SF) !== 0 ? FLAG_CARRY_BITS.SF_INVERTED : 0) |
      (parityInverted ? FLAG_CARRY_BITS.PF_INVERTED : 0),
    true,
  );
}

/** All of RFLAGS. Bits 63 to 32 do not exist. */
export const readFlags = (state: DataView): number =>
  state.getInt32(STATE.RFLAGS, true) | decodeFlags(state);

/** @param flags bits that are reserved are ignored */
export function writeFlags(state: DataView, flags: number): void {
  encodeFlags(state, flags);
  state.setInt32(STATE.RFLAGS, (flags & SYSTEM_FLAGS) | RFLAGS.FIXED, true);
}

const SYSTEM_FLAGS =
  Object.values(RFLAGS).reduce<number>((all, bit) => all | bit, 0) & ~ARITHMETIC_FLAGS;
