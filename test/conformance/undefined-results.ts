/** What the manuals leave undefined, and so what no comparison may insist on. */
import type { CpuState } from "./cpu-state.ts";
import type { SnippetResult } from "./driver.ts";
import type { GeneratedTest } from "./generate.ts";

export interface Undefined {
  /** Bits of RFLAGS. */
  readonly flags: bigint;
  /** Bits of x87's status word. */
  readonly statusWord: number;
  /** General register whose value is undefined. */
  readonly gpr: number | undefined;
  /** All general registers but RSP. */
  readonly popped?: boolean;
  /** Units in the last place by which x87 registers may differ. */
  readonly ulps: number;
  /** Relative difference that single-precision elements may have. */
  readonly singleError: number;
  /** FOP, FIP and FDP, in registers. */
  readonly pointers: boolean;
  /** Bits of RFLAGS if the instruction faults; it leaves all alone unless said otherwise. */
  readonly faultFlags?: bigint;
  /** The judge itself is wrong, and nothing is compared. */
  readonly unjudged?: boolean;
  /** Any NaN in a vector stands for any other. */
  readonly nans?: boolean;
  /** TOP, and so which register is ST(0), and the tags. */
  readonly top?: boolean;
  /** Stretches of memory: linear address and bytes. */
  readonly memory: readonly (readonly [address: bigint, length: number])[];
}

export const FLAG_BITS: Readonly<Record<string, bigint>> = {
  C: 0x1n,
  P: 0x4n,
  A: 0x10n,
  Z: 0x40n,
  S: 0x80n,
  O: 0x800n,
};
const flagBits = (letters: string): bigint =>
  [...letters].reduce((bits, letter) => bits | (FLAG_BITS[letter] ?? 0n), 0n);

const C0_C2_C3 = 0x4500;
const C1 = 0x0200;
const C2 = 0x0400;

const RCX = 1;
const RSP = 4;
const SHIFT = /^(SHL|SAL|SHR|SAR)$/;
const ROTATE = /^(ROL|ROR|RCL|RCR)$/;
const DOUBLE_SHIFT = /^SH[LR]D$/;
const APPROXIMATION = /^V?R(CP|SQRT)[PS]S$/;
/** Intel's bound for RCPPS and RSQRTPS, on either side. */
const APPROXIMATION_ERROR = 2 * 1.5 * 2 ** -12;
const TRANSCENDENTAL = /^(FSIN|FCOS|FSINCOS|FPTAN|FPATAN|F2XM1|FYL2X|FYL2XP1)$/;
const PARTIAL_REMAINDER = /^FPREM1?$/;
/** All four condition codes mean something afterwards. */
const SETS_CONDITIONS =
  /^(FU?COM|FICOM|FTST|FXAM|FPREM|FLDENV|FRSTOR|FN?INIT|FX|FN?SAVE|EMMS|FN?STSW|FU?COMI)/;
const LOADS_POINTERS = /^(FLDENV|FRSTOR|FN?INIT|FXRSTOR|FN?SAVE)/;

/** Masked to five bits, or to six for 64-bit operands (Intel SDM vol. 2B, SAL/SAR/SHL/SHR). */
function shiftCount({ form, snippet, operandSize, immediate }: GeneratedTest): number {
  const source = form.form.operands.at(-1);
  const isByte = form.form.operands[0]?.width === 8;
  const mask = operandSize === 64 && !isByte ? 63 : 31;
  if (source?.place === "one" || source === undefined) return 1;
  if (source.place === "immediate") return (immediate ?? 0) & mask;
  return Number(snippet.state.gpr(RCX) & 0xffn) & mask;
}

function undefinedShiftFlags(test: GeneratedTest): bigint {
  const { name } = test.form.form.instruction;
  const bits = test.form.form.operands[0]?.width === 8 ? 8 : test.operandSize;
  const count = shiftCount(test);
  if (count === 0) return 0n;
  const overflow = count === 1 ? "" : "O";
  if (ROTATE.test(name)) return flagBits(overflow);
  if (DOUBLE_SHIFT.test(name)) return flagBits(count > bits ? "OSZAPC" : `A${overflow}`);
  return flagBits(`A${overflow}${count >= bits && name !== "SAR" ? "C" : ""}`);
}

const isUndefinedDoubleShift = (test: GeneratedTest): boolean =>
  DOUBLE_SHIFT.test(test.form.form.instruction.name) && shiftCount(test) > test.operandSize;

/** Some processors write the selector only, others zeros above it (Intel SDM vol. 2B, PUSH). */
const isSegmentPush = ({ form }: GeneratedTest): boolean =>
  form.form.instruction.name.startsWith("PUSH") && /^(0E|06|16|1E|0F A[08])\b/.test(form.form.text);

/** Pointers, and MXCSR's mask. */
const XSAVE_HOLES = [
  [6, 18],
  [28, 4],
] as const;

/** Stretches of images that hold pointers, reserved bytes, or what depends on the model. */
const IMAGE_HOLES: Readonly<
  Record<string, readonly (readonly [offset: number, length: number])[]>
> = {
  FXSAVE: [
    [6, 18],
    [28, 4],
    [416, 96],
  ],
  XSAVE: XSAVE_HOLES,
  XSAVEOPT: XSAVE_HOLES,
  XSAVEC: XSAVE_HOLES,
};
const ENVIRONMENT = /^FN?ST?(ENV|AVE)$|^FN?SAVE$|^FN?STENV$/;

function undefinedMemory(test: GeneratedTest): Undefined["memory"] {
  const { target, operandSize } = test;
  const top = test.snippet.state.gpr(RSP);
  const { name } = test.form.form.instruction;
  if (isSegmentPush(test)) return [[top - BigInt(operandSize / 8) + 2n, operandSize / 8 - 2]];
  if (target === undefined) return [];
  if (isUndefinedDoubleShift(test)) return [[target, operandSize / 8]];
  const holes = ENVIRONMENT.test(name)
    ? ([operandSize === 16 ? [6, 8] : [12, 16]] as const)
    : (IMAGE_HOLES[name.replace("64", "")] ?? []);
  return holes.map(([offset, length]) => [target + BigInt(offset), length] as const);
}

function undefinedStatus(name: string, expected: CpuState): number {
  if (TRANSCENDENTAL.test(name)) return (C0_C2_C3 & ~C2) | C1;
  if (PARTIAL_REMAINDER.test(name)) return expected.statusWord & C2 ? (C0_C2_C3 & ~C2) | C1 : 0;
  return SETS_CONDITIONS.test(name) ? 0 : C0_C2_C3;
}

/** @param expected the judge's result */
export function undefinedResult(test: GeneratedTest, expected: SnippetResult): Undefined {
  const { instruction, map, opcode } = test.form.form;
  const { name } = instruction;
  const shifts = SHIFT.test(name) || ROTATE.test(name) || DOUBLE_SHIFT.test(name);
  const isX87 = map === 0 && (opcode & 0xf8) === 0xd8;
  return {
    flags: shifts ? undefinedShiftFlags(test) : flagBits(instruction.flags?.undefined ?? ""),
    statusWord: isX87 ? undefinedStatus(name, expected.state) : 0,
    gpr: isUndefinedDoubleShift(test) ? test.rm : undefined,
    ulps: TRANSCENDENTAL.test(name) ? 1 : 0,
    singleError: APPROXIMATION.test(name) ? APPROXIMATION_ERROR : 0,
    pointers: isX87 && !LOADS_POINTERS.test(name),
    memory: undefinedMemory(test),
  };
}
