/** What decides whether IF may be changed, and whether anything follows from it. */
import { IOPL_SHIFT } from "../bits.ts";
import { STATE } from "../state.ts";
import { type I32, i32 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";

/** Whether the current level may change IF. @param flags of the system */
export function isWithinIopl(flags: Local<"i32">): I32 {
  const iopl = i32.and(i32.shrU(flags, i32.const(IOPL_SHIFT)), i32.const(3));
  return i32.leU(i32.load(i32.const(0), STATE.CPL), iopl);
}

/** Whether, besides, no event waits that could be taken then. */
export function mayChangeInterrupts(flags: Local<"i32">): I32 {
  const isQuiet = i32.eqz(i32.load(i32.const(0), STATE.EVENTS_WAIT));
  return i32.and(isWithinIopl(flags), isQuiet);
}
