/** What the operations that we emit are called (Core Specification §6.5), by their encodings. */
import { ByteSink } from "./encoding.ts";
import { Expression, i32, i64 } from "./expression.ts";
import { f32, f32x4, f64, f64x2, i8x16, i16x8, i32x4, i64x2, v128 } from "./simd.ts";

/** What follows an opcode in the code. */
export type Immediates = "none" | "memory" | "lane" | "bytes";

export interface Operation {
  readonly name: string;
  readonly immediates: Immediates;
}

type Maker = (...operands: readonly never[]) => Expression;

/** An operand that leaves no trace in the code. */
class Nothing extends Expression<"i32"> {
  override emit(): void {}
}
const nothing = new Nothing("i32", 0);
const OPERANDS = 3;

/** The names of those whose property in our tables is shorter. */
const LONGER: Readonly<Record<string, string>> = {
  "i32.wrap": "i32.wrap_i64",
  "i64.extend_s": "i64.extend_i32_s",
  "i64.extend_u": "i64.extend_i32_u",
  "i32x4.trunc_sat_f32x4": "i32x4.trunc_sat_f32x4_s",
  "i32x4.trunc_sat_f64x2_zero": "i32x4.trunc_sat_f64x2_s_zero",
  "f32x4.convert_i32x4": "f32x4.convert_i32x4_s",
  "f64x2.convert_low_i32x4": "f64x2.convert_low_i32x4_s",
  "f64.promote": "f64.promote_f32",
};

/** `extmulLowS` is `extmul_low_s`; `load32S` is `load32_s`. */
const inText = (property: string): string =>
  property
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    .replace(/^extend(\d+)_/, "extend$1_");

/** Appends what an operation is encoded as, with zeros for its immediates. */
function encodingOf(make: Maker, type: string, property: string): Uint8Array {
  const operands: unknown[] = Array.from({ length: OPERANDS }, () => nothing);
  if (property.startsWith("extractLane")) operands[1] = 0;
  if (property === "replaceLane") operands[1] = 0;
  if (property.startsWith("load")) operands[1] = 0;
  if (type === "i8x16" && property === "shuffle") operands[2] = new Array(16).fill(0);
  const code = new ByteSink();
  (make as (...all: unknown[]) => Expression)(...operands).emit(code);
  return code.bytes;
}

function immediatesOf(property: string): Immediates {
  if (property.startsWith("load")) return "memory";
  if (property.endsWith("Lane") || property.endsWith("LaneU")) return "lane";
  return property === "shuffle" ? "bytes" : "none";
}

const TABLES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ...{ i32, i64, f32, f64, v128 },
  ...{ i8x16, i16x8, i32x4, i64x2 },
  ...{ f32x4, f64x2 },
};

/** Written by the function builder itself. */
const OTHERS: readonly (readonly [opcode: string, Operation])[] = [
  ["1a", { name: "drop", immediates: "none" }],
  ["1b", { name: "select", immediates: "none" }],
  ["36", { name: "i32.store", immediates: "memory" }],
  ["37", { name: "i64.store", immediates: "memory" }],
  ["38", { name: "f32.store", immediates: "memory" }],
  ["39", { name: "f64.store", immediates: "memory" }],
  ["3c", { name: "i64.store8", immediates: "memory" }],
  ["3d", { name: "i64.store16", immediates: "memory" }],
  ["3e", { name: "i64.store32", immediates: "memory" }],
  ["fd 11", { name: "v128.store", immediates: "memory" }],
  ["fd 12", { name: "v128.const", immediates: "bytes" }],
  ["fc 6", { name: "i64.trunc_sat_f64_s", immediates: "none" }],
];

/** Key of {@link OPERATIONS}. @param second after a prefix byte: the number there */
export const operationKey = (first: number, second?: number): string =>
  second === undefined ? first.toString(16) : `${first.toString(16)} ${second}`;

/** All operations without control in them, made from the tables that emit them. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map([
  ...OTHERS,
  ...Object.entries(TABLES).flatMap(([type, table]) =>
    Object.entries(table)
      .filter(([property]) => property !== "const")
      .map(([property, make]) => {
        const [first = 0, low = 0, high = 0] = encodingOf(make as Maker, type, property);
        const second = low < 0x80 ? low : (low & 0x7f) | (high << 7);
        const key = operationKey(first, first >= 0xfc ? second : undefined);
        const short = `${type}.${inText(property)}`;
        const name = LONGER[short] ?? short;
        return [key, { name, immediates: immediatesOf(property) }] as const;
      }),
  ),
]);
