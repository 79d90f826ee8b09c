/**
 * Where AMD's processors do otherwise than Intel's, which ours is one of by its CPUID: with such a
 * judge these are not compared (AMD64 Architecture Programmer's Manual vol. 3 and vol. 1 §11.4.4).
 */
import { readFileSync } from "node:fs";
import { isCanonical } from "../../fallback/bits.ts";
import type { CpuState } from "./cpu-state.ts";
import { type Fault, type Mode, PAGE_FAULT, type SnippetResult } from "./driver.ts";
import { isReadable, isWritable } from "./environment.ts";
import type { GeneratedTest } from "./generate.ts";
import { type Undefined, undefinedResult } from "./undefined-results.ts";

const AMD = /^vendor_id\s*:\s*(AuthenticAMD|HygonGenuine)$/m;
const OPERAND_SIZE = 0x66;
const LEGACY_PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, OPERAND_SIZE, 0x67, 0xf0]);
const REX_B = 1;
const VEX_3 = 0xc4;
const VEX_W = 0x80;
const EXCEPTION_SUMMARY = 0x80;
const INVALID_OPCODE = 6;
const STACK_FAULT = 12;
const GENERAL_PROTECTION = 13;
const FS = 0x64;
const GS = 0x65;
/** Bytes: XSAVE's. */
const WIDEST_ACCESS = 832n;
const RCX = 1;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const ADDRESS_SIZE = 0x67;
const UNDERFLOW = 0x10;
const X87_MASKS = 0x3f;
const STATUS_FLAGS = 0x8d5n;
const VECTOR_HALF = 8;
const NESTING_LEVELS = 32;
/** Bytes: PUSHA's. */
const WIDEST_PUSH = 32n;

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
  // They do not look at VEX.W of these.
  if (/^VPERM(Q|PD)$/.test(name) && ((code[code.indexOf(VEX_3) + 2] ?? 0) & VEX_W) === 0) {
    return true;
  }
  if (snippet.mode !== 64) return false;
  // Near branches of 64-bit code obey the operand-size prefix there.
  if (form.form.traits.has("f64") && form.form.instruction.ends && hasPrefix(code, OPERAND_SIZE)) {
    return true;
  }
  // REP NOP is PAUSE with any REX here, there with REX.B an exchange with R8.
  return name === "PAUSE" && code.some((byte) => (byte & 0xf0) === 0x40 && (byte & REX_B) !== 0);
}

/** Offsets that an instruction accesses without naming them. */
function impliedOffsets(test: GeneratedTest, state: CpuState): bigint[] {
  const { name, repeat } = test.form.form.instruction;
  if (repeat === true) return [state.gpr(RSI), state.gpr(RDI)];
  const top = state.gpr(RSP);
  return [
    ...(/^(PUSH|CALL|ENTER)/.test(name) ? [top - WIDEST_PUSH] : []),
    ...(/^(POP|RET)/.test(name) ? [top] : []),
    ...(/^(ENTER|LEAVE)/.test(name) ? [state.gpr(RBP)] : []),
    ...(name === "ENTER" ? framePointers(test, state) : []),
  ];
}

/** Where ENTER finds the frame pointers that it copies: below the outermost frame's. */
function framePointers({ immediate = 0, operandSize }: GeneratedTest, state: CpuState): bigint[] {
  const levels = immediate % NESTING_LEVELS;
  const distance = (index: number): bigint => BigInt((index + 1) * (operandSize / 8));
  return Array.from({ length: Math.max(levels - 1, 0) }, (_, n) => state.gpr(RBP) - distance(n));
}

/**
 * Whether an access faults there for its offset alone, as the linear address would not: one whose bytes
 * go round at the end of all addresses (Intel SDM vol. 3A §5.3: either may be), and in 64-bit code one
 * that is not canonical, though FS's or GS's base makes it so.
 */
