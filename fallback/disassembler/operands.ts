/** Operands as text: registers, immediates, addresses. */
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { immediateRegister } from "../interpreter/register-slot.ts";
import type { MemoryBits } from "../isa/emitter.ts";
import type { OperandSpec } from "../isa/operand.ts";
import { operandBits } from "../isa/variant.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { hidesOperands, isPrefetch } from "./mnemonics.ts";
import { byteRegister, generalRegister, SEGMENT_NAMES } from "./register-names.ts";
import { x87Operands } from "./x87-operands.ts";

export interface OperandContext {
  readonly instruction: DecodedInstruction;
  readonly codeSize: 16 | 32 | 64;
  /** Address of the instruction after it. */
  readonly next: bigint;
}

export interface OperandTexts {
  readonly texts: readonly string[];
  /** The address that a branch goes to, or that an operand relative to RIP is at. */
  readonly target: bigint | undefined;
}

/** Of a memory operand, by its width in bits. */
const POINTERS: Readonly<Record<number, string>> = {
  8: "byte ptr ",
  16: "word ptr ",
  32: "dword ptr ",
  48: "fword ptr ",
  64: "qword ptr ",
  80: "tbyte ptr ",
  128: "xmmword ptr ",
  256: "ymmword ptr ",
};

const BP = 5;
const SP = 4;

const hexText = (value: bigint): string => `0x${value.toString(16)}`;

export function operandTexts(context: OperandContext): OperandTexts {
  const { instruction, next, codeSize } = context;
  const { form, immediates, address, operandSize } = instruction;
  const implicit = implicitOperands(instruction);
  if (implicit !== undefined) return { texts: implicit, target: undefined };
  let immediate = 0;
  let target: bigint | undefined;
  if (address?.ripRelative) target = BigInt.asUintN(64, next + address.displacement);
  const texts = form.operands.map((spec) => {
    switch (spec.place) {
      case "relative":
        target = branchTarget(next, immediates[0] ?? 0n, codeSize === 64 ? 64 : operandSize);
        return hexText(target);
      case "immediate":
        return immediateText(spec, immediates[immediate++] ?? 0n, instruction);
      case "far-pointer":
        return `${hexText(immediates[1] ?? 0n)}:${hexText(immediates[0] ?? 0n)}`;
      case "one":
        return "1";
      default:
        return registerText(spec, context) ?? memoryText(spec, context);
    }
  });
  return { texts, target };
}

/** @returns the operands of an instruction whose operands the table does not spell out, or hides */
function implicitOperands(instruction: DecodedInstruction): readonly string[] | undefined {
  if (hidesOperands(instruction)) return [];
  // `PUSH FS` and its like.
  const segment = instruction.form.instruction.name.split(" ")[1]?.toLowerCase() ?? "";
  return SEGMENTS.has(segment) ? [segment] : x87Operands(instruction);
}

const SEGMENTS: ReadonlySet<string> = new Set(SEGMENT_NAMES);

const branchTarget = (next: bigint, offset: bigint, width: number): bigint =>
  BigInt.asUintN(width, next + offset);

/** In the width that the instruction uses it at: a sign-extended one shows all its bits. */
function immediateText(
  spec: OperandSpec,
  value: bigint,
  { operandSize }: DecodedInstruction,
): string {
  const extended = spec.width === "z" || spec.signExtended === true;
  return hexText(BigInt.asUintN(extended ? operandSize : operandBits(spec, operandSize), value));
}

/** Number of the register that an operand is; undefined for others. */
export function operandRegister(
  { place, register }: OperandSpec,
  instruction: Pick<DecodedInstruction, "modRm" | "rex" | "form" | "vvvv" | "immediates">,
): number | undefined {
  const { modRm, rex, form, vvvv, immediates } = instruction;
  const reg = ((modRm >> 3) & 7) | ((rex & 4) << 1);
  const rm = (modRm & 7) | ((rex & 1) << 3);
  switch (place) {
    case "reg":
    case "xmm-reg":
    case "control":
    case "debug":
      return reg;
    case "segment":
    case "mmx-reg":
      return reg & 7;
    case "rm":
    case "xmm-rm":
      return modRm >= 0xc0 ? rm : undefined;
    case "mmx-rm":
      return modRm >= 0xc0 ? rm & 7 : undefined;
    case "rm-register":
    case "xmm-rm-register":
      return rm;
    case "mmx-rm-register":
      return rm & 7;
    case "vvvv":
    case "xmm-vvvv":
      return vvvv;
    case "xmm-immediate":
      return immediateRegister(immediates);
    case "opcode-register":
      return (form.opcode & 7) | ((rex & 1) << 3);
    case "fixed":
      return register;
    default:
      return undefined;
  }
}

