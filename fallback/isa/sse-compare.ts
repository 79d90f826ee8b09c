/** Floating-point comparisons (Intel SDM vol. 1 §10.4.2.1, §11.4.2.1). */
import { ARITHMETIC_FLAGS, RFLAGS } from "../bits.ts";
import { EQUAL, GREATER, LESS, type Order } from "../float/compare.ts";
import * as exact from "../float/sse.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { i32, select, type V128 } from "../wasm/expression.ts";
import { i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import {
  type Encoding,
  firstOf,
  immediate,
  inAll,
  inGeneral,
  LEGACY,
  readPairs,
  secondOf,
} from "./encoding.ts";
import { bothPlain, FLOAT_KINDS, type FloatKind, SD, SS } from "./float-kind.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { exactly, holds } from "./sse-exact.ts";

/** Predicates by two bits: EQ, LT, LE, UNORD; the third inverts. */
const quickCompare =
  (encoding: Encoding, kind: FloatKind) =>
  (e: Emitter, ...operands: Operand[]): void => {
    const { roles, pairs } = readPairs(encoding, e, operands);
    const [destination, first, , control] = roles;
    // Without NaNs and denormals MXCSR has no say, and nothing is unordered.
    e.fallbackUnless(holds(kind, inAll(pairs.map(([a, b]) => bothPlain(kind, a, b)))));
    const predicate = immediate(e, control);
    const bit = (n: number) => i32.and(predicate, i32.const(n));
    const { eq, lt, le } = kind.lanes;
    const results = pairs.map(([a, b]) => {
      const even = select(bit(2), le(a, b), eq(a, b));
      const odd = select(bit(2), i64x2.const(0), lt(a, b));
      const inverted = select(bit(4), i64x2.const(-1), i64x2.const(0));
      return v128.xor(select(bit(1), odd, even), inverted);
    });
    encoding.write(e, destination, first, results);
  };

const exactCompare =
  (encoding: Encoding, kind: FloatKind) =>
  (context: ProcedureContext): void => {
    const a = firstOf(encoding, context, kind);
    const b = secondOf(encoding, context, kind);
    const predicate = Number(context.immediate()) & encoding.predicates;
    const results = exactly(context, (ctx) =>
      a.map((value, at) => exact.compareBy(ctx, kind.format, value, b[at] ?? 0n, predicate)),
    );
    encoding.exact.write(
      context,
      results.map((holds) => (holds ? -1n : 0n)),
      kind.bits,
    );
  };

const comparisons = (encoding: Encoding): Instruction[] =>
  FLOAT_KINDS.map((kind) => ({
    name: `CMP${kind.suffix}`,
    forms: encoding.forms(`${kind.prefix} 0F C2`, { type: kind.type, more: ",Ib" }),
    meaning: quickCompare(encoding, kind),
    procedure: exactCompare(encoding, kind),
  }));

const FLAGS_OF_ORDER: Readonly<Record<Order, number>> = {
  [GREATER]: 0,
  [LESS]: RFLAGS.CF,
  [EQUAL]: RFLAGS.ZF,
  2: RFLAGS.ZF | RFLAGS.PF | RFLAGS.CF,
};

/** COMISS and its like: the result is in ZF, PF and CF. */
const ordering = (
  encoding: Encoding,
  name: string,
  opcode: string,
  compare: typeof exact.compareOrdered,
): Instruction[] =>
  [SS, SD].map((kind) => ({
    name: `${name}${kind.suffix}`,
    forms: inGeneral(
      encoding,
      `${kind === SS ? "NP" : "66"} 0F ${opcode} V${kind.type},W${kind.type}`,
    ),
    flags: { written: "OSZAPC" },
    meaning(e, first: Operand, second: Operand) {
      const b = e.readVector(second);
      const a = e.readVector(first);
      e.fallbackUnless(holds(kind, bothPlain(kind, a, b)));
      const bit = (lanes: V128) => i32.and(i32x4.extractLane(lanes, 0), i32.const(1));
      e.flags.zeroAndCarry(bit(kind.lanes.eq(a, b)), bit(kind.lanes.lt(a, b)));
    },
    procedure(context) {
      const [a, b] = [context.read(0), context.read(1)];
      const order = exactly(context, (ctx) => compare(ctx, kind.format, a, b));
      const { processor } = context;
      processor.rflags = (processor.rflags & ~ARITHMETIC_FLAGS) | FLAGS_OF_ORDER[order];
    },
  }));

export const floatComparisons = (encoding: Encoding): Family =>
  [
    ...comparisons(encoding),
    ...ordering(encoding, "COMI", "2F", exact.compareOrdered),
    ...ordering(encoding, "UCOMI", "2E", exact.compareUnordered),
  ].map(encoding.instruction);

export const sseCompare = floatComparisons(LEGACY);
