/** Integer vectors with VEX prefixes (Intel SDM vol. 1 §14.1, §14.6, §14.7): all that SSE has. */
import type { Emitter } from "./emitter.ts";
import { VEX } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { integerArithmetic } from "./sse-integer.ts";
import { integerShuffles } from "./sse-shuffle.ts";
import { ofBothLengths } from "./vector.ts";

const moving = (name: string, forms: readonly string[], alignment?: "aligned"): Instruction => ({
  name,
  forms: forms.flatMap(ofBothLengths),
  late: true,
  meaning(e: Emitter, destination: Operand, source: Operand) {
    e.writeHalves(destination, e.readHalves(source, alignment), alignment);
  },
});

export const avxInteger: Family = [
  moving("VMOVDQA", ["66 0F 6F Vx,Wx", "66 0F 7F Wx,Vx"], "aligned"),
  moving("VMOVDQU", ["F3 0F 6F Vx,Wx", "F3 0F 7F Wx,Vx"]),
  moving("VMOVNTDQ", ["66 0F E7 Mx,Vx"], "aligned"),
  moving("VMOVNTDQA", ["66 0F 38 2A Vx,Mx"], "aligned"),
  moving("VLDDQU", ["F2 0F F0 Vx,Mx"]),
  ...integerArithmetic(VEX),
  ...integerShuffles(VEX),
];
