/** Bit tests, bit scans, counts, and exchanges that compare (Intel SDM vol. 1 §7.3.7, §7.3.1.3). */

import { CpuException, VECTOR } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { type I64, i32, i64, select } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter, MemoryBits } from "./emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RFLAGS_ZF = 0x40;
const RFLAGS_CF = 0x01;
const BIT_FLAGS: FlagUse = { written: "C", undefined: "OSAP" };

/** What a bit test makes of the operand and the bit's mask. */
type Change = (value: I64, mask: Local<"i64">) => I64;

const BIT_TESTS: readonly (readonly [string, string, number, Change | undefined])[] = [
  ["BT", "A3", 4, undefined],
  ["BTS", "AB", 5, i64.or],
  ["BTR", "B3", 6, (value, mask) => i64.and(value, i64.xor(mask, i64.const(-1)))],
  ["BTC", "BB", 7, i64.xor],
];

/** A register or an immediate says which bit, modulo the width. */
function bitTest(e: Emitter, ...[operand, index, change]: BitTestParts): void {
  const { bits } = operand;
  const position = e.let(i64.and(e.read(index), i64.const(bits - 1)));
  const mask = e.let(i64.shl(i64.const(1), position));
  const before = e.local("i64");
  if (change === undefined) e.set(before, e.read(operand));
  else {
    e.modify(operand, (old) => {
      e.set(before, old);
      return change(before, mask);
    });
  }
  e.flags.carryOnly(i32.wrap(i64.and(i64.shrU(before, position), i64.const(1))));
}
type BitTestParts = [
  Parameters<Emitter["modify"]>[0],
  Parameters<Emitter["read"]>[0],
  Change | undefined,
];

/** With memory and a register, the bit may lie anywhere around the operand's address: in 64-bit mode. */
function bitTestAround(e: Emitter, ...[operand, index, change]: BitTestParts): void {
  const bits = operand.bits as MemoryBits;
  const shift = Math.log2(bits);
  const offset = e.readSigned(index);
  const word = i64.shl(i64.shrS(offset, i64.const(shift)), i64.const(shift - 3));
  const address = e.let(i64.add(e.address(operand, change !== undefined), word));
  const position = e.let(i64.and(offset, i64.const(bits - 1)));
  const isChanged = change !== undefined;
  const before = isChanged ? e.loadForWrite(address, bits) : e.load(address, bits);
  if (isChanged) e.store(address, bits, change(before, e.let(i64.shl(i64.const(1), position))));
  e.flags.carryOnly(i32.wrap(i64.and(i64.shrU(before, position), i64.const(1))));
}

/** The same elsewhere. */
function bitTestInMemory(context: ProcedureContext, change: (bit: bigint) => bigint | undefined) {
  const width = BigInt(context.operandSize);
  const index = BigInt.asIntN(context.operandSize, context.read(1));
  const word = index >> BigInt(Math.log2(context.operandSize));
  const position = index & (width - 1n);
  const address = context.address(word * (width / 8n));
  const bytes = context.operandSize / 8;
  const changes = change(0n) !== undefined;
  const value = changes ? context.readForWrite(address, bytes) : context.readMemory(address, bytes);
  const bit = (value >> position) & 1n;
  const changed = change(bit);
  if (changed !== undefined) {
    const others = value & ~(1n << position);
    context.writeMemory(address, bytes, others | (changed << position));
  }
  const { processor } = context;
  processor.rflags = (processor.rflags & ~RFLAGS_CF) | Number(bit);
}

const BIT_RESULTS: Readonly<Record<string, (bit: bigint) => bigint | undefined>> = {
  BT: () => undefined,
  BTS: () => 1n,
  BTR: () => 0n,
  BTC: (bit) => 1n - bit,
};

