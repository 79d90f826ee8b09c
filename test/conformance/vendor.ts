/**
 * Where AMD's processors do otherwise than Intel's, which ours is one of by its CPUID: with such a
 * judge these are not compared (AMD64 Architecture Programmer's Manual vol. 3 and vol. 1 §11.4.4).
 */
import { readFileSync } from "node:fs";
import { isCanonical } from "../../fallback/bits.ts";
import type { SnippetResult } from "./driver.ts";
import type { GeneratedTest } from "./generate.ts";
import { type Undefined, undefinedResult } from "./undefined-results.ts";

const AMD = /^vendor_id\s*:\s*(AuthenticAMD|HygonGenuine)$/m;
const OPERAND_SIZE = 0x66;
const LEGACY_PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, OPERAND_SIZE, 0x67, 0xf0]);
const REX_B = 1;
const EXCEPTION_SUMMARY = 0x80;
const INVALID_OPCODE = 6;
const STACK_FAULT = 12;
const GENERAL_PROTECTION = 13;
const FS = 0x64;
const GS = 0x65;
/** Bytes: FXSAVE's. */
const WIDEST_ACCESS = 512n;
const RCX = 1;
const RSP = 4;
const ADDRESS_SIZE = 0x67;
const UNDERFLOW = 0x10;
const X87_MASKS = 0x3f;
const STATUS_FLAGS = 0x8d5n;

let amd: boolean | undefined;

/** Whether the host's processor, which judges, is one of AMD's. */
export function judgeIsAmd(): boolean {
  try {
    amd ??= AMD.test(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    amd = false;
  }
  return amd;
}

/** Whether the judge, being AMD's, is right to execute a snippet otherwise. */
export function differsByVendor({ form, snippet }: GeneratedTest): boolean {
  if (!judgeIsAmd()) return false;
  const { name } = form.form.instruction;
  const { code } = snippet;
  // PREFETCHW of a register.
  if (name === "NOP" && form.form.text.startsWith("0F 0D") && (code.at(-1) ?? 0) >= 0xc0)
    return true;
  if (snippet.mode !== 64) return false;
  // Near branches of 64-bit code obey the operand-size prefix there.
  if (form.form.traits.has("f64") && form.form.instruction.ends && hasPrefix(code, OPERAND_SIZE)) {
    return true;
  }
  // REP NOP is PAUSE with any REX here, there with REX.B an exchange with R8.
  return name === "PAUSE" && code.some((byte) => (byte & 0xf0) === 0x40 && (byte & REX_B) !== 0);
}

/**
 * Whether an access faults there for its offset alone, as the linear address would not: in 64-bit code
 * one that is not canonical, though FS's or GS's base makes it so, and outside of it one whose bytes go
 * round at 4 GiB (Intel SDM vol. 3A §5.3: either may be).
 */
function isOffsetsFault({ snippet, target }: GeneratedTest, fault: number | undefined): boolean {
  if (target === undefined || (fault !== STACK_FAULT && fault !== GENERAL_PROTECTION)) return false;
  if (snippet.mode === 32) return BigInt.asUintN(32, target) > 2n ** 32n - WIDEST_ACCESS;
  const { fsBase, gsBase } = snippet.state;
  const bases = [
    ...(hasPrefix(snippet.code, FS) ? [fsBase] : []),
    ...(hasPrefix(snippet.code, GS) ? [gsBase] : []),
  ];
  return bases.some((base) => !isCanonical(BigInt.asUintN(64, target - base)));
}

/** What no comparison with this judge may insist on. @param expected its result */
export function undefinedHere(test: GeneratedTest, expected: SnippetResult): Undefined {
  const undefinedParts = undefinedResult(test, expected);
  if (!judgeIsAmd()) return undefinedParts;
  const { form, snippet } = test;
  const { name } = form.form.instruction;
  // FXSAVE, by which results are seen, stores the pointers only while an exception is pending.
  const hidden = (expected.state.statusWord & EXCEPTION_SUMMARY) === 0;
  // A store that faults has not made x87's registers MMX's yet.
  const stopped = expected.fault !== undefined && form.form.unit === "mmx";
  // A call to an address that is not canonical faults before it writes to the stack.
  const unpushed = name === "CALL" && expected.fault?.vector === GENERAL_PROTECTION;
  // Without a repetition the counter's upper half stays.
  const unrepeated =
    form.form.instruction.repeat === true &&
    hasPrefix(snippet.code, ADDRESS_SIZE) &&
    BigInt.asUintN(32, snippet.state.gpr(RCX)) === 0n;
  // Some virtual hosts say #UD of SSE instructions that fault while RSP is not canonical.
  const misled = expected.fault?.vector === INVALID_OPCODE && !isCanonical(snippet.state.gpr(RSP));
  // x87's stores look at memory first there, here at what their exceptions say of storing at all.
  const x87Stores = form.form.unit === "x87" && form.form.operands[0]?.place === "memory";
  const memoryFirst =
    x87Stores &&
    expected.fault !== undefined &&
    (snippet.state.controlWord & X87_MASKS) !== X87_MASKS;
  const pushed = [snippet.state.gpr(RSP) - 8n, 8] as const;
  return {
    ...undefinedParts,
    pointers: undefinedParts.pointers || hidden,
    // Sums are made in another order, so that another of several NaNs comes first.
    nans: name.startsWith("DPP"),
    unjudged:
      (misled && form.form.unit === "sse") ||
      memoryFirst ||
      // Virtual hosts tell of its trap as if it were a fault.
      name === "INT1" ||
      isOffsetsFault(test, expected.fault?.vector),
    top: stopped,
    // CMPS and SCAS that fault amid repetitions leave the flags of the last one.
    faultFlags:
      expected.fault !== undefined && form.form.instruction.repeat === true ? STATUS_FLAGS : 0n,
    gpr: unrepeated ? RCX : undefinedParts.gpr,
    // A transcendental function of a number that is tiny underflows there and is exact here.
    statusWord: undefinedParts.statusWord | (undefinedParts.ulps > 0 ? UNDERFLOW : 0),
    memory: unpushed ? [...undefinedParts.memory, pushed] : undefinedParts.memory,
  };
}

/** Whether a vector for other machines can say all that is undefined. */
export const recordable = ({ faultFlags, nans, top, unjudged }: Undefined): boolean =>
  (faultFlags ?? 0n) === 0n && nans !== true && top !== true && unjudged !== true;

function hasPrefix(code: Uint8Array, wanted: number): boolean {
  const end = code.findIndex(
    (byte) => !LEGACY_PREFIXES.has(byte) && byte !== 0xf2 && byte !== 0xf3,
  );
  return code.subarray(0, end).includes(wanted);
}
