/** x87 comparisons and classification (Intel SDM vol. 1 §8.3.6). */
import { ARITHMETIC_FLAGS, RFLAGS } from "../bits.ts";
import { compare, EQUAL, GREATER, LESS, type Order, UNORDERED } from "../float/compare.ts";
import { type Operand, unpackExtended } from "../float/format.ts";
import { C0, C1, C2, C3, examine } from "../float/x87.ts";
import type { Family, Instruction } from "./instruction.ts";
import {
  integerOperandInMemory,
  keepsC1,
  realOperand,
  stackIndex,
  x87Instruction,
} from "./x87-instruction.ts";
import * as translated from "./x87-translation.ts";
import type { X87 } from "./x87-unit.ts";

const CONDITIONS: Readonly<Record<Order, number>> = {
  [GREATER]: 0,
  [LESS]: C0,
  [EQUAL]: C3,
  [UNORDERED]: C0 | C2 | C3,
};
const FLAGS: Readonly<Record<Order, number>> = {
  [GREATER]: 0,
  [LESS]: RFLAGS.CF,
  [EQUAL]: RFLAGS.ZF,
  [UNORDERED]: RFLAGS.ZF | RFLAGS.PF | RFLAGS.CF,
};

interface Comparison {
  /** Quiet NaNs are no reason to complain. */
  readonly quiet?: boolean;
  readonly pops?: 0 | 1 | 2;
}

/** ST(0) with a number, or with ST(i). */
function compareWith(
  x87: X87,
  source: Operand | number,
  { quiet = false, pops = 0 }: Comparison,
): void {
  const isRegister = typeof source === "number";
  x87.run<Order>({
    sources: isRegister ? [0, source] : [0],
    compute: (modes) =>
      compare(modes, x87.operand(0), isRegister ? x87.operand(source) : source, quiet),
    indefinite: UNORDERED,
    accept() {
      for (let popped = 0; popped < pops; popped++) x87.pop();
    },
    conditions: (order) => CONDITIONS[order],
  });
}

const withReal = (name: string, forms: readonly string[], comparison: Comparison): Instruction =>
  x87Instruction(
    name,
    forms,
    (x87, context) =>
      compareWith(x87, context.inMemory ? realOperand(context) : stackIndex(context), comparison),
    { translation: translated.compare(comparison.pops ?? 0) },
  );

const withInteger = (name: string, digit: number, comparison: Comparison): Instruction =>
  x87Instruction(
    name,
    [`DE/${digit} Mw`, `DA/${digit} Md`],
    (x87, context) => compareWith(x87, integerOperandInMemory(context), comparison),
    { translation: translated.compare(comparison.pops ?? 0, true) },
  );

/** The result is in ZF, PF and CF. */
const toFlags = (name: string, form: string, quiet: boolean, pops: boolean): Instruction =>
  x87Instruction(
    name,
    [form],
    (x87, { processor, instruction }) => {
      const i = instruction.modRm & 7;
      const order = x87.run<Order>({
        sources: [0, i],
        compute: (modes) => compare(modes, x87.operand(0), x87.operand(i), quiet),
        indefinite: UNORDERED,
        accept() {
          if (pops) x87.pop();
        },
        conditions: keepsC1(x87),
      });
      processor.rflags = ((processor.rflags & ~ARITHMETIC_FLAGS) | FLAGS[order]) >>> 0;
    },
    { flags: { written: "OSZAPC" }, translation: translated.compareToFlags(pops ? 1 : 0) },
  );

const ZERO = unpackExtended(0, 0n);

export const x87Compare: Family = [
  // DC, DE and DD with registers: of the 8087's decoding, and in no manual.
  withReal("FCOM", ["D8/2 Md", "DC/2 Mq", "D8/2 reg", "DC/2 reg"], {}),
  withReal("FCOMP", ["D8/3 Md", "DC/3 Mq", "D8/3 reg", "DC/3 reg", "DE/2 reg"], { pops: 1 }),
  x87Instruction("FCOMPP", ["DE D9"], (x87) => compareWith(x87, 1, { pops: 2 }), {
    translation: translated.compare(2),
  }),
  withReal("FUCOM", ["DD/4 reg"], { quiet: true }),
  withReal("FUCOMP", ["DD/5 reg"], { quiet: true, pops: 1 }),
  x87Instruction("FUCOMPP", ["DA E9"], (x87) => compareWith(x87, 1, { quiet: true, pops: 2 }), {
    translation: translated.compare(2),
  }),
  withInteger("FICOM", 2, {}),
  withInteger("FICOMP", 3, { pops: 1 }),
  toFlags("FCOMI", "DB/6 reg", false, false),
  toFlags("FCOMIP", "DF/6 reg", false, true),
  toFlags("FUCOMI", "DB/5 reg", true, false),
  toFlags("FUCOMIP", "DF/5 reg", true, true),
  x87Instruction("FTST", ["D9 E4"], (x87) => compareWith(x87, ZERO, {}), {
    translation: translated.compareWithZero,
  }),
  x87Instruction("FXAM", ["D9 E5"], (x87) => {
    const { sign } = x87.get(0);
    x87.conditions = x87.isEmpty(0) ? C3 | C0 | (sign ? C1 : 0) : examine(x87.operand(0));
  }),
];