const bitTests: Instruction[] = BIT_TESTS.flatMap(([name, opcode, digit, change]) => {
  const lock = change === undefined ? {} : ({ lock: true } as const);
  const common = { mnemonic: name, flags: BIT_FLAGS, ...lock };
  return [
    {
      ...common,
      name: `${name} register`,
      forms: [`0F ${opcode} Ev,Gv reg`, `0F BA/${digit} Ev,Ib`],
      meaning(e: Emitter, operand, index) {
        if (operand !== undefined && index !== undefined) bitTest(e, operand, index, change);
      },
    },
    {
      ...common,
      name: `${name} memory`,
      forms: [`0F ${opcode} Ev,Gv mem`],
      only64: true,
      meaning(e: Emitter, operand, index) {
        if (operand !== undefined && index !== undefined) bitTestAround(e, operand, index, change);
      },
      procedure: (context) =>
        bitTestInMemory(context, BIT_RESULTS[name] as (bit: bigint) => bigint | undefined),
    },
  ] satisfies Instruction[];
});

/** BSF and BSR: of zero, ZF is set and the destination stays as it is. */
function bitScan(
  name: string,
  opcode: string,
  scan: (value: I64, bits: number) => I64,
): Instruction {
  return {
    name,
    forms: [`0F ${opcode} Gv,Ev`],
    flags: { written: "Z", undefined: "OSAPC" },
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      const value = e.read(source);
      e.flags.zeroOnly(i64.eqz(value));
      e.if(i32.eqz(i64.eqz(value)), () => e.write(destination, scan(value, source.bits)));
    },
  };
}

/** TZCNT and LZCNT: of zero all bits are counted, which CF tells. */
const countZeros = (
  name: string,
  opcode: string,
  count: (value: I64, bits: number) => I64,
): Instruction => ({
  name,
  forms: [`F3 0F ${opcode} Gv,Ev`],
  flags: { written: "ZC", undefined: "OSAP" },
  meaning(e, destination, source) {
    if (destination === undefined || source === undefined) return;
    const value = e.read(source);
    const zeros = e.let(count(value, source.bits));
    e.write(destination, zeros);
    e.flags.zeroAndCarry(i64.eqz(zeros), i64.eqz(value));
  },
});

/** CMPXCHG8B and CMPXCHG16B. */
function compareExchangeTwice(context: ProcedureContext, width: 32 | 64): void {
  const address = context.address();
  if (width === 64 && !context.isAligned(16n)) throw new CpuException(VECTOR.GP, 0);
  const bytes = width / 4;
  const pair = (high: number, low: number): bigint =>
    (context.getRegister(high, width) << BigInt(width)) | context.getRegister(low, width);
  const value = context.readForWrite(address, bytes);
  const { processor } = context;
  const equal = value === pair(RDX, RAX);
  // The memory is written either way, and so has to be writable.
  context.writeMemory(address, bytes, equal ? pair(RCX, RBX) : value);
  if (!equal) {
    context.setRegister(RDX, width, value >> BigInt(width));
    context.setRegister(RAX, width, value);
  }
  processor.rflags = (processor.rflags & ~RFLAGS_ZF) | (equal ? RFLAGS_ZF : 0);
}

/** Castagnoli's polynomial, bit-reflected. */
const CRC32C = 0x82f6_3b78;

function crc32(seed: number, value: bigint, bytes: number): number {
  let crc = seed;
  for (let i = 0; i < bytes; i++) {
    crc ^= Number((value >> BigInt(8 * i)) & 0xffn);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CRC32C : 0);
  }
  return crc >>> 0;
}

