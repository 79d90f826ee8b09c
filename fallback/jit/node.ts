import type { Block } from "../interpreter/block.ts";
import { linearAddress } from "../interpreter/code-place.ts";

/** Of a block, what its translation depends on. */
export type BlockCode = Pick<
  Block,
  | "rip"
  | "linear"
  | "address"
  | "codeSize"
  | "limit"
  | "user"
  | "length"
  | "count"
  | "offsets"
  | "instruction"
  | "instructions"
>;

/** A call whose callee is translated with the caller, as if it stood in the place of the call. */
export interface Inlining {
  /** What the call itself is in; undefined for what the region was entered by. */
  readonly caller: Inlining | undefined;
  /** Offset in the code segment where the callee should return to. */
  readonly back: bigint;
}

/** Where control goes from a block: another node of the graph, or out of it. */
export interface Node {
  readonly block: BlockCode;
  /** Which of the graph's copies of the block this is. */
  readonly inlining: Inlining | undefined;
  /**
   * Control comes to several nodes of a loop from outside it: this one stands before them and leads to
   * whichever it is. It has no instructions; its block is the first one's.
   */
  readonly entries: readonly Node[] | undefined;
  /** The node with {@link entries} that all control comes through, and which of them this is. */
  via: { readonly node: Node; readonly index: number } | undefined;
  /** The call that ends the block, if what it calls is in the graph for it alone. */
  readonly call: Inlining | undefined;
  /** Place in reverse postorder: the entry is 0. */
  order: number;
  /** Offsets in the code segment that its jump through a table has been seen to lead to. */
  readonly targets: readonly bigint[];
  /** One for each way: the same node may be there twice. */
  readonly successors: Node[];
  readonly predecessors: Node[];
  /** Control comes back to it: a branch from a node that it dominates. */
  isLoop: boolean;
  /** Control comes to it from several nodes, those of loops not counted. */
  isMerge: boolean;
  /** The nodes that it immediately dominates, in order. */
  readonly dominated: Node[];
  dominator: Node | undefined;
}

/** A node that control does not lead to or from yet. */
export const newNode = (
  block: BlockCode,
  inlining: Inlining | undefined,
  call: Inlining | undefined,
  targets: readonly bigint[],
  entries: readonly Node[] | undefined,
): Node => ({
  block,
  inlining,
  call,
  targets,
  entries,
  via: undefined,
  order: -1,
  successors: [],
  predecessors: [],
  isLoop: false,
  isMerge: false,
  dominated: [],
  dominator: undefined,
});

/** Nodes by their offsets in the code segment, and by what they are inlined for. */
export class NodePlaces {
  readonly #nodes = new Map<Inlining | undefined, Map<bigint, Node>>();

  at(rip: bigint, inlining: Inlining | undefined): Node | undefined {
    return this.#nodes.get(inlining)?.get(rip);
  }

  add(node: Node): void {
    const { block, inlining } = node;
    const nodes = this.#nodes.get(inlining) ?? new Map<bigint, Node>();
    nodes.set(block.rip, node);
    this.#nodes.set(inlining, nodes);
  }
}

/** Nodes, and which leads to which: the first is entered. */
export interface Outline {
  readonly nodes: readonly Node[];
  readonly places: NodePlaces;
}

/** Linear address of an offset in the code segment of a block. */
export function linearIn(
  { linear, rip: start, codeSize }: Pick<BlockCode, "linear" | "rip" | "codeSize">,
  rip: bigint,
): bigint {
  const base = linear - start;
  return linearAddress({ base, rip, codeSize }, 0);
}
