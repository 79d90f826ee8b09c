import type { Block, BlockCache } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { HEADER } from "../interpreter/record.ts";
import { readUnitControls } from "../interpreter/units.ts";
import { discover } from "./discovery.ts";
import { ExitRecords } from "./exit-records.ts";
import type { Graph } from "./graph.ts";
import { regionModule } from "./module.ts";
import { type Region, RegionCache } from "./region.ts";
import { RegionCode } from "./region-code.ts";
import { RegionTable } from "./region-table.ts";
import { instantiateSupport, type JitHost } from "./support.ts";

const PAGE_SHIFT = 12n;
const PAGE_SIZE = 4096;
const MAX_REGIONS = 1500;
const MAX_BYTES = 32 * 1024 * 1024;
/** Exit records that a region may need, at most. */
const EXITS_OF_REGION = 8192;
const MAX_BACK_OFF = 12;

export interface JitOptions {
  /** How often a block is entered before it is translated. */
  readonly threshold: number;
}

/** What the JIT needs of the processor around it. */
export interface JitSurroundings {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly table: WebAssembly.Table;
  readonly blocks: BlockCache;
  readonly host: JitHost;
  readonly settleFlags: unknown;
  /** Guest physical address of the code at a linear one; -1 if a fetch would do more than fetch. */
  codeAt(linear: bigint): number;
  /** The block at an offset, if it has been executed before and would be executed from there now. */
  known(rip: bigint, address: number): Block | undefined;
  recordFault(): void;
  /** Executes an instruction that has no code. Returns whether to go on behind it. */
  procedure(instruction: DecodedInstruction): boolean;
  now(): number;
}

type JitImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Figures for `--stats`. */
export interface JitFigures {
  regions: number;
  instructions: number;
  bytes: number;
  /** In the unit of `JitSurroundings.now`. */
  time: number;
  dropped: number;
}

/** Translates hot blocks, and those that they lead to, to regions: functions of WebAssembly. */
export class Jit {
  readonly figures: JitFigures = { regions: 0, instructions: 0, bytes: 0, time: 0, dropped: 0 };
  readonly #options: JitOptions;
  readonly #around: JitSurroundings;
  readonly #view: DataView;
  readonly #table: RegionTable;
  readonly #regions = new RegionCache();
  readonly #records: ExitRecords;
  readonly #procedures: DecodedInstruction[] = [];
  /** How often the code on a page has been dropped. */
  readonly #drops = new Map<number, number>();
  #imports: JitImports | undefined;

  constructor(options: JitOptions, around: JitSurroundings) {
    this.#options = options;
    this.#around = around;
    const { buffer } = around.memory;
    this.#view = new DataView(buffer);
    this.#table = new RegionTable(around.table);
    this.#records = new ExitRecords(buffer);
    around.blocks.onForget = () => this.#table.unlinkAll();
  }

