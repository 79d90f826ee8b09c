import type { Block } from "../interpreter/block.ts";
import { makeReducible } from "./irreducible.ts";

/** A call whose callee is translated with the caller, as if it stood in the place of the call. */
export interface Inlining {
  /** What the call itself is in; undefined for what the region was entered by. */
  readonly caller: Inlining | undefined;
  /** Offset in the code segment where the callee should return to. */
  readonly back: bigint;
}

/** Where control goes from a block: another node of the graph, or out of it. */
export interface Node {
  readonly block: Block;
  /** Which of the graph's copies of the block this is. */
  readonly inlining: Inlining | undefined;
  /**
   * Control comes to several nodes of a loop from outside it: this one stands before them and leads to
   * whichever it is. It has no instructions; its block is the first one's.
   */
  readonly entries?: readonly Node[];
  /** The node with {@link entries} that all control comes through, and which of them this is. */
  via?: { readonly node: Node; readonly index: number };
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

/** Blocks that are translated together, entered at the first. */
export class Graph {
  /** In reverse postorder. */
  readonly nodes: readonly Node[];
  readonly #places: NodePlaces;

  constructor(entry: Node, places: NodePlaces) {
    makeReducible(entry);
    this.nodes = reversePostorder(entry);
    this.#places = places;
    for (const node of this.nodes) for (const next of node.successors) next.predecessors.push(node);
    findDominators(this.nodes);
    for (const node of this.nodes) {
      const forward = node.predecessors.filter(({ order }) => order < node.order);
      node.isMerge = forward.length > 1;
      const back = node.predecessors.filter(({ order }) => order >= node.order);
      node.isLoop = back.some((from) => dominates(node, from));
    }
  }

  get entry(): Node {
    return this.nodes[0] as Node;
  }

  /** @param rip offset in the code segment */
  at(rip: bigint, inlining: Inlining | undefined): Node | undefined {
    return this.#places.at(rip, inlining);
  }

  /**
   * Whether structured control flow has a branch for this: not from outside into the middle of a
   * loop.
   */
  canBranch(from: Node, to: Node): boolean {
    return to.order > from.order || dominates(to, from);
  }
}

function reversePostorder(entry: Node): Node[] {
  const order: Node[] = [];
  const seen = new Set([entry]);
  const stack = [{ node: entry, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    // The last successor first: so that what follows in the code follows in the order.
    const { successors } = top.node;
    const successor = successors[successors.length - 1 - top.next++];
    if (successor === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({ node: successor, next: 0 });
    }
  }
  order.reverse();
  for (const [index, node] of order.entries()) node.order = index;
  return order;
}

/** Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". */
function findDominators(nodes: readonly Node[]): void {
  const entry = nodes[0] as Node;
  entry.dominator = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of nodes.slice(1)) {
      let found: Node | undefined;
      for (const from of node.predecessors) {
        if (from.dominator === undefined) continue;
        found = found === undefined ? from : commonDominator(found, from);
      }
      if (found !== node.dominator) {
        node.dominator = found;
        changed = true;
      }
    }
  }
  for (const node of nodes.slice(1)) node.dominator?.dominated.push(node);
}

function commonDominator(one: Node, other: Node): Node {
  let [a, b] = [one, other];
  while (a !== b) {
    while (a.order > b.order) a = a.dominator as Node;
    while (b.order > a.order) b = b.dominator as Node;
  }
  return a;
}

function dominates(node: Node, other: Node): boolean {
  let at = other;
  while (at.order > node.order) at = at.dominator as Node;
  return at === node;
}
