/** Moves of floating-point vectors with VEX prefixes (Intel SDM vol. 1 §14.1, vol. 2 under each of SSE's). */

import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { STATE } from "../state.ts";
import type { V128 } from "../wasm/expression.ts";
import { i32x4, i64x2 } from "../wasm/simd.ts";
import { VEX } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { duplications, signs } from "./sse-moves.ts";
import { mxcsrMoves } from "./sse-state.ts";
import { atBits, lanes, late, type Meaning, ofBothLengths, type Vector } from "./vector.ts";

export const vexMove =
  (alignment?: "aligned"): Meaning =>
  (e, destination: Operand, source: Operand) => {
    e.writeHalves(destination, e.readHalves(source, alignment), alignment);
  };

const bothWays = (name: string, load: string, store: string, meaning: Meaning): Instruction =>
  late(name, [...ofBothLengths(`${load} Vx,Wx`), ...ofBothLengths(`${store} Wx,Vx`)], meaning);

/** An element from memory, and zeros above. */
const load: Meaning = (e, destination: Operand, source: Operand) => {
  e.writeHalves(atBits(destination, 128), e.readHalves(source));
};

/** The lowest bits to memory. */
const store: Meaning = (e, destination: Operand, source: Operand) => {
  e.writeVector(destination, e.readVector(source));
};

/** The lowest element of the second source, the others of the first. */
const mergeElement: Meaning = (e, destination: Operand, first: Operand, second: Operand) => {
  VEX.write(e, destination, first, VEX.read(e, second));
};

const scalarMoves = (name: string, prefix: string, type: "ss" | "sd"): Instruction[] => {
  const memory = type === "ss" ? "Md" : "Mq";
  const [to, from] = [`VEX ${prefix} 0F 10`, `VEX ${prefix} 0F 11`];
  const registers = [`${to} V${type},H${type},U${type}`, `${from} U${type},H${type},V${type}`];
  return [
    late(name, registers, mergeElement),
    { ...late(`${name} load`, [`${to} V${type},${memory}`], load), mnemonic: name },
    { ...late(`${name} store`, [`${from} ${memory},V${type}`], store), mnemonic: name },
  ];
};

type Halves = (first: Vector, second: Vector) => V128;

/** 64 bits of the first source, and 64 of the second, which memory has but that many of. */
const joining =
  (join: Halves): Meaning =>
  (e, destination: Operand, first: Operand, second: Operand) => {
    const [b] = e.readHalves(second);
    const [a] = e.readHalves(first);
    if (a !== undefined && b !== undefined) e.writeHalves(destination, [join(a, b)]);
  };

const newLow: Halves = (a, b) => lanes(b, a, 8, [0, 3]);
const newHigh: Halves = (a, b) => lanes(a, b, 8, [0, 2]);
const highToLow: Halves = (a, b) => lanes(b, a, 8, [1, 3]);

const storeHigh: Meaning = (e, destination: Operand, source: Operand) => {
  e.write(destination, i64x2.extractLane(e.readVector(source), 1));
};

/** MOVLPS and MOVHPS, and their like in double precision. */
const halfMoves = (name: string, prefix: string, isHigh: boolean): Instruction[] => {
  const [to, from] = isHigh ? ["16", "17"] : ["12", "13"];
  const join = joining(isHigh ? newHigh : newLow);
  const stored = `VEX.0 ${prefix} 0F ${from} Mq,V${isHigh ? "dq" : "q"}`;
  return [
    late(name, [`VEX.0 ${prefix} 0F ${to} Vdq,Hdq,Mq`], join),
    { ...late(`${name} store`, [stored], isHigh ? storeHigh : store), mnemonic: name },
  ];
};

/** Registers that the mode does not have stay as they are. */
function zeroAll({ processor }: ProcedureContext): void {
  const count = processor.code64 ? 16 : 8;
  const state = new Uint8Array(processor.buffer);
  for (const registers of [STATE.XMM, STATE.YMM_UPPER]) {
    state.fill(0, registers, registers + 16 * count);
  }
}

export const avxMoves: Family = [
  bothWays("VMOVAPS", "NP 0F 28", "NP 0F 29", vexMove("aligned")),
  bothWays("VMOVAPD", "66 0F 28", "66 0F 29", vexMove("aligned")),
  bothWays("VMOVUPS", "NP 0F 10", "NP 0F 11", vexMove()),
  bothWays("VMOVUPD", "66 0F 10", "66 0F 11", vexMove()),
  late("VMOVNTPS", ofBothLengths("NP 0F 2B Mx,Vx"), vexMove("aligned")),
  late("VMOVNTPD", ofBothLengths("66 0F 2B Mx,Vx"), vexMove("aligned")),
  ...scalarMoves("VMOVSS", "F3", "ss"),
  ...scalarMoves("VMOVSD", "F2", "sd"),
  ...halfMoves("VMOVLPS", "NP", false),
  ...halfMoves("VMOVLPD", "66", false),
  ...halfMoves("VMOVHPS", "NP", true),
  ...halfMoves("VMOVHPD", "66", true),
  late("VMOVHLPS", ["VEX.0 NP 0F 12 Vdq,Hdq,Udq"], joining(highToLow)),
  late("VMOVLHPS", ["VEX.0 NP 0F 16 Vdq,Hdq,Uq"], joining(newHigh)),
  ...duplications(VEX).map(VEX.instruction),
  late("VMOVMSKPS", ofBothLengths("NP 0F 50 Gd,Ux"), signs(VEX, i32x4.bitmask, 4)),
  late("VMOVMSKPD", ofBothLengths("66 0F 50 Gd,Ux"), signs(VEX, i64x2.bitmask, 2)),
  { ...late("VZEROUPPER", ["VEX.0 NP 0F 77"], (e) => e.clearUpperHalves()), unit: "avx" },
  { name: "VZEROALL", forms: ["VEX.1 NP 0F 77"], late: true, unit: "avx", procedure: zeroAll },
  ...mxcsrMoves.map(
    (instruction): Instruction => ({
      ...VEX.instruction(instruction),
      forms: instruction.forms.map((form) => `VEX.0 ${form}`),
      unit: "avx",
    }),
  ),
];
