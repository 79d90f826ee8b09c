/** What decides whether IF may be changed, and whether anything follows from it. */
import { ARITHMETIC_FLAGS, IOPL_SHIFT, RFLAGS } from "../bits.ts";
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

/** Flags that POPF and IRET may take, at any level. */
const ALL_FLAGS = 0x3f_ffff;

/** Which flags an image has otherwise than they are, but for arithmetic ones. @param bits of the image */
export function changedFlags(image: I32, flags: Local<"i32">, bits: number): I32 {
  const others = ~ARITHMETIC_FLAGS & (bits === 16 ? 0xffff : ALL_FLAGS);
  return i32.and(i32.xor(image, flags), i32.const(others));
}

/** Whether that has no consequences: none, or IF alone. @param changed by {@link changedFlags} */
export function mayChangeFlags(changed: Local<"i32">, flags: Local<"i32">): I32 {
  const isInterrupts = i32.eq(changed, i32.const(RFLAGS.IF));
  const isPlain = i32.and(isInterrupts, mayChangeInterrupts(flags));
  return i32.or(i32.eqz(changed), isPlain);
}
