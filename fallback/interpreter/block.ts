import type { CodePage } from "../memory/code-tlb.ts";
import { linearOf } from "../memory/linear.ts";
import {
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_SIZE,
  JUMP_CACHE_SHIFT,
  RECORDS,
  RECORDS_END,
  STATE,
} from "../state.ts";
import type { DecodedInstruction } from "./decoder.ts";
import { microIndex } from "./handlers.ts";
import { PageBlocks } from "./page-blocks.ts";
import { HEADER, NO_KEY, RECORD, RECORD_SIZE } from "./record.ts";

const PAGE_SIZE = 4096;
/**
 * Of a key's upper half: no address has it unlike its highest bit. One that has is put aside; NO_KEY is
 * none, whatever this bit is.
 */
const ABSENT = 1 << 29;
/** From so many on, emptying the jump cache as a whole is quicker. */
const MANY_JUMPS = 2048;

/** Straight-line code that was decoded, as TypeScript knows it. */
export interface Block {
  /** Memory offset of its header record. */
  readonly header: number;
  /** Offset in the code segment of the first instruction. */
  readonly rip: bigint;
  /** The halves of it, signed. */
  readonly startLow: number;
  readonly startHigh: number;
  readonly linear: bigint;
  /** Where {@link linear} is in the jump cache. */
  readonly jump: number;
  readonly codeSize: 16 | 32 | 64;
  /** The code segment's, which it was translated for. */
  readonly limit: bigint;
  /** Guest physical address of the first byte. */
  readonly address: number;
  /** Whether it was translated for user's rights. */
  readonly user: boolean;
  /** Whether it is one instruction for a step: there may be a longer block at the same address. */
  readonly single: boolean;
  /** Guest physical page numbers that its bytes are on: one, or two. */
  readonly pages: readonly number[];
  /** The bits of CR0 and CR4 that it was translated for, if it has any instructions they concern. */
  readonly unitControls: number | undefined;
  /** Number of its instructions. */
  readonly count: number;
  /** Bytes of all its instructions. */
  readonly length: number;
  /** Offset in the code segment of what a call at its end names; undefined without one. */
  readonly calls: bigint | undefined;
  /** Of each instruction: bytes from the block's start. */
  readonly offsets: readonly number[];
  /** Memory offset of the end of its instructions' records. */
  readonly recordsEnd: number;
  /** Which of its instructions the interpreter's module has no code of: procedures, and what has a handler beside it. */
  readonly handledBeside: readonly number[];
  /** Decoded anew when they are asked for, if they have not been kept. */
  readonly instructions: readonly DecodedInstruction[];
  /** One of them. */
  instruction(index: number): DecodedInstruction;
}

/** Finds again what a block is made of: nothing of that has changed. */
export interface BlockReader {
  /** Decodes one of its instructions. */
  instruction(block: Block, index: number): DecodedInstruction;
  /** {@link Block.offsets}, from its records. */
  offsets(block: Block): readonly number[];
  /** {@link Block.handledBeside}, likewise. */
  handledBeside(block: Block): readonly number[];
}

/**
 * A block that knows of its instructions what it is asked for: most code is executed once or twice, and nobody asks
 * for them. So the garbage collector has a tenth of the objects to carry.
 */
export class DecodedBlock implements Block {
  readonly header: number;
  readonly rip: bigint;
  readonly startLow: number;
  readonly startHigh: number;
  readonly linear: bigint;
  readonly jump: number;
  readonly codeSize: 16 | 32 | 64;
  readonly limit: bigint;
  readonly address: number;
  readonly user: boolean;
  readonly single: boolean;
  readonly pages: readonly number[];
  readonly unitControls: number | undefined;
  readonly count: number;
  readonly length: number;
  readonly calls: bigint | undefined;
  readonly recordsEnd: number;
  readonly #reader: BlockReader;
  #offsets: readonly number[] | undefined;
  /** Those that are known. */
  #instructions: (DecodedInstruction | undefined)[] | undefined;
  #isWhole: boolean;

