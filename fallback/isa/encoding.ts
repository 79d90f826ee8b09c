/**
 * How instructions on vectors are encoded. What most of them mean does not depend on it: a destination
 * is made of two sources, or of the second one alone.
 */
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, type V128 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import { v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import type { FloatKind } from "./float-kind.ts";
import type { Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { elements, joined, readAligned } from "./sse-exact.ts";
import { atBits, type Meaning, ofBothLengths, type Vector, withLowest } from "./vector.ts";

/** Destination, first and second source, and what else there is. */
export type Roles = readonly [
  destination: Operand,
  first: Operand,
  second: Operand,
  ...more: Operand[],
];

/** What the operands of a form are, in the letters of `operand.ts`. */
export interface FormOperands {
  /** Type of the destination and of the first source. */
  readonly type: string;
  /** The second source, if it is no vector of the same type. */
  readonly source?: string;
  /** What follows the sources. */
  readonly more?: string;
  /** The second source makes the destination alone. */
  readonly unary?: boolean;
}

export interface Encoding {
  /** @param head mandatory prefix and opcode */
  forms(head: string, operands: FormOperands): readonly string[];
  /** One of both, where widths differ in other ways. */
  either(legacy: string, vex: readonly string[]): readonly string[];
  /** Of this encoding, made of SSE's. */
  instruction(instruction: Instruction): Instruction;
  roles(operands: readonly Operand[]): Roles;
  /** Vectors of 128 bits, the lower one first; or one element. */
  read(e: Emitter, operand: Operand): readonly Vector[];
  /** @param first where an element has the upper ones of its register from */
  write(e: Emitter, destination: Operand, first: Operand, values: readonly V128[]): void;
  /** The same for procedures, which find their operands by what the form has. */
  readonly exact: ExactOperands;
  /** Bits of CMPPS's immediate that count. */
  readonly predicates: number;
}

export interface ExactOperands {
  /** Elements of `bits` each, as many as `count` in each 128 bits. */
  first(context: ProcedureContext, bits: number, count: number): bigint[];
  second(context: ProcedureContext, bits: number, count: number): bigint[];
  /** @param first the operand that has the upper elements: the first source, if not given */
  write(context: ProcedureContext, values: readonly bigint[], bits: number, first?: number): void;
}

/** SSE's own: the destination is the first source. */
export const LEGACY: Encoding = {
  forms: (head, { type, source = `W${type}`, more = "" }) => [`${head} V${type},${source}${more}`],
  either: (legacy) => [legacy],
  instruction: (instruction) => instruction,
  roles([destination, source, ...more]) {
    if (destination === undefined || source === undefined) throw new Error("no such operand");
    return [destination, destination, source, ...more];
  },
  read: (e, operand) => [e.readVector(operand)],
  write(e, destination, _first, [value]) {
    if (value !== undefined) e.writeVector(destination, value);
  },
  exact: {
    first: (context, bits, count) => elements(context.read(0), bits, count),
    second: (context, bits, count) => elements(readAligned(context, 1), bits, count),
    write: (context, values, bits) => context.write(0, joined(values, bits)),
  },
  predicates: 7,
};

/** Of AVX: three operands, no alignment, and what is above the destination's vectors becomes zero. */
export const VEX: Encoding = {
  forms(head, { type, source = `W${type}`, more = "", unary }) {
    const text = `${head} V${type},${unary ? "" : `H${type},`}${source}${more}`;
    return type === "ss" || type === "sd" ? [`VEX ${text}`] : ofBothLengths(text);
  },
  either: (_legacy, vex) => vex,
  instruction: ({ name, ...others }) => ({ ...others, name: `V${name}`, late: true }),
  roles([destination, first, second, ...more]) {
    if (destination === undefined || first === undefined) throw new Error("no such operand");
    if (second === undefined) return [destination, destination, first];
    const isUnary = second.kind === "immediate";
    return isUnary
      ? [destination, destination, first, second]
      : [destination, first, second, ...more];
  },
  read: (e, operand) => e.readHalves(operand),
  write(e, destination, first, values) {
    const [value] = values;
    if (destination.bits >= 128 || value === undefined) e.writeHalves(destination, values);
    else {
      const merged = withLowest(e.readVector(atBits(first, 128)), value, destination.bits);
      e.writeHalves(atBits(destination, 128), [merged]);
    }
  },
  exact: {
    first: (context, bits, count) => elements(context.read(1), bits, count * halvesOf(context)),
    second(context, bits, count) {
      const { hasVvvv } = context.instruction.form;
      return elements(context.read(hasVvvv ? 2 : 1), bits, count * halvesOf(context));
    },
    write(context, values, bits, first = 1) {
      const [destination] = context.instruction.form.operands;
      const value = joined(values, bits);
      const kept =
        destination?.width === bits
          ? (context.readWhole(first) >> BigInt(bits)) << BigInt(bits)
          : 0n;
      context.writeWhole(0, BigInt.asUintN(128, kept) | value);
    },
  },
  predicates: 31,
};

/** How many vectors of 128 bits there are. */
const halvesOf = ({ instruction }: ProcedureContext): number =>
  instruction.form.vexL === 1 ? 2 : 1;

/** What holds of a lane holds of it in all of these. */
export const inAll = (lanes: readonly V128[]): V128 => lanes.reduce((a, b) => v128.and(a, b));

/** How many elements an operand of this kind has in each 128 bits. */
export const countOf = ({ scalar, bits }: FloatKind): number => (scalar ? 1 : 128 / bits);

export const firstOf = (encoding: Encoding, context: ProcedureContext, kind: FloatKind): bigint[] =>
  encoding.exact.first(context, kind.bits, countOf(kind));

export const secondOf = (
  encoding: Encoding,
  context: ProcedureContext,
  kind: FloatKind,
): bigint[] => encoding.exact.second(context, kind.bits, countOf(kind));

/** Both sources, vector by vector. What reading the second one raises comes first. */
export function readPairs(
  encoding: Encoding,
  e: Emitter,
  operands: readonly Operand[],
): { roles: Roles; pairs: readonly (readonly [a: Vector, b: Vector])[] } {
  const roles = encoding.roles(operands);
  const [, first, second] = roles;
  const b = encoding.read(e, second);
  const a = encoding.read(e, first);
  return { roles, pairs: b.map((value, n) => [a[n] ?? value, value]) };
}

/**
 * What two vectors make. Those of MMX have zeros above their 64 `bits`, and nobody looks at the result's;
 * others have 128.
 */
export type Combine = (a: Vector, b: Vector, e: Emitter, bits: number) => V128;

/** A destination vector of two source vectors each. */
export const pairwise =
  (encoding: Encoding, combine: Combine): Meaning =>
  (e, ...operands: Operand[]) => {
    const { roles, pairs } = readPairs(encoding, e, operands);
    const [destination, first] = roles;
    const bits = Math.min(destination.bits, 128);
    encoding.write(
      ...([e, destination, first] as const),
      pairs.map(([a, b]) => combine(a, b, e, bits)),
    );
  };

/** A destination vector of one source vector each. */
export const mapping =
  (encoding: Encoding, map: (source: Vector, e: Emitter, control: Operand) => V128): Meaning =>
  (e, destination: Operand, source: Operand, control: Operand) => {
    const values = encoding.read(e, source).map((value) => map(value, e, control));
    encoding.write(e, destination, destination, values);
  };

/** As {@link Combine}, by an immediate. @param half 1: for the upper half of 256 bits */
export type Controlled = (
  e: Emitter,
  a: Vector,
  b: Vector,
  control: Operand,
  half: number,
  bits: number,
) => V128;

export const controlling =
  (encoding: Encoding, combine: Controlled): Meaning =>
  (e, ...operands: Operand[]) => {
    const { roles, pairs } = readPairs(encoding, e, operands);
    const [destination, first, , control] = roles;
    if (control === undefined) throw new Error("no immediate");
    const bits = Math.min(destination.bits, 128);
    encoding.write(
      ...([e, destination, first] as const),
      pairs.map(([a, b], half) => combine(e, a, b, control, half, bits)),
    );
  };

export function immediate(e: Emitter, control: Operand | undefined): Local<"i32"> {
  if (control === undefined) throw new Error("no immediate");
  return e.let(i32.wrap(e.read(control)));
}

/** A form whose destination is no vector: that of VEX has its operands, and VEX.L does not matter. */
export const inGeneral = (encoding: Encoding, form: string): readonly string[] =>
  encoding.either(form, [`VEX ${form}`]);

/** Forms on MMX registers, which only SSE has, and on vectors. @param opcode what follows 0F */
export const onBoth = (
  encoding: Encoding,
  opcode: string,
  operands: Partial<FormOperands> = {},
): readonly string[] => [
  ...encoding.either(`NP 0F ${opcode} Pq,Qq`, []),
  ...encoding.forms(`66 0F ${opcode}`, { type: "x", ...operands }),
];

/** A form that VEX has of 128 bits alone, with the same operands. */
export const onlyNarrow = (encoding: Encoding, form: string): readonly string[] =>
  encoding.either(form, [`VEX.0 ${form}`]);
