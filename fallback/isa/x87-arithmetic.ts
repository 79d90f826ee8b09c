/** x87 arithmetic (Intel SDM vol. 1 §8.3.5). */
import * as exact from "../float/arithmetic.ts";
import type { FloatContext } from "../float/context.ts";
import { type Encoded, EXTENDED, type Operand } from "../float/format.ts";
import { C2, extract, remainder, roundToInteger, scale } from "../float/x87.ts";
import type { Family, Instruction } from "./instruction.ts";
import {
  INDEFINITE,
  integerOperandInMemory,
  realOperand,
  stackIndex,
  x87Instruction,
} from "./x87-instruction.ts";
import * as translated from "./x87-translation.ts";
import type { X87 } from "./x87-unit.ts";

type Binary = (modes: FloatContext, destination: Operand, source: Operand) => Encoded;

const add: Binary = (modes, a, b) => exact.add(modes, EXTENDED, a, b);
const multiply: Binary = (modes, a, b) => exact.multiply(modes, EXTENDED, a, b);
const subtract: Binary = (modes, a, b) => exact.subtract(modes, EXTENDED, a, b);
const divide: Binary = (modes, a, b) => exact.divide(modes, EXTENDED, a, b);
const reversed =
  (operation: Binary): Binary =>
  (modes, a, b) =>
    operation(modes, b, a);

/** ST(0), by an operand in memory. */
function withMemory(x87: X87, operation: Binary, source: Operand): void {
  x87.run({
    sources: [0],
    compute: (modes) => operation(modes, x87.operand(0), source),
    indefinite: INDEFINITE,
    accept: (result) => x87.set(0, result),
  });
}

function withRegister(
  x87: X87,
  operation: Binary,
  destination: number,
  source: number,
  pops = false,
): void {
  x87.run({
    sources: [destination, source],
    compute: (modes) => operation(modes, x87.operand(destination), x87.operand(source)),
    indefinite: INDEFINITE,
    accept(result) {
      x87.set(destination, result);
      if (pops) x87.pop();
    },
  });
}

const TO_ST_I = 0xdc;

/**
 * @param digit of the forms with ST(0) as the destination
 * @param digitOfI of the forms with ST(i): subtractions and divisions have theirs the other way round
 */
const arithmetic = (
  name: string,
  digit: number,
  digitOfI: number,
  operation: Binary,
): Instruction[] => {
  return [
    x87Instruction(
      name,
      [`D8/${digit} Md`, `DC/${digit} Mq`, `D8/${digit} reg`, `DC/${digitOfI} reg`],
      (x87, context) => {
        const i = stackIndex(context);
        if (context.inMemory) withMemory(x87, operation, realOperand(context));
        else if (context.instruction.form.opcode === TO_ST_I) withRegister(x87, operation, i, 0);
        else withRegister(x87, operation, 0, i);
      },
      {
        translation: (e, instruction) =>
          translated.arithmetic(digit, { toI: instruction.form.opcode === TO_ST_I })(
            e,
            instruction,
          ),
      },
    ),
    x87Instruction(
      `${name}P`,
      [`DE/${digitOfI} reg`],
      (x87, context) => withRegister(x87, operation, stackIndex(context), 0, true),
      { translation: translated.arithmetic(digit, { toI: true, pops: 1 }) },
    ),
    x87Instruction(
      `FI${name.slice(1)}`,
      [`DE/${digit} Mw`, `DA/${digit} Md`],
      (x87, context) => withMemory(x87, operation, integerOperandInMemory(context)),
      { translation: translated.arithmetic(digit, { isInteger: true }) },
    ),
  ];
};

/** ST(0) of ST(0). */
const unary = (
  name: string,
  form: string,
  operation: (modes: FloatContext, a: Operand) => Encoded,
  more: { readonly translation?: translated.Translation } = {},
): Instruction =>
  x87Instruction(
    name,
    [form],
    (x87) =>
      x87.run({
        sources: [0],
        compute: (modes) => operation(modes, x87.operand(0)),
        indefinite: INDEFINITE,
        accept: (result) => x87.set(0, result),
      }),
    more,
  );

/** A change of the sign bit, whatever the rest. */
const ofSign = (
  name: string,
  form: string,
  change: (sign: number) => number,
  translation: translated.Translation,
): Instruction =>
  x87Instruction(
    name,
    [form],
    (x87) =>
      x87.run({
        sources: [0],
        compute: () => ({ ...x87.get(0), sign: change(x87.get(0).sign) }),
        indefinite: INDEFINITE,
        accept: (result) => x87.set(0, result),
      }),
    { translation },
  );

const partialRemainder = (
  name: string,
  form: string,
  rounding: "truncate" | "nearest",
): Instruction =>
  x87Instruction(name, [form], (x87) =>
    x87.run({
      sources: [0, 1],
      compute: (modes) => remainder(modes, x87.operand(0), x87.operand(1), rounding),
      indefinite: { value: INDEFINITE, conditions: undefined },
      accept: ({ value }) => x87.set(0, value),
      conditions: ({ conditions }, usual) => conditions ?? usual & ~C2,
    }),
  );

export const x87Arithmetic: Family = [
  ...arithmetic("FADD", 0, 0, add),
  ...arithmetic("FMUL", 1, 1, multiply),
  ...arithmetic("FSUB", 4, 5, subtract),
  ...arithmetic("FSUBR", 5, 4, reversed(subtract)),
  ...arithmetic("FDIV", 6, 7, divide),
  ...arithmetic("FDIVR", 7, 6, reversed(divide)),
  ofSign("FCHS", "D9 E0", (sign) => sign ^ 1, translated.changeSign),
  ofSign("FABS", "D9 E1", () => 0, translated.clearSign),
  unary("FSQRT", "D9 FA", (modes, a) => exact.squareRoot(modes, EXTENDED, a), {
    translation: translated.squareRoot,
  }),
  unary("FRNDINT", "D9 FC", roundToInteger),
  x87Instruction("FSCALE", ["D9 FD"], (x87) => withRegister(x87, scale, 0, 1)),
  partialRemainder("FPREM", "D9 F8", "truncate"),
  partialRemainder("FPREM1", "D9 F5", "nearest"),
  x87Instruction("FXTRACT", ["D9 F4"], (x87) =>
    x87.run({
      sources: [0],
      pushes: true,
      compute: (modes) => extract(modes, x87.operand(0)),
      indefinite: { exponent: INDEFINITE, significand: INDEFINITE },
      accept({ exponent, significand }) {
        x87.set(0, exponent);
        x87.push(significand);
      },
    }),
  ),
];
