import type { Block } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { branchTarget, isRelative } from "../interpreter/decoder.ts";
import { SEGMENT_INDEX } from "../state.ts";
import {
  type BlockCode,
  type Inlining,
  type Node,
  NodePlaces,
  newNode,
  type Outline,
} from "./node.ts";

/** Instructions that are translated together, at most. */
const MAX_INSTRUCTIONS = 400;
const MAX_NODES = 120;
/** Of a jump in a large graph that are in it too, at most. */
const FEW_TARGETS = 4;
/** Others are cut where regions begin that there are already. */
const SMALL = 200;
/** Instructions of a function that is translated with its callers, at most. */
const MAX_INLINED = 24;
/** The same where the graph is large: some callers have dozens of such calls. */
const MAX_INLINED_IN_LARGE = 8;
/** Calls within calls that are. */
const MAX_DEPTH = 2;

/** Where blocks come from. */
export interface GraphSource {
  /** The block at an offset in the code segment, if it has been executed before. */
  executed(rip: bigint): Block | undefined;
  /** Whether a region from a block on may be large without being cut. */
  wide(entry: Block): boolean;
  /** Whether there is a region for a block. */
  begins(block: Block): boolean;
  /** Where the jump that ends a block has been seen to lead, which is not known from the code. */
  learnt(block: BlockCode): readonly bigint[];
  /** The 64 bits at a linear address, if they can be had without any effect. */
  wordAt(linear: bigint): bigint | undefined;
}

type Find = (rip: bigint) => Block | undefined;

/** Looks for what is at an offset once. */
export function remembering(find: Find): Find {
  const found = new Map<bigint, Block | undefined>();
  return (rip) => {
    const known = found.get(rip);
    if (known !== undefined || found.has(rip)) return known;
    const block = find(rip);
    found.set(rip, block);
    return block;
  };
}

/** What is to be translated together. */
export interface Discovery extends Outline {
  /** Those of the nodes, each once: the first is where it is entered. */
  readonly blocks: readonly Block[];
  /** Guest physical addresses of the blocks that are there as themselves, not as parts of callees. */
  readonly covers: readonly number[];
  /** Instructions, as often as they are in it. */
  readonly instructions: number;
}

/** Places in the code, as parts of the region or of what is inlined there. */
interface Targets {
  readonly rips: readonly bigint[];
  readonly inlining: Inlining | undefined;
}

/**
 * The blocks that direct control flow leads to from an entry, as far as they have ever been executed:
 * what has not is left for when it is. Small functions that are called are there once for each call.
 */
export function discover(entry: Block, source: GraphSource): Discovery {
  const most = source.wide(entry) ? MAX_INSTRUCTIONS : SMALL;
  return gather(entry, source, true, most) ?? (gather(entry, source, false) as Discovery);
}

/**
 * @param whole whether to go on where other regions begin, and to all that a jump has led to
 * @returns undefined if a graph that is {@link whole} would be large
 */
function gather(
  entry: Block,
  source: GraphSource,
  whole: boolean,
  most = MAX_INSTRUCTIONS,
): Discovery | undefined {
  const places = new NodePlaces();
  const nodes: Node[] = [];
  const blocks = new Set<Block>();
  const covers: number[] = [];
  const inlined = whole ? MAX_INLINED : MAX_INLINED_IN_LARGE;
  let instructions = 0;
  const add = (block: Block, inlining: Inlining | undefined): Node => {
    const room = Math.min(MAX_INSTRUCTIONS - instructions, inlined);
    const call = inlinedCall(block, inlining, source, room);
    const node = newNode(block, inlining, call, jumpTargets(block, source, whole), undefined);
    instructions += block.count;
    blocks.add(block);
    if (inlining === undefined) covers.push(block.address);
    places.add(node);
    nodes.push(node);
    return node;
  };
  add(entry, undefined);
  for (const node of nodes) {
    if (whole && instructions > most) return undefined;
    const { rips, inlining } = targetsOf(node);
    for (const rip of rips) {
      let next = places.at(rip, inlining);
      if (next === undefined) {
        if (instructions >= MAX_INSTRUCTIONS || nodes.length >= MAX_NODES) continue;
        const block = source.executed(rip);
        if (block === undefined) continue;
        if (!whole && inlining === undefined && source.begins(block)) continue;
        next = add(block, inlining);
      }
      node.successors.push(next);
    }
  }
  return { nodes, places, covers, instructions, blocks: [...blocks] };
}

/** How many targets the jump at a block's end has that are in the region. @param address of the block */
export function targetsWithin({ nodes, places }: Outline, address: number): number {
  const counts = nodes
    .filter(({ block }) => block.address === address)
    .map(({ targets, inlining }) => targets.filter((rip) => places.at(rip, inlining)).length);
  return Math.max(0, ...counts);
}

/** Where a jump leads that the code does not tell; nowhere if these are many and not all are wanted. */
function jumpTargets(block: BlockCode, source: GraphSource, whole: boolean): readonly bigint[] {
  const found = tableTargets(block, source);
  const learnt = source.learnt(block);
  if (found.length + learnt.length === 0) return NOWHERE;
  const targets = [...new Set([...found, ...learnt])];
  return whole || targets.length <= FEW_TARGETS ? targets : NOWHERE;
}