function registerText(
  spec: OperandSpec,
  { instruction, codeSize }: OperandContext,
): string | undefined {
  const number = operandRegister(spec, instruction);
  if (number === undefined) return undefined;
  switch (spec.place) {
    case "control":
      return `cr${number}`;
    case "debug":
      return `dr${number}`;
    case "segment":
      return SEGMENT_NAMES[number] ?? "?";
    case "mmx-reg":
    case "mmx-rm":
    case "mmx-rm-register":
      return `mm${number}`;
    case "xmm-reg":
    case "xmm-rm":
    case "xmm-rm-register":
    case "xmm-vvvv":
    case "xmm-immediate":
      return `${spec.width === 256 ? "ymm" : "xmm"}${number}`;
    case "fixed":
      if (spec.width === 128) return `xmm${number}`;
  }
  const bits = registerBits(spec, instruction.operandSize, codeSize);
  return bits === 8 ? byteRegister(number, instruction.rex) : generalRegister(number, bits);
}

function registerBits(spec: OperandSpec, size: MemoryBits, codeSize: 16 | 32 | 64): number {
  // Ports are 32 bits wide at most.
  if (spec.code === "zAX") return Math.min(size, 32);
  // Beside a control or debug register: as wide as these.
  if (spec.code === "Rq") return codeSize === 64 ? 64 : 32;
  if (spec.width === "y") return Math.max(size, 32);
  return operandBits(spec, size);
}

/** Bits of a memory operand: of a far pointer, with its selector. */
function pointerBits(spec: OperandSpec, instruction: DecodedInstruction): number {
  const { operandSize, form } = instruction;
  if (isPrefetch(instruction)) return 8;
  if (spec.width === "p") return operandSize + 16;
  return SELECTORS.has(form.instruction.name) ? 16 : operandBits(spec, operandSize);
}

/** These store 16 bits into memory, whatever the operand size. */
const SELECTORS: ReadonlySet<string> = new Set(["MOV from segment", "SLDT", "STR", "SMSW"]);

function memoryText(spec: OperandSpec, { instruction, codeSize }: OperandContext): string {
  const { address, addressSize, segment } = instruction;
  if (address === undefined) return "?";
  const { base, index, scale, displacement, ripRelative } = address;
  const override = overrideText(segment, base, codeSize);
  const parts: string[] = [];
  if (ripRelative) parts.push(addressSize === 64 ? "rip" : "eip");
  if (base >= 0) parts.push(generalRegister(base, addressSize));
  const vector = vectorIndex(instruction, index);
  if (index >= 0 || vector !== undefined) {
    const factor = addressSize === 16 ? "" : `*${1 << scale}`;
    parts.push(`${vector ?? generalRegister(index, addressSize)}${factor}`);
  }
  const sum = parts.join("+");
  const pointer = POINTERS[pointerBits(spec, instruction)] ?? "";
  return `${pointer}${override}[${sum}${displacementText(displacement, sum === "", addressSize)}]`;
}

const GATHER = /^VP?GATHER([DQ])/;

/** What a gather has for an index register; what names none of others names XMM4. */
function vectorIndex({ form }: DecodedInstruction, index: number): string | undefined {
  const [, indices] = GATHER.exec(form.instruction.name) ?? [];
  if (indices === undefined) return undefined;
  const wideElements = form.operands.some(({ width }) => width === 64);
  const isWide = form.vexL === 1 && !(indices === "D" && wideElements);
  return `${isWide ? "ymm" : "xmm"}${index < 0 ? SP : index}`;
}

function displacementText(displacement: bigint, alone: boolean, addressSize: number): string {
  if (alone) return hexText(BigInt.asUintN(addressSize, displacement));
  if (displacement === 0n) return "";
  return displacement < 0n ? `-${hexText(-displacement)}` : `+${hexText(displacement)}`;
}

/** The segment's name, where it is not the one that the address is in by itself. */
function overrideText(segment: number, base: number, codeSize: number): string {
  const onStack = base === SP || base === BP;
  const usual = onStack ? SEGMENT_INDEX.ss : SEGMENT_INDEX.ds;
  if (segment === usual || (codeSize === 64 && segment < SEGMENT_INDEX.fs)) return "";
  return `${SEGMENT_NAMES[segment]}:`;
}
