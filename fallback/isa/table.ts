import { COMMON_FAMILIES } from "./common.ts";
import type { Family } from "./instruction.ts";
import { LATE_FAMILIES } from "./late.ts";
import { RARE_FAMILIES } from "./rare.ts";

/** The whole architecture. */
export const FAMILIES: readonly Family[] = [...COMMON_FAMILIES, ...RARE_FAMILIES, ...LATE_FAMILIES];
