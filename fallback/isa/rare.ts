import type { Family } from "./instruction.ts";
import { sseCompare } from "./sse-compare.ts";
import { sseConvert } from "./sse-convert.ts";
import { sseFloat } from "./sse-float.ts";
import { sseInteger } from "./sse-integer.ts";
import { sseMoves } from "./sse-moves.ts";
import { sseRound } from "./sse-round.ts";
import { sseShuffle } from "./sse-shuffle.ts";
import { x87Arithmetic } from "./x87-arithmetic.ts";
import { x87Compare } from "./x87-compare.ts";
import { x87Control } from "./x87-control.ts";
import { x87Moves } from "./x87-moves.ts";
import { x87Transcendental } from "./x87-transcendental.ts";

/** What programs compute with besides integers; few do in their first milliseconds. */
export const RARE_FAMILIES: readonly Family[] = [
  ...[sseMoves, sseInteger, sseShuffle, sseFloat, sseCompare, sseConvert, sseRound],
  ...[x87Moves, x87Arithmetic, x87Compare, x87Transcendental, x87Control],
];
