/** Integer vectors with VEX prefixes (Intel SDM vol. 1 §14.1, §14.6, §14.7). */
import type { V128 } from "../wasm/expression.ts";
import { i32x4, v128 } from "../wasm/simd.ts";
import type { Emitter } from "./emitter.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { ofBothLengths, type Vector, vexCombining } from "./vector.ts";

const combined = (
  name: string,
  opcode: string,
  combine: (a: Vector, b: Vector, bits: number, e: Emitter) => V128,
): Instruction => ({
  name,
  forms: ofBothLengths(`66 0F ${opcode} Vx,Hx,Wx`),
  late: true,
  meaning: vexCombining(combine),
});

const move =
  (alignment?: "aligned") =>
  (e: Emitter, destination: Operand, source: Operand): void => {
    e.writeHalves(destination, e.readHalves(source, alignment), alignment);
  };

const moves = (name: string, prefix: string, alignment?: "aligned"): Instruction => ({
  name,
  forms: [`${prefix} 0F 6F Vx,Wx`, `${prefix} 0F 7F Wx,Vx`].flatMap(ofBothLengths),
  late: true,
  meaning: move(alignment),
});

export const avxInteger: Family = [
  moves("VMOVDQA", "66", "aligned"),
  moves("VMOVDQU", "F3"),
  combined("VPADDD", "FE", i32x4.add),
  combined("VPXOR", "EF", v128.xor),
];
