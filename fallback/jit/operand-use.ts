/** What the operands of a region's instructions tell about it. */

import { registerSlot } from "../interpreter/register-slot.ts";
import { STATE } from "../state.ts";
import type { BlockCode, Node } from "./node.ts";

const GENERAL_REGISTERS = 16;
/** Operand codes of floating point in XMM registers. */
const FLOAT_CODES = new Set(
  [..."VWUH"].flatMap((place) => ["ps", "pd", "ss", "sd"].map((format) => place + format)),
);

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

/** Instructions of a loop, at most, whose registers stay in variables. */
const MAX_CARRIED = 100;

/** General registers that a loop uses, a bit for each; none if it is large. */
export function carriedBy(loop: Node): number {
  const body = bodyOf(loop);
  const size = body.reduce((sum, { block }) => sum + block.count, 0);
  if (size > MAX_CARRIED) return 0;
  return body.reduce((all, { block }) => all | generalIn(block), 0);
}

/** The nodes that control comes to between two rounds of a loop. */
function bodyOf(loop: Node): Node[] {
  const body = new Set([loop]);
  const waiting = loop.predecessors.filter(({ order }) => order >= loop.order);
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (body.has(node)) continue;
    body.add(node);
    waiting.push(...node.predecessors);
  }
  return [...body];
}

function generalIn({ instructions }: BlockCode): number {
  let found = 0;
  for (const instruction of instructions) {
    for (const spec of instruction.form.operands) {
      const slot = registerSlot(spec, instruction);
      if (slot !== undefined && slot < STATE.GPR + 8 * GENERAL_REGISTERS) {
        found |= 1 << ((slot - STATE.GPR) >> 3);
      }
    }
    const { base = -1, index = -1 } = instruction.address ?? {};
    if (base >= 0) found |= 1 << base;
    if (index >= 0) found |= 1 << index;
  }
  return found;
}

/** Whether a block has floating point that MXCSR has a say in. */
export const computes = ({ instructions }: BlockCode): boolean =>
  instructions.some(({ form }) => form.operands.some(({ code }) => FLOAT_CODES.has(code)));
