import type { Form } from "../isa/form.ts";
import { OPCODE_COUNT } from "../isa/form-index.ts";
import { isInterpreted } from "../isa/instruction.ts";
import { type Candidate, candidatesOf, opcodeNumber } from "../isa/opcode-map.ts";
import type { OperandSpec } from "../isa/operand.ts";

/** Custom section of the interpreter's module: the table of instructions as `block-decoder.ts` reads it. */
export const DECODING_SECTION = "decoding";

/**
 * Layout: for each opcode, and once more for the end, the number of its first candidate, a u16; then
 * {@link CANDIDATE}s, those with more conditions first.
 */
export const CANDIDATES = 2 * (OPCODE_COUNT + 2);
export const CANDIDATE_SIZE = 16;

/** Byte offsets in a candidate. */
export const CANDIDATE = {
  /** u8: a bit for each index of `MANDATORY_PREFIXES` with which it is meant. */
  PREFIXES: 0,
  /** u8: more {@link TRAIT}s, the higher ones. */
  MORE_TRAITS: 1,
  /** u8 each: bits of ModRM that count, and what they are. */
  MODRM_MASK: 2,
  MODRM_VALUE: 3,
  /** u16: the form's ordinal. */
  ORDINAL: 4,
  /** u16: {@link TRAIT}s. */
  TRAITS: 6,
  /** u8: how far the vector of the unit's fault is shifted in the decoder's parameter. */
  UNIT: 8,
  /** u8: {@link IMMEDIATE}s, the second in the upper four bits. */
  IMMEDIATES: 9,
  /** u16: {@link FACT}s with which it is not meant. */
  FORBIDDEN: 10,
  /** u8 each: {@link OPERAND}s that are registers, in order; 0 behind the last. */
  OPERANDS: 12,
} as const;

export const FACT = {
  CODE64: 1,
  LEGACY: 2,
  REX_W: 4,
  NO_REX_W: 8,
  REX_B: 16,
  /** ModRM.rm is a register, or in memory. */
  REGISTER: 32,
  MEMORY: 64,
  /** VEX.L, which is 0 without such a prefix. */
  VEX_L: 128,
  NO_VEX_L: 256,
  /** VEX.vvvv is not 1111b. */
  VVVV: 512,
} as const;

/** Bits of a u24. */
export const TRAIT = {
  MODRM: 1 << 0,
  ADDRESS: 1 << 1,
  OFFSET: 1 << 2,
  ALWAYS_64: 1 << 3,
  DEFAULT_64: 1 << 4,
  /** 66 is part of the opcode. */
  PREFIX_66: 1 << 5,
  SIZE_16: 1 << 6,
  SIZE_64: 1 << 7,
  RELATIVE: 1 << 8,
  PROCEDURE: 1 << 9,
  COUNTER: 1 << 10,
  ENDS: 1 << 11,
  /** The block's next record says where to go on. */
  GOES_ON: 1 << 12,
  /** LOCK is for its first operand, if that is in memory; or in memory by ModRM. */
  LOCK: 1 << 13,
  CALL: 1 << 14,
  MMX: 1 << 15,
  /** A memory operand that is not accessed. */
  OFFSET_ONLY: 1 << 16,
  /** Obeys control register bits. */
  UNIT: 1 << 17,
  /** For addresses of 64 bits in 64-bit mode; others are left to the procedure. */
  ONLY_64: 1 << 18,
  /** Done by a function in WebAssembly where it is repeated, and of elements that are not bytes. */
  MOVE: 1 << 19,
  FILL: 1 << 20,
  WIDE_ELEMENTS: 1 << 21,
  /** A string instruction. */
  STRING: 1 << 22,
} as const;

/** What of the code an immediate takes: bytes, or by the operand size. */
export const IMMEDIATE = {
  NONE: 0,
  BYTE: 1,
  WORD: 2,
  /** 2 or 4 bytes. */
  Z: 5,
  /** 2, 4 or 8 bytes. */
  V: 6,
  /** The constant 1. */
  ONE: 7,
  FAR_POINTER: 8,
  /** A byte that names a register. */
  REGISTER: 9,
} as const;