const NOWHERE: readonly bigint[] = [];

function targetsOf({ block, inlining, call, targets }: Node): Targets {
  if (call !== undefined) return { rips: [calledBy(block) as bigint], inlining: call };
  if (inlining !== undefined && isReturn(lastOf(block))) {
    return { rips: [inlining.back], inlining: inlining.caller };
  }
  const successors = successorsOf(block);
  return { rips: targets.length === 0 ? successors : [...successors, ...targets], inlining };
}

/** Where the call that a block ends with leads to, if its code tells. */
export function calledBy(block: BlockCode): bigint | undefined {
  const last = lastOf(block);
  if (!isCall(last) || !isRelative(last)) return undefined;
  return branchTarget(last, block.codeSize, endOf(block));
}

/**
 * The call that a block ends with, if what it calls is small enough to be translated in its place.
 * @param room instructions that it may have
 */
function inlinedCall(
  block: BlockCode,
  inlining: Inlining | undefined,
  source: GraphSource,
  room: number,
): Inlining | undefined {
  const callee = calledBy(block);
  if (callee === undefined || depthOf(inlining) >= MAX_DEPTH) return undefined;
  const back = endOf(block);
  if (source.executed(back) === undefined) return undefined;
  const size = sizeOf(callee, source, room);
  return size === undefined ? undefined : { caller: inlining, back };
}

/** The instruction that ends a block: the others need not be decoded for that. */
const lastOf = (block: BlockCode): DecodedInstruction => block.instruction(block.count - 1);

const depthOf = (inlining: Inlining | undefined): number =>
  inlining === undefined ? 0 : 1 + depthOf(inlining.caller);

/** Instructions of a function that have been executed; undefined if it is too large, or unknown. */
function sizeOf(rip: bigint, { executed }: GraphSource, room: number): number | undefined {
  const entry = executed(rip);
  if (entry === undefined) return undefined;
  const blocks = new Map<bigint, Block>([[rip, entry]]);
  let size = 0;
  for (const block of blocks.values()) {
    size += block.count;
    if (size > room || mayNotReturn(block, executed)) return undefined;
    for (const next of successorsOf(block)) {
      const successor = blocks.has(next) ? undefined : executed(next);
      if (successor !== undefined) blocks.set(next, successor);
    }
  }
  return size;
}

/**
 * Whether a block ends with a jump that nobody knows where to, or a call that has not come back yet:
 * that is how functions are called through a retpoline, whose own caller they then return to.
 */
function mayNotReturn(block: BlockCode, executed: GraphSource["executed"]): boolean {
  const last = lastOf(block);
  if (isCall(last)) return executed(endOf(block)) === undefined;
  return last.form.instruction.name === "JMP" && !isRelative(last);
}

/** The offset that is so many bytes behind another in a block's code. */
export const behind = ({ codeSize }: BlockCode, rip: bigint, bytes: number): bigint =>
  BigInt.asUintN(codeSize === 64 ? 64 : 32, rip + BigInt(bytes));

/** Offset of the instruction behind a block. */
export const endOf = (block: BlockCode): bigint => behind(block, block.rip, block.length);

/** Whether control goes on behind the instruction when it has come back. */
export const isCall = ({ form }: DecodedInstruction): boolean => form.instruction.name === "CALL";

/** Whether control goes to where a call came from. */
export const isReturn = ({ form }: DecodedInstruction): boolean => form.instruction.name === "RET";

/** Whether control mostly goes on behind the instruction, though it ends its block. */
export const resumes = ({ form }: DecodedInstruction): boolean => form.instruction.resumes === true;

/** The offsets that a block's end leads to directly; that of a call is where it returns to. */
function successorsOf(block: BlockCode): bigint[] {
  const last = lastOf(block);
  const next = endOf(block);
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
function tableTargets(block: BlockCode, { executed, wordAt }: GraphSource): readonly bigint[] {
  const last = lastOf(block);
  const { address } = last;
  if (last.form.instruction.name !== "JMP" || address === undefined) return NOWHERE;
  const { base, index, scale, displacement, ripRelative } = address;
  const isTable = base < 0 && index >= 0 && scale === 3 && !ripRelative;
  if (!isTable || last.segment >= SEGMENT_INDEX.fs || last.addressSize !== 64) return NOWHERE;
  const targets = new Set<bigint>();
  for (let entry = 0n; entry < MAX_TABLE; entry++) {
    const target = wordAt(BigInt.asUintN(64, displacement + entry * WORD_BYTES));
    // Behind the table is something else.
    if (target === undefined || !isNear(target, block.rip)) break;
    if (executed(target) !== undefined) targets.add(target);
  }
  return [...targets];
}

const NEAR = 1n << 20n;
const isNear = (a: bigint, b: bigint): boolean => a - b < NEAR && b - a < NEAR;
