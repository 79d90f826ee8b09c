import { type Block, placeOf } from "../interpreter/block.ts";
import { linearAddress } from "../interpreter/code-place.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { readUnitControls } from "../interpreter/units.ts";
import { linearOf } from "../memory/linear.ts";
import { TLB_OF_USER } from "../state.ts";
import type { ExitRecords } from "./exit-records.ts";
import type { Experience } from "./experience.ts";
import type { Graph, Node } from "./graph.ts";
import type { KeptRegion } from "./kept-regions.ts";
import type { WindowSets } from "./known-windows.ts";
import type { LearntJumps } from "./learnt-jumps.ts";
import { exportName, RegionModules } from "./module.ts";
import { type Pack, Packs } from "./packs.ts";
import { pagesOf, type Region, spansOf } from "./region.ts";
import { RegionCode } from "./region-code.ts";
import { type RegionTable, slotKey } from "./region-table.ts";
import {
  instantiateSupport,
  instantiateX87,
  SUPPORT_SECTION,
  X87_SECTION,
} from "./support-instance.ts";
import type { JitSurroundings } from "./surroundings.ts";

const PAGE_SIZE = 4096;
/** Regions that are made at most until all are dropped. */
export const MAX_REGIONS = 2000;
/**
 * How many functions may be in modules that import the same table, those of packs counted again: V8 keeps
 * all of them for as long as there is the table, given up or not, and a process can have no more than
 * 65,530 stretches of memory.
 */
const MAX_MADE = 3 * MAX_REGIONS;
/** Exit records that a region may need, at most. */
const EXITS_OF_REGION = 8192;
/** Calls that a region may make, at most: it has fewer instructions. */
const SLOTS_OF_REGION = 1024;

/** What a region was made from and what it became: for `listing.ts`. */
export interface MadeRegion {
  /** The first is where it is entered. */
  readonly blocks: readonly Block[];
  readonly module: Uint8Array;
}

/** A region's code, and what else became known as it was made. */
interface Emitted
  extends Pick<
    Region,
    "segments" | "exits" | "procedures" | "calls" | "usesX87" | "slow" | "thorough" | "windows"
  > {
  readonly body: Uint8Array;
  readonly unitControls: number;
  /** The place in the table of regions of what is at a linear address. */
  slotAt(linear: bigint): number;
}

/** Regions that share a module. */
interface Group {
  readonly bodies: Uint8Array[];
  usesX87: boolean;
  functions: Functions | undefined;
}

/** Of a module, by {@link exportName}. */
type Functions = Readonly<Record<string, unknown>>;

type JitImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What regions refer to outside of their code: the JIT has one of each. */
export interface RegionMeans {
  readonly around: JitSurroundings;
  /** Of the processor's state. */
  readonly view: DataView;
  readonly table: RegionTable;
  readonly records: ExitRecords;
  readonly jumps: LearntJumps;
  readonly experience: Experience;
  readonly windows: WindowSets;
  /** Whether a region is one of those that there are. */
  isLive(region: Region): boolean;
  readonly onRegion: ((made: MadeRegion) => void) | undefined;
}

/** An instruction that a region leaves to a procedure. */
interface Procedure {
  readonly codeSize: 16 | 32 | 64;
  /** Of the code that it was decoded from; without, {@link bytes} are known. */
  readonly at?: { readonly block: Block; readonly index: number };
  readonly bytes?: Uint8Array;
  instruction: DecodedInstruction | undefined;
}

/** Makes functions of WebAssembly of graphs of blocks. */
export class RegionMaker {
  readonly #means: RegionMeans;
  readonly #procedures: Procedure[] = [];
  readonly #packs = new Packs();
  #modules: RegionModules | undefined;
  /** Functions whose modules have imported the table. */
  #made = 0;
  #imports: JitImports | undefined;
  #hasX87 = false;
  /** Those of {@link alone} that have no module yet. */
  #group: Group | undefined;

  constructor(means: RegionMeans) {
    this.#means = means;
  }

  /** Whether there is room for all that one more region may refer to. */
  get hasRoom(): boolean {
    const { records, table } = this.#means;
    return records.hasRoom(EXITS_OF_REGION) && table.hasRoom(SLOTS_OF_REGION);
  }

  /** Whether it is time to {@link renew}. */
  get isWorn(): boolean {
    return this.#made >= MAX_MADE;
  }

  /** All regions have been dropped. */
  clear(): void {
    this.#procedures.length = 0;
    this.#packs.clear();
    this.#group = undefined;
  }

  /** Leaves room for procedures of an earlier run. */
  reserve(count: number): void {
    this.#procedures.length = count;
  }

