/** What the operands of a region's instructions tell about it. */

import type { Block } from "../interpreter/block.ts";
import { registerSlot } from "../interpreter/register-slot.ts";
import { STATE } from "../state.ts";
import type { Node } from "./graph.ts";

/** Operand codes of floating point in XMM registers. */
const FLOAT_CODE = /^[VWU][ps][sd]$/;

/** Whether a loop has an instruction with a general register as its operand. */
export function mayChange(loop: Node, register: number): boolean {
  const hasOperand = ({ block }: Node): boolean =>
    block.instructions.some((instruction) =>
      instruction.form.operands.some(
        (spec) => registerSlot(spec, instruction) === STATE.GPR + 8 * register,
      ),
    );
  return hasOperand(loop) || loop.dominated.some((node) => mayChange(node, register));
}

/** Whether a block has floating point that MXCSR has a say in. */
export const computes = ({ instructions }: Block): boolean =>
  instructions.some(({ form }) => form.operands.some(({ code }) => FLOAT_CODE.test(code)));
