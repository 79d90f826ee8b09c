/** How regions are called, and what they return: the offset of the instruction to go on at, or that they left. */

/** A region takes how deep calls from it may still nest. */
export const REGION_SIGNATURE = { parameters: ["i32"], results: ["i64"] } as const;

/** Of all tables the first: regions, by the numbers that HEADER.REGION has. */
export const REGION_TABLE = 0;
/**
 * Its first place is that of a function for regions that there are not; then come the functions that
 * regions call, those of x87, and then regions.
 */
export const FIRST_SUPPORT_PLACE = 1;
export const FIRST_X87_PLACE = 32;
export const FIRST_REGION_PLACE = 56;

/** What a region returns instead of an offset: no offset in a code segment is like these. */
export const REGION_LEFT = {
  /** At STATE.RIP is an instruction that has to be interpreted: it may fault, or the budget ends. */
  INTERPRET: -(2n ** 63n),
  /** As above; but this has often been so, and the JIT should look into it: STATE.RECORD says where. */
  LOOK: -(2n ** 63n) + 2n,
  /** A procedure has faulted, or something has changed that concerns the translation of code. */
  STOP: -(2n ** 63n) + 1n,
} as const;

/**
 * Frames of regions on the stack of WebAssembly. Guests that nest deeper go on from the dispatch loop;
 * TypeScript that is called from the innermost one must have room.
 */
export const MAX_CALL_DEPTH = 200;
