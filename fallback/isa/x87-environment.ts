/** x87's environment and state in memory (Intel SDM vol. 1 §8.1.10, figures 8-9 to 8-12). */
import {
  type Encoded,
  EXTENDED,
  INTEGER_BIT,
  signExponent,
  specialExponent,
} from "../float/format.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { encodedOf, type Pointers, type X87 } from "./x87-unit.ts";

const REGISTERS = 8;
const REGISTER_BYTES = 10;
const REGISTERS_BYTES = REGISTERS * REGISTER_BYTES;
/** Control, status and tag word, FIP, FCS with FOP, FDP, FDS. */
const FIELDS = 7;

/** Tags. */
const VALID = 0;
const ZERO = 1;
const SPECIAL = 2;
const EMPTY = 3;

/** What the upper halves of 32-bit fields are that have nothing to hold. */
const FILLED = 0xffff_0000;

function tagOf({ exponent, significand }: Encoded): number {
  if (exponent === 0 && significand === 0n) return ZERO;
  const isNormal = exponent !== 0 && exponent !== specialExponent(EXTENDED);
  return isNormal && significand >= INTEGER_BIT ? VALID : SPECIAL;
}

/** Two bits for each register, by its number. */
function readTagWord(x87: X87): number {
  let word = 0;
  for (let n = 0; n < REGISTERS; n++) {
    const tag = x87.isEmpty(n) ? EMPTY : tagOf(x87.get(n));
    word |= tag << (2 * x87.number(n));
  }
  return word;
}

/** Only which registers are empty is taken from the word. */
function writeTagWord(x87: X87, word: number): void {
  let tags = 0;
  for (let number = 0; number < REGISTERS; number++) {
    if (((word >> (2 * number)) & 3) !== EMPTY) tags |= 1 << number;
  }
  x87.tags = tags;
}

/** FIP, FOP and FDP in the last four fields: with selectors, or as linear addresses. */
interface PointerFormat {
  pack(pointers: Pointers): number[];
  unpack(fields: readonly number[]): Pointers;
}

const low32 = (value: bigint): number => Number(BigInt.asUintN(32, value));

/** Selectors are "deprecated": zero. */
const PROTECTED_32: PointerFormat = {
  pack: ({ opcode, instruction, data }) => [low32(instruction), opcode << 16, low32(data), FILLED],
  unpack: ([instruction = 0, opcode = 0, data = 0]) => ({
    opcode: (opcode >>> 16) & 0x7ff,
    instruction: BigInt(instruction),
    data: BigInt(data),
  }),
};

const PROTECTED_16: PointerFormat = {
  pack: ({ instruction, data }) => [low32(instruction), 0, low32(data), 0],
  unpack: ([instruction = 0, , data = 0]) => ({
    opcode: 0,
    instruction: BigInt(instruction),
    data: BigInt(data),
  }),
};

/** An address in two fields. @param upperBits of the second one, from bit 12 */
const realMode = (filler: number, upperBits: number): PointerFormat => {
  const upperMask = (1 << upperBits) - 1;
  const upper = (address: bigint): number => ((low32(address) >>> 16) & upperMask) << 12;
  const address = (low: number, high: number): bigint =>
    BigInt(low & 0xffff) | (BigInt((high >>> 12) & upperMask) << 16n);
  return {
    pack: ({ opcode, instruction, data }) => [
      filler | (low32(instruction) & 0xffff),
      upper(instruction) | opcode,
      filler | (low32(data) & 0xffff),
      upper(data),
    ],
    unpack: ([instruction = 0, high = 0, data = 0, dataHigh = 0]) => ({
      opcode: high & 0x7ff,
      instruction: address(instruction, high),
      data: address(data, dataHigh),
    }),
  };
};
const REAL_32 = realMode(FILLED, 16);
const REAL_16 = realMode(0, 4);

interface Format {
  /** Of a field. */
  readonly bytes: 2 | 4;
  readonly pointers: PointerFormat;
}

function formatOf({ operandSize, processor }: ProcedureContext): Format {
  const { paragraphSegments } = processor;
  return operandSize === 16
    ? { bytes: 2, pointers: paragraphSegments ? REAL_16 : PROTECTED_16 }
    : { bytes: 4, pointers: paragraphSegments ? REAL_32 : PROTECTED_32 };
}

const environmentBytes = ({ bytes }: Format): number => FIELDS * bytes;
const stateBytes = (format: Format): number => environmentBytes(format) + REGISTERS_BYTES;

type Access = "read" | "write";

/** As processors try memory: the first field, then the last byte. Page faults tell the difference. */
function check(context: ProcedureContext, format: Format, length: number, access: Access): void {
  context.check(context.address(), format.bytes, access);
  context.check(context.address(length - 1), 1, access);
}

/*
 * Then each field is accessed by itself, and its offset wraps by itself: one that crosses the
 * segment's end faults, and leaves behind what came before it.
 */

function writeFields(x87: X87, context: ProcedureContext, { bytes, pointers }: Format): void {
  const filler = bytes === 4 ? FILLED : 0;
  const words = [x87.controlWord, x87.statusWord, readTagWord(x87)].map((word) => filler | word);
  [...words, ...pointers.pack(x87.pointers)].forEach((field, index) => {
    context.writeMemory(context.address(bytes * index), bytes, BigInt(field >>> 0));
  });
}

/** All but the control word, which is the last to be loaded. */
function readFields(x87: X87, context: ProcedureContext, { bytes, pointers }: Format): void {
  const field = (index: number): number =>
    Number(context.readMemory(context.address(bytes * index), bytes));
  x87.statusWord = field(1) & 0xffff;
  writeTagWord(x87, field(2));
  x87.pointers = pointers.unpack([field(3), field(4), field(5), field(6)]);
}

const readControlWord = (context: ProcedureContext): number =>
  Number(context.readMemory(context.address(), 2));

/** FNSTENV. */
export function writeEnvironment(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  check(context, format, environmentBytes(format), "write");
  writeFields(x87, context, format);
}

/** FLDENV. */
export function readEnvironment(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  check(context, format, environmentBytes(format), "read");
  readFields(x87, context, format);
  x87.controlWord = readControlWord(context);
}

/** FNSAVE: the environment, then the registers, ST(0) first. */
export function writeState(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  check(context, format, stateBytes(format), "write");
  writeFields(x87, context, format);
  context.mmu.asParts(() => {
    for (let n = 0; n < REGISTERS; n++) {
      const at = environmentBytes(format) + REGISTER_BYTES * n;
      const value = x87.get(n);
      context.writeMemory(context.address(at), 8, value.significand);
      context.writeMemory(context.address(at + 8), 2, BigInt(signExponent(value)));
    }
  });
}

/** FRSTOR. */
export function readState(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  check(context, format, stateBytes(format), "read");
  readFields(x87, context, format);
  context.mmu.asParts(() => {
    for (let n = 0; n < REGISTERS; n++) {
      const at = environmentBytes(format) + REGISTER_BYTES * n;
      const significand = context.readMemory(context.address(at), 8);
      const high = Number(context.readMemory(context.address(at + 8), 2));
      x87.store(n, encodedOf(high, significand));
    }
  });
  x87.controlWord = readControlWord(context);
}