function isOffsetsFault(test: GeneratedTest, { fault, state }: SnippetResult): boolean {
  if (fault?.vector !== STACK_FAULT && fault?.vector !== GENERAL_PROTECTION) return false;
  // A gather's elements, and bits of strings of them, are where their indices say.
  const { instruction, text } = test.form.form;
  if (
    /GATHER/.test(instruction.name) ||
    (/^BT/.test(instruction.name) && text.endsWith("Ev,Gv mem"))
  ) {
    return true;
  }
  const { mode } = test.snippet;
  const target = test.target === undefined ? [] : [test.target];
  const named = namedOffsets(test, state);
  const implied = impliedOffsets(test, state);
  if ([...target, ...named, ...implied].some((offset) => goesRound(offset, mode))) return true;
  if (mode === 32) return false;
  const offsets = basesOf(test, state).length > 0 ? [...named, ...implied] : [];
  return offsets.some((offset) => !isCanonical(BigInt.asUintN(64, offset)));
}

/** What FS's or GS's base is where it counts. */
const basesOf = ({ snippet: { code } }: GeneratedTest, state: CpuState): bigint[] => [
  ...(hasPrefix(code, FS) ? [state.fsBase] : []),
  ...(hasPrefix(code, GS) ? [state.gsBase] : []),
];

/** The offset of its operand from FS's or GS's base. */
const namedOffsets = (test: GeneratedTest, state: CpuState): bigint[] =>
  basesOf(test, state).flatMap((base) => (test.target === undefined ? [] : [test.target - base]));

const goesRound = (offset: bigint, mode: Mode): boolean =>
  BigInt.asUintN(mode, offset) > 2n ** BigInt(mode) - WIDEST_ACCESS;

/** An image may go round there between the pieces that it is stored or loaded in, and faults here. */
const isImageAround = (test: GeneratedTest, { state }: SnippetResult): boolean =>
  namedOffsets(test, state).some((offset) => goesRound(offset, test.snippet.mode));

/** Whether a page fault's address is one of the eight bytes that begin at another. */
const isPageFaultAt = (fault: Fault | undefined, address: bigint): boolean =>
  fault?.vector === PAGE_FAULT &&
  BigInt.asUintN(64, (fault.cr2 ?? 0n) - address) < BigInt(VECTOR_HALF);

/** Linear address in a register. @param overridable whether FS's or GS's base may be added */
function pointedAt(
  { snippet: { code, mode } }: GeneratedTest,
  state: CpuState,
  register: number,
  overridable: boolean,
): bigint {
  const size = hasPrefix(code, ADDRESS_SIZE) ? mode / 2 : mode;
  const base = hasPrefix(code, FS) ? state.fsBase : hasPrefix(code, GS) ? state.gsBase : 0n;
  const offset = BigInt.asUintN(size, state.gpr(register));
  return BigInt.asUintN(mode, offset + (overridable ? base : 0n));
}

/** Where neither half can be written it tells of the first. */
const isMaskedAtBothHalves = (test: GeneratedTest, { fault, state }: SnippetResult): boolean => {
  const address = pointedAt(test, state, RDI, true);
  const second = address + BigInt(VECTOR_HALF);
  return isPageFaultAt(fault, address) && !isWritable(second, VECTOR_HALF);
};

const exponentOf = (extended: Uint8Array): number =>
  ((extended[9] ?? 0) & 0x7f) * 0x100 + (extended[8] ?? 0);
const isZero = (extended: Uint8Array): boolean =>
  exponentOf(extended) === 0 && extended.subarray(0, 8).every((byte) => byte === 0);
const isDenormal = (extended: Uint8Array): boolean =>
  exponentOf(extended) === 0 && !isZero(extended);

const isLeastNormal = (extended: Uint8Array): boolean =>
  exponentOf(extended) === 1 &&
  extended.subarray(0, 8).every((byte, n) => byte === (n === 7 ? 0x80 : 0));

