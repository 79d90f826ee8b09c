import type { Block } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { branchTarget, isRelative } from "../interpreter/translator.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { Graph, type Node } from "./graph.ts";

/** Instructions that are translated together, at most. */
const MAX_INSTRUCTIONS = 400;
const MAX_NODES = 120;

/** Where blocks come from. */
export interface GraphSource {
  /** The block at an offset in the code segment, if it has been executed before. */
  executed(rip: bigint, from: Block): Block | undefined;
  /** The 64 bits at a linear address, if they can be had without any effect. */
  wordAt(linear: bigint): bigint | undefined;
}

/**
 * The blocks that direct control flow leads to from an entry, as far as they have ever been executed:
 * what has not is left for when it is.
 */
export function discover(entry: Block, source: GraphSource): Graph {
  const makeNode = (block: Block): Node => ({
    block,
    order: -1,
    targets: tableTargets(block, source),
    successors: [],
    predecessors: [],
    isLoop: false,
    isMerge: false,
    dominated: [],
    dominator: undefined,
  });
  const nodes = new Map<bigint, Node>([[entry.rip, makeNode(entry)]]);
  const waiting = [nodes.get(entry.rip) as Node];
  let instructions = entry.offsets.length;
  for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
    for (const rip of [...successorsOf(node.block), ...node.targets]) {
      let next = nodes.get(rip);
      if (next === undefined) {
        if (instructions >= MAX_INSTRUCTIONS || nodes.size >= MAX_NODES) continue;
        const block = source.executed(rip, node.block);
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

/** Offset of the instruction behind a block. */
export function endOf({ rip, offsets, instructions, codeSize }: Block): bigint {
  const last = instructions.length - 1;
  const length = (offsets[last] ?? 0) + (instructions[last]?.length ?? 0);
  return BigInt.asUintN(codeSize === 64 ? 64 : 32, rip + BigInt(length));
}

/** Whether control goes on behind the instruction when it has come back. */
export const isCall = ({ form }: DecodedInstruction): boolean => form.instruction.name === "CALL";

/** Whether control mostly goes on behind the instruction, though it ends its block. */
export const resumes = ({ form }: DecodedInstruction): boolean => form.instruction.resumes === true;

/** The offsets that a block's end leads to directly; that of a call is where it returns to. */
function successorsOf(block: Block): bigint[] {
  const last = block.instructions.at(-1);
  const next = endOf(block);
  if (last === undefined) return [];
  const { ends, meaning, translation } = last.form.instruction;
  if (ends === undefined || isCall(last) || resumes(last)) return [next];
  const isTranslated = meaning !== undefined || translation !== undefined;
  if (!isTranslated || !isRelative(last)) return [];
  const target = branchTarget(last, block.codeSize, next);
  return last.form.instruction.name === "JMP" ? [target] : [target, next];
}

const MAX_TABLE = 256;
const WORD_BYTES = 8n;

/** Where a jump through a table of addresses in memory leads to, of what has been executed. */
function tableTargets(block: Block, { executed, wordAt }: GraphSource): bigint[] {
  const last = block.instructions.at(-1);
  const address = last?.address;
  if (last?.form.instruction.name !== "JMP" || address === undefined) return [];
  const { base, index, scale, displacement, ripRelative } = address;
  const isTable = base < 0 && index >= 0 && scale === 3 && !ripRelative;
  if (!isTable || last.segment >= SEGMENT_INDEX.fs || last.addressSize !== 64) return [];
  const targets = new Set<bigint>();
  for (let entry = 0n; entry < MAX_TABLE; entry++) {
    const target = wordAt(BigInt.asUintN(64, displacement + entry * WORD_BYTES));
    // Behind the table is something else.
    if (target === undefined || !isNear(target, block.rip)) break;
    if (executed(target, block) !== undefined) targets.add(target);
  }
  return [...targets];
}

const NEAR = 1n << 20n;
const isNear = (a: bigint, b: bigint): boolean => a - b < NEAR && b - a < NEAR;
