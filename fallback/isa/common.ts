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
import { segmentBases } from "./segment-bases.ts";
import { shifts } from "./shifts.ts";
import { sseState } from "./sse-state.ts";
import { stack } from "./stack.ts";
import { strings } from "./strings.ts";
import { system } from "./system.ts";
import { systemTables } from "./system-tables.ts";
import { xsave } from "./xsave.ts";

/** What every program uses, system programs included: a family a file. */
export const COMMON_FAMILIES: readonly Family[] = [
  ...[arithmetic, moves, branches, shifts, multiply, bits, strings, flagControl, ports],
  ...[stack, farTransfers, miscellaneous, system, systemTables, segmentBases, sseState, xsave],
];
