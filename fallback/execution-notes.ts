import { MICROSECOND } from "../src/core/units.ts";
import type { Engine } from "./interpreter/engine.ts";

/** What `--stats` tells of the instructions executed. @param time nanoseconds that they took, or 0 */
export function executionNotes(
  { inRegions, jit }: Engine,
  instructions: number,
  time: number,
): readonly (readonly [string, string])[] {
  const speed = instructions / (time / MICROSECOND);
  const pace = time === 0 ? "" : `, ${speed.toFixed(0)} million a second`;
  const share = instructions === 0 ? 0 : (100 * inRegions) / instructions;
  const byJit = jit === undefined ? "" : `, ${share.toFixed(1)} % of them in regions`;
  return [["executed", `${instructions} instructions${pace}${byJit}`], ...(jit?.notes ?? [])];
}
