/** x87's transcendental functions (Intel SDM vol. 1 §8.3.7, §8.3.8). */
import type { FloatContext } from "../float/context.ts";
import type { Encoded, Operand } from "../float/format.ts";
import { arctangent } from "../float/transcendental/arctangent.ts";
import { exponentialMinusOne } from "../float/transcendental/exponential.ts";
import { yLog2X, yLog2XPlusOne } from "../float/transcendental/logarithm.ts";
import {
  cosine,
  type Pair,
  sine,
  sineAndCosine,
  tangent,
} from "../float/transcendental/trigonometry.ts";
import { C2 } from "../float/x87.ts";
import type { Family, Instruction } from "./instruction.ts";
import { INDEFINITE, x87Instruction } from "./x87-instruction.ts";
import type { X87 } from "./x87-unit.ts";

/** ST(1) of ST(0) and ST(1); pops. */
const binary = (
  name: string,
  form: string,
  operation: (modes: FloatContext, x: Operand, y: Operand) => Encoded,
): Instruction =>
  x87Instruction(name, [form], (x87) =>
    x87.run({
      sources: [0, 1],
      compute: (modes) => operation(modes, x87.operand(0), x87.operand(1)),
      indefinite: INDEFINITE,
      accept(result) {
        x87.set(1, result);
        x87.pop();
      },
    }),
  );

/** Of an angle: out of range, C2 says that nothing was done. */
function ofAngle<Result>(
  x87: X87,
  operation: (modes: FloatContext, angle: Operand) => Result | undefined,
  indefinite: Result,
  accept: (result: Result) => void,
  pushes: boolean,
): void {
  x87.run<Result | undefined>({
    sources: [0],
    pushes,
    compute: (modes) => operation(modes, x87.operand(0)),
    indefinite,
    accept(result) {
      if (result !== undefined) accept(result);
    },
    conditions: (result, usual) => (result === undefined ? usual | C2 : usual & ~C2),
  });
}

const trigonometric = (
  name: string,
  form: string,
  operation: (modes: FloatContext, angle: Operand) => Encoded | undefined,
): Instruction =>
  x87Instruction(name, [form], (x87) =>
    ofAngle(x87, operation, INDEFINITE, (result) => x87.set(0, result), false),
  );

const pushing = (
  name: string,
  form: string,
  operation: (modes: FloatContext, angle: Operand) => Pair | undefined,
): Instruction =>
  x87Instruction(name, [form], (x87) =>
    ofAngle(
      x87,
      operation,
      { pushed: INDEFINITE, replaced: INDEFINITE },
      ({ pushed, replaced }) => {
        x87.set(0, replaced);
        x87.push(pushed);
      },
      true,
    ),
  );

export const x87Transcendental: Family = [
  x87Instruction("F2XM1", ["D9 F0"], (x87) =>
    x87.run({
      sources: [0],
      compute: (modes) => exponentialMinusOne(modes, x87.operand(0)),
      indefinite: INDEFINITE,
      accept: (result) => x87.set(0, result),
    }),
  ),
  binary("FYL2X", "D9 F1", yLog2X),
  binary("FYL2XP1", "D9 F9", yLog2XPlusOne),
  binary("FPATAN", "D9 F3", arctangent),
  trigonometric("FSIN", "D9 FE", sine),
  trigonometric("FCOS", "D9 FF", cosine),
  pushing("FSINCOS", "D9 FB", sineAndCosine),
  pushing("FPTAN", "D9 F2", tangent),
];
