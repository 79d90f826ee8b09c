import { calledBy } from "./discovery.ts";
import { makeReducible } from "./irreducible.ts";
import type { Inlining, Node, NodePlaces, Outline } from "./node.ts";

/** Blocks that are translated together, entered at the first. */
export class Graph {
  /** In reverse postorder. */
  readonly nodes: readonly Node[];
  readonly #places: NodePlaces;

  constructor({ nodes: [entry], places }: Outline) {
    if (entry === undefined) throw new Error("a graph of nothing");
    makeReducible(entry);
    this.nodes = reversePostorder(entry);
    this.#places = places;
    for (const node of this.nodes) for (const next of node.successors) next.predecessors.push(node);
    findDominators(this.nodes);
    for (const node of this.nodes) {
      let forward = 0;
      for (const from of node.predecessors) {
        if (from.order < node.order) forward++;
        else node.isLoop ||= dominates(node, from);
      }
      node.isMerge = forward > 1;
    }
  }

  get entry(): Node {
    return this.nodes[0] as Node;
  }

  /** Whether control comes back to a place in it without leaving it. */
  get loops(): boolean {
    return this.nodes.some(({ isLoop }) => isLoop);
  }

  /** Whether it has loops, or calls itself: then much is executed between its beginning and its end. */
  get repeats(): boolean {
    const { rip } = this.entry.block;
    return this.loops || this.nodes.some(({ block }) => calledBy(block) === rip);
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
  const stack = [{ node: entry, left: entry.successors.length }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    // The last successor first: so that what follows in the code follows in the order.
    const { successors } = top.node;
    const successor = top.left > 0 ? successors[--top.left] : undefined;
    if (successor === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({ node: successor, left: successor.successors.length });
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