const isInfinity = (extended: Uint8Array): boolean =>
  exponentOf(extended) === 0x7fff &&
  extended.subarray(0, 8).every((byte, n) => byte === (n === 7 ? 0x80 : 0));

/** Divided by infinity, a denormal number is left alone here, as it is by FSCALE. */
const underflowsByInfinity = (test: GeneratedTest): boolean =>
  isDenormalUnmasked(test) && isInfinity(test.snippet.state.st(1));

const isDenormalUnmasked = ({ snippet: { state } }: GeneratedTest): boolean =>
  (state.controlWord & UNDERFLOW) === 0 && isDenormal(state.st(0));

/** What a denormal number is taken for here, its own sine, is a little less there; so is that of the least normal one. */
const sineUnderflows = (test: GeneratedTest): boolean => {
  const { state } = test.snippet;
  const isUnmasked = (state.controlWord & UNDERFLOW) === 0;
  return isDenormalUnmasked(test) || (isUnmasked && isLeastNormal(state.st(0)));
};

const isMisaligned = ({ target }: GeneratedTest): boolean =>
  target !== undefined && target % 16n !== 0n;

const isUndefinedOutside64 = ({ snippet }: GeneratedTest, { fault }: SnippetResult): boolean =>
  snippet.mode === 32 && fault?.vector === INVALID_OPCODE;

/** By an instruction's name: whether the judge is right to do otherwise altogether. */
const DIFFERENT: Readonly<
  Record<string, (test: GeneratedTest, expected: SnippetResult) => boolean>
> = {
  // Virtual hosts tell of its trap as if it were a fault.
  INT1: () => true,
  // It looks at both bounds before it compares any.
  BOUND: ({ target, operandSize }, { fault }) =>
    target !== undefined && isPageFaultAt(fault, target + BigInt(operandSize / 8)),
  // Of 16-bit operands too it reads 32 bits.
  MOVSXD: ({ target, operandSize }, { fault }) =>
    operandSize === 16 && target !== undefined && isPageFaultAt(fault, target + 2n),
  // Where neither element can be read it tells of the first.
  CMPS: (test, { fault, state }) => {
    const bytes = test.form.form.opcode === 0xa6 ? 1 : test.operandSize / 8;
    const elements = [pointedAt(test, state, RSI, true), pointedAt(test, state, RDI, false)];
    return fault !== undefined && !elements.some((address) => isReadable(address, bytes));
  },
  MASKMOVDQU: isMaskedAtBothHalves,
  VMASKMOVDQU: isMaskedAtBothHalves,
  FXSAVE: isImageAround,
  FXRSTOR: isImageAround,
  XSAVE: isImageAround,
  XSAVEOPT: isImageAround,
  XSAVEC: isImageAround,
  XRSTOR: isImageAround,
  FNSAVE: isImageAround,
  FRSTOR: isImageAround,
  FNSTENV: isImageAround,
  FLDENV: isImageAround,
  // Times one, a denormal number underflows there if that is not masked, and is left alone here.
  FSCALE: ({ snippet: { state } }) =>
    (state.controlWord & UNDERFLOW) === 0 && isDenormal(state.st(0)) && isZero(state.st(1)),
  FPREM: underflowsByInfinity,
  FPREM1: underflowsByInfinity,
  FSIN: sineUnderflows,
  FSINCOS: sineUnderflows,
  FPTAN: sineUnderflows,
  // Outside 64-bit mode VEX.W is ignored here.
  VPINSRD: isUndefinedOutside64,
  VPEXTRD: isUndefinedOutside64,
  // Memory need not be aligned for these there.
  ...Object.fromEntries(
    [
      "SHA1RNDS4",
      "SHA1NEXTE",
      "SHA1MSG1",
      "SHA1MSG2",
      "SHA256RNDS2",
      "SHA256MSG1",
      "SHA256MSG2",
    ].map((name) => [name, isMisaligned]),
  ),
};

