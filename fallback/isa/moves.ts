/** Data transfer between general registers, memory and the stack (Intel SDM vol. 1 §7.3.1). */
import { i64, select } from "../wasm/expression.ts";
import type { Emitter, MemoryBits } from "./emitter.ts";
import { signExtend, zeroExtend } from "./flag-emitter.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";

export const CONDITION_NAMES = [
  ...["O", "NO", "B", "AE", "E", "NE", "BE", "A", "S", "NS", "P", "NP", "L", "GE", "LE", "G"],
] as const;

export const CONDITION_FLAGS = [
  ...["O", "O", "C", "C", "Z", "Z", "CZ", "CZ", "S", "S", "P", "P", "SO", "SO", "ZSO", "ZSO"],
] as const;

const byteHex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

/** An instruction for each of the sixteen conditions. */
export const forEachCondition = (
  make: (name: string, encoding: number, hex: (base: number) => string) => Instruction,
): Instruction[] =>
  CONDITION_NAMES.map((name, encoding) => ({
    ...make(name, encoding, (base) => byteHex(base + encoding)),
    flags: { read: CONDITION_FLAGS[encoding] ?? "" },
  }));

/** Two operands, the second read and extended to the first. */
const moving =
  (extend: (e: Emitter, source: Operand) => ReturnType<Emitter["read"]>) =>
  (e: Emitter, destination?: Operand, source?: Operand): void => {
    if (destination !== undefined && source !== undefined) e.write(destination, extend(e, source));
  };

const RAX = 0;
const RDX = 2;
const RBP = 5;

export const moves: Family = [
  {
    name: "MOV",
    forms: [
      ...["88 Eb,Gb", "89 Ev,Gv", "8A Gb,Eb", "8B Gv,Ev", "A0 AL,Ob", "A1 rAX,Ov"],
      ...["A2 Ob,AL", "A3 Ov,rAX", "B0 Zb,Ib", "B8 Zv,Iv", "C6/0 Eb,Ib", "C7/0 Ev,Iz"],
    ],
    meaning: moving((e, source) =>
      source.kind === "immediate" ? e.readSigned(source) : e.read(source),
    ),
  },
  {
    name: "NOP",
    forms: [
      "90 noB",
      "0F 1F/0 Ev",
      "0F 18 Ev",
      "0F 19 Ev",
      "0F 1A Ev",
      "0F 1B Ev",
      "0F 1C Ev",
    ].concat(["0F 1D Ev", "0F 1E Ev", "0F 0D Ev"]),
    sizeless: true,
    meaning() {},
  },
  {
    name: "PAUSE",
    forms: ["F3 90"],
    meaning() {},
  },
  {
    name: "MOVZX",
    forms: ["0F B6 Gv,Eb", "0F B7 Gv,Ew"],
    meaning: moving((e, source) => e.read(source)),
  },
  {
    name: "MOVSX",
    forms: ["0F BE Gv,Eb", "0F BF Gv,Ew"],
    meaning: moving((e, source) => e.readSigned(source)),
  },
  {
    name: "MOVSXD",
    forms: ["63 Gv,Ed 64", "66 63 Gw,Ew 64 noW"],
    meaning: moving((e, source) => e.readSigned(source)),
  },
  {
    name: "LEA",
    forms: ["8D Gv,M"],
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      e.write(destination, e.effectiveAddress(source));
    },
  },
  {
    name: "XCHG",
    forms: ["86 Eb,Gb", "87 Ev,Gv", "90 Zv,rAX"],
    lock: true,
    meaning(e, first, second) {
      if (first === undefined || second === undefined) return;
      const other = e.read(second);
      const before = e.local("i64");
      e.modify(first, (old) => {
        e.set(before, old);
        return other;
      });
      e.write(second, before);
    },
  },
  {
    name: "MOVNTI",
    forms: ["NP 0F C3 My,Gy"],
    meaning: moving((e, source) => e.read(source)),
  },
  {
    name: "BSWAP",
    forms: ["0F C8 Zv"],
    meaning(e, operand) {
      if (operand === undefined) return;
      const { bits } = operand;
      // Of 16 bits it is undefined by the manual and gives zero in silicon.
      e.write(operand, bits === 16 ? i64.const(0) : swapBytes(e, e.read(operand), bits));
    },
  },
  {
    name: "MOVBE",
    forms: ["0F 38 F0 Gv,Mv", "0F 38 F1 Mv,Gv"],
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      e.write(destination, swapBytes(e, e.read(source), destination.bits));
    },
  },
  {
    name: "CBW",
    // CBW, CWDE, CDQE: AL, AX or EAX is extended into the register twice as wide.
    forms: ["98 rAX"],
    meaning(e, operand) {
      if (operand === undefined) return;
      const half = (operand.bits / 2) as MemoryBits;
      e.write(operand, signExtend(e.getRegister(RAX, half), half));
    },
  },
  {
    name: "CWD",
    // CWD, CDQ, CQO: the sign of rAX fills rDX.
    forms: ["99 rAX"],
    meaning(e, operand) {
      if (operand === undefined) return;
      e.setRegister(RDX, e.bits, i64.shrS(e.readSigned(operand), i64.const(63)));
    },
  },
  ...forEachCondition((name, encoding, hex) => ({
    name: `CMOV${name}`,
    forms: [`0F ${hex(0x40)} Gv,Ev`],
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      // The source is read, and a 32-bit destination zero-extended, whatever the condition.
      const moved = e.read(source);
      const kept = e.read(destination);
      e.write(destination, select(e.flags.condition(encoding), moved, kept));
    },
  })),
  ...forEachCondition((name, encoding, hex) => ({
    name: `SET${name}`,
    forms: [`0F ${hex(0x90)} Eb`],
    meaning(e, destination) {
      if (destination !== undefined) {
        e.write(destination, i64.extendU(e.flags.condition(encoding)));
      }
    },
  })),
  {
    name: "PUSH",
    forms: ["50 Zv d64", "FF/6 Ev d64", "68 Iz d64", "6A Ibs d64"],
    stack: true,
    meaning(e, source) {
      if (source !== undefined) e.push(e.bits, e.readSigned(source));
    },
  },
  {
    name: "POP",
    forms: ["58 Zv d64"],
    stack: true,
    meaning(e, destination) {
      if (destination !== undefined) e.write(destination, e.pop(e.bits));
    },
  },
  {
    name: "LEAVE",
    forms: ["C9 d64"],
    stack: true,
    meaning(e) {
      const frame = e.local("i64");
      e.set(frame, e.popAt(RBP, e.bits));
      e.setRegister(RBP, e.bits, frame);
    },
  },
];

/** Byte reversal of the low `bits`. */
function swapBytes(e: Emitter, value: ReturnType<Emitter["read"]>, bits: number) {
  const mask = (m: bigint) => i64.const(m);
  const swap = (v: ReturnType<Emitter["read"]>, m: bigint, shift: number) =>
    e.let(
      i64.or(
        i64.and(i64.shrU(v, i64.const(shift)), mask(m)),
        i64.shl(i64.and(v, mask(m)), i64.const(shift)),
      ),
    );
  const bytes = swap(value, 0x00ff_00ff_00ff_00ffn, 8);
  if (bits === 16) return bytes;
  const words = swap(bytes, 0x0000_ffff_0000_ffffn, 16);
  return bits === 32 ? zeroExtend(words, 32) : i64.rotl(words, i64.const(32));
}
