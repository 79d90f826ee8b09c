import type { GuestMemory } from "../../core/guest-memory.ts";
import { hex } from "../../core/units.ts";
import { type PageTableStep, type PagingRegisters, walkPages } from "../page-walk.ts";

/** Bits of an entry (Intel SDM vol. 3A table 4-20), by number. */
const ENTRY_FLAGS = [
  ...([
    [0, "present"],
    [1, "write"],
    [2, "user"],
    [3, "write-through"],
  ] as const),
  ...([
    [4, "no-cache"],
    [5, "accessed"],
    [6, "dirty"],
    [63, "no-execute"],
  ] as const),
] as const;
const PAGE = 1n << 7n;

function describeStep({ table, address, entry }: PageTableStep): string {
  const place = `${table.padEnd(5)}[${hex(address)}]`.padEnd(24);
  if (entry === undefined) return `${place} no RAM there`;
  const names = ENTRY_FLAGS.filter(([bit]) => (entry & (1n << BigInt(bit))) !== 0n);
  const large = table !== "PT" && (entry & PAGE) !== 0n ? ["large page"] : [];
  const flags = [...names.map(([, name]) => name), ...large].join(", ");
  return `${place} ${hex(entry, 16)}  ${flags === "" ? "not present" : flags}`;
}

/** The way from a linear address through the page tables, one entry a line, and where it leads. */
export function describeWalk(
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
): string[] {
  const { mode, steps, mapping } = walkPages(registers, memory, linear);
  const lines = [`${hex(linear)}, paging: ${mode}`, ...steps.map(describeStep)];
  if (mapping === undefined) return [...lines, "not mapped"];
  const { physical, size, writable, user, executable } = mapping;
  if (mode === "none") return [...lines, `physical ${hex(physical)}`];
  const rights = [writable ? "write" : "read only", executable ? "execute" : "no execute"];
  const who = user ? "user" : "supervisor";
  return [
    ...lines,
    `physical ${hex(physical)}, ${hex(size)} bytes, ${[...rights, who].join(", ")}`,
  ];
}
