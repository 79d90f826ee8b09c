import { aes } from "./aes.ts";
import { avxFloat } from "./avx-float.ts";
import { avxInteger } from "./avx-integer.ts";
import { avxLanes } from "./avx-lanes.ts";
import { avxMasked } from "./avx-masked.ts";
import { avxMoves } from "./avx-moves.ts";
import { avxShuffle } from "./avx-shuffle.ts";
import { avx2Integer } from "./avx2-integer.ts";
import { bmi } from "./bmi.ts";
import { f16c } from "./f16c.ts";
import { fma } from "./fma.ts";
import type { Family } from "./instruction.ts";
import { sha } from "./sha.ts";
import { sseStrings } from "./sse-strings.ts";

/** What the interpreter has no code of until a guest executes it: see `Instruction.late`. */
export const LATE_FAMILIES: readonly Family[] = [
  bmi,
  aes,
  sha,
  sseStrings,
  avxInteger,
  avx2Integer,
  avxMasked,
  avxFloat,
  avxMoves,
  avxShuffle,
  avxLanes,
  fma,
  f16c,
];