/**
 * What no comparison with a judge may insist on.
 * @param expected its result
 * @param isAmd whether it is one of AMD's
 */
export function undefinedHere(
  test: GeneratedTest,
  expected: SnippetResult,
  isAmd = judgeIsAmd(),
): Undefined {
  const undefinedParts = undefinedResult(test, expected);
  if (!isAmd) return undefinedParts;
  const { form, snippet } = test;
  const { name } = form.form.instruction;
  // FXSAVE, by which results are seen, stores the pointers only while an exception is pending.
  const hidden = (expected.state.statusWord & EXCEPTION_SUMMARY) === 0;
  // A store that faults has not made x87's registers MMX's yet.
  const stopped = expected.fault !== undefined && form.form.unit === "mmx";
  // A call to an address that is not canonical faults before it writes to the stack.
  const unpushed = name === "CALL" && expected.fault?.vector === GENERAL_PROTECTION;
  // Without a repetition, also for a fault of the first, the counter's upper half stays.
  const unrepeated =
    form.form.instruction.repeat === true &&
    hasPrefix(snippet.code, ADDRESS_SIZE) &&
    expected.state.gpr(RCX) === snippet.state.gpr(RCX);
  // Some virtual hosts say #UD of SSE instructions that fault while RSP is not canonical.
  const misled = expected.fault?.vector === INVALID_OPCODE && !isCanonical(snippet.state.gpr(RSP));
  // x87's stores look at memory first there, here at what their exceptions say of storing at all.
  const x87Stores = form.form.unit === "x87" && form.form.operands[0]?.place === "memory";
  const memoryFirst =
    x87Stores &&
    expected.fault !== undefined &&
    (snippet.state.controlWord & X87_MASKS) !== X87_MASKS;
  const pushed = [snippet.state.gpr(RSP) - 8n, 8] as const;
  // Of ten bytes that do not fit into a page, none is stored where the second cannot be written.
  const unstored =
    x87Stores && form.form.operands[0]?.width === 80 && expected.fault?.vector === PAGE_FAULT;
  const stored = [test.target ?? 0n, 8] as const;
  const holes = [...(unpushed ? [pushed] : []), ...(unstored ? [stored] : [])];
  return {
    ...undefinedParts,
    pointers: undefinedParts.pointers || hidden,
    // Sums are made in another order, so that another of several NaNs comes first.
    nans: /^V?DPP/.test(name),
    unjudged:
      (misled && (form.form.unit === "sse" || form.form.unit === "avx")) ||
      memoryFirst ||
      DIFFERENT[name]?.(test, expected) === true ||
      isOffsetsFault(test, expected),
    top: stopped,
    // POPA that faults has popped some registers.
    popped: name.startsWith("POPA") && expected.fault !== undefined,
    // CMPS and SCAS that fault amid repetitions leave the flags of the last one.
    faultFlags:
      expected.fault !== undefined && form.form.instruction.repeat === true ? STATUS_FLAGS : 0n,
    gpr: unrepeated ? RCX : undefinedParts.gpr,
    // A transcendental function of a number that is tiny underflows there and is exact here.
    statusWord: undefinedParts.statusWord | (undefinedParts.ulps > 0 ? UNDERFLOW : 0),
    memory: [...undefinedParts.memory, ...holes],
  };
}

/** Whether a vector for other machines can say all that is undefined. */
export const recordable = ({ faultFlags, nans, popped, top, unjudged }: Undefined): boolean =>
  (faultFlags ?? 0n) === 0n && ![nans, popped, top, unjudged].includes(true);

function hasPrefix(code: Uint8Array, wanted: number): boolean {
  const end = code.findIndex(
    (byte) => !LEGACY_PREFIXES.has(byte) && byte !== 0xf2 && byte !== 0xf3,
  );
  return code.subarray(0, end).includes(wanted);
}
