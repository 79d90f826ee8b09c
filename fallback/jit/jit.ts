import type { Translations } from "../../src/core/translations.ts";
import { MILLISECOND } from "../../src/core/units.ts";
import { type Block, placeOf } from "../interpreter/block.ts";
import { HEADER } from "../interpreter/record.ts";
import type { CodePage } from "../memory/code-tlb.ts";
import { STATE } from "../state.ts";
import { Callees } from "./callees.ts";
import { type Discovery, discover, remembering, targetsWithin } from "./discovery.ts";
import { Effort, isWorthwhile, weightOf } from "./effort.ts";
import { ExitRecords } from "./exit-records.ts";
import { Experience } from "./experience.ts";
import { Heat } from "./heat.ts";
import { Keeping } from "./keeping.ts";
import { WindowSets } from "./known-windows.ts";
import { LaidAside } from "./laid-aside.ts";
import { LearntJumps } from "./learnt-jumps.ts";
import { linearIn } from "./node.ts";
import { Postponed } from "./postponed.ts";
import { type Region, RegionCache } from "./region.ts";
import { MAX_REGIONS, type MadeRegion, RegionMaker, type RegionMeans } from "./region-maker.ts";
import { RegionTable } from "./region-table.ts";
import type { JitSurroundings } from "./surroundings.ts";

const PAGE_SIZE = 4096;
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_BACK_OFF = 12;
/** How much more often a block that is in a region has to be entered to get its own. */
const COVERED = 4;
/** A function that was called so often is going to be called again. */
const FEW_CALLS = 4;
/** After so many jumps out of a region it is worth a large one. */
const HOT_EXITS = 2 ** 22;
/** How often windows are moved for a region before it gets along without. */
const MAX_LOOKS = 8;

/** Of the instructions that are in regions: as many more are worth keeping all regions again. */
const WORTH_KEEPING = 64;

export interface JitOptions {
  /** How often a block is entered before it is translated. */
  readonly threshold: number;
  /** How many instructions hot code executes before any of it is translated; none if not given. */
  readonly patience?: number;
  /** What {@link keep} was given in an earlier run of the same guest. */
  readonly kept?: Translations | undefined;
  /** Takes what is to be kept for the next run; undefined: what has been kept is of no use any more. */
  readonly keep?: ((translations: Translations | undefined) => void) | undefined;
  /** Hears of each region that is made. */
  readonly onRegion?: ((made: MadeRegion) => void) | undefined;
}

/** For tests: gives a region's function, which takes what `REGION_SIGNATURE` says. */
export type LoneRegion = () => (depth: number) => bigint;

/** Figures for `--stats`. */
export interface JitFigures {
  regions: number;
  instructions: number;
  bytes: number;
  /** Nanoseconds. */
  time: number;
  dropped: number;
}

/** Translates hot blocks, and those that they lead to, to regions: functions of WebAssembly. */
export class Jit {
  readonly figures: JitFigures = { regions: 0, instructions: 0, bytes: 0, time: 0, dropped: 0 };
  readonly #options: JitOptions;
  readonly #effort: Effort;
  readonly #heat: Heat;
  readonly #around: JitSurroundings;
  readonly #view: DataView;
  readonly #table: RegionTable;
  readonly #regions = new RegionCache();
  readonly #records: ExitRecords;
  readonly #maker: RegionMaker;
  readonly #keeping: Keeping;
  readonly #laidAside: LaidAside;
  readonly #experience = new Experience();
  /** How often the code on a page has been dropped. */
  readonly #drops = new Map<number, number>();
  readonly #jumps = new LearntJumps();
  readonly #windows: WindowSets;
  /** Places of blocks that are in regions, and have not been executed in this run. */
  readonly #expected = new Set<number>();
  readonly #callees = new Callees();
  readonly #postponed = new Postponed();

