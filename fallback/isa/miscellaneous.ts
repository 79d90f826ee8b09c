/** Decimal arithmetic, table look-up and other instructions of their own kind. */
import { RFLAGS } from "../bits.ts";
import { CpuException, undefinedOpcode, VECTOR } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Processor } from "../processor.ts";
import type { Family } from "./instruction.ts";

const RAX = 0;
const RBX = 3;

/** Flags by a byte result: SF, ZF, PF. */
function byteFlags(value: number): number {
  let parity = value;
  for (const shift of [4, 2, 1]) parity ^= parity >> shift;
  return (
    (value & 0x80 ? RFLAGS.SF : 0) |
    (value === 0 ? RFLAGS.ZF : 0) |
    ((parity & 1) === 0 ? RFLAGS.PF : 0)
  );
}

const BYTE_FLAGS = RFLAGS.SF | RFLAGS.ZF | RFLAGS.PF | RFLAGS.OF | RFLAGS.AF | RFLAGS.CF;

function setFlags(p: Processor, flags: number): void {
  p.rflags = ((p.rflags & ~BYTE_FLAGS) | flags) >>> 0;
}

/** DAA and DAS (Intel SDM vol. 2A). @param sign 1 or -1 */
function decimalAdjust(context: ProcedureContext, sign: 1 | -1): void {
  const { processor: p } = context;
  const before = Number(context.getRegister(RAX, 8));
  const carryBefore = (p.rflags & RFLAGS.CF) !== 0;
  let al = before;
  let flags = 0;
  if ((al & 0xf) > 9 || (p.rflags & RFLAGS.AF) !== 0) {
    const adjusted = al + 6 * sign;
    if (carryBefore || adjusted > 0xff || adjusted < 0) flags |= RFLAGS.CF;
    al = adjusted & 0xff;
    flags |= RFLAGS.AF;
  }
  if (before > 0x99 || carryBefore) {
    al = (al + 0x60 * sign) & 0xff;
    flags |= RFLAGS.CF;
  } else if (sign === 1) flags &= ~RFLAGS.CF;
  context.setRegister(RAX, 8, BigInt(al));
  setFlags(p, flags | byteFlags(al));
}

/** AAA and AAS. */
function asciiAdjust(context: ProcedureContext, sign: 1 | -1): void {
  const { processor: p } = context;
  let ax = Number(context.getRegister(RAX, 16));
  let flags = 0;
  if ((ax & 0xf) > 9 || (p.rflags & RFLAGS.AF) !== 0) {
    ax = (ax + 0x106 * sign) & 0xffff;
    flags = RFLAGS.AF | RFLAGS.CF;
  }
  ax &= 0xff0f;
  context.setRegister(RAX, 16, BigInt(ax));
  setFlags(p, flags | byteFlags(ax & 0xff));
}

const ADJUST_FLAGS = { read: "AC", written: "AC", undefined: "OSZP" };

export const miscellaneous: Family = [
  {
    name: "XLAT",
    forms: ["D7"],
    procedure(context) {
      const width = context.instruction.addressSize;
      const table = context.getRegister(RBX, width) + context.getRegister(RAX, 8);
      const value = context.readMemory(BigInt.asUintN(width, table), 1);
      context.setRegister(RAX, 8, value);
    },
  },
  {
    name: "DAA",
    forms: ["27 no64"],
    flags: { read: "AC", written: "SZAPC", undefined: "O" },
    procedure: (context) => decimalAdjust(context, 1),
  },
  {
    name: "DAS",
    forms: ["2F no64"],
    flags: { read: "AC", written: "SZAPC", undefined: "O" },
    procedure: (context) => decimalAdjust(context, -1),
  },
  {
    name: "AAA",
    forms: ["37 no64"],
    flags: ADJUST_FLAGS,
    procedure: (context) => asciiAdjust(context, 1),
  },
  {
    name: "AAS",
    forms: ["3F no64"],
    flags: ADJUST_FLAGS,
    procedure: (context) => asciiAdjust(context, -1),
  },
  {
    name: "AAM",
    forms: ["D4 Ib no64"],
    flags: { written: "SZP", undefined: "OAC" },
    procedure(context) {
      const base = Number(context.read(0));
      if (base === 0) throw new CpuException(VECTOR.DE);
      const al = Number(context.getRegister(RAX, 8));
      const low = al % base;
      context.setRegister(RAX, 16, BigInt((Math.floor(al / base) << 8) | low));
      setFlags(context.processor, byteFlags(low));
    },
  },
  {
    name: "AAD",
    forms: ["D5 Ib no64"],
    flags: { written: "SZP", undefined: "OAC" },
    procedure(context) {
      const ax = Number(context.getRegister(RAX, 16));
      const low = ((ax & 0xff) + (ax >> 8) * Number(context.read(0))) & 0xff;
      context.setRegister(RAX, 16, BigInt(low));
      setFlags(context.processor, byteFlags(low));
    },
  },
  {
    name: "SALC",
    forms: ["D6 no64"],
    flags: { read: "C" },
    procedure(context) {
      const carry = (context.processor.rflags & RFLAGS.CF) !== 0;
      context.setRegister(RAX, 8, carry ? 0xffn : 0n);
    },
  },
  {
    name: "BOUND",
    forms: ["62 Gv,M no64 v"],
    procedure(context) {
      const { operandSize } = context;
      const signed = (value: bigint) => BigInt.asIntN(operandSize, value);
      const bytes = operandSize / 8;
      const index = signed(context.read(0));
      const lower = signed(context.readMemory(context.address(), bytes));
      // Below the lower bound the upper one is not looked at, even if it cannot be read.
      if (index < lower) throw new CpuException(VECTOR.BR);
      const upper = signed(context.readMemory(context.address(bytes), bytes));
      if (index > upper) throw new CpuException(VECTOR.BR);
    },
  },
  {
    name: "UD2",
    forms: ["0F 0B", "0F B9 Gv,Ev", "0F FF Gv,Ev"],
    procedure() {
      throw undefinedOpcode();
    },
  },
];
