import type { CannotContinue, FailedException, Registers } from "../core/cpu.ts";

/** How a run ended. */
export type Outcome =
  /** The guest wrote its exit status. */
  | { readonly kind: "exit"; readonly status: number }
  /** The guest switched the machine off. */
  | { readonly kind: "power-off" }
  /** `hlt` with interrupts disabled: nothing wakes it. */
  | { readonly kind: "halted-forever"; readonly registers: Registers }
  | {
      readonly kind: "triple-fault";
      readonly registers: Registers;
      /** See `Shutdown`. */
      readonly exceptions: readonly FailedException[];
      /** See `Shutdown`. */
      readonly stateLost?: boolean;
    }
  | {
      readonly kind: "cannot-continue";
      readonly exit: CannotContinue;
      readonly registers: Registers;
    }
  /** The guest did what its machine has no answer to: one line, with the guest as `it`. */
  | { readonly kind: "fault"; readonly reason: string; readonly registers?: Registers }
  /** The host's side asked for the end. */
  | { readonly kind: "stopped"; readonly reason: string };