  constructor(options: JitOptions, around: JitSurroundings) {
    this.#options = options;
    this.#effort = new Effort(options.patience ?? 0, () => around.executed());
    this.#around = around;
    const { buffer } = around.memory;
    this.#view = new DataView(buffer);
    this.#heat = new Heat(this.#view);
    this.#windows = new WindowSets(this.#view);
    this.#table = new RegionTable(around.ties(false).table, buffer);
    this.#records = new ExitRecords(buffer);
    const means: RegionMeans = {
      ...{ around, view: this.#view, table: this.#table, records: this.#records },
      ...{ jumps: this.#jumps, experience: this.#experience, windows: this.#windows },
      isLive: (region) => this.#regions.at(region) === region,
      onRegion: options.onRegion,
    };
    this.#maker = new RegionMaker(means);
    this.#laidAside = new LaidAside(this.#maker);
    this.#keeping = new Keeping(means, this.#maker, options.kept);
    around.blocks.onForget = () => this.#table.unlinkAll();
    // Which bytes of a page regions are made of is known by the blocks.
    around.blocks.onFull = () => this.clear();
  }

  /** What is to be kept for the next run, if anything was translated, or optimised by V8, that has not been kept yet. */
  keep(): void {
    const { keep } = this.#options;
    if (keep === undefined) return;
    const regions = this.#regions.all;
    const all = regions.reduce((sum, { instructions }) => sum + instructions, 0);
    const isMore = this.figures.instructions > all / WORTH_KEEPING;
    if (isMore || this.#maker.hasGained) keep(this.#keeping.keep(regions, this.#laidAside.all));
  }

  /** Takes up a region that was made before, in an earlier run too. Returns whether there is one for the block. */
  #takeUp(block: Block): boolean {
    const before = this.#laidAside.take(block);
    const region = before ?? this.#keeping.take(block);
    if (region === undefined) return false;
    for (const { page, from, to } of region.spans) {
      this.#around.blocks.cover(page, from, to);
      this.#around.mark(page);
    }
    this.#add(region);
    // As if it had been made: what is lukewarm gets no more of the time than in the run before.
    if (before === undefined) this.#effort.spend(region.instructions);
    return true;
  }

  /** What `--stats` prints. */
  get notes(): readonly (readonly [string, string])[] {
    const { regions, instructions, bytes, time, dropped } = this.figures;
    const { count, optimised } = this.#keeping;
    const ready = optimised > 0 ? `, ${optimised} as machine code` : "";
    const earlier = count > 0 ? `${count} regions of an earlier run${ready}; ` : "";
    const made = `${earlier}${regions} regions of ${instructions} instructions in ${bytes} bytes`;
    const took = `${(time / MILLISECOND).toFixed(1)} ms`;
    const exits = this.#records.exits.map(([reason, count]) => `${reason} ${count}`);
    return [
      ["jit", `${made}, ${took}; ${dropped} dropped`],
      ["jit exits", exits.join(", ")],
    ];
  }

  /** Those that may run again: for tests. */
  get live(): readonly Region[] {
    return this.#regions.all;
  }

  /** A block has been found at its linear address: whether it is interpreted, or a region runs. */
  found(block: Block): void {
    const region = this.#regions.at(block);
    const usable = region !== undefined && this.#isFor(region, block);
    const place = usable ? this.#table.placeOf(region.slot) : 0;
    this.#view.setInt32(block.header + HEADER.REGION, place, true);
    if (!usable && this.#heat.isOver(block)) this.#cool(block);
  }

  /** A block is new: it will be {@link compile}d when it is hot. */
  added(block: Block): void {
    if (block.calls !== undefined) this.#callees.add(linearIn(block, block.calls));
    this.#cool(block);
    if (!this.#takeUp(block) && this.#expected.delete(placeOf(block.address, block.user)))
      this.#covered(block);
  }

  /** A block is in a region now, and will hardly be entered any more from elsewhere. */
  #covered(block: Block): void {
    if (this.#view.getInt32(block.header + HEADER.REGION, true) !== 0) return;
    this.#heat.begin(block, this.#options.threshold * COVERED);
  }

  /** Lets a block be interpreted for another while. */
  #cool(block: Block): void {
    let drops = 0;
    for (const page of this.#drops.size > 0 ? block.pages : []) {
      drops = Math.max(drops, this.#drops.get(page) ?? 0);
    }
    this.#heat.begin(block, this.#options.threshold * (1 << Math.min(drops, MAX_BACK_OFF)));
    this.#view.setInt32(block.header + HEADER.REGION, 0, true);
  }

  /** A block is hot. */
  compile(block: Block): void {
    if (!isWorthwhile(block)) return;
    if (this.#takeUp(block)) {
      this.found(block);
      return;
    }
    const { threshold } = this.#options;
    const isAllowed = this.#effort.allows(threshold * weightOf(block));
    const missing = Math.ceil(threshold * this.#effort.demand) - this.#heat.entered(block);
    if (isAllowed && missing <= 0) this.#translate(() => this.#discoverFor(block));
    else this.#heat.extend(block, Math.max(threshold, missing));
    if (!isAllowed) this.#postponed.add(block);
  }

  /** Whether there is anything to translate while the guest has nothing to do. */
  get hasSpareWork(): boolean {
    return this.#effort.allowsSpare && this.#postponed.any;
  }

  /** Translates a block that was hot too early, if it is still there. */
  doSpareWork(): void {
    const block = this.#postponed.take();
    if (block === undefined || this.#around.known(block.rip) !== block) return;
    if (this.#regions.at(block) === undefined) this.#translate(() => this.#discoverFor(block));
  }

  /**
   * What to translate where a block is hot: the function that it is in if that is called again
   * and again, so that its loops do not become regions one by one, from the inside out.
   */
  #discoverFor(block: Block): Discovery {
    const rip = this.#callees.before(block.linear);
    const callee =
      rip === undefined
        ? undefined
        : this.#around.known(BigInt.asUintN(64, rip - block.linear + block.rip));
    if (callee !== undefined && callee !== block && this.#isCalled(callee)) {
      const found = this.#discover(callee);
      if (found.blocks.includes(block)) return found;
    }
    return this.#discover(block);
  }

  /** Whether a block has been entered more than a few times, and has no region. */
  #isCalled(block: Block): boolean {
    return this.#regions.at(block) === undefined && this.#heat.entered(block) >= FEW_CALLS;
  }

  #discover(block: Block): Discovery {
    return discover(block, {
      executed: remembering((rip) => this.#around.known(rip)),
      wide: ({ address, user }) => this.#experience.wide.has(placeOf(address, user)),
      begins: (one) => this.#regions.at(one) !== undefined,
      learnt: ({ address }) => this.#jumps.at(address),
      wordAt: (linear) => this.#around.wordAt(linear),
    });
  }

  #translate(find: () => Discovery): void {
    const start = this.#around.now();
    this.#makeRegion(find());
    this.figures.time += this.#around.now() - start;
  }

  #makeRegion(discovery: Discovery): void {
    this.#makeRoom();
    const region = this.#maker.make(discovery);
    this.#effort.spend(discovery.instructions);
    this.#add(region);
    this.#maker.pack(region);
    // It is found when it is next entered: just now another mode may lead there.
    this.#around.blocks.forgetBlock(discovery.blocks[0] as Block);
    const { figures } = this;
    figures.regions++;
    figures.instructions += region.instructions;
    figures.bytes += region.body.length;
  }

  #add(region: Region): void {
    this.#regions.add(region);
    const { user } = region;
    for (const address of region.covers) {
      const block = this.#around.blocks.at(address, user);
      if (block === undefined) this.#expected.add(placeOf(address, user));
      else if (address !== region.address) this.#covered(block);
    }
  }

  /**
   * One block as a function that leaves nothing to others that it could do: for tests, which may have
   * many made before they ask for the first, as `RegionMaker.alone` has it.
   */
  alone(block: Block): LoneRegion {
    this.#makeRoom();
    const place = placeOf(block.address, block.user);
    this.#experience.slow.add(place);
    this.#experience.thorough.add(place);
    const discovery = discover(block, {
      ...{ executed: () => undefined, learnt: () => [], wordAt: () => undefined },
      ...{ wide: () => false, begins: () => false },
    });
    return this.#maker.alone(discovery) as LoneRegion;
  }

  /** A region has often been left by a record. */
  look(record: number): void {
    const region = this.#regions.leavingBy(record);
    if (region === undefined) return;
    const reason = this.#records.reason(record);
    if (reason === "case") this.#lookAtCase(region);
    else if (reason === "windows") this.#lookAtWindows(region);
    else if (reason === "jump") this.#lookAtJump(region, record);
    else this.#lookAtMemory(region, record);
  }

  /** It is made again for windows as they are now: without relying on them, if they are restless. */
  #lookAtWindows(region: Region): void {
    const { windows } = region;
    this.#experience.windowsChanged();
    // They may have lost what the region never needed.
    const holds = windows !== undefined && this.#windows.holds(windows);
    const isRestless = region.paged ? this.#experience.isWideRestless : this.#experience.isRestless;
    if (!holds || isRestless) this.#remake(region);
  }

  /** From now on it does rare cases itself. */
  #lookAtCase(region: Region): void {
    const { thorough, exactX87 } = this.#experience;
    const place = placeOf(region.address, region.user);
    if (!region.thorough) thorough.add(place);
    else if (!exactX87.has(place)) exactX87.add(place);
    else return;
    this.#remake(region);
  }

