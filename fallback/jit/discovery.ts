import type { Block } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { branchTarget, isRelative } from "../interpreter/translator.ts";
import { Graph, type Node } from "./graph.ts";

/** Instructions that are translated together, at most. */
const MAX_INSTRUCTIONS = 400;
const MAX_NODES = 120;

/**
 * The blocks that direct control flow leads to from an entry, as far as they have ever been executed:
 * what has not is left for when it is.
 * @param executed the block at an offset in the code segment, if there is one already
 */
export function discover(
  entry: Block,
  executed: (rip: bigint, from: Block) => Block | undefined,
): Graph {
  const nodes = new Map<bigint, Node>([[entry.rip, makeNode(entry)]]);
  const waiting = [nodes.get(entry.rip) as Node];
  let instructions = entry.offsets.length;
  for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
    for (const rip of successorsOf(node.block)) {
      let next = nodes.get(rip);
      if (next === undefined) {
        if (instructions >= MAX_INSTRUCTIONS || nodes.size >= MAX_NODES) continue;
        const block = executed(rip, node.block);
        if (block === undefined) continue;
        instructions += block.offsets.length;
        next = makeNode(block);
        nodes.set(rip, next);
        waiting.push(next);
      }
      if (!node.successors.includes(next)) node.successors.push(next);
    }
  }
  return new Graph(nodes);
}

const makeNode = (block: Block): Node => ({
  block,
  order: -1,
  successors: [],
  predecessors: [],
  isLoop: false,
  isMerge: false,
  dominated: [],
  dominator: undefined,
});

/** Offset of the instruction behind a block. */
export function endOf({ rip, offsets, instructions, codeSize }: Block): bigint {
  const last = instructions.length - 1;
  const length = (offsets[last] ?? 0) + (instructions[last]?.length ?? 0);
  return BigInt.asUintN(codeSize === 64 ? 64 : 32, rip + BigInt(length));
}

/** Whether control goes on behind the instruction when it has come back. */
export const isCall = ({ form }: DecodedInstruction): boolean => form.instruction.name === "CALL";

/** The offsets that a block's end leads to directly; that of a call is where it returns to. */
function successorsOf(block: Block): bigint[] {
  const last = block.instructions.at(-1);
  const next = endOf(block);
  if (last === undefined) return [];
  const { ends, meaning } = last.form.instruction;
  if (ends === undefined || isCall(last)) return [next];
  if (meaning === undefined || !isRelative(last)) return [];
  const target = branchTarget(last, block.codeSize, next);
  return last.form.instruction.name === "JMP" ? [target] : [target, next];
}
