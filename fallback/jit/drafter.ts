import { inIdentity, inTlb } from "../emission/page-lookup.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { SegmentTraits } from "../segment-traits.ts";
import type { ExitRecords } from "./exit-records.ts";
import type { Graph } from "./graph.ts";
import { KnownWindows, type WindowSet } from "./known-windows.ts";
import { RegionModules } from "./module.ts";
import { type BlockCode, linearIn } from "./node.ts";
import type { Range } from "./region.ts";
import { RegionCode } from "./region-code.ts";
import { type Slots, slotKey } from "./slots.ts";

/** What a region is made for, besides its code. */
export interface Terms {
  /** The bits of CR0 and CR4 that decide which units may be used. */
  readonly unitControls: number;
  /** Of the other segments than the code's. */
  readonly segments: SegmentTraits;
  /** Whether accesses look pages up where they are made, and not at windows. */
  readonly paged: boolean;
  /** With {@link paged}: whether it makes accesses to other pages itself, too, and does not leave for them. */
  readonly slow: boolean;
  /** Whether its code is not at its physical address: then data will hardly be either, as windows have them. */
  readonly isElsewhere: boolean;
  /** Whether it does what is rare itself. */
  readonly thorough: boolean;
  /** Whether x87 instructions are procedures. */
  readonly exactX87: boolean;
  /**
   * What it knows of the windows for reads; undefined: they may become less at any time. With {@link paged} that is
   * the wide one, if there is such: then it looks pages up for writes only.
   */
  readonly windows: WindowSet | undefined;
}

/** The numbers by which regions refer to what is outside of them. */
export interface Numbers {
  readonly records: ExitRecords;
  readonly slots: Slots;
  /** The next that {@link procedure} gives. */
  readonly nextProcedure: number;
  /** Of an instruction that a region leaves to a procedure. @param index in its block */
  procedure(instruction: DecodedInstruction, block: BlockCode, index: number): number;
  /** A region leaves by an exit record where the jump at a block's end leads elsewhere. */
  jump(record: number, block: BlockCode): void;
}

/** A region's code, and what it refers to. */
export interface Draft {
  /** Of its function, as it stands in a module, where its index is `position`. */
  readonly body: Uint8Array;
  readonly position: number;
  /** Whether control comes back to a place in it without leaving it. */
  readonly loops: boolean;
  /** Place in the table of regions. */
  readonly slot: number;
  /** Slots that it calls, by `slotKey`, its own as well. */
  readonly calls: ReadonlyMap<bigint, number>;
  /** Offsets of its exit records: the first, and behind the last. */
  readonly exits: Range;
  /** Numbers of its procedures. */
  readonly procedures: Range;
  /** Whether it calls functions for x87. */
  readonly usesX87: boolean;
}

/** Makes code of graphs: of nothing but what it is given, so that it may be done anywhere. */
export class Drafter {
  readonly modules: RegionModules;
  readonly #numbers: Numbers;

  /** @param shared whether the memory is a shared one */
  constructor(shared: boolean, numbers: Numbers) {
    this.modules = new RegionModules(shared);
    this.#numbers = numbers;
  }

  /** @param position gives one of its module's, if it has no loops: then it may share the module */
  draft(graph: Graph, terms: Terms, position: () => number): Draft {
    return this.draftAt(graph, terms, graph.loops ? 0 : position());
  }

  /** The same, whether it has loops or not. */
  draftAt(graph: Graph, terms: Terms, position: number): Draft {
    const { records, slots } = this.#numbers;
    const { block } = graph.entry;
    const { paged, slow, isElsewhere, thorough, exactX87, windows, unitControls, segments } = terms;
    const calls = new Map<bigint, number>();
    const slotAt = (linear: bigint): number => {
      const key = slotKey(linear, block, segments);
      const slot = slots.of(key);
      calls.set(key, slot);
      return slot;
    };
    const firstExit = records.next;
    const firstProcedure = this.#numbers.nextProcedure;
    let usesX87 = false;
    const { commons } = this.modules;
    const body = new RegionCode(graph, {
      // Written out: with a copy of all that is in it this took a fifth of a small region's time.
      runs: commons.runs,
      compareStrings: commons.compareStrings,
      procedure: commons.procedure,
      settleFlags: commons.settleFlags,
      regionType: commons.regionType,
      self: commons.first + position,
      slow: slow ? commons.slow : undefined,
      lookup: paged ? (isElsewhere ? inTlb : inIdentity)(block.user) : undefined,
      windows: windows && new KnownWindows(windows, paged),
      thorough,
      exactX87,
      x87: (name) => {
        usesX87 = true;
        return commons.x87(name);
      },
      unitControls,
      segments,
      procedureNumber: (instruction, from, index) =>
        this.#numbers.procedure(instruction, from, index),
      exitRecord: (rip, unused, reason, miss) => records.add(rip, unused, reason, miss),
      jumpRecord: (from) => this.#jumpRecord(from),
      slotOf: (rip) => slotAt(linearIn(block, rip)),
    }).build();
    return {
      body,
      position,
      calls,
      usesX87,
      loops: graph.loops,
      slot: slotAt(block.linear),
      exits: [firstExit, records.next],
      procedures: [firstProcedure, this.#numbers.nextProcedure],
    };
  }

  #jumpRecord(block: BlockCode): number {
    const record = this.#numbers.records.add(block.rip, 0, "jump");
    this.#numbers.jump(record, block);
    return record;
  }
}
