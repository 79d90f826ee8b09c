/** Guest memory by linear address, for those who look at it from outside. */
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, PAGE_SIZE } from "../core/units.ts";
import { type PagingRegisters, translate } from "./page-walk.ts";

const PAGE = BigInt(PAGE_SIZE);

interface Piece {
  /** From the start of the range. */
  readonly offset: number;
  readonly physical: number;
  readonly length: number;
}

/** The parts of a range, page by page, up to the first that is not mapped RAM. */
function* pieces(
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
  length: number,
): Generator<Piece> {
  for (let offset = 0; offset < length; ) {
    const at = BigInt.asUintN(64, linear + BigInt(offset));
    const inPage = Math.min(length - offset, Number(PAGE - (at % PAGE)));
    const physical = translate(registers, memory, at);
    if (physical === undefined || !memory.contains(Number(physical), inPage)) return;
    yield { offset, physical: Number(physical), length: inPage };
    offset += inPage;
  }
}

/** @returns what could be read: fewer bytes than asked for where a page is missing, or none */
export function readLinear(
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
  length: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let read = 0;
  for (const piece of pieces(registers, memory, linear, length)) {
    bytes.set(memory.slice(gpa(piece.physical), piece.length), piece.offset);
    read += piece.length;
  }
  return bytes.slice(0, read);
}

/** Read-only pages are written, too. @returns whether all of it is RAM; if not, nothing is written */
export function writeLinear(
  registers: PagingRegisters,
  memory: GuestMemory,
  linear: bigint,
  bytes: Uint8Array,
): boolean {
  const all = [...pieces(registers, memory, linear, bytes.length)];
  if (all.reduce((sum, { length }) => sum + length, 0) < bytes.length) return false;
  for (const { offset, physical, length } of all) {
    memory.write(gpa(physical), bytes.subarray(offset, offset + length));
  }
  return true;
}
