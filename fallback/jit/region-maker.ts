import type { X87Function } from "../emission/x87-functions.ts";
import { type Block, placeOf } from "../interpreter/block.ts";
import { linearAddress } from "../interpreter/code-place.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { readUnitControls } from "../interpreter/units.ts";
import { linearOf } from "../memory/linear.ts";
import { TLB_OF_USER, USER_CODE } from "../state.ts";
import type { Callee } from "../wasm/function-builder.ts";
import type { ExitRecords } from "./exit-records.ts";
import type { Experience } from "./experience.ts";
import type { Graph } from "./graph.ts";
import { KnownWindows } from "./known-windows.ts";
import type { LearntJumps } from "./learnt-jumps.ts";
import { RegionModules } from "./module.ts";
import { FIRST_REGION_PLACE, FIRST_SUPPORT_PLACE, FIRST_X87_PLACE } from "./protocol.ts";
import { pagesOf, type Region, spansOf } from "./region.ts";
import { RegionCode } from "./region-code.ts";
import type { RegionTable } from "./region-table.ts";
import { instantiateSupport, instantiateX87 } from "./support.ts";
import type { JitSurroundings } from "./surroundings.ts";

/** Regions that are made at most until all are dropped. */
export const MAX_REGIONS = 1500;
/**
 * How many regions may import the same table: V8 keeps all of them for as long as there is the table,
 * given up or not, and a process can have no more than 65,530 stretches of memory.
 */
const MAX_MADE = 2 * MAX_REGIONS;
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
  readonly onRegion: ((made: MadeRegion) => void) | undefined;
}

/** Makes functions of WebAssembly of graphs of blocks. */
export class RegionMaker {
  readonly #means: RegionMeans;
  readonly #procedures: DecodedInstruction[] = [];
  #modules: RegionModules | undefined;
  /** Regions that have imported the table. */
  #made = 0;
  #imports: JitImports | undefined;
  #hasX87 = false;

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
    const { view, records, table, experience, around, onRegion } = this.#means;
    const { block } = graph.entry;
    const unitControls = readUnitControls(view);
    const { segments } = around.place();
    const place = placeOf(block.address, block.user);
    const { isRestless, slow: slowPlaces } = experience;
    // Windows are of identity mappings: where code is not, data will hardly be.
    const isElsewhere = linearOf(block.linear) !== block.address;
    const slow = isElsewhere || isRestless || slowPlaces.has(place);
    const thorough = experience.thorough.has(place);
    const windows = slow ? undefined : new KnownWindows(view);
    const slotAt = (linear: bigint) => table.slotOf(block.user ? linear ^ USER_CODE : linear);
    const first = records.next;
    this.#modules ??= new RegionModules(around.shared);
    const { commons } = this.#modules;
    const body = new RegionCode(graph, {
      ...commons,
      slow: slow ? commons.slow : undefined,
      rights: isElsewhere ? (block.user ? TLB_OF_USER : 0) : undefined,
      windows,
      thorough,
      exactX87: experience.exactX87.has(place),
      x87: (name) => this.#x87Function(name),
      unitControls,
      segments,
      procedureNumber: (instruction) => this.#procedures.push(instruction) - 1,
      exitRecord: (rip, unused, reason, miss) => records.add(rip, unused, reason, miss),
      jumpRecord: (from) => this.#jumpRecord(from),
      slotOf: (rip) => slotAt(linearIn(block, rip)),
    }).build();
    const bytes = this.#modules.module(body);
    this.#imports ??= this.#makeImports();
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    this.#made++;
    const blocks = [...new Set(graph.nodes.map((node) => node.block))];
    onRegion?.({ blocks, module: bytes });
    return {
      linear: block.linear,
      address: block.address,
      codeSize: block.codeSize,
      rip: block.rip,
      limit: block.limit,
      segments,
      user: block.user,
      slot: slotAt(block.linear),
      pages: pagesOf(blocks),
      spans: blocks.flatMap(spansOf),
      unitControls: blocks.some((one) => one.unitControls !== undefined) ? unitControls : undefined,
      instructions: blocks.reduce((sum, one) => sum + one.offsets.length, 0),
      bytes: bytes.length,
      function: instance.exports.region,
      exits: [first, records.next],
      slow,
      thorough,
      knowsWindows: windows !== undefined,
      looks: 0,
    };
  }

  #jumpRecord(block: Block): number {
    const { records, jumps } = this.#means;
    const record = records.add(block.rip, 0, "jump");
    jumps.add(record, block.address);
    return record;
  }

  /** What regions call for x87; the first to ask has it made. */
  #x87Function(name: X87Function): Callee {
    const { around, table } = this.#means;
    const { memory, shared } = around;
    if (!this.#hasX87) {
      table.setSupport(instantiateX87(memory, shared), FIRST_X87_PLACE, FIRST_REGION_PLACE);
    }
    this.#hasX87 = true;
    return (this.#modules as RegionModules).commons.x87(name);
  }

  #makeImports(): JitImports {
    const { around, table } = this.#means;
    const { memory, shared, host, recordFault, procedure } = around;
    const { table: regions, settleFlags } = around.ties(false);
    const support = instantiateSupport(memory, shared, host, {
      ...{ recordFault, settleFlags },
      procedure: (number) => (procedure(this.#procedures[number] as DecodedInstruction) ? 0 : 1),
    });
    table.setSupport(support, FIRST_SUPPORT_PLACE, FIRST_X87_PLACE);
    return { jit: { memory, regions } };
  }
}

/** Linear address of an offset in the code segment of a block. */
export function linearIn({ linear, rip: start, codeSize }: Block, rip: bigint): bigint {
  const base = linear - start;
  return linearAddress({ base, rip, codeSize }, 0);
}
