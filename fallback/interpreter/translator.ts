import { generalProtection } from "../exceptions.ts";
import { isInterpreted } from "../isa/instruction.ts";
import type { OpcodeMap } from "../isa/opcode-map.ts";
import type { CodePage } from "../memory/code-tlb.ts";
import { linearOf } from "../memory/linear.ts";
import {
  type Block,
  type BlockCache,
  type BlockReader,
  DecodedBlock,
  linearPageOf,
} from "./block.ts";
import { type CodePlace, linearAddress, NextRip, withinLimit } from "./code-place.ts";
import {
  branchTarget,
  type DecodedInstruction,
  Decoder,
  InvalidOpcode,
  isRelative,
  NeedMoreBytes,
} from "./decoder.ts";
import { DECODED, type DecodeBlock, MAX_INSTRUCTION_LENGTH, MAX_INSTRUCTIONS } from "./decoding.ts";
import { TRAIT } from "./decoding-table.ts";
import type { HandlerIndex } from "./handlers.ts";
import { HEADER, RECORD, RECORD_SIZE } from "./record.ts";
import { RecordWriter } from "./record-writer.ts";
import { readUnitControls, unitFault, unitFaults } from "./units.ts";

/** Where code comes from. */
export interface CodeSource {
  /**
   * The page that code at a linear address is on.
   * @throws CpuException when it may not be executed
   */
  fetchPage(linear: number): CodePage;
  /** The same; undefined if a fetch would do more than fetch. */
  probePage(linear: number): CodePage | undefined;
  /** The bytes from a guest physical address to the end of its page. */
  page(address: number): Uint8Array;
  /** Code was translated from this guest physical page: writes to it must be noticed. */
  mark(page: number): void;
  /**
   * The block at a linear address is about to be executed.
   * @throws Leave where a debugger has the guest stop instead
   */
  enter(linear: bigint): void;
  /** Whether a debugger wants to stop before the instruction at a linear address: a block ends there. */
  breaksAt(linear: bigint): boolean;
  /** Whether it wants that anywhere. */
  readonly breaks: boolean;
  /** Whether an instruction is to count as unknown, since another processor will execute it. */
  leaves(instruction: DecodedInstruction): boolean;
  /** Whether there is such an instruction at all. */
  readonly leavesSome: boolean;
}

const PAGE_SIZE = 4096;
const NEVER_HOT = 0x7fff_ffff;
/** Records that one instruction takes at most. */
const RECORDS_PER_INSTRUCTION = 3;

/** What a block is made of. */
interface Made extends Pick<Block, "count" | "length" | "recordsEnd" | "calls"> {
  /** Memory offset of the end of all its records. */
  readonly end: number;
  readonly usesUnits: boolean;
  /** Guest physical page that it reaches into. */
  readonly nextPage: number | undefined;
  /** If they are worth keeping. */
  readonly instructions: DecodedInstruction[] | undefined;
}

/** Makes blocks of records from the guest's code. */
export class Translator {
  readonly #view: DataView;
  readonly #decoder: Decoder;
  readonly #writer: RecordWriter;
  readonly #handlers: HandlerIndex;
  decodeBlock: DecodeBlock;
  readonly #blocks: BlockCache;
  readonly #source: CodeSource;
  readonly #next = new NextRip();
  #lastPage: readonly number[] = [];
  /** Hears of each block that is made and kept. */
  onBlock: (block: Block) => void = () => {};

  /** @param decodeBlock `none` to do without */
  constructor(
    buffer: ArrayBuffer,
    map: OpcodeMap,
    handlers: HandlerIndex,
    blocks: BlockCache,
    source: CodeSource,
    decodeBlock: DecodeBlock,
  ) {
    this.#view = new DataView(buffer);
    this.#decoder = new Decoder(map);
    this.#handlers = handlers;
    this.#writer = new RecordWriter(buffer, handlers, this.#next);
    this.decodeBlock = decodeBlock;
    this.#blocks = blocks;
    this.#source = source;
  }

  /**
   * The block at a place, translated if need be.
   * @param single for a step: one instruction
   * @throws CpuException, InvalidOpcode, InstructionTooLong if not even one instruction can be had
   */
  block(place: CodePlace, single = false): Block {
    if (place.rip > place.limit) throw generalProtection();
    const linear = linearAddress(place, 0);
    if (!single) this.#source.enter(linear);
    const at = linearOf(linear);
    const page = this.#source.fetchPage(at);
    const address = page.address + (at & (PAGE_SIZE - 1));
    if (single) return this.#single(place, linear, address);
    const known = this.#blocks.at(address, place.user);
    if (known !== undefined && this.#isFor(known, place, linear)) {
      this.#remember(known, page);
      return known;
    }
    const block = this.#translate(place, linear, address, MAX_INSTRUCTIONS);
    this.#remember(block, page);
    this.onBlock(block);
    return block;
  }

