/** Fused multiply-add (Intel SDM vol. 1 §14.5). */
import { fusedMultiplyAdd } from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { V128 } from "../wasm/expression.ts";
import { i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import { countOf, inAll, VEX } from "./encoding.ts";
import { FLOAT_KINDS, type FloatKind, PD, PS } from "./float-kind.ts";
import { type Fused, fused } from "./fused.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import {
  elements,
  exactly,
  holds,
  type Usual,
  unlessOrdinary,
  usualScalar,
  usualVectors,
} from "./sse-exact.ts";
import type { Vector } from "./vector.ts";

/** Which of the three operands are the factors, and which is the addend. */
const ORDERS = [
  { name: "132", row: 0x90, places: [0, 2, 1] },
  { name: "213", row: 0xa0, places: [1, 0, 2] },
  { name: "231", row: 0xb0, places: [1, 2, 0] },
] as const;
type Order = (typeof ORDERS)[number];

/** Both factors and the addend. */
const inOrder = <Value>(
  [a, b, c]: Order["places"],
  value: (place: number) => Value,
): readonly [Value, Value, Value] => [value(a), value(b), value(c)];

/** The operand that keeps its upper elements. */
const DESTINATION = 0;

/** Whether elements are negated, by whether their places are odd. */
type Signs = readonly [even: 0 | 1, odd: 0 | 1];

interface Operation {
  readonly name: string;
  /** Of the packed form; the scalar one is the next. */
  readonly column: number;
  readonly product: 0 | 1;
  readonly addend: Signs;
}

const OPERATIONS: readonly Operation[] = [
  { name: "MADDSUB", column: 6, product: 0, addend: [1, 0] },
  { name: "MSUBADD", column: 7, product: 0, addend: [0, 1] },
  { name: "MADD", column: 8, product: 0, addend: [0, 0] },
  { name: "MSUB", column: 0xa, product: 0, addend: [1, 1] },
  { name: "NMADD", column: 0xc, product: 1, addend: [0, 0] },
  { name: "NMSUB", column: 0xe, product: 1, addend: [1, 1] },
];
const ALTERNATING = new Set(["MADDSUB", "MSUBADD"]);

/** Lanes with their signs changed. */
function signed({ bits }: FloatKind, value: Vector, [even, odd]: Signs): V128 {
  if (even === 0 && odd === 0) return value;
  const sign = (one: 0 | 1): bigint => BigInt(one) << BigInt(bits - 1);
  const lanes = bits === 32 ? i32x4 : i64x2;
  return v128.xor(value, lanes.const(sign(even), sign(odd)));
}

interface Half extends Fused {
  readonly sources: readonly Vector[];
}

const usual = (
  kind: FloatKind,
  halves: readonly Half[],
  operands: readonly Operand[],
  values: readonly (readonly Vector[])[],
): Usual | undefined => {
  if (!kind.scalar)
    return usualVectors(
      kind,
      halves,
      halves.map((half) => half.usual),
    );
  const [half] = halves;
  if (half === undefined) return undefined;
  const elements = operands.map((operand, place) => ({
    operand,
    value: values[place]?.[0] ?? half.result,
  }));
  return usualScalar(kind, half.result, elements, holds(kind, half.usual));
};

const computing =
  (kind: FloatKind, { places }: Order, { product, addend }: Operation) =>
  (e: Emitter, ...operands: Operand[]): void => {
    const [destination, first, second] = VEX.roles(operands);
    const last = VEX.read(e, second);
    const values = [VEX.read(e, destination), VEX.read(e, first), last];
    const halves = last.map((source, half): Half => {
      const [a, b, c] = inOrder(places, (place) => values[place]?.[half] ?? source);
      const factor = product === 0 ? a : e.let(signed(kind, a, [1, 1]));
      const sources = [factor, b, e.let(signed(kind, c, addend))] as const;
      return { ...fused(e, kind, sources), sources };
    });
    unlessOrdinary(
      e,
      kind,
      () => inAll(halves.map((half) => half.ordinary())),
      () => inAll(halves.map((half) => half.isExact())),
      usual(kind, halves, [destination, first, second], values),
    );
    const results = halves.map(({ result }) => result);
    VEX.write(e, destination, destination, results);
    if (kind.scalar) e.assumeNormal(destination);
  };

const computingExactly =
  (kind: FloatKind, { places }: Order, { product, addend }: Operation) =>
  (context: ProcedureContext): void => {
    const { form } = context.instruction;
    const count = countOf(kind) * (form.vexL === 1 ? 2 : 1);
    const values = [0, 1, 2].map((index) => elements(context.read(index), kind.bits, count));
    const results = exactly(context, (ctx) =>
      Array.from({ length: count }, (_, at) => {
        const operands = inOrder(places, (place) => values[place]?.[at] ?? 0n);
        return fusedMultiplyAdd(ctx, kind.format, operands, product, addend[at & 1] ?? 0);
      }),
    );
    VEX.exact.write(context, results, kind.bits, DESTINATION);
  };

const forms = (kind: FloatKind, opcode: number): readonly string[] =>
  VEX.forms(`66 0F 38 ${opcode.toString(16).toUpperCase()}`, {
    type: kind.type,
    more: kind.bits === 64 ? " W" : " noW",
  });

export const fma: Family = ORDERS.flatMap((order) =>
  OPERATIONS.flatMap((operation): Instruction[] =>
    (ALTERNATING.has(operation.name) ? [PS, PD] : FLOAT_KINDS).map((kind) => ({
      name: `VF${operation.name}${order.name}${kind.suffix}`,
      forms: forms(kind, order.row + operation.column + (kind.scalar ? 1 : 0)),
      late: true,
      meaning: computing(kind, order, operation),
      procedure: computingExactly(kind, order, operation),
    })),
  ),
);