  /** All regions have been dropped: lets V8 forget them too. */
  renew(): void {
    const { table, around } = this.#means;
    table.renew(around.ties(true).table);
    this.#imports = undefined;
    this.#hasX87 = false;
    this.#made = 0;
  }

  make(graph: Graph): Region {
    const { block } = graph.entry;
    const loops = graph.nodes.some(({ isLoop }) => isLoop);
    const position = loops ? 0 : this.#packs.position;
    const { body, unitControls, slotAt, ...facts } = this.#emit(graph, position);
    const blocks = [...new Set(graph.nodes.map((node) => node.block))];
    this.#means.onRegion?.({ blocks, module: this.#modulesOf().module([body]) });
    return {
      ...facts,
      linear: block.linear,
      address: block.address,
      codeSize: block.codeSize,
      rip: block.rip,
      limit: block.limit,
      user: block.user,
      slot: slotAt(block.linear),
      pages: pagesOf(blocks),
      spans: blocks.flatMap(spansOf),
      covers: graph.nodes.filter(isOwn).map(({ block: { address } }) => address),
      unitControls: blocks.some((one) => one.unitControls !== undefined) ? unitControls : undefined,
      instructions: blocks.reduce((sum, one) => sum + one.offsets.length, 0),
      body,
      position,
      loops,
      function: this.#function(body, position, facts.usesX87),
      looks: 0,
    };
  }

  /**
   * A region that nothing leads to: for tests. It gets a module with all others that are made before
   * the first of them is asked for, and all of them are gone when all regions are.
   */
  alone(graph: Graph): () => unknown {
    this.#group ??= { bodies: [], usesX87: false, functions: undefined };
    const group = this.#group;
    const position = group.bodies.length;
    const { body, usesX87 } = this.#emit(graph, position);
    group.bodies.push(body);
    group.usesX87 ||= usesX87;
    return () => {
      group.functions ??= this.#finish(group);
      return group.functions[exportName(position)];
    };
  }

  #finish(group: Group): Functions {
    if (group !== this.#group) throw new Error("the region is gone");
    this.#group = undefined;
    const { bodies, usesX87 } = group;
    return this.#functions(bodies, usesX87);
  }

