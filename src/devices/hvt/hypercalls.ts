import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { Gpa } from "../../core/units.ts";
import { writablePointer } from "./guest-pointer.ts";

/** One call of a tender's interface. Its argument is a structure in the guest's memory. */
export interface Hypercall {
  /** Bytes of the structure. */
  readonly size: number;
  /**
   * @param at where the structure is: in RAM, and writable
   * @throws GuestError `memory` for a pointer in the structure that leads nowhere
   */
  call(at: Gpa): void;
}

/** The calls by their numbers; a hole is a call that there is not. */
export type HypercallTable = readonly (Hypercall | undefined)[];

/** @throws GuestError for whatever is wrong with the call */
export function dispatch(
  table: HypercallTable,
  number: number,
  memory: GuestMemory,
  argument: number,
): void {
  const hypercall = table[number];
  if (hypercall === undefined) throw new GuestError("driver", `there is no hypercall ${number}`);
  hypercall.call(writablePointer(memory, argument, hypercall.size));
}
