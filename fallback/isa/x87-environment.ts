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

function environmentImage(x87: X87, { bytes, pointers }: Format, extra: number): DataView {
  const filler = bytes === 4 ? FILLED : 0;
  const words = [x87.controlWord, x87.statusWord, readTagWord(x87)].map((word) => filler | word);
  const image = new DataView(new ArrayBuffer(FIELDS * bytes + extra));
  [...words, ...pointers.pack(x87.pointers)].forEach((field, index) => {
    if (bytes === 2) image.setUint16(2 * index, field, true);
    else image.setUint32(4 * index, field, true);
  });
  return image;
}

function loadEnvironment(x87: X87, { bytes, pointers }: Format, image: DataView): void {
  const fields = Array.from({ length: FIELDS }, (_, index) =>
    bytes === 2 ? image.getUint16(2 * index, true) : image.getUint32(4 * index, true),
  );
  const [control = 0, status = 0, tags = 0, ...rest] = fields;
  x87.controlWord = control & 0xffff;
  x87.statusWord = status & 0xffff;
  writeTagWord(x87, tags);
  x87.pointers = pointers.unpack(rest);
}

type Access = "read" | "write";

/** As processors try memory: the first field, then the last byte. Page faults tell the difference. */
function check(context: ProcedureContext, format: Format, length: number, access: Access): void {
  context.check(context.address(), format.bytes, access);
  context.check(context.address(length - 1), 1, access);
}

function write(context: ProcedureContext, format: Format, { buffer }: DataView): void {
  check(context, format, buffer.byteLength, "write");
  context.writeBytes(context.address(), new Uint8Array(buffer));
}

function read(context: ProcedureContext, format: Format, length: number): DataView {
  check(context, format, length, "read");
  return new DataView(context.readBytes(context.address(), length).buffer);
}

/** FNSTENV. */
export function writeEnvironment(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  write(context, format, environmentImage(x87, format, 0));
}

/** FLDENV. */
export function readEnvironment(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  loadEnvironment(x87, format, read(context, format, environmentBytes(format)));
}

/** FNSAVE: the environment, then the registers, ST(0) first. */
export function writeState(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  const image = environmentImage(x87, format, REGISTERS_BYTES);
  for (let n = 0; n < REGISTERS; n++) {
    const at = environmentBytes(format) + REGISTER_BYTES * n;
    const value = x87.get(n);
    image.setBigUint64(at, value.significand, true);
    image.setUint16(at + 8, signExponent(value), true);
  }
  write(context, format, image);
}

/** FRSTOR. */
export function readState(x87: X87, context: ProcedureContext): void {
  const format = formatOf(context);
  const image = read(context, format, environmentBytes(format) + REGISTERS_BYTES);
  loadEnvironment(x87, format, image);
  for (let n = 0; n < REGISTERS; n++) {
    const at = environmentBytes(format) + REGISTER_BYTES * n;
    x87.store(n, encodedOf(image.getUint16(at + 8, true), image.getBigUint64(at, true)));
  }
}