export const OPERAND = {
  SOURCE: 0b111,
  REG: 1,
  /** ModRM.rm if it is a register. */
  RM: 2,
  RM_REGISTER: 3,
  OPCODE: 4,
  FIXED: 5,
  /** ModRM.reg, of the segment registers, or with the number 1 of the control registers. */
  SYSTEM: 6,
  VVVV: 7,
  KIND_SHIFT: 3,
  KIND: 0b11,
  GENERAL: 0,
  BYTE: 1,
  XMM: 2,
  MMX: 3,
  /** Of OPCODE and FIXED: the register's low three bits; of SYSTEM see there. */
  NUMBER_SHIFT: 5,
} as const;

/** Shifts of units' fault vectors in one number; where there is no unit, there is no fault. */
export const UNIT_SHIFT = { none: 0, x87: 4, mmx: 8, sse: 12, avx: 16 } as const;
export const UNIT_FAULT = 0xf;

/** For {@link DECODING_SECTION}. @param forms all of the table, by ordinal */
export function serialiseDecoding(forms: readonly Form[]): Uint8Array {
  const byOpcode: Form[][] = Array.from({ length: OPCODE_COUNT }, () => []);
  for (const form of forms) byOpcode[opcodeNumber(form.map, form.opcode)]?.push(form);
  const table = new Uint8Array(CANDIDATES + forms.length * CANDIDATE_SIZE);
  const view = new DataView(table.buffer);
  let number = 0;
  for (const [opcode, ofOpcode] of byOpcode.entries()) {
    view.setUint16(2 * opcode, number, true);
    for (const candidate of candidatesOf(ofOpcode)) {
      writeCandidate(new DataView(table.buffer, CANDIDATES + number * CANDIDATE_SIZE), candidate);
      number++;
    }
  }
  view.setUint16(2 * OPCODE_COUNT, number, true);
  return table;
}

const ANY_PREFIX = 0b1111;
const DIGIT_MASK = 0x38;

function writeCandidate(view: DataView, candidate: Candidate): void {
  const { form, prefix, modRm, digit } = candidate;
  view.setUint8(CANDIDATE.PREFIXES, prefix === undefined ? ANY_PREFIX : 1 << prefix);
  view.setUint16(CANDIDATE.FORBIDDEN, forbidden(candidate), true);
  if (modRm !== undefined || digit !== undefined) {
    view.setUint8(CANDIDATE.MODRM_MASK, modRm === undefined ? DIGIT_MASK : 0xff);
    view.setUint8(CANDIDATE.MODRM_VALUE, modRm ?? (digit ?? 0) << 3);
  }
  view.setUint16(CANDIDATE.ORDINAL, form.ordinal, true);
  const traits = traitsOf(form);
  view.setUint16(CANDIDATE.TRAITS, traits & 0xffff, true);
  view.setUint8(CANDIDATE.MORE_TRAITS, traits >> 16);
  view.setUint8(CANDIDATE.UNIT, UNIT_SHIFT[form.unit ?? "none"]);
  const [first, second] = form.immediates.map(immediateOf);
  view.setUint8(CANDIDATE.IMMEDIATES, (first ?? 0) | ((second ?? 0) << 4));
  const operands = form.operands.flatMap((spec) => operandOf(form, spec) ?? []);
  for (const [index, operand] of operands.entries()) {
    view.setUint8(CANDIDATE.OPERANDS + index, operand);
  }
}

/** @param need a condition; undefined is whatever it is */
const unless = (need: boolean | undefined, yes: number, no: number): number =>
  need === undefined ? 0 : need ? no : yes;