export const bits: Family = [
  ...bitTests,
  bitScan("BSF", "BC", (value) => i64.ctz(value)),
  bitScan("BSR", "BD", (value) => i64.sub(i64.const(63), i64.clz(value))),
  countZeros("TZCNT", "BC", (value, bits) =>
    i64.ctz(bits === 64 ? value : i64.or(value, i64.const(1n << BigInt(bits)))),
  ),
  countZeros("LZCNT", "BD", (value, bits) => i64.sub(i64.clz(value), i64.const(64 - bits))),
  {
    name: "POPCNT",
    forms: ["F3 0F B8 Gv,Ev"],
    flags: { written: "OSZAPC" },
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      const value = e.read(source);
      // All flags but ZF are clear, which no result alone would say.
      e.flags.fromImage(e.let(i32.shl(i64.eqz(value), i32.const(6))));
      e.write(destination, i64.popcnt(value));
    },
  },
  {
    name: "XADD",
    forms: ["0F C0 Eb,Gb", "0F C1 Ev,Gv"],
    flags: { written: "OSZAPC" },
    lock: true,
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      const b = e.read(source);
      const a = e.local("i64");
      const sum = e.local("i64");
      e.modify(destination, (old) => {
        e.set(a, old);
        e.set(sum, i64.add(a, b));
        return sum;
      });
      e.write(source, a);
      // The destination last: with both the same register the sum stays.
      if (destination.kind === "register") e.write(destination, sum);
      e.flags.add(a, b, sum, destination.bits);
    },
  },
  {
    name: "CMPXCHG",
    forms: ["0F B0 Eb,Gb", "0F B1 Ev,Gv"],
    flags: { written: "OSZAPC" },
    lock: true,
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      const width = destination.bits as MemoryBits;
      const replacement = e.read(source);
      const accumulator = e.let(e.getRegister(RAX, width));
      const before = e.local("i64");
      const equal = e.local("i32");
      const compared = (old: Local<"i64">): void => {
        e.set(before, old);
        e.set(equal, i64.eq(before, accumulator));
      };
      if (destination.kind === "memory") {
        // Written in any case, and so must be writable.
        e.modify(destination, (old) => {
          compared(old);
          return select(equal, replacement, before);
        });
      } else {
        compared(e.read(destination));
        e.if(equal, () => e.write(destination, replacement));
      }
      e.if(i32.eqz(equal), () => e.setRegister(RAX, width, before));
      const difference = e.let(i64.sub(accumulator, before));
      e.flags.subtract(accumulator, before, difference, width);
    },
  },
  {
    name: "CMPXCHG8B",
    forms: ["0F C7/1 Mq noW"],
    flags: { written: "Z" },
    lock: true,
    procedure: (context) => compareExchangeTwice(context, 32),
  },
  {
    name: "CMPXCHG16B",
    forms: ["0F C7/1 Mdq W"],
    flags: { written: "Z" },
    lock: true,
    only64: true,
    meaning(e, destination) {
      if (destination === undefined) return;
      const lower = e.address(destination, true);
      e.fallbackUnless(i64.eqz(i64.and(lower, i64.const(15))));
      const upper = e.let(i64.add(lower, i64.const(8)));
      const low = e.loadForWrite(lower, 64);
      const high = e.loadForWrite(upper, 64);
      const isLow = i64.eq(low, e.getRegister(RAX, 64));
      const equal = e.let(i32.and(isLow, i64.eq(high, e.getRegister(RDX, 64))));
      // Written in any case, and so must be writable.
      e.store(lower, 64, select(equal, e.getRegister(RBX, 64), low));
      e.store(upper, 64, select(equal, e.getRegister(RCX, 64), high));
      e.if(i32.eqz(equal), () => {
        e.setRegister(RAX, 64, low);
        e.setRegister(RDX, 64, high);
      });
      e.flags.zeroOnly(equal);
    },
    procedure: (context) => compareExchangeTwice(context, 64),
  },
  {
    name: "CRC32 byte",
    mnemonic: "CRC32",
    forms: ["F2 0F 38 F0 Gy,Eb"],
    procedure: (context) => {
      const seed = Number(context.getRegister(context.reg, 32));
      context.setRegister(context.reg, 64, BigInt(crc32(seed, context.read(1), 1)));
    },
  },
  {
    name: "CRC32",
    forms: ["F2 0F 38 F1 Gy,Ev"],
    procedure: (context) => {
      const seed = Number(context.getRegister(context.reg, 32));
      const bytes = context.instruction.operandSize / 8;
      context.setRegister(context.reg, 64, BigInt(crc32(seed, context.read(1), bytes)));
    },
  },
];
