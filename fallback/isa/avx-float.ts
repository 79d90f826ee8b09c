/** Floating point with VEX prefixes (Intel SDM vol. 1 §14.1): all that SSE has, of up to 256 bits. */
import type { V128 } from "../wasm/expression.ts";
import { v128 } from "../wasm/simd.ts";
import { pairwise, VEX } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import { floatComparisons } from "./sse-compare.ts";
import { floatConversions } from "./sse-convert.ts";
import { floatArithmetic } from "./sse-float.ts";
import { floatRounding } from "./sse-round.ts";

const LOGIC = [
  ["AND", "54", v128.and],
  ["ANDN", "55", (a: V128, b: V128) => v128.andnot(b, a)],
  ["OR", "56", v128.or],
  ["XOR", "57", v128.xor],
] as const;

const logic: Instruction[] = LOGIC.flatMap(([name, opcode, combine]) =>
  (["PS", "PD"] as const).map((suffix) =>
    VEX.instruction({
      name: `${name}${suffix}`,
      forms: VEX.forms(`${suffix === "PS" ? "NP" : "66"} 0F ${opcode}`, { type: "x" }),
      meaning: pairwise(VEX, combine),
    }),
  ),
);

export const avxFloat: Family = [
  ...floatArithmetic(VEX),
  ...floatComparisons(VEX),
  ...floatConversions(VEX),
  ...floatRounding(VEX),
  ...logic,
];
