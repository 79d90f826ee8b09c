/**
 * Loops with several entries have no structured form. A node is put before their entries that all
 * control to them comes through: then it is the only one.
 */
import { type Node, newNode } from "./node.ts";

/** @param entry where all others can be reached from */
export function makeReducible(entry: Node): void {
  divide(reachable(entry), entry);
}

function reachable(entry: Node): Set<Node> {
  const found = new Set([entry]);
  for (const node of found) for (const next of node.successors) found.add(next);
  return found;
}

/** Looks for loops within a part of the graph that control comes to through its header alone. */
function divide(part: ReadonlySet<Node>, header: Node): void {
  for (const loop of loopsOf(part, header)) {
    const entered = new Set<Node>();
    for (const node of part) {
      if (!loop.has(node)) for (const next of node.successors) entered.add(next);
    }
    const entries = [...loop].filter((node) => entered.has(node));
    const [first] = entries;
    if (first === undefined) throw new Error("a loop that cannot be entered");
    if (entries.length === 1) {
      divide(loop, first);
      continue;
    }
    const node = putBefore(entries, part);
    divide(new Set([node, ...loop]), node);
  }
}

function putBefore(entries: readonly Node[], part: ReadonlySet<Node>): Node {
  const [first] = entries as [Node, ...Node[]];
  const { block, inlining } = first;
  const node = newNode(block, inlining, undefined, [], entries);
  node.successors.push(...entries);
  // A node that leads to two of the entries has two ways to what stands before them.
  for (const { successors } of part) {
    for (const [at, next] of successors.entries()) {
      if (entries.includes(next)) successors[at] = node;
    }
  }
  for (const [index, entry] of entries.entries()) entry.via = { node, index };
  return node;
}

/**
 * The strongly connected components of a part that have more than one node, without the ways back to
 * its header (Tarjan, "Depth-First Search and Linear Graph Algorithms").
 */
function loopsOf(part: ReadonlySet<Node>, header: Node): Set<Node>[] {
  const loops: Set<Node>[] = [];
  const numbers = new Map<Node, number>();
  const open: Node[] = [];
  const visit = (node: Node): number => {
    const number = numbers.size;
    let low = number;
    numbers.set(node, number);
    open.push(node);
    for (const next of node.successors) {
      if (next === header || !part.has(next)) continue;
      const seen = numbers.get(next);
      if (seen === undefined) low = Math.min(low, visit(next));
      else if (open.includes(next)) low = Math.min(low, seen);
    }
    if (low === number) {
      const component = open.splice(open.indexOf(node));
      if (component.length > 1) loops.push(new Set(component));
    }
    return low;
  };
  visit(header);
  return loops;
}