  /** @param kept the instructions, if they are worth it */
  constructor(
    facts: Omit<Block, "instructions" | "instruction" | "jump" | "offsets" | "handledBeside">,
    reader: BlockReader,
    kept: DecodedInstruction[] | undefined,
  ) {
    this.header = facts.header;
    this.rip = facts.rip;
    this.startLow = facts.startLow;
    this.startHigh = facts.startHigh;
    this.linear = facts.linear;
    this.jump = jumpEntry(facts.linear);
    this.codeSize = facts.codeSize;
    this.limit = facts.limit;
    this.address = facts.address;
    this.user = facts.user;
    this.single = facts.single;
    this.pages = facts.pages;
    this.unitControls = facts.unitControls;
    this.count = facts.count;
    this.length = facts.length;
    this.calls = facts.calls;
    this.recordsEnd = facts.recordsEnd;
    this.#reader = reader;
    this.#offsets = undefined;
    this.#instructions = kept;
    this.#isWhole = kept !== undefined;
  }

  get offsets(): readonly number[] {
    this.#offsets ??= this.#reader.offsets(this);
    return this.#offsets;
  }

  get handledBeside(): readonly number[] {
    return this.#reader.handledBeside(this);
  }

  get instructions(): readonly DecodedInstruction[] {
    if (!this.#isWhole) for (let i = 0; i < this.count; i++) this.instruction(i);
    this.#isWhole = true;
    return this.#instructions as DecodedInstruction[];
  }

  instruction(index: number): DecodedInstruction {
    this.#instructions ??= [];
    const known = this.#instructions[index];
    if (known !== undefined) return known;
    const decoded = this.#reader.instruction(this, index);
    this.#instructions[index] = decoded;
    return decoded;
  }
}

/** All blocks, by the pages that their bytes are on, and by header. */
export class BlockCache {
  readonly #view: DataView;
  /** By number of the header's record. */
  readonly #byHeader: Block[] = [];
  readonly #byPage = new Map<number, PageBlocks>();
  #lastPage: PageBlocks | undefined;
  #next = FIRST_HEADER;
  /** Counts how often headers have begun to be given out anew. */
  #generation = 0;
  /** Headers that linear addresses lead to, maybe some twice; or too many to list. */
  readonly #remembered: number[] = [];
  /** Nobody knows any more where linear addresses lead. */
  onForget: () => void = () => {};
  /** There was no room for more blocks: all are gone. */
  onFull: () => void = () => {};

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
    this.clear();
  }

