import { arithmetic } from "./arithmetic.ts";
import { bits } from "./bits.ts";
import { branches } from "./branches.ts";
import { farTransfers } from "./far-transfers.ts";
import { flagControl } from "./flag-control.ts";
import type { Family } from "./instruction.ts";
import { miscellaneous } from "./miscellaneous.ts";
import { moves } from "./moves.ts";
import { multiply } from "./multiply.ts";
import { ports } from "./ports.ts";
import { shifts } from "./shifts.ts";
import { sseCompare } from "./sse-compare.ts";
import { sseConvert } from "./sse-convert.ts";
import { sseFloat } from "./sse-float.ts";
import { sseInteger } from "./sse-integer.ts";
import { sseMoves } from "./sse-moves.ts";
import { sseRound } from "./sse-round.ts";
import { sseShuffle } from "./sse-shuffle.ts";
import { sseState } from "./sse-state.ts";
import { sseStrings } from "./sse-strings.ts";
import { stack } from "./stack.ts";
import { strings } from "./strings.ts";
import { system } from "./system.ts";
import { systemTables } from "./system-tables.ts";
import { x87Arithmetic } from "./x87-arithmetic.ts";
import { x87Compare } from "./x87-compare.ts";
import { x87Control } from "./x87-control.ts";
import { x87Moves } from "./x87-moves.ts";
import { x87Transcendental } from "./x87-transcendental.ts";

/** The whole architecture, a family a file. */
export const FAMILIES: readonly Family[] = [
  ...[arithmetic, moves, branches, shifts, multiply, bits, strings, flagControl, ports],
  ...[stack, farTransfers, miscellaneous, system, systemTables],
  ...[sseMoves, sseInteger, sseShuffle, sseFloat, sseCompare, sseConvert, sseRound],
  ...[sseStrings, sseState],
  ...[x87Moves, x87Arithmetic, x87Compare, x87Transcendental, x87Control],
];
