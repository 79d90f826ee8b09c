import type { Miss, SlowAccess } from "../emission/guest-access.ts";
import type { PageLookup } from "../emission/page-lookup.ts";
import type { StringRuns } from "../emission/string-runs.ts";
import type { X87Functions } from "../emission/x87-functions.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { SegmentTraits } from "../segment-traits.ts";
import type { Callee } from "../wasm/function-builder.ts";
import type { ExitReason } from "./exit-records.ts";
import type { KnownWindows } from "./known-windows.ts";
import type { BlockCode } from "./node.ts";

/** What the code of a region refers to outside of it. */
export interface RegionEnvironment {
  /** Undefined: accesses outside the windows, or to pages that {@link lookup} does not find, are left to the interpreter. */
  readonly slow: SlowAccess | undefined;
  /** Where accesses look pages up; undefined: they look at windows. */
  readonly lookup: PageLookup | undefined;
  readonly runs: StringRuns;
  readonly compareStrings: Callee;
  readonly x87: X87Functions;
  /** Undefined: they may become less at any time. */
  readonly windows: KnownWindows | undefined;
  /** Whether what is rare is done by the region too. */
  readonly thorough: boolean;
  /** Whether x87 instructions are procedures: what their translations leave to those is frequent. */
  readonly exactX87: boolean;
  /** Makes the flags in the state known. */
  readonly settleFlags: Callee;
  /** (number: i32) → i32: zero, or the region has to stop. */
  readonly procedure: Callee;
  /** Index of the region's own function. */
  readonly self: number;
  /** Index of the type of regions. */
  readonly regionType: number;
  /** The bits of CR0 and CR4 that decide which units may be used. */
  readonly unitControls: number;
  readonly segments: SegmentTraits;
  /** Number of an instruction for {@link procedure}. */
  procedureNumber(instruction: DecodedInstruction, block: BlockCode, index: number): number;
  /** A record of where the region leaves. */
  exitRecord(rip: bigint, unused: number, reason: ExitReason, miss?: Miss): number;
  /** The same of where a jump leads out of the region that ends a block. */
  jumpRecord(block: BlockCode): number;
  /** The place in the table of regions of what is at an offset. */
  slotOf(rip: bigint): number;
}
