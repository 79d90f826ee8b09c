import { arithmetic } from "./arithmetic.ts";
import { branches } from "./branches.ts";
import type { Family } from "./instruction.ts";
import { moves } from "./moves.ts";

/** The whole architecture, a family a file. */
export const FAMILIES: readonly Family[] = [arithmetic, moves, branches];
