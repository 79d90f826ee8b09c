import { type Block, placeOf } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { readUnitControls } from "../interpreter/units.ts";
import { linearOf } from "../memory/linear.ts";
import type { Discovery } from "./discovery.ts";
import { type Draft, Drafter, type Terms } from "./drafter.ts";
import type { ExitRecords } from "./exit-records.ts";
import type { Experience } from "./experience.ts";
import { gather } from "./gathering.ts";
import { Graph } from "./graph.ts";
import type { KeptRegion } from "./kept-regions.ts";
import type { WindowSets } from "./known-windows.ts";
import type { LearntJumps } from "./learnt-jumps.ts";
import {
  type Functions,
  type KeptModule,
  LoadedModule,
  type RegionImports,
} from "./loaded-module.ts";
import { exportName } from "./module.ts";
import type { BlockCode } from "./node.ts";
import { type Pack, Packs } from "./packs.ts";
import { pagesOf, type Region, type Span, spansOf } from "./region.ts";
import type { RegionTable } from "./region-table.ts";
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

/** Of the functions that are kept with machine code: as many more are worth keeping them all again. */
const WORTH_KEEPING = 16;

/** What a region was made from and what it became: for `listing.ts`. */
export interface MadeRegion {
  /** The first is where it is entered. */
  readonly blocks: readonly Block[];
  readonly module: Uint8Array;
}

/** What a region is, in this run or before. */
type Unloaded = Omit<Region, "function" | "looks" | "module" | "body">;

/** Regions that share a module. */
interface Group {
  readonly bodies: Uint8Array[];
  usesX87: boolean;
  functions: Functions | undefined;
}

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
  /** Its own: in memory there may be others when it is kept. */
  readonly bytes: Uint8Array;
  instruction: DecodedInstruction | undefined;
}

/** Makes functions of WebAssembly of graphs of blocks. */
export class RegionMaker {
  readonly #means: RegionMeans;
  readonly #procedures: Procedure[] = [];
  readonly #packs = new Packs();
  /** Modules of an earlier run. */
  readonly #loaded = new Map<KeptModule, LoadedModule>();
  #drafter: Drafter | undefined;
  /** Functions whose modules have imported the table. */
  #made = 0;
  #imports: RegionImports | undefined;
  #hasX87 = false;
  /** Those of {@link alone} that have no module yet. */
  #group: Group | undefined;

  constructor(means: RegionMeans) {
    this.#means = means;
  }

  /** Whether there is room for all that one more region may refer to. */
  get hasRoom(): boolean {
    const { records, table } = this.#means;
    return records.hasRoom(EXITS_OF_REGION) && table.slots.hasRoom(SLOTS_OF_REGION);
  }

  /** Whether it is time to {@link renew}. */
  get isWorn(): boolean {
    return this.#made >= MAX_MADE;
  }

  /** All regions have been dropped. */
  clear(): void {
    this.#procedures.length = 0;
    this.#packs.clear();
    this.#loaded.clear();
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

  make(discovery: Discovery): Region {
    const graph = new Graph(discovery);
    const terms = this.#termsFor(graph.entry.block);
    const draft = this.#drafterOf().draft(graph, terms, () => this.#packs.position);
    return this.#region(discovery, terms, draft);
  }

  /** What has been discovered, and drafted, with its function in a module of its own. */
  #region(
    { blocks, covers }: Pick<Discovery, "blocks" | "covers">,
    { unitControls, windows, segments, paged, slow, thorough }: Terms,
    draft: Draft,
  ): Region {
    const [{ linear, address, codeSize, rip, limit, user }] = blocks as [Block];
    this.#means.onRegion?.({ blocks, module: this.#drafterOf().modules.module([draft.body]) });
    // All written out: an object that others are spread into is none of a kind to V8.
    let instructions = 0;
    const spans: Span[] = [];
    for (const block of blocks) {
      instructions += block.count;
      spans.push(...spansOf(block));
    }
    const { body, position, usesX87 } = draft;
    const bytes = this.#drafterOf().modules.moduleOf(body, position);
    const module = this.#load(bytes, 1, usesX87);
    return {
      body: bytes.subarray(bytes.length - body.length),
      position: draft.position,
      loops: draft.loops,
      slot: draft.slot,
      calls: draft.calls,
      exits: draft.exits,
      procedures: draft.procedures,
      usesX87: draft.usesX87,
      linear,
      address,
      codeSize,
      rip,
      limit,
      user,
      covers,
      segments,
      paged,
      slow,
      thorough,
      windows: windows?.number,
      pages: pagesOf(blocks),
      spans,
      code: this.#codeOf(spans),
      unitControls: blocks.some((one) => one.unitControls !== undefined) ? unitControls : undefined,
      instructions,
      module,
      function: module.functions[exportName(position)],
      looks: 0,
    };
  }