const forbidden = ({ code64, rexW, register, noB, vexL, noVvvv }: Candidate): number =>
  unless(code64, FACT.CODE64, FACT.LEGACY) |
  unless(rexW, FACT.REX_W, FACT.NO_REX_W) |
  unless(register, FACT.REGISTER, FACT.MEMORY) |
  unless(vexL === undefined ? undefined : vexL === 1, FACT.VEX_L, FACT.NO_VEX_L) |
  (noVvvv ? FACT.VVVV : 0) |
  (noB ? FACT.REX_B : 0);

function traitsOf(form: Form): number {
  const { instruction, sizes, operands } = form;
  const hasMeaning = isInterpreted(instruction);
  const destination = operands[0]?.place;
  const has: Record<keyof typeof TRAIT, boolean> = {
    MODRM: form.hasModRm,
    ADDRESS: form.hasAddress,
    OFFSET: form.hasOffset,
    ALWAYS_64: form.always64,
    DEFAULT_64: form.default64,
    PREFIX_66: form.prefix === "66",
    SIZE_16: sizes.includes(16),
    SIZE_64: sizes.includes(64),
    RELATIVE: form.relative,
    PROCEDURE: !hasMeaning,
    COUNTER: instruction.counter === true,
    ENDS: instruction.ends !== undefined,
    GOES_ON: instruction.resumes === true && hasMeaning,
    LOCK: instruction.lock !== undefined && (destination === "memory" || destination === "rm"),
    CALL: instruction.name === "CALL" && form.relative,
    MMX: operands.some(({ place }) => place.startsWith("mmx")),
    UNIT: form.unit !== undefined,
    ONLY_64: instruction.only64 === true,
    MOVE: instruction.repetition === "move",
    FILL: instruction.repetition === "fill",
    STRING: instruction.repeat === true,
    WIDE_ELEMENTS: instruction.repetition !== undefined && (form.opcode & 1) !== 0,
    OFFSET_ONLY: operands.some(({ place, width }) => place === "memory" && width === 0),
  };
  let traits = 0;
  for (const [name, bit] of Object.entries(TRAIT)) {
    if (has[name as keyof typeof TRAIT]) traits |= bit;
  }
  return traits;
}

function immediateOf({ place, width }: OperandSpec): number {
  if (place === "one") return IMMEDIATE.ONE;
  if (place === "far-pointer") return IMMEDIATE.FAR_POINTER;
  if (place === "xmm-immediate") return IMMEDIATE.REGISTER;
  if (width === "z") return IMMEDIATE.Z;
  if (width === "v") return IMMEDIATE.V;
  if (width === 8) return IMMEDIATE.BYTE;
  if (width === 16) return IMMEDIATE.WORD;
  throw new Error(`an immediate of width ${width}`);
}

const KIND_OF_PLACE = { xmm: OPERAND.XMM, mmx: OPERAND.MMX } as const;

/** Undefined for what is no register, nor may be one. */
function operandOf({ opcode }: Form, spec: OperandSpec): number | undefined {
  const { place, width, register = 0 } = spec;
  const vector = /^(xmm|mmx)-(.*)$/.exec(place);
  const byWidth = width === 8 ? OPERAND.BYTE : width === 128 ? OPERAND.XMM : OPERAND.GENERAL;
  const kind = vector === null ? byWidth : KIND_OF_PLACE[vector[1] as "xmm" | "mmx"];
  const code = (source: number, number = 0): number =>
    source | (kind << OPERAND.KIND_SHIFT) | (number << OPERAND.NUMBER_SHIFT);
  switch (vector?.[2] ?? place) {
    case "reg":
      return code(OPERAND.REG);
    case "rm":
      return code(OPERAND.RM);
    case "rm-register":
      return code(OPERAND.RM_REGISTER);
    case "opcode-register":
      return code(OPERAND.OPCODE, opcode & 7);
    case "fixed":
      return code(OPERAND.FIXED, register);
    case "vvvv":
      return code(OPERAND.VVVV);
    case "segment":
      return code(OPERAND.SYSTEM);
    case "control":
      return code(OPERAND.SYSTEM, 1);
    default:
      return undefined;
  }
}