  /** A block has been found at its linear address: whether it is interpreted, or a region runs. */
  found(block: Block): void {
    const region = this.#regions.at(block.address);
    const usable = region !== undefined && this.#isFor(region, block);
    if (usable) this.#table.link(region.slot, region.function);
    this.#view.setInt32(block.header + HEADER.REGION, usable ? region.slot : 0, true);
    if (!usable && this.#view.getInt32(block.header + HEADER.HEAT, true) <= 0) this.#cool(block);
  }

  /** A block is new: it will be {@link compile}d when it is hot. */
  added(block: Block): void {
    if (block.codeSize === 64) this.#cool(block);
  }

  #cool(block: Block): void {
    const drops = Math.max(...block.pages.map((page) => this.#drops.get(page) ?? 0));
    const heat = this.#options.threshold * 2 ** Math.min(drops, MAX_BACK_OFF);
    this.#view.setInt32(block.header + HEADER.HEAT, heat, true);
    this.#view.setInt32(block.header + HEADER.REGION, 0, true);
  }

  /** A block is hot. */
  compile(block: Block): void {
    if (!this.#isWorthwhile(block)) return;
    if (this.#regions.count >= MAX_REGIONS || this.#regions.bytes > MAX_BYTES) this.clear();
    if (!this.#records.hasRoom(EXITS_OF_REGION)) this.clear();
    const start = this.#around.now();
    const graph = discover(block, (rip, from) => this.#executed(rip, from));
    const region = this.#make(graph);
    this.#regions.add(region);
    this.found(block);
    const { figures } = this;
    figures.regions++;
    figures.instructions += region.instructions;
    figures.bytes += region.bytes;
    figures.time += this.#around.now() - start;
  }

  /** The code on a guest physical page has changed. */
  dropPage(page: number): void {
    const regions = this.#regions.on(page);
    for (const region of regions) this.#drop(region);
    if (regions.length > 0) this.#drops.set(page, (this.#drops.get(page) ?? 0) + 1);
  }

  /** Forgets all regions. */
  clear(): void {
    this.#around.blocks.forgetJumps();
    this.#regions.clear();
    this.#table.clear();
    this.#records.clear();
    this.#procedures.length = 0;
  }

  #drop(region: Region): void {
    this.#regions.remove(region);
    this.#table.unlink(region.slot);
    const entry = this.#around.blocks.at(region.address);
    if (entry !== undefined) this.#cool(entry);
    this.figures.dropped++;
  }

  /** Something has to be executed before control leaves. */
  #isWorthwhile({ instructions }: Block): boolean {
    const { meaning, ends } = instructions[0]?.form.instruction ?? {};
    return meaning !== undefined || ends === undefined;
  }

  #isFor(region: Region, block: Block): boolean {
    const { linear, codeSize, unitControls, pages } = region;
    if (linear !== block.linear || codeSize !== block.codeSize) return false;
    if (unitControls !== undefined && unitControls !== readUnitControls(this.#view)) return false;
    for (const [page, physical] of pages) {
      if (this.#around.codeAt(page << PAGE_SHIFT) !== physical * PAGE_SIZE) return false;
    }
    return true;
  }

  #executed(rip: bigint, from: Block): Block | undefined {
    const linear = BigInt.asUintN(64, from.linear - from.rip + rip);
    const address = this.#around.codeAt(linear);
    return address < 0 ? undefined : this.#around.known(rip, address);
  }

  #make(graph: Graph): Region {
    const { shared } = this.#around;
    const { block } = graph.entry;
    const unitControls = readUnitControls(this.#view);
    const bytes = regionModule(shared, (imports) =>
      new RegionCode(graph, {
        ...imports,
        unitControls,
        procedureNumber: (instruction) => this.#procedures.push(instruction) - 1,
        exitRecord: (rip, unused) => this.#records.add(rip, unused),
        slotOf: (rip) => this.#table.slotOf(rip),
      }).build(),
    );
    this.#imports ??= this.#makeImports();
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    const blocks = graph.nodes.map((node) => node.block);
    return {
      linear: block.linear,
      address: block.address,
      codeSize: block.codeSize,
      slot: this.#table.slotOf(block.linear),
      pages: pagesOf(blocks),
      unitControls: blocks.some((one) => one.unitControls !== undefined) ? unitControls : undefined,
      instructions: blocks.reduce((sum, one) => sum + one.offsets.length, 0),
      bytes: bytes.length,
      function: instance.exports.region,
    };
  }

  #makeImports(): JitImports {
    const { memory, shared, host, settleFlags, table, recordFault, procedure } = this.#around;
    return {
      jit: {
        ...instantiateSupport(memory, shared, host, recordFault),
        ...{ memory, regions: table, settleFlags },
        procedure: (number: number) =>
          procedure(this.#procedures[number] as DecodedInstruction) ? 0 : 1,
      },
    };
  }
}

/** The guest physical page of each linear page that blocks are on. */
function pagesOf(blocks: readonly Block[]): Map<bigint, number> {
  const pages = new Map<bigint, number>();
  for (const { linear, pages: physical } of blocks) {
    for (const [n, page] of physical.entries()) {
      pages.set((linear >> PAGE_SHIFT) + BigInt(n), page);
    }
  }
  return pages;
}