  /**
   * A region that nothing leads to: for tests. It gets a module with all others that are made before
   * the first of them is asked for, and all of them are gone when all regions are.
   */
  alone(discovery: Discovery): () => unknown {
    this.#group ??= { bodies: [], usesX87: false, functions: undefined };
    const group = this.#group;
    const position = group.bodies.length;
    const graph = new Graph(discovery);
    const terms = this.#termsFor(graph.entry.block);
    const { body, usesX87 } = this.#drafterOf().draftAt(graph, terms, position);
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
    const module = this.#drafterOf().modules.module(bodies);
    return this.#load(module, bodies.length, usesX87).functions;
  }

  #drafterOf(): Drafter {
    const { around, records, table, jumps } = this.#means;
    const procedures = this.#procedures;
    const bytesOf = (block: Block, index: number, { length }: DecodedInstruction): Uint8Array => {
      const start = block.offsets[index] ?? 0;
      return this.#codeOf(spansOf(block)).subarray(start, start + length);
    };
    this.#drafter ??= new Drafter(around.shared, {
      ...{ records, slots: table.slots },
      get nextProcedure() {
        return procedures.length;
      },
      // Here the nodes are of blocks of the cache.
      procedure: (instruction, block, index) =>
        procedures.push({
          codeSize: block.codeSize,
          bytes: bytesOf(block as Block, index, instruction),
          instruction,
        }) - 1,
      jump: (record, { address }) => jumps.add(record, address),
    });
    return this.#drafter;
  }

  /** What a region is made for if it is made now. */
  #termsFor({ linear, address, user }: BlockCode): Terms {
    const { view, experience, windows, around } = this.#means;
    const place = placeOf(address, user);
    const isElsewhere = linearOf(linear) !== address;
    const slow = isElsewhere || experience.slow.has(place);
    const paged = slow || experience.isRestless || experience.paged.has(place);
    const isScattered = slow || experience.isWideRestless || experience.scattered.has(place);
    return {
      unitControls: readUnitControls(view),
      segments: around.place().segments,
      paged,
      slow,
      isElsewhere,
      thorough: experience.thorough.has(place),
      exactX87: experience.exactX87.has(place),
      windows: paged ? (isScattered ? undefined : windows.wide()) : windows.current(),
    };
  }

  /**
   * A region of an earlier run, which has been looked at: it fits. Those that share its module may not.
   * @throws WebAssembly.CompileError if what was kept is none
   */
  restore(kept: KeptRegion): Region {
    const module = this.#loadedOf(kept.module);
    const { records, jumps } = this.#means;
    records.restore(kept.exits[0], kept.records);
    for (const { number, codeSize, bytes } of kept.left) {
      this.#procedures[number] = { codeSize, bytes, instruction: undefined };
    }
    for (const [record, address] of kept.jumps) jumps.add(record, address);
    return { ...kept, module, function: module.functions[exportName(kept.position)], looks: 0 };
  }

  #loadedOf(kept: KeptModule): LoadedModule {
    const known = this.#loaded.get(kept);
    if (known !== undefined) return known;
    const loaded = this.#instantiate(kept);
    this.#loaded.set(kept, loaded);
    return loaded;
  }

  /** A region that has been made is one of those that there are: it gets together with others. */
  pack(added: Region): void {
    if (added.loops) return;
    for (const pack of this.#packs.add(added)) this.#packed(pack);
  }

  #packed(pack: Pack): void {
    const { isLive, table } = this.#means;
    const live = pack.map((region) => (region && isLive(region) ? region : undefined));
    const usesX87 = live.some((region) => region?.usesX87);
    const bodies = live.map((region) => region?.body);
    const { modules } = this.#drafterOf();
    const bytes = modules.module(bodies);
    const made = bodies.filter((body) => body !== undefined).length;
    const module = this.#load(bytes, made, usesX87);
    for (const region of live) {
      if (region === undefined) continue;
      const { slot, position } = region;
      const packed = module.functions[exportName(position)];
      if (table.leadsTo(slot, region.function)) table.replace(slot, packed);
      region.function = packed;
      region.module = module;
      region.body = modules.bodyAt(position, bytes, bodies);
    }
  }

  /** Whether V8 has optimised so much of what an earlier run kept that it is worth being kept once more. */
  get hasGained(): boolean {
    let all = 0;
    let more = 0;
    for (const { optimised } of this.#loaded.values()) {
      const [before, now] = optimised;
      all += before;
      more += now - before;
    }
    return more > all / WORTH_KEEPING;
  }

  /** What is to be kept of regions. */
  keep(regions: readonly Region[]): KeptRegion[] {
    const modules = new Map<LoadedModule, KeptModule>();
    return regions.map((region) => {
      const { module } = region;
      const kept = modules.get(module) ?? module.kept;
      modules.set(module, kept);
      return this.#kept(region, kept);
    });
  }

  /** Lets kept regions share modules, as {@link gather} does. */
  gather(regions: readonly KeptRegion[]): KeptRegion[] {
    return gather(regions, () => this.#drafterOf().modules);
  }

  #kept(region: Region, module: KeptModule): KeptRegion {
    const { records, jumps } = this.#means;
    const [first, behind] = region.procedures;
    const left = this.#procedures.slice(first, behind).map((procedure, index) => ({
      number: first + index,
      codeSize: procedure.codeSize,
      bytes: procedure.bytes,
    }));
    return {
      ...region,
      ...{ module, left, records: records.read(region.exits) },
      ...{ jumps: jumps.within(region.exits), idle: 0 },
    };
  }

  /** Whether a region was made for a block's place and mode, and for what there is besides now. */
  isMadeFor(region: Unloaded, block: Block): boolean {
    const { linear, codeSize, rip, limit, segments, unitControls } = region;
    const { around, view } = this.#means;
    if (linear !== block.linear || codeSize !== block.codeSize) return false;
    if (rip !== block.rip || limit !== block.limit) return false;
    if (segments !== around.place().segments) return false;
    return unitControls === undefined || unitControls === readUnitControls(view);
  }

  /** Whether a region may stand for a block now: whatever has happened since it was made. */
  fits(region: Unloaded, block: Block): boolean {
    const { windows } = region;
    const { around } = this.#means;
    if (!around.mayTranslateUnseen() || !this.isMadeFor(region, block)) return false;
    for (const [number, physical] of region.pages) {
      if (around.pageAt(number * PAGE_SIZE)?.address !== physical * PAGE_SIZE) return false;
    }
    if (!this.#isStill(region.spans, region.code)) return false;
    return windows === undefined || this.#means.windows.holds(windows);
  }

  /** Whether bytes are what they were. */
  #isStill(spans: readonly Span[], code: Uint8Array): boolean {
    let next = 0;
    for (const { page, from, to } of spans) {
      const bytes = this.#means.around.bytesOf(page * PAGE_SIZE);
      for (let at = from; at < to; at++) if (bytes[at] !== code[next++]) return false;
    }
    return true;
  }

  /** Bytes as they are now. */
  #codeOf(spans: readonly Span[]): Uint8Array {
    const { around } = this.#means;
    const code = new Uint8Array(spans.reduce((sum, { from, to }) => sum + to - from, 0));
    let next = 0;
    for (const { page, from, to } of spans) {
      code.set(around.bytesOf(page * PAGE_SIZE).subarray(from, to), next);
      next += to - from;
    }
    return code;
  }

  /** A module that has just been made. */
  #load(bytes: Uint8Array<ArrayBuffer>, regions: number, usesX87: boolean): LoadedModule {
    return this.#instantiate({ bytes, code: undefined, optimised: 0, regions, usesX87 });
  }

  #instantiate(module: KeptModule): LoadedModule {
    if (module.usesX87 && !this.#hasX87) this.#addX87();
    this.#imports ??= this.#makeImports();
    this.#made += module.regions;
    return new LoadedModule(module, this.#imports);
  }

  /** What regions call for x87: made for the first that does. */
  #addX87(): void {
    const { around, table } = this.#means;
    table.setX87(Object.values(instantiateX87(around.section(X87_SECTION), around.memory)));
    this.#hasX87 = true;
  }

  #makeImports(): RegionImports {
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
    procedure.instruction ??= this.#means.around.decode(bytes, codeSize);
    return procedure.instruction;
  }
}
