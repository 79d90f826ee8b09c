/** Moves of XMM and MMX registers (Intel SDM vol. 1 §9.4.1, §10.4.1.1, §11.4.1.1, §12.2, §12.3). */
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, i64 } from "../wasm/expression.ts";
import { i8x16, i32x4, i64x2 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { type Encoding, LEGACY, mapping } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import { beginMmx, endMmx } from "./mmx-state.ts";
import type { Operand } from "./operand.ts";
import { atBits, lanes, type Meaning, range } from "./vector.ts";

const RDI = 7;

const move: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  e.writeVector(destination, e.readVector(source));
};

const moveUnaligned: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  e.writeVector(destination, e.readVector(source, "unaligned"), "unaligned");
};

/** From memory to a whole register, zeros above; else only the element. */
const moveScalar: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  const whole = source.kind === "memory" ? atBits(destination, 128) : destination;
  e.writeVector(whole, e.readVector(source));
};

/** Registers are filled up with zeros. */
const moveZeroing: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  const whole = destination.kind === "xmm" ? atBits(destination, 128) : destination;
  e.writeVector(whole, e.readVector(source));
};

/** Between general and vector registers, which are filled up with zeros. */
const moveInteger: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  const value = e.read(source);
  if (destination.kind === "mmx") e.write(atBits(destination, 64), value);
  else if (destination.kind !== "xmm") e.write(destination, value);
  else e.writeVector(atBits(destination, 128), i64x2.replaceLane(i64x2.const(0), 0, value));
};

const moveLow: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  e.write(destination, e.read(source));
};

/** To the high half: memory, or the low half of a register. */
const moveToHigh: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  const high = e.read(source);
  e.writeVector(destination, i64x2.replaceLane(e.readVector(destination), 1, high));
};

const moveFromHigh: Meaning = (e: Emitter, destination: Operand, source: Operand) => {
  e.write(destination, i64x2.extractLane(e.readVector(source), 1));
};

/** The sign bits of the lanes. @param count how many there are in 128 bits */
export const signs =
  (encoding: Encoding, bitmask: typeof i32x4.bitmask, count: number): Meaning =>
  (e, destination: Operand, source: Operand) => {
    const masks = encoding.read(e, source).map(bitmask);
    const all = masks.reduce((low, high) => i32.or(low, i32.shl(high, i32.const(count))));
    e.write(destination, i64.extendU(all));
  };

/** Writes the bytes that the mask selects to where rDI points, in DS or an override. */
export function maskedMove(context: ProcedureContext): void {
  const [first] = context.instruction.form.operands;
  const isMmx = first?.place === "mmx-reg";
  if (isMmx) {
    beginMmx(context.processor);
    endMmx(context.processor);
  }
  const offset = context.getRegister(RDI, context.instruction.addressSize);
  const value = context.read(0);
  const mask = context.read(1);
  const bytes = range(0, isMmx ? 8 : 16);
  const selected = bytes.filter((at) => (mask >> BigInt(8 * at + 7)) & 1n);
  // As in silicon all bytes must be writable, selected or not, and the high half is looked at first.
  for (const half of isMmx ? [0] : [8, 0]) context.check(offset + BigInt(half), 8, "write");
  for (const at of selected) {
    context.writeMemory(offset + BigInt(at), 1, (value >> BigInt(8 * at)) & 0xffn);
  }
}

const aligned = (name: string, forms: readonly string[]): Instruction => ({
  name,
  forms,
  meaning: move,
});

const unaligned = (name: string, forms: readonly string[]): Instruction => ({
  name,
  forms,
  meaning: moveUnaligned,
});

/** The source's lanes in other places. */
export const duplications = (encoding: Encoding): Instruction[] => {
  const moving = (numbers: readonly number[], bytes: number): Meaning =>
    mapping(encoding, (source) => lanes(source, source, bytes, numbers));
  const forms = (prefix: string, opcode: string): readonly string[] =>
    encoding.forms(`${prefix} 0F ${opcode}`, { type: "x", unary: true });
  return [
    { name: "MOVSLDUP", forms: forms("F3", "12"), meaning: moving([0, 0, 2, 2], 4) },
    { name: "MOVSHDUP", forms: forms("F3", "16"), meaning: moving([1, 1, 3, 3], 4) },
    {
      name: "MOVDDUP",
      forms: encoding.either("F2 0F 12 Vx,Wq", ["VEX.0 F2 0F 12 Vx,Wq", "VEX.1 F2 0F 12 Vx,Wx"]),
      meaning: moving([0, 0], 8),
    },
  ];
};

