/**
 * The modes under which an instruction computes, and the flags it leaves.
 * Intel SDM vol. 1 §4.8.4 (rounding), §4.9 (exceptions), §8.1.5 (x87 control word), §10.2.3 (MXCSR).
 */

/** Exception flags, where MXCSR and the x87 status word have them. */
export const INVALID = 1;
export const DENORMAL_OPERAND = 2;
export const ZERO_DIVIDE = 4;
export const OVERFLOW = 8;
export const UNDERFLOW = 16;
export const PRECISION = 32;
export const ALL_EXCEPTIONS = 63;

/** Those that are found before computing: unmasked, they leave the destination as it was. */
const BEFORE_COMPUTATION = INVALID | DENORMAL_OPERAND | ZERO_DIVIDE;

/** Rounding control, encoded as in both control registers. */
export const NEAREST_EVEN = 0;
export const DOWN = 1;
export const UP = 2;
export const TOWARD_ZERO = 3;
export type Rounding = typeof NEAREST_EVEN | typeof DOWN | typeof UP | typeof TOWARD_ZERO;

/** Bits of significand that x87 arithmetic rounds to. */
export type Precision = 24 | 53 | 64;

/** By the precision control field. 1 is reserved; processors take it for full precision. */
const PRECISION_CONTROL: readonly Precision[] = [24, 64, 53, 64];

const FLUSH_TO_ZERO = 0x8000;
const DENORMALS_ARE_ZEROS = 0x40;

/**
 * Before an instruction: {@link begin}. Then one operation, or for packed instructions one for each
 * element: flags add up. Then {@link complete}, and `flags` goes into MXCSR or the status word.
 */
export class FloatContext {
  rounding: Rounding = NEAREST_EVEN;
  precision: Precision = 64;
  /** Set bits mask exceptions. */
  masks = ALL_EXCEPTIONS;
  denormalsAreZeros = false;
  flushToZero = false;
  flags = 0;
  /** The last rounding increased the magnitude: x87's C1. */
  roundedUp = false;

  /** Modes and masks from the x87 control word. */
  useControlWord(word: number): void {
    this.masks = word & ALL_EXCEPTIONS;
    this.precision = PRECISION_CONTROL[(word >> 8) & 3] as Precision;
    this.rounding = ((word >> 10) & 3) as Rounding;
    this.denormalsAreZeros = false;
    this.flushToZero = false;
  }

  /** Modes and masks from MXCSR. */
  useMxcsr(mxcsr: number): void {
    this.masks = (mxcsr >> 7) & ALL_EXCEPTIONS;
    this.rounding = ((mxcsr >> 13) & 3) as Rounding;
    this.denormalsAreZeros = (mxcsr & DENORMALS_ARE_ZEROS) !== 0;
    this.flushToZero = (mxcsr & FLUSH_TO_ZERO) !== 0;
  }

  begin(): void {
    this.flags = 0;
    this.roundedUp = false;
  }

  /** Whether an unmasked exception was found before computing. */
  get isStopped(): boolean {
    return (this.flags & ~this.masks & BEFORE_COMPUTATION) !== 0;
  }

  /**
   * Ends an instruction: an unmasked exception found before computing means that there was no
   * computing, and hence no flags of it.
   * @returns the unmasked exceptions that occurred
   */
  complete(): number {
    if (this.isStopped) {
      this.flags &= BEFORE_COMPUTATION;
      this.roundedUp = false;
    }
    return this.flags & ~this.masks;
  }

  /**
   * Whether, after {@link complete}, an x87 instruction leaves its destination and the stack alone: a
   * register takes results that overflow or underflow unmasked (their exponent is adjusted), memory
   * does not.
   */
  keepsDestination(isMemory: boolean): boolean {
    const outOfRange = this.flags & ~this.masks & (OVERFLOW | UNDERFLOW);
    return this.isStopped || (isMemory && outOfRange !== 0);
  }
}
