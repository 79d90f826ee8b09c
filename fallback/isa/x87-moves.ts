/** x87 loads, stores, moves and constants (Intel SDM vol. 1 §8.3.3, §8.3.4). */
import { RFLAGS } from "../bits.ts";
import { type FloatContext, TOWARD_ZERO } from "../float/context.ts";
import {
  BINARY32,
  BINARY64,
  defaultNan,
  type Encoded,
  EXTENDED,
  pack,
  signExponent,
  zero,
} from "../float/format.ts";
import { toInteger, withRounding } from "../float/integer.ts";
import {
  C1,
  constant,
  DECIMAL_INDEFINITE,
  load,
  loadDecimal,
  loadInteger,
  store,
  storeDecimal,
} from "../float/x87.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Family, Instruction } from "./instruction.ts";
import {
  INDEFINITE,
  integerInMemory,
  keepsC1,
  memoryBits,
  realOperand,
  stackIndex,
  x87Instruction,
} from "./x87-instruction.ts";
import * as translated from "./x87-translation.ts";
import { encodedOf, type X87 } from "./x87-unit.ts";

function push(x87: X87, compute: (modes: FloatContext) => Encoded, sources: number[] = []): void {
  x87.run({
    sources,
    pushes: true,
    loads: true,
    compute,
    indefinite: INDEFINITE,
    accept: (value) => x87.push(value),
  });
}

function loadReal(x87: X87, context: ProcedureContext): void {
  const i = stackIndex(context);
  if (!context.inMemory) push(x87, () => x87.get(i), [i]);
  else if (memoryBits(context) === 80) {
    const bits = context.read(0);
    const value = encodedOf(Number(bits >> 64n), BigInt.asUintN(64, bits));
    push(x87, () => value);
  } else {
    const operand = realOperand(context);
    push(x87, (modes) => load(modes, operand));
  }
}

/** All 80 bits as they are. */
const bitsOf = (value: Encoded): bigint => (BigInt(signExponent(value)) << 64n) | value.significand;

/** Ten bytes go out as eight and two: if the two fault, the eight have been written. */
function write(context: ProcedureContext, bits: bigint): void {
  if (memoryBits(context) !== 80) {
    context.write(0, bits);
    return;
  }
  context.writeMemory(context.address(), 8, BigInt.asUintN(64, bits));
  context.writeMemory(context.address(8), 2, bits >> 64n);
}

/** ST(0) to memory. @param compute the bits to store */
function storeTo(
  x87: X87,
  context: ProcedureContext,
  compute: (modes: FloatContext) => bigint,
  indefinite: bigint,
  pops: boolean,
): void {
  x87.run({
    sources: [0],
    toMemory: true,
    compute,
    indefinite,
    accept(bits) {
      write(context, bits);
      if (pops) x87.pop();
    },
  });
}

function storeReal(x87: X87, context: ProcedureContext, pops: boolean): void {
  const bits = memoryBits(context);
  if (bits === 80) {
    storeTo(x87, context, () => bitsOf(x87.get(0)), bitsOf(INDEFINITE), pops);
    return;
  }
  const format = bits === 32 ? BINARY32 : BINARY64;
  const compute = (modes: FloatContext) => store(modes, format, x87.operand(0));
  storeTo(x87, context, compute, pack(format, defaultNan(format)), pops);
}

function copy(x87: X87, i: number, pops: boolean): void {
  x87.run({
    sources: [0],
    compute: () => x87.get(0),
    indefinite: INDEFINITE,
    accept(value) {
      x87.set(i, value);
      if (pops) x87.pop();
    },
  });
}

/** As FSTP, but an empty register is no stack fault: it is not copied. */
function moveAndPop(x87: X87, i: number): void {
  if (!x87.isEmpty(0)) x87.set(i, x87.get(0));
  x87.statusWord &= ~C1;
  x87.pop();
}

const storing = (name: string, forms: readonly string[], pops: boolean): Instruction =>
  x87Instruction(
    name,
    forms,
    (x87, context) =>
      context.inMemory ? storeReal(x87, context, pops) : copy(x87, stackIndex(context), pops),
    { translation: translated.store(pops ? 1 : 0) },
  );

const storingInteger = (
  name: string,
  forms: readonly string[],
  pops: boolean,
  truncates = false,
): Instruction =>
  x87Instruction(
    name,
    forms,
    (x87, context) => {
      const bits = memoryBits(context);
      const convert = (modes: FloatContext) => toInteger(modes, x87.operand(0), bits);
      const compute = truncates
        ? (modes: FloatContext) => withRounding(modes, TOWARD_ZERO, () => convert(modes))
        : convert;
      storeTo(x87, context, compute, 1n << BigInt(bits - 1), pops);
    },
    { translation: translated.storeInteger(pops ? 1 : 0, truncates) },
  );

