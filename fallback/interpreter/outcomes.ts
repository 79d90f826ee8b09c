/** What a handler outside the dispatch loop, or a procedure, returns. */
export const OUTCOME = {
  /** A fault, or something else that the run loop of the CPU must see. */
  LEAVE: 0,
  NEXT: 1,
  /** On at STATE.RIP. */
  JUMP: 2,
} as const;

/** What `run` returns. */
export const LEFT = {
  /** The budget is used up; STATE.RIP is where to go on. */
  BUDGET: 0,
  /** No block could be had for STATE.RIP: a fault is recorded. */
  NO_BLOCK: 1,
  /** In the middle of a block, at STATE.RECORD. */
  IN_BLOCK: 2,
  /** A procedure that a region called has to be followed up; STATE.RIP is where to go on. */
  IN_REGION: 3,
  /** The block at STATE.RIP has become hot. */
  HOT: 4,
  /** The JIT should look at why a region has left; STATE.RIP is where to go on. */
  LOOK: 5,
} as const;
