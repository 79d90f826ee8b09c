/** Integer vectors with VEX prefixes (Intel SDM vol. 1 §14.1, §14.6): all that SSE has, of up to 256 bits. */
import { i8x16, i64x2 } from "../wasm/simd.ts";
import { vexMove } from "./avx-moves.ts";
import { VEX } from "./encoding.ts";
import type { Family } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { integerArithmetic } from "./sse-integer.ts";
import { maskedMove, signs } from "./sse-moves.ts";
import { integerShuffles } from "./sse-shuffle.ts";
import { atBits, late, type Meaning, ofBothLengths } from "./vector.ts";

/** Between general and vector registers, which are filled up with zeros. */
const moveInteger: Meaning = (e, destination: Operand, source: Operand) => {
  const value = e.read(source);
  if (destination.kind !== "xmm") e.write(destination, value);
  else {
    const filled = i64x2.replaceLane(i64x2.const(0), 0, value);
    e.writeHalves(atBits(destination, 128), [filled]);
  }
};

/** Of 64 bits: registers are filled up with zeros. */
const moveLow: Meaning = (e, destination: Operand, source: Operand) => {
  const value = e.readVector(source);
  if (destination.kind === "memory") e.writeVector(destination, value);
  else e.writeHalves(atBits(destination, 128), [value]);
};

const moves: Family = [
  late("VMOVDQA", ["66 0F 6F Vx,Wx", "66 0F 7F Wx,Vx"].flatMap(ofBothLengths), vexMove("aligned")),
  late("VMOVDQU", ["F3 0F 6F Vx,Wx", "F3 0F 7F Wx,Vx"].flatMap(ofBothLengths), vexMove()),
  late("VMOVNTDQ", ofBothLengths("66 0F E7 Mx,Vx"), vexMove("aligned")),
  late("VMOVNTDQA", ofBothLengths("66 0F 38 2A Vx,Mx"), vexMove("aligned")),
  late("VLDDQU", ofBothLengths("F2 0F F0 Vx,Mx"), vexMove()),
  late("VMOVD", ["VEX.0 66 0F 6E Vy,Ey", "VEX.0 66 0F 7E Ey,Vy"], moveInteger),
  late("VMOVQ", ["VEX.0 F3 0F 7E Vq,Wq", "VEX.0 66 0F D6 Wq,Vq"], moveLow),
  late("VPMOVMSKB", ofBothLengths("66 0F D7 Gd,Ux"), signs(VEX, i8x16.bitmask, 16)),
  {
    name: "VMASKMOVDQU",
    forms: ["VEX.0 66 0F F7 Vx,Ux"],
    late: true,
    procedure: maskedMove,
  },
];

export const avxInteger: Family = [...moves, ...integerArithmetic(VEX), ...integerShuffles(VEX)];