  /** Forgets all blocks. */
  clear(): void {
    this.#byHeader.forEach(({ jump }) => {
      this.#setEntry(jump, RECORDS);
    });
    this.#byHeader.length = 0;
    this.#generation++;
    this.#byPage.clear();
    this.#lastPage = undefined;
    this.#next = FIRST_HEADER;
    this.#unlink(RECORDS);
    this.#view.setUint16(RECORDS + RECORD.HANDLER, microIndex("enter"), true);
    this.forgetJumps();
  }

  /** Forgets where linear addresses lead: their mapping has changed. */
  forgetJumps(): void {
    // Real-mode code that changes modes for every service of the BIOS does this all the time.
    if (this.#remembered.length <= MANY_JUMPS) {
      for (const header of this.#remembered) this.#forgetHeader(header);
    } else {
      this.#byHeader.forEach(({ header }) => {
        this.#forgetHeader(header);
      });
    }
    this.#remembered.length = 0;
    this.onForget();
  }

  /** What is at a linear address will be asked for, when execution begins there. */
  forgetJump(linear: bigint): void {
    this.#setEntry(jumpEntry(linear), RECORDS);
    this.#unlink(RECORDS);
  }

  /** No linear address leads to a block: it will be asked for. */
  forgetBlock({ header }: Block): void {
    this.#forgetHeader(header);
  }

  /** Where a linear address leads to a block depends on a page. */
  tie({ header }: Block, page: CodePage): void {
    this.#headersOf(page).jumps.add(header);
  }

  /** Without headers that have been given out anew since. */
  #headersOf(page: CodePage): CodePage {
    if (page.generation !== this.#generation) {
      page.own.clear();
      page.jumps.clear();
      page.generation = this.#generation;
    }
    return page;
  }

  /** Forgets where the linear addresses of a page lead, until {@link revivePage}. */
  forgetPage(page: CodePage): void {
    const { own, jumps } = this.#headersOf(page);
    for (const header of own) this.#putAside(header, ABSENT);
    for (const header of jumps) this.#forgetHeader(header);
  }

  /**
   * Linear addresses of a page lead again to what they led to before {@link forgetPage}, as far as that
   * depends on this page only, as it does where no region is.
   */
  revivePage(page: CodePage): void {
    for (const header of this.#headersOf(page).own) {
      if (this.#view.getInt32(header + HEADER.REGION, true) === 0) this.#putAside(header, 0);
    }
  }

  /** Keeps a key from being found, or lets it be found again. */
  #putAside(header: number, absent: 0 | typeof ABSENT): void {
    const half = header + HEADER.KEY + 4;
    const high = this.#view.getInt32(half, true);
    const sign = (high >>> 2) & ABSENT;
    this.#view.setInt32(half, (high & ~ABSENT) | (sign ^ absent), true);
  }

  /** No linear address leads to a header any more, if it is one still. */
  #forgetHeader(header: number): void {
    if (this.byHeader(header) !== undefined) {
      this.#view.setBigInt64(header + HEADER.KEY, NO_KEY, true);
    }
  }

  /** A header that nothing is known of yet. */
  #unlink(header: number): void {
    this.#view.setBigInt64(header + HEADER.KEY, NO_KEY, true);
    this.#view.setInt32(header + HEADER.LINK, RECORDS, true);
  }

  #setEntry(entry: number, header: number): void {
    this.#view.setInt32(entry, header - RECORDS, true);
  }

  /** Room for `records` records; everything is forgotten when there is none. */
  allocate(records: number): number {
    if (this.#next + records * RECORD_SIZE > RECORDS_END) {
      this.clear();
      this.onFull();
    }
    const start = this.#next;
    this.#next += records * RECORD_SIZE;
    return start;
  }

  /** Gives back what the block allocated last does not need. @param end of its records */
  release(end: number): void {
    this.#next = end;
  }

  add(block: Block): void {
    const { address, user, single } = block;
    const old = this.#at(address, user, single);
    if (old !== undefined) this.#remove(old);
    this.#byHeader[recordNumber(block.header)] = block;
    this.#unlink(block.header);
    for (const page of block.pages) this.#on(page).add(block);
  }

  /** A region is made of bytes that no block may have been made of. @param page guest physical page number */
  cover(page: number, from: number, to: number): void {
    this.#on(page).cover(from, to);
  }

  #on(page: number): PageBlocks {
    let onPage = this.#known(page);
    if (onPage === undefined) {
      onPage = new PageBlocks(page);
      this.#byPage.set(page, onPage);
      this.#lastPage = onPage;
    }
    return onPage;
  }

  #known(page: number): PageBlocks | undefined {
    // Blocks that follow each other are on one page mostly.
    if (this.#lastPage?.page === page) return this.#lastPage;
    const onPage = this.#byPage.get(page);
    if (onPage !== undefined) this.#lastPage = onPage;
    return onPage;
  }

  #at(address: number, user: boolean, single: boolean): Block | undefined {
    return this.#known(Math.floor(address / PAGE_SIZE))?.at(address, user, single);
  }

  /** @param address guest physical, @param user whether it is for user's rights */
  at(address: number, user: boolean): Block | undefined {
    return this.#at(address, user, false);
  }

  /** The instruction at an address as a block for steps, if there has been such a step. */
  singleAt(address: number, user: boolean): Block | undefined {
    return this.#at(address, user, true);
  }

  byHeader(header: number): Block | undefined {
    return this.#byHeader[recordNumber(header)];
  }

  /** Makes jumps to the block's linear address find it. @param page that its first byte is on */
  rememberJump(block: Block, page: CodePage): void {
    const { header, jump, linear } = block;
    if (this.#remembered.length <= MANY_JUMPS) this.#remembered.push(header);
    if (block.pages.length === 1) this.#headersOf(page).own.add(header);
    else this.tie(block, page);
    const key = linear ^ this.#view.getBigUint64(STATE.CODE_KEY, true);
    this.#view.setBigUint64(header + HEADER.KEY, key, true);
    this.#setEntry(jump, header);
  }

  /** Those that may be executed again: for tests. */
  get live(): readonly Block[] {
    const pages = [...this.#byPage.values()];
    return pages.flatMap(({ all, page }) =>
      [...all].filter(({ pages: [first] }) => first === page),
    );
  }

  /** Whether a write to any of these bytes is one to code. @param page, from, to as below */
  covers(page: number, from: number, to: number): boolean {
    return this.#byPage.get(page)?.covers(from, to) === true;
  }

  /**
   * Whether bytes of a page are beside all code on it, that of regions included: these are made of blocks.
   * False from when that has been so very often: then it is better without the code.
   * @param page guest physical page number
   * @param from, to bytes as in {@link dropBytes}
   */
  isBeside(page: number, from: number, to: number): boolean {
    return this.#byPage.get(page)?.isBeside(from, to) === true;
  }

  /**
   * Bytes of a page have changed: forgets the blocks that are made of them. Only those, for boot
   * loaders keep variables among their code. A block that runs just now leaves before its next
   * instruction.
   * @param page guest physical page number
   * @param from first byte that changed, in the page
   * @param to byte after the last
   * @returns whether there is code on the page still
   */
  dropBytes(page: number, from: number, to: number): boolean {
    const blocks = this.#byPage.get(page);
    if (blocks === undefined) return false;
    for (const block of blocks.madeOf(from, to)) this.#remove(block);
    return blocks.size > 0;
  }

  #remove(block: Block): void {
    for (const page of block.pages) this.#byPage.get(page)?.delete(block);
    this.#forgetHeader(block.header);
    const first = block.header + RECORD_SIZE;
    for (let record = first; record < block.recordsEnd; record += RECORD_SIZE) {
      this.#view.setUint16(record + RECORD.HANDLER, microIndex("leave"), true);
    }
  }
}

/** Behind the header of no block. */
const FIRST_HEADER = RECORDS + RECORD_SIZE;
const recordNumber = (header: number): number => (header - RECORDS) / RECORD_SIZE;

/** One number of both. */
export const placeOf = (address: number, user: boolean): number => 2 * address + (user ? 1 : 0);

/** Number, signed, of a linear page that a block's bytes are on: 32-bit addresses go on at 0. */
export function linearPageOf(
  { linear, codeSize }: Pick<Block, "linear" | "codeSize">,
  index: number,
): number {
  const address = linear + BigInt(index * PAGE_SIZE);
  return Math.floor(linearOf(codeSize === 64 ? address : BigInt.asUintN(32, address)) / PAGE_SIZE);
}

/** As the interpreter's `enterBlock` computes it. */
export function jumpEntry(linear: bigint): number {
  // Only the lower half counts: the entries' number times two to the shift is 2^32.
  const low = Number(BigInt.asIntN(32, linear));
  const slot = (low ^ (low >>> JUMP_CACHE_SHIFT)) & (JUMP_CACHE_ENTRIES - 1);
  return JUMP_CACHE + slot * JUMP_CACHE_ENTRY_SIZE;
}
