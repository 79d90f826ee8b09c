/** How a handler accesses its memory operand: what its segment has to permit. */
export interface MemoryAccess {
  readonly bytes: number;
  readonly write: boolean;
}

/** Custom section of the interpreter's module: a byte for each handler behind the micro-operations. */
export const ACCESSES_SECTION = "accesses";

/** A bit of such a byte; the others are the access's bytes. */
export const ACCESS_WRITES = 0x80;
const NONE = 0;

/** @param access undefined without one, or where memory is only named */
export const serialiseAccess = (access: MemoryAccess | undefined): number =>
  access === undefined ? NONE : access.bytes | (access.write ? ACCESS_WRITES : 0);

/** @param accesses of the handlers in order */
export const serialiseAccesses = (accesses: readonly (MemoryAccess | undefined)[]): Uint8Array =>
  Uint8Array.from(accesses, serialiseAccess);

export function parseAccess(byte: number | undefined): MemoryAccess | undefined {
  if (byte === undefined || byte === NONE) return undefined;
  return { bytes: byte & ~ACCESS_WRITES, write: (byte & ACCESS_WRITES) !== 0 };
}
