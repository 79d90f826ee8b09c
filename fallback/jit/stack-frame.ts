import type { FoundMemory } from "../emission/guest-access.ts";
import type { Place } from "../emission/page-lookup.ts";
import { RAM_BASE, type WindowArea, windowOffset } from "../state.ts";
import { type I64, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";

/** Accesses further away from where the stack pointer was have nothing to do with the frame. */
const FARTHEST = 64 * 1024;

/**
 * The bytes around the stack pointer that a region accesses at known distances from where it was when
 * the region began. They are looked for in a window once, there, and not at each access. That stays
 * right until the mapping changes: then no region goes on.
 */
export class StackFrame implements FoundMemory {
  readonly area: WindowArea = "stack";
  /** The stack pointer when the region began. */
  readonly #base: Local<"i64">;
  #isUsed = false;
  #isWritten = false;
  /** Where the first and the last access begin. */
  #first = 0;
  #last = 0;

  /** @param base a variable for the frame's own use */
  constructor(base: Local<"i64">) {
    this.#base = base;
  }

  /** Where to access memory at a distance from the frame; undefined if that is too far. */
  access(distance: number, write: boolean): Place | undefined {
    if (Math.abs(distance) > FARTHEST) return undefined;
    this.#isUsed = true;
    this.#isWritten ||= write;
    this.#first = Math.min(this.#first, distance);
    this.#last = Math.max(this.#last, distance);
    return { base: i32.wrap(this.#base), offset: RAM_BASE + distance };
  }

  /** The address at a distance from the frame. */
  at(distance: number): I64 {
    this.#isUsed = true;
    return i64.add(this.#base, i64.const(distance));
  }

  /**
   * The code for a region's beginning, once all of it has been made.
   * @param fail what is to be done unless the frame is inside a window
   */
  begin(
    fn: FunctionBuilder,
    stackPointer: () => I64,
    fail: (access: "read" | "write", address: Local<"i64">) => void,
  ): void {
    if (!this.#isUsed) return;
    // What may be written may be read.
    const access = this.#isWritten ? "write" : "read";
    const window = windowOffset(this.area, access);
    const zero = i32.const(0);
    fn.set(this.#base, stackPointer());
    for (const distance of new Set([this.#first, this.#last])) {
      const address = fn.let(i64.add(this.#base, i64.const(distance)));
      const at = i64.sub(address, i64.load(zero, window));
      fn.if(i64.geU(at, i64.load(zero, window + 8)), () => fail(access, address));
    }
  }
}