  /** Accesses to devices are steps: the same few, again and again. */
  #single(place: CodePlace, linear: bigint, address: number): Block {
    const known = this.#blocks.singleAt(address, place.user);
    if (known === undefined || !this.#isFor(known, place, linear)) {
      return this.#translate(place, linear, address, 1);
    }
    for (const instruction of known.instructions) this.#own(instruction);
    return known;
  }

  #remember(block: Block, page: CodePage): void {
    this.#blocks.rememberJump(block, page);
    if (block.pages.length === 1) return;
    this.#blocks.tie(block, this.#source.fetchPage(linearPageOf(block, 1) * PAGE_SIZE));
  }

  /** The block at a place, if it has been executed before and would be entered now. */
  known(place: CodePlace): Block | undefined {
    const linear = linearAddress(place, 0);
    if (this.#source.breaksAt(linear)) return undefined;
    const at = linearOf(linear);
    const page = this.#source.probePage(at);
    if (page === undefined) return undefined;
    const block = this.#blocks.at(page.address + (at & (PAGE_SIZE - 1)), place.user);
    const probe = (next: number) => this.#source.probePage(next);
    return block !== undefined && this.#isFor(block, place, linear, probe) ? block : undefined;
  }

  /** @param pageAt throws where the block's second page may not be executed, or tells without a fault */
  #isFor(
    block: Block,
    place: CodePlace,
    linear: bigint,
    pageAt: (linear: number) => CodePage | undefined = (next) => this.#source.fetchPage(next),
  ): boolean {
    const { rip, codeSize, limit, unitControls, pages } = block;
    if (rip !== place.rip || codeSize !== place.codeSize || limit !== place.limit) return false;
    if (block.linear !== linear) return false;
    if (unitControls !== undefined && unitControls !== readUnitControls(this.#view)) return false;
    const [, second] = pages;
    if (second === undefined) return true;
    // It may have been mapped to another place than it was.
    return second * PAGE_SIZE === pageAt(linearPageOf(block, 1) * PAGE_SIZE)?.address;
  }

  #translate(place: CodePlace, linear: bigint, address: number, count: number): Block {
    const first = Math.floor(address / PAGE_SIZE);
    const bytes = withinLimit(place, this.#source.page(address));
    const header = this.#blocks.allocate(MAX_INSTRUCTIONS * RECORDS_PER_INSTRUCTION + 2);
    const controls = readUnitControls(this.#view);
    this.#next.begin(place);
    const single = count === 1;
    let made: Made;
    try {
      made =
        (single ? undefined : this.#decodeAtOnce(place, header, bytes, controls)) ??
        this.#decodeOneByOne(place, header, bytes, controls, count);
    } catch (error) {
      this.#blocks.release(header);
      throw error;
    }
    this.#blocks.release(made.end);
    const pages = made.nextPage === undefined ? this.#onePage(first) : [first, made.nextPage];
    const block = new DecodedBlock(
      {
        header,
        rip: place.rip,
        startLow: this.#next.startLow,
        startHigh: this.#next.startHigh,
        linear,
        codeSize: place.codeSize,
        limit: place.limit,
        address,
        user: place.user,
        pages,
        count: made.count,
        recordsEnd: made.recordsEnd,
        single,
        length: made.length,
        calls: made.calls,
        unitControls: made.usesUnits ? controls : undefined,
      },
      this.#reader,
      made.instructions,
    );
    for (const page of pages) this.#source.mark(page);
    this.#blocks.add(block);
    return block;
  }

  /** The same for all blocks on it in a row. */
  #onePage(page: number): readonly number[] {
    if (this.#lastPage[0] !== page) this.#lastPage = [page];
    return this.#lastPage;
  }

  /** As the function in WebAssembly does it; undefined where that leaves the first instruction to us. */
  #decodeAtOnce(
    { rip, limit, codeSize }: CodePlace,
    header: number,
    bytes: Uint8Array,
    controls: number,
  ): Made | undefined {
    const { breaks, leavesSome } = this.#source;
    if (breaks || leavesSome || bytes.buffer !== this.#view.buffer) return undefined;
    const { byteOffset, length: available } = bytes;
    const faults = unitFaults(controls);
    const count = this.decodeBlock(byteOffset, available, header, rip, limit, codeSize, faults);
    if (count === 0) return undefined;
    const view = this.#view;
    const traits = view.getUint32(DECODED.TRAITS, true);
    const calls = (traits & TRAIT.CALL) !== 0;
    return {
      count,
      length: view.getInt32(DECODED.LENGTH, true),
      recordsEnd: view.getInt32(DECODED.RECORDS_END, true),
      end: view.getInt32(DECODED.END, true),
      calls: calls ? view.getBigUint64(DECODED.CALLS, true) : undefined,
      usesUnits: (traits & TRAIT.UNIT) !== 0,
      nextPage: undefined,
      instructions: undefined,
    };
  }

  /** With all that may be in the way of an instruction. @param count at most */
  #decodeOneByOne(
    place: CodePlace,
    header: number,
    bytes: Uint8Array,
    controls: number,
    count: number,
  ): Made {
    const instructions: DecodedInstruction[] = [];
    let nextPage: number | undefined;
    let offset = 0;
    let record = header + RECORD_SIZE;
    let ended = false;
    let usesUnits = false;
    let isKept = count === 1;
    while (!ended && offset < bytes.length && instructions.length < count) {
      if (offset > 0 && this.#source.breaks && this.#breaksAt(place, offset)) break;
      const decoded = this.#decode(place, bytes, offset);
      if (decoded === undefined) break;
      const { instruction } = decoded;
      ({ nextPage } = decoded);
      const { form } = instruction;
      offset += instruction.length;
      this.#next.advance(offset);
      const fault = form.unit === undefined ? undefined : unitFault(form.unit, controls);
      const index = instructions.length;
      record = this.#writer.write(record, instruction, index, place, fault, count === 1);
      instructions.push(instruction);
      usesUnits ||= form.unit !== undefined;
      isKept ||= isProcedure(instruction);
      ended = form.instruction.ends !== undefined;
    }
    const recordsEnd = record;
    const last = instructions.at(-1);
    if (!ended || goesOn(last)) {
      this.#writer.writeGo(record);
      record += RECORD_SIZE;
    }
    this.#view.setInt32(header + HEADER.COUNT, instructions.length, true);
    this.#view.setInt32(header + HEADER.HEAT, NEVER_HOT, true);
    this.#view.setInt32(header + HEADER.REGION, 0, true);
    const kept = isKept || nextPage !== undefined ? instructions : undefined;
    const calls = calleeOf(last, place.codeSize, this.#next);
    const end = record;
    return {
      count: instructions.length,
      length: offset,
      recordsEnd,
      end,
      calls,
      usesUnits,
      nextPage,
      instructions: kept,
    };
  }

  #breaksAt(place: CodePlace, offset: number): boolean {
    return this.#source.breaksAt(linearAddress(place, offset));
  }

  /** The instruction that bytes begin with. */
  decode(bytes: Uint8Array, codeSize: CodePlace["codeSize"]): DecodedInstruction {
    return this.#decoder.decode(bytes, codeSize);
  }

  readonly #reader: BlockReader = {
    instruction: ({ address, codeSize, offsets }, index) =>
      this.#decoder.decode(this.#source.page(address), codeSize, offsets[index]),
    offsets: ({ header, recordsEnd, count }) => {
      const offsets = new Array<number>(count);
      let offset = 0;
      let next = 0;
      for (let record = header + RECORD_SIZE; record < recordsEnd; record += RECORD_SIZE) {
        const index = this.#view.getUint8(record + RECORD.INDEX);
        if (index === next) offsets[next++] = offset;
        offset += this.#view.getUint8(record + RECORD.LENGTH);
      }
      return offsets;
    },
    handledBeside: ({ header, recordsEnd }) => {
      const indices: number[] = [];
      for (let record = header + RECORD_SIZE; record < recordsEnd; record += RECORD_SIZE) {
        const handler = this.#view.getUint16(record + RECORD.HANDLER, true);
        if (!this.#handlers.isBeside(handler)) continue;
        indices.push(this.#view.getUint8(record + RECORD.INDEX));
      }
      return indices;
    },
  };

  /**
   * One instruction, and the second page that it is on. The first of a block may reach into the next
   * page, a later one ends the block before it, as does one that cannot be decoded: it will be the
   * first of its own.
   */
  #decode(
    place: CodePlace,
    bytes: Uint8Array,
    offset: number,
  ): { instruction: DecodedInstruction; nextPage: number | undefined } | undefined {
    try {
      const instruction = this.#own(this.#decoder.decode(bytes, place.codeSize, offset));
      return { instruction, nextPage: undefined };
    } catch (error) {
      if (offset > 0) return undefined;
      if (!(error instanceof NeedMoreBytes)) throw error;
    }
    const nextPage = this.#source.fetchPage(linearOf(linearAddress(place, bytes.length))).address;
    const next = this.#source.page(nextPage).subarray(0, MAX_INSTRUCTION_LENGTH);
    const joined = withinLimit(place, new Uint8Array([...bytes, ...next]));
    if (joined.length === bytes.length) throw generalProtection();
    try {
      const instruction = this.#own(this.#decoder.decode(joined, place.codeSize));
      return { instruction, nextPage: Math.floor(nextPage / PAGE_SIZE) };
    } catch (error) {
      throw error instanceof NeedMoreBytes ? generalProtection() : error;
    }
  }

  #own(instruction: DecodedInstruction): DecodedInstruction {
    if (this.#source.leaves(instruction)) throw new InvalidOpcode();
    return instruction;
  }
}

/** Without code of its own: the engine asks the block for the instruction. */
const isProcedure = ({ form }: DecodedInstruction): boolean => !isInterpreted(form.instruction);

/** Ends a block, but its code leaves it to the next record to go on. */
const goesOn = (last: DecodedInstruction | undefined): boolean =>
  last?.form.instruction.resumes === true && !isProcedure(last);

/** Where a call that a block ends with goes, if the code tells. */
function calleeOf(
  last: DecodedInstruction | undefined,
  codeSize: CodePlace["codeSize"],
  next: NextRip,
): bigint | undefined {
  if (last?.form.instruction.name !== "CALL" || !isRelative(last)) return undefined;
  return branchTarget(last, codeSize, next.rip);
}
