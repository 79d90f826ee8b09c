/** What the processor pushes when it enters a handler (Intel SDM vol. 3A §6.12.1, §6.14.2). */
import { PAGE_SIZE } from "../core/units.ts";
import type { GuestCode } from "./code.ts";

/** The code that was interrupted. */
export interface Interrupted {
  /** Where the frame lies. */
  readonly at: bigint;
  readonly rip: bigint;
  readonly rsp: bigint;
}

/** What handlers of exceptions push themselves before they meet, as most of them do. */
export interface HandledException {
  readonly vector: number;
  readonly errorCode: number;
}

const EXCEPTIONS = 32n;

/** @returns undefined where the words below the frame are something else */
export function handledException(
  code: GuestCode,
  { at }: Interrupted,
): HandledException | undefined {
  const word = BigInt(code.wordSize);
  const errorCode = code.word(at - word);
  const vector = code.word(at - 2n * word);
  if (vector === undefined || errorCode === undefined) return undefined;
  if (vector >= EXCEPTIONS || errorCode > 0xffff_ffffn) return undefined;
  return { vector: Number(vector), errorCode: Number(errorCode) };
}

/** RFLAGS: bit 1 is set always; bits 3, 5, 15 and those from 22 are clear. */
const RFLAGS_SET = 0x2n;
const RFLAGS_CLEAR = 0xffff_ffff_ffc0_8028n;
const RPL = 3n;
const PAGE = BigInt(PAGE_SIZE);

/**
 * Whether such a frame lies at an address: told by its contents, which have a form that little else
 * has.
 */
export function interruptFrameAt(code: GuestCode, address: bigint): Interrupted | undefined {
  const word = BigInt(code.wordSize);
  const { cs, ss } = code.registers;
  const selector = code.word(address + word);
  if (selector === undefined || !isSelector(selector, cs.selector)) return undefined;
  const rflags = code.word(address + 2n * word) ?? 0n;
  if ((rflags & RFLAGS_SET) === 0n || (rflags & RFLAGS_CLEAR) !== 0n) return undefined;
  const rip = code.word(address);
  if (rip === undefined || code.read(rip, 1).length === 0) return undefined;
  // Outside of 64-bit mode the stack's address is there only if the privilege level changed.
  if (code.size !== 64 && selector === BigInt(cs.selector)) {
    return { at: address, rip, rsp: address + 3n * word };
  }
  const rsp = code.word(address + 3n * word);
  const stack = code.word(address + 4n * word);
  if (rsp === undefined || stack === undefined) return undefined;
  // A change of level leaves no stack segment behind; on some processors, any change of stack.
  const isUnknown = ss.selector <= Number(RPL) && stack <= 0xffffn;
  if (stack !== 0n && !isUnknown && !isSelector(stack, ss.selector)) return undefined;
  // A stack that is used up ends on a page that is not there.
  const isStack = code.word(rsp) !== undefined || code.word(rsp + PAGE) !== undefined;
  return isStack ? { at: address, rip, rsp } : undefined;
}

/** The same segment as now, or one of a user. */
const isSelector = (value: bigint, now: number): boolean =>
  value === BigInt(now) || (value <= 0xffffn && value > RPL && (value & RPL) === RPL);
