import type { Block, BlockCache } from "../interpreter/block.ts";
import type { CodePlace } from "../interpreter/code-place.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { CodePage } from "../memory/code-tlb.ts";
import type { WindowArea } from "../state.ts";
import type { JitHost } from "./support-instance.ts";

/** By what the interpreter and regions call each other. */
export interface RegionTies {
  readonly table: WebAssembly.Table;
  /** A function of the interpreter's that makes the flags in the state known. */
  readonly settleFlags: unknown;
}

/** What the JIT needs of the processor around it. */
export interface JitSurroundings {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly blocks: BlockCache;
  readonly host: JitHost;
  /** What ties regions to the interpreter. @param renewed by another table from now on */
  ties(renewed: boolean): RegionTies;
  /** A custom section of the interpreter's module. */
  section(name: string): Uint8Array<ArrayBuffer>;
  /** Where the guest is. */
  place(): CodePlace;
  /** The page of code at a linear address; undefined if a fetch would do more than fetch. */
  pageAt(linear: number): CodePage | undefined;
  /** Whether code that has not been executed yet may be part of a region: no debugger stops anywhere. */
  mayTranslateUnseen(): boolean;
  /** The bytes of a guest physical page. @param address of the page */
  bytesOf(address: number): Uint8Array;
  /** Code was made of a guest physical page: writes to it must be noticed. @param page its number */
  mark(page: number): void;
  /** The instruction that bytes begin with. */
  decode(bytes: Uint8Array, codeSize: 16 | 32 | 64): DecodedInstruction;
  /** The 64 bits at a linear address, if they can be had without any effect. */
  wordAt(linear: bigint): bigint | undefined;
  /** The block at an offset, if it has been executed before and would be executed from there now. */
  known(rip: bigint): Block | undefined;
  /** Lets a window be where accesses miss it. Returns whether it is there now. */
  moveWindow(area: WindowArea, access: "read" | "write", linear: bigint): boolean;
  recordFault(): void;
  /** Executes an instruction that has no code. Returns whether to go on behind it. */
  procedure(instruction: DecodedInstruction): boolean;
  /** In nanoseconds. */
  now(): number;
  /** Instructions that the guest has executed so far. */
  executed(): number;
}
