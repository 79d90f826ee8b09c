/** What assemblers call an instruction, where that depends on more than the instruction. */
import type { DecodedInstruction } from "../interpreter/decoder.ts";

type Names = Readonly<Partial<Record<number, string>>>;

const BY_OPERAND_SIZE: Readonly<Record<string, Names>> = {
  CBW: { 16: "cbw", 32: "cwde", 64: "cdqe" },
  CWD: { 16: "cwd", 32: "cdq", 64: "cqo" },
  IRET: { 16: "iret", 32: "iretd", 64: "iretq" },
  PUSHA: { 16: "pusha", 32: "pushad", 64: "pushad" },
  POPA: { 16: "popa", 32: "popad", 64: "popad" },
  PUSHF: { 16: "pushf", 32: "pushfd", 64: "pushfq" },
  POPF: { 16: "popf", 32: "popfd", 64: "popfq" },
  MOVD: { 16: "movd", 32: "movd", 64: "movq" },
  PINSRD: { 16: "pinsrd", 32: "pinsrd", 64: "pinsrq" },
  PEXTRD: { 16: "pextrd", 32: "pextrd", 64: "pextrq" },
  VMOVD: { 32: "vmovd", 64: "vmovq" },
  VPINSRD: { 32: "vpinsrd", 64: "vpinsrq" },
  VPEXTRD: { 32: "vpextrd", 64: "vpextrq" },
  RETF: { 16: "retf", 32: "retf", 64: "retfq" },
  SYSRET: { 16: "sysret", 32: "sysret", 64: "sysretq" },
  SYSEXIT: { 16: "sysexit", 32: "sysexit", 64: "sysexitq" },
};
const JCXZ: Names = { 16: "jcxz", 32: "jecxz", 64: "jrcxz" };
/** Images that REX.W makes another format of. */
const WIDE_IMAGES: ReadonlySet<string> = new Set([
  "FXSAVE",
  "FXRSTOR",
  "XSAVE",
  "XSAVEOPT",
  "XSAVEC",
  "XRSTOR",
]);
/** With the prefix 66 these are the operations of packed doubles: the same bits. */
const BITWISE: ReadonlySet<string> = new Set(["ANDPS", "ANDNPS", "ORPS", "XORPS"]);
/** Opcodes that are undefined on purpose: one instruction in the table. */
const UNDEFINED_OPCODES: Readonly<Record<number, string>> = { 11: "ud2", 185: "ud1", 255: "ud0" };
const ELEMENT_SUFFIX: Readonly<Record<number, string>> = { 16: "w", 32: "d", 64: "q" };

const REX_W = 8;

export function mnemonicOf(instruction: DecodedInstruction): string {
  const { form, operandSize, addressSize, rex } = instruction;
  const { name, mnemonic, repeat } = form.instruction;
  const bySize = BY_OPERAND_SIZE[name]?.[operandSize];
  if (bySize !== undefined) return bySize;
  if (name === "JCXZ") return JCXZ[addressSize] ?? "jcxz";
  if (name === "NOP") return hintName(instruction) ?? "nop";
  if (name === "XLAT") return "xlatb";
  if (name === "UD2") return UNDEFINED_OPCODES[form.opcode] ?? "ud2";
  const word = (mnemonic ?? name).toLowerCase();
  if (repeat === true) return `${word}${elementSuffix(instruction)}`;
  if (WIDE_IMAGES.has(name) && (rex & REX_W) !== 0) return `${word}64`;
  return form.prefix === "66" && BITWISE.has(name) ? `${word.slice(0, -1)}d` : word;
}

/** Of a string instruction; ports are 32 bits wide at most. */
function elementSuffix({ form, operandSize }: DecodedInstruction): string {
  if ((form.opcode & 1) === 0) return "b";
  const isPort = form.opcode === 0x6d || form.opcode === 0x6f;
  return ELEMENT_SUFFIX[isPort ? Math.min(operandSize, 32) : operandSize] ?? "";
}

const PREFETCHES = ["prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2"] as const;

/** Of a hint that this processor, as many others, takes for a NOP. */
function hintName({ form, modRm, repeat }: DecodedInstruction): string | undefined {
  if (form.opcode === 0x1e && repeat === 0xf3) return ENDBR[modRm];
  if (modRm >= 0xc0) return undefined;
  const digit = (modRm >> 3) & 7;
  if (form.opcode === 0x18) return PREFETCHES[digit];
  return form.opcode === 0x0d ? (digit === 1 ? "prefetchw" : "prefetch") : undefined;
}

const ENDBR: Readonly<Record<number, string>> = { 250: "endbr64", 251: "endbr32" };

export const isPrefetch = (instruction: DecodedInstruction): boolean =>
  instruction.form.instruction.name === "NOP" &&
  hintName(instruction)?.startsWith("prefetch") === true;

/** Whether the operands that the table has say nothing: they are the instruction's own. */
export const hidesOperands = (instruction: DecodedInstruction): boolean =>
  OWN_OPERANDS.has(instruction.form.instruction.name) ||
  mnemonicOf(instruction).startsWith("endbr");

const OWN_OPERANDS: ReadonlySet<string> = new Set(["CBW", "CWD"]);