function exchange(x87: X87, i: number): void {
  x87.run({
    sources: [0, i],
    compute: () => [x87.get(0), x87.get(i)] as const,
    indefinite: undefined,
    accept() {
      const [first, second] = [0, i].map((n) => (x87.isEmpty(n) ? INDEFINITE : x87.get(n)));
      x87.set(0, second as Encoded);
      x87.set(i, first as Encoded);
    },
  });
}

const { CF, PF, ZF } = RFLAGS;

/** FCMOVcc. @param flags of which one is enough */
const conditionalMove = (
  name: string,
  form: string,
  letters: string,
  flags: number,
  when: boolean,
): Instruction =>
  x87Instruction(
    name,
    [form],
    (x87, context) => {
      const i = stackIndex(context);
      const moves = ((context.processor.rflags & flags) !== 0) === when;
      x87.run({
        sources: [0, i],
        compute: () => x87.get(moves ? i : 0),
        indefinite: INDEFINITE,
        accept: (value) => x87.set(0, value),
        conditions: keepsC1(x87),
      });
    },
    { flags: { read: letters } },
  );

const ONE: Encoded = { sign: 0, exponent: EXTENDED.bias, significand: 1n << 63n };

const constantLoad = (
  name: string,
  form: string,
  value: (modes: FloatContext) => Encoded,
  translation?: translated.Translation,
): Instruction =>
  x87Instruction(
    name,
    [form],
    (x87) => push(x87, value),
    translation === undefined ? {} : { translation },
  );

const CONSTANTS: readonly Instruction[] = [
  constantLoad("FLD1", "D9 E8", () => ONE, translated.loadConstant(1)),
  constantLoad("FLDL2T", "D9 E9", (modes) => constant(modes, "log2Of10")),
  constantLoad("FLDL2E", "D9 EA", (modes) => constant(modes, "log2OfE")),
  constantLoad("FLDPI", "D9 EB", (modes) => constant(modes, "pi")),
  constantLoad("FLDLG2", "D9 EC", (modes) => constant(modes, "log10Of2")),
  constantLoad("FLDLN2", "D9 ED", (modes) => constant(modes, "ln2")),
  constantLoad("FLDZ", "D9 EE", () => zero(0), translated.loadConstant(0)),
];

export const x87Moves: Family = [
  x87Instruction("FLD", ["D9/0 Md", "DD/0 Mq", "DB/5 Mt", "D9/0 reg"], loadReal, {
    translation: translated.load,
  }),
  storing("FST", ["D9/2 Md", "DD/2 Mq", "DD/2 reg"], false),
  // DF, DC, DD and D9 with registers: of the 8087's decoding, and in no manual.
  storing("FSTP", ["D9/3 Md", "DD/3 Mq", "DB/7 Mt", "DD/3 reg", "DF/2 reg", "DF/3 reg"], true),
  x87Instruction("FSTPNCE", ["D9/3 reg"], (x87, context) => moveAndPop(x87, stackIndex(context))),
  x87Instruction(
    "FXCH",
    ["D9/1 reg", "DD/1 reg", "DF/1 reg"],
    (x87, context) => exchange(x87, stackIndex(context)),
    { translation: translated.exchange },
  ),
  x87Instruction(
    "FILD",
    ["DF/0 Mw", "DB/0 Md", "DF/5 Mq"],
    (x87, context) => {
      const integer = integerInMemory(context);
      push(x87, () => loadInteger(integer));
    },
    { translation: translated.loadInteger },
  ),
  storingInteger("FIST", ["DF/2 Mw", "DB/2 Md"], false),
  storingInteger("FISTP", ["DF/3 Mw", "DB/3 Md", "DF/7 Mq"], true),
  storingInteger("FISTTP", ["DF/1 Mw", "DB/1 Md", "DD/1 Mq"], true, true),
  x87Instruction("FBLD", ["DF/4 Mt"], (x87, context) => {
    const decimal = context.read(0);
    push(x87, () => loadDecimal(decimal));
  }),
  x87Instruction("FBSTP", ["DF/6 Mt"], (x87, context) => {
    const compute = (modes: FloatContext) => storeDecimal(modes, x87.operand(0));
    storeTo(x87, context, compute, DECIMAL_INDEFINITE, true);
  }),
  conditionalMove("FCMOVB", "DA/0 reg", "C", CF, true),
  conditionalMove("FCMOVE", "DA/1 reg", "Z", ZF, true),
  conditionalMove("FCMOVBE", "DA/2 reg", "ZC", ZF | CF, true),
  conditionalMove("FCMOVU", "DA/3 reg", "P", PF, true),
  conditionalMove("FCMOVNB", "DB/0 reg", "C", CF, false),
  conditionalMove("FCMOVNE", "DB/1 reg", "Z", ZF, false),
  conditionalMove("FCMOVNBE", "DB/2 reg", "ZC", ZF | CF, false),
  conditionalMove("FCMOVNU", "DB/3 reg", "P", PF, false),
  ...CONSTANTS,
];
