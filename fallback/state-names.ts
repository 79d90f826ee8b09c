/** What lies where in the processor's memory, in words: for the text of generated code. */
import { GENERAL_REGISTERS } from "../src/core/cpu.ts";
import { RAM_BASE, STATE, WINDOW_AREAS, windowOffset } from "./state.ts";

const GPR_BYTES = 8;
const XMM_BYTES = 16;
const WINDOWS: readonly (readonly [number, string])[] = WINDOW_AREAS.flatMap((area) =>
  (["read", "write"] as const).flatMap((access) => {
    const at = windowOffset(area, access);
    return [[at, `${area} ${access} window`] as const, [at + 8, `its length`] as const];
  }),
);
const NAMES = new Map<number, string>([
  ...Object.entries(STATE).map(([name, at]) => [at, name] as const),
  ...GENERAL_REGISTERS.map((name, n) => [STATE.GPR + GPR_BYTES * n, name] as const),
  ...GENERAL_REGISTERS.map((_, n) => [STATE.XMM + XMM_BYTES * n, `xmm${n}`] as const),
  ...WINDOWS,
]);

/** @param offset in the WebAssembly memory */
export function placeName(offset: number): string | undefined {
  return offset === RAM_BASE ? "RAM" : NAMES.get(offset);
}