  /** It is made again with more targets of a jump. */
  #lookAtJump(region: Region, record: number): void {
    const target = this.#view.getBigUint64(STATE.RIP, true);
    const exits = this.#records.count(record);
    const { wide } = this.#experience;
    const place = placeOf(region.address, region.user);
    const isHot = exits >= HOT_EXITS && !wide.has(place);
    if (isHot) wide.add(place);
    const jump = this.#jumps.learn(record, target, exits);
    const gains = jump !== undefined && this.#gains(region, jump);
    if (isHot || gains) this.#remake(region);
  }

  /** Whether more targets of a jump would be in the region if it were made again. */
  #gains({ address, user }: Region, jump: number): boolean {
    const entry = this.#around.blocks.at(address, user);
    if (entry === undefined) return false;
    return this.#jumps.isWorthwhile(jump, targetsWithin(this.#discover(entry), jump));
  }

  #lookAtMemory(region: Region, record: number): void {
    if (region.slow) return;
    const { area, access } = this.#records.missed(record);
    const linear = this.#view.getBigInt64(STATE.ADDRESS, true);
    // Frames are looked for in the stack's windows by all.
    const looksAtWindows = !region.paged || area === "stack";
    const moved = looksAtWindows && this.#around.moveWindow(area, access, linear);
    region.looks += moved ? 1 : MAX_LOOKS / 2;
    if (region.looks < MAX_LOOKS) {
      if (moved && region.windows !== undefined && access === "read") this.#lookAtWindows(region);
      return;
    }
    const place = placeOf(region.address, region.user);
    if (region.paged && region.windows !== undefined && access === "read") {
      this.#experience.scattered.add(place);
      this.#experience.windowsChanged();
    } else if (region.paged) this.#experience.slow.add(place);
    else {
      this.#experience.paged.add(place);
      this.#experience.windowsChanged();
    }
    this.#remake(region);
  }

  #remake(region: Region): void {
    this.#drop(region);
    const entry = this.#around.blocks.at(region.address, region.user);
    if (entry !== undefined) this.#translate(() => this.#discover(entry));
  }

  /**
   * Bytes of a guest physical page have changed: regions that were made from them are dropped.
   * @returns whether other regions have code on the page
   */
  dropBytes(page: number, from: number, to: number): boolean {
    const regions = this.#regions.on(page);
    const changed = regions.filter(({ spans }) =>
      spans.some((span) => span.page === page && span.from < to && from < span.to),
    );
    for (const region of changed) {
      this.#drop(region);
      this.#laidAside.add(region);
    }
    if (changed.length > 0) this.#drops.set(page, (this.#drops.get(page) ?? 0) + 1);
    return changed.length < regions.length;
  }

  /** Lets there be place for one more region, and for all that it may refer to. */
  #makeRoom(): void {
    const { count, bytes } = this.#regions;
    if (this.#maker.isWorn) {
      this.clear();
      this.#maker.renew();
    } else if (count >= MAX_REGIONS || bytes > MAX_BYTES || !this.#maker.hasRoom) this.clear();
  }

  /** Forgets all regions. */
  clear(): void {
    this.#around.blocks.forgetJumps();
    this.#regions.clear();
    this.#table.clear();
    this.#records.clear();
    this.#maker.clear();
    this.#jumps.clear();
    this.#experience.clear();
    this.#windows.clear();
    this.#expected.clear();
    this.#laidAside.clear();
    this.#keeping.clear();
    if (this.figures.regions + this.#keeping.count === 0) this.#keeping.expect();
    this.#postponed.clear();
  }

  #drop(region: Region): void {
    this.#regions.remove(region);
    this.#table.remove(region.slot);
    const entry = this.#around.blocks.at(region.address, region.user);
    if (entry !== undefined) this.#cool(entry);
    this.figures.dropped++;
  }

  /** Links it, if it may stand for the block now. */
  #isFor(region: Region, block: Block): boolean {
    const { linear, pages, slot } = region;
    if (!this.#maker.isMadeFor(region, block)) return false;
    const found: CodePage[] = [];
    for (const [number, physical] of pages) {
      const page = this.#around.pageAt(number * PAGE_SIZE);
      if (page?.address !== physical * PAGE_SIZE) return false;
      found.push(page);
    }
    for (const page of found) {
      page.slots.add(slot);
      this.#around.blocks.tie(block, page);
    }
    if (!this.#table.leadsTo(slot, region.function))
      this.#table.link(slot, linear, region.function);
    return true;
  }

  /** The linear addresses of a page of code may mean something else from now on. */
  forgetPage(page: CodePage): void {
    for (const slot of page.slots) this.#table.unlink(slot);
  }
}
