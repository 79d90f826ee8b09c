import type { Window } from "../emission/guest-access.ts";
import { STATE, WINDOW_AREAS, type WindowArea, windowOffset } from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder } from "../wasm/function-builder.ts";

/**
 * The windows for reads as they are when a region is made: comparing with constants is quicker. The
 * region looks where it begins whether they still are, or more; while it runs they do not get less.
 * Those for writes lose pages whenever new code is executed.
 */
export class KnownWindows {
  readonly #version: number;
  readonly #windows = new Map<WindowArea, Window>();
  #areUsed = false;

  /** @param view of the processor's state */
  constructor(view: DataView) {
    this.#version = view.getInt32(STATE.READ_WINDOWS_VERSION, true);
    for (const area of WINDOW_AREAS) {
      const offset = windowOffset(area, "read");
      const [base, length] = [view.getBigInt64(offset, true), view.getBigInt64(offset + 8, true)];
      if (length > 0n)
        this.#windows.set(area, { base: i64.const(base), length: i64.const(length) });
    }
  }

  /** Undefined: it is not known. */
  at(area: WindowArea, access: "read" | "write"): Window | undefined {
    const window = access === "read" ? this.#windows.get(area) : undefined;
    if (window !== undefined) this.#areUsed = true;
    return window;
  }

  /** The code for a region's beginning, once all of it has been made. @param fail if they are less */
  begin(fn: FunctionBuilder, fail: () => void): void {
    if (!this.#areUsed) return;
    const version = i32.load(i32.const(0), STATE.READ_WINDOWS_VERSION);
    fn.if(i32.ne(version, i32.const(this.#version)), fail);
  }
}