  #modulesOf(): RegionModules {
    this.#modules ??= new RegionModules(this.#means.around.shared);
    return this.#modules;
  }

  #emit(graph: Graph, position: number): Emitted {
    const { view, records, table, experience, windows, around } = this.#means;
    const { block } = graph.entry;
    const unitControls = readUnitControls(view);
    const { segments } = around.place();
    const place = placeOf(block.address, block.user);
    const { isRestless, slow: slowPlaces } = experience;
    // Windows are of identity mappings: where code is not, data will hardly be.
    const isElsewhere = linearOf(block.linear) !== block.address;
    const slow = isElsewhere || isRestless || slowPlaces.has(place);
    const thorough = experience.thorough.has(place);
    const known = slow ? undefined : windows.current();
    const calls = new Map<bigint, number>();
    const slotAt = (linear: bigint): number => {
      const key = slotKey(linear, block, segments);
      const slot = table.slotOf(key);
      calls.set(key, slot);
      return slot;
    };
    const firstExit = records.next;
    const firstProcedure = this.#procedures.length;
    let usesX87 = false;
    const { commons } = this.#modulesOf();
    const body = new RegionCode(graph, {
      // Written out: with a copy of all that is in it this took a fifth of a small region's time.
      runs: commons.runs,
      procedure: commons.procedure,
      settleFlags: commons.settleFlags,
      regionType: commons.regionType,
      self: commons.first + position,
      slow: slow ? commons.slow : undefined,
      rights: slow ? (block.user ? TLB_OF_USER : 0) : undefined,
      triesWindows: !isElsewhere,
      windows: known,
      thorough,
      exactX87: experience.exactX87.has(place),
      x87: (name) => {
        usesX87 = true;
        return commons.x87(name);
      },
      unitControls,
      segments,
      procedureNumber: (instruction, from, index) => {
        const at = { block: from, index };
        return this.#procedures.push({ codeSize: from.codeSize, at, instruction }) - 1;
      },
      exitRecord: (rip, unused, reason, miss) => records.add(rip, unused, reason, miss),
      jumpRecord: (from) => this.#jumpRecord(from),
      slotOf: (rip) => slotAt(linearIn(block, rip)),
    }).build();
    return {
      body,
      unitControls,
      slotAt,
      segments,
      exits: [firstExit, records.next],
      procedures: [firstProcedure, this.#procedures.length],
      calls,
      usesX87,
      slow,
      thorough,
      windows: known?.number,
    };
  }

  /** A region of an earlier run, which has been looked at: it fits. */
  restore(kept: KeptRegion): Region {
    const { records, jumps } = this.#means;
    records.restore(kept.exits[0], kept.records);
    for (const { number, codeSize, bytes } of kept.left) {
      this.#procedures[number] = { codeSize, bytes, instruction: undefined };
    }
    for (const [record, address] of kept.jumps) jumps.add(record, address);
    const { body, position, usesX87 } = kept;
    return { ...kept, function: this.#function(body, position, usesX87), looks: 0 };
  }

  /** A region that has been made or restored is one of those that there are: it gets together with others. */
  pack(added: Region): void {
    if (added.loops) return;
    for (const pack of this.#packs.add(added)) this.#packed(pack);
  }

  #packed(pack: Pack): void {
    const { isLive, table } = this.#means;
    const live = pack.map((region) => (region && isLive(region) ? region : undefined));
    const usesX87 = live.some((region) => region?.usesX87);
    const bodies = live.map((region) => region?.body);
    const functions = this.#functions(bodies, usesX87);
    for (const region of live) {
      if (region === undefined) continue;
      const { slot, position } = region;
      const packed = functions[exportName(position)];
      if (table.leadsTo(slot, region.function)) table.link(slot, packed);
      region.function = packed;
    }
  }

  /** What is to be kept of a region. */
  keep(region: Region): KeptRegion {
    const { records, jumps } = this.#means;
    const [first, behind] = region.procedures;
    const left = this.#procedures.slice(first, behind).map((procedure, index) => ({
      number: first + index,
      codeSize: procedure.codeSize,
      bytes: this.#bytesOf(procedure),
    }));
    return {
      ...region,
      ...{ left, code: this.code(region), records: records.read(region.exits) },
      ...{ jumps: jumps.within(region.exits), idle: 0 },
    };
  }

  /** The bytes of a region's code as they are now. */
  code({ spans }: Pick<Region, "spans">): Uint8Array {
    const { around } = this.#means;
    const code = new Uint8Array(spans.reduce((sum, { from, to }) => sum + to - from, 0));
    let next = 0;
    for (const { page, from, to } of spans) {
      code.set(around.bytesOf(page * PAGE_SIZE).subarray(from, to), next);
      next += to - from;
    }
    return code;
  }

  #bytesOf({ at, bytes, instruction }: Procedure): Uint8Array {
    if (at === undefined) return bytes ?? EMPTY;
    const start = at.block.offsets[at.index] ?? 0;
    const code = this.code({ spans: spansOf(at.block) });
    return code.subarray(start, start + (instruction?.length ?? 0));
  }

  /** Makes a region's function, in a module of its own. */
  #function(body: Uint8Array, position: number, usesX87: boolean): unknown {
    const others: (Uint8Array | undefined)[] = Array.from({ length: position });
    return this.#functions([...others, body], usesX87)[exportName(position)];
  }

  /** Makes the functions of a module. @param bodies by position */
  #functions(bodies: readonly (Uint8Array | undefined)[], usesX87: boolean): Functions {
    if (usesX87 && !this.#hasX87) this.#addX87();
    this.#imports ??= this.#makeImports();
    this.#made += bodies.filter((body) => body !== undefined).length;
    const module = new WebAssembly.Module(this.#modulesOf().module(bodies));
    return new WebAssembly.Instance(module, this.#imports).exports;
  }

  #jumpRecord(block: Block): number {
    const { records, jumps } = this.#means;
    const record = records.add(block.rip, 0, "jump");
    jumps.add(record, block.address);
    return record;
  }

  /** What regions call for x87: made for the first that does. */
  #addX87(): void {
    const { around, table } = this.#means;
    table.setX87(instantiateX87(around.section(X87_SECTION), around.memory));
    this.#hasX87 = true;
  }

  #makeImports(): JitImports {
    const { around, table } = this.#means;
    const { memory, host, recordFault, procedure } = around;
    const { table: regions, settleFlags } = around.ties(false);
    const support = instantiateSupport(around.section(SUPPORT_SECTION), memory, host, {
      ...{ recordFault, settleFlags },
      procedure: (number) => (procedure(this.#instruction(number)) ? 0 : 1),
    });
    table.setSupport(support);
    return { jit: { memory, regions } };
  }

  #instruction(number: number): DecodedInstruction {
    const procedure = this.#procedures[number] as Procedure;
    const { bytes, codeSize } = procedure;
    procedure.instruction ??= this.#means.around.decode(bytes ?? EMPTY, codeSize);
    return procedure.instruction;
  }
}

const isOwn = ({ inlining, entries }: Node): boolean =>
  inlining === undefined && entries === undefined;

const EMPTY = new Uint8Array();

/** Linear address of an offset in the code segment of a block. */
export function linearIn({ linear, rip: start, codeSize }: Block, rip: bigint): bigint {
  const base = linear - start;
  return linearAddress({ base, rip, codeSize }, 0);
}