export const sseMoves: Family = [
  aligned("MOVAPS", ["NP 0F 28 Vx,Wx", "NP 0F 29 Wx,Vx"]),
  aligned("MOVAPD", ["66 0F 28 Vx,Wx", "66 0F 29 Wx,Vx"]),
  aligned("MOVDQA", ["66 0F 6F Vx,Wx", "66 0F 7F Wx,Vx"]),
  aligned("MOVNTPS", ["NP 0F 2B Mx,Vx"]),
  aligned("MOVNTPD", ["66 0F 2B Mx,Vx"]),
  aligned("MOVNTDQ", ["66 0F E7 Mx,Vx"]),
  aligned("MOVNTDQA", ["66 0F 38 2A Vx,Mx"]),
  aligned("MOVNTQ", ["NP 0F E7 Mq,Pq"]),
  unaligned("MOVUPS", ["NP 0F 10 Vx,Wx", "NP 0F 11 Wx,Vx"]),
  unaligned("MOVUPD", ["66 0F 10 Vx,Wx", "66 0F 11 Wx,Vx"]),
  unaligned("MOVDQU", ["F3 0F 6F Vx,Wx", "F3 0F 7F Wx,Vx"]),
  unaligned("LDDQU", ["F2 0F F0 Vx,Mx"]),
  {
    name: "MOVSS",
    forms: ["F3 0F 10 Vss,Wss", "F3 0F 11 Wss,Vss"],
    meaning: moveScalar,
  },
  {
    name: "MOVSD",
    forms: ["F2 0F 10 Vsd,Wsd", "F2 0F 11 Wsd,Vsd"],
    meaning: moveScalar,
  },
  {
    name: "MOVQ",
    forms: ["F3 0F 7E Vq,Wq", "66 0F D6 Wq,Vq", "NP 0F 6F Pq,Qq", "NP 0F 7F Qq,Pq"],
    meaning: moveZeroing,
  },
  {
    name: "MOVD",
    forms: ["66 0F 6E Vy,Ey", "66 0F 7E Ey,Vy", "NP 0F 6E Py,Ey", "NP 0F 7E Ey,Py"],
    meaning: moveInteger,
  },
  { name: "MOVDQ2Q", forms: ["F2 0F D6 Pq,Uq"], meaning: moveZeroing },
  { name: "MOVQ2DQ", forms: ["F3 0F D6 Vq,Nq"], meaning: moveZeroing },
  { name: "MOVLPS", forms: ["NP 0F 12 Vq,Mq", "NP 0F 13 Mq,Vq"], meaning: moveLow },
  { name: "MOVLPD", forms: ["66 0F 12 Vq,Mq", "66 0F 13 Mq,Vq"], meaning: moveLow },
  { name: "MOVHLPS", forms: ["NP 0F 12 Vq,Udq"], meaning: moveFromHigh },
  { name: "MOVHPS", forms: ["NP 0F 16 Vdq,Mq"], meaning: moveToHigh },
  { name: "MOVHPD", forms: ["66 0F 16 Vdq,Mq"], meaning: moveToHigh },
  { name: "MOVLHPS", forms: ["NP 0F 16 Vdq,Uq"], meaning: moveToHigh },
  { name: "MOVHPS store", mnemonic: "MOVHPS", forms: ["NP 0F 17 Mq,Vdq"], meaning: moveFromHigh },
  { name: "MOVHPD store", mnemonic: "MOVHPD", forms: ["66 0F 17 Mq,Vdq"], meaning: moveFromHigh },
  ...duplications(LEGACY),
  { name: "MOVMSKPS", forms: ["NP 0F 50 Gd,Ux"], meaning: signs(LEGACY, i32x4.bitmask, 4) },
  { name: "MOVMSKPD", forms: ["66 0F 50 Gd,Ux"], meaning: signs(LEGACY, i64x2.bitmask, 2) },
  {
    name: "PMOVMSKB",
    forms: ["66 0F D7 Gd,Ux", "NP 0F D7 Gd,Nq"],
    meaning: signs(LEGACY, i8x16.bitmask, 16),
  },
  { name: "MASKMOVDQU", forms: ["66 0F F7 Vx,Ux"], procedure: maskedMove },
  { name: "MASKMOVQ", forms: ["NP 0F F7 Pq,Nq"], procedure: maskedMove },
];
