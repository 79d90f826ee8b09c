import { generalProtection } from "../exceptions.ts";
import type { OpcodeMap } from "../isa/opcode-map.ts";
import type { CodePage } from "../memory/code-tlb.ts";
import { linearOf } from "../memory/linear.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { type Block, type BlockCache, DecodedBlock } from "./block.ts";
import { type CodePlace, linearAddress, NextRip, withinLimit } from "./code-place.ts";
import {
  type Address,
  type DecodedInstruction,
  Decoder,
  InvalidOpcode,
  MAX_INSTRUCTION_LENGTH,
  NeedMoreBytes,
} from "./decoder.ts";
import { type HandlerIndex, microIndex } from "./handlers.ts";
import type { MemoryAccess } from "./memory-access.ts";
import { HEADER, RECORD, RECORD_SIZE } from "./record.ts";
import { registerSlot } from "./register-slot.ts";
import { readUnitControls, unitFault } from "./units.ts";

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
}

const PAGE_SIZE = 4096;
const MAX_INSTRUCTIONS = 48;
const NEVER_HOT = 0x7fff_ffff;
/** Records that one instruction takes at most. */
const RECORDS_PER_INSTRUCTION = 3;
const FAULT = microIndex("fault");
const PROCEDURE = microIndex("procedure");
const ADDRESS_MASK = { 16: 0xffffn, 32: 0xffff_ffffn, 64: -1n } as const;

/** Makes blocks of records from the guest's code. */
export class Translator {
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #decoder: Decoder;
  readonly #handlers: HandlerIndex;
  readonly #blocks: BlockCache;
  readonly #source: CodeSource;
  readonly #next = new NextRip();
  /** Hears of each block that is made and kept. */
  onBlock: (block: Block) => void = () => {};

  constructor(
    buffer: ArrayBuffer,
    map: OpcodeMap,
    handlers: HandlerIndex,
    blocks: BlockCache,
    source: CodeSource,
  ) {
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    this.#decoder = new Decoder(map);
    this.#handlers = handlers;
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
    const next = this.#source.fetchPage((page.number + 1) * PAGE_SIZE);
    next.jumps.add(block.jump);
  }

  /** The block at a place, if it has been executed before and would be entered now. */
  known(place: CodePlace): Block | undefined {
    const linear = linearAddress(place, 0);
    if (this.#source.breaksAt(linear)) return undefined;
    const at = linearOf(linear);
    const page = this.#source.probePage(at);
    if (page === undefined) return undefined;
    const block = this.#blocks.at(page.address + (at & (PAGE_SIZE - 1)), place.user);
    return block !== undefined && this.#isFor(block, place, linear) ? block : undefined;
  }

  #isFor(block: Block, place: CodePlace, linear: bigint): boolean {
    const { rip, codeSize, limit, unitControls, address, pages } = block;
    if (rip !== place.rip || codeSize !== place.codeSize || limit !== place.limit) return false;
    if (block.linear !== linear) return false;
    if (unitControls !== undefined && unitControls !== readUnitControls(this.#view)) return false;
    const [, second] = pages;
    // The second page may have been mapped to another place than it was.
    const inFirst = PAGE_SIZE - (address % PAGE_SIZE);
    return second === undefined || second === this.#pageOf(linearAddress(place, inFirst));
  }

  /** Guest physical page number. */
  #pageOf(linear: bigint): number {
    return Math.floor(this.#source.fetchPage(linearOf(linear)).address / PAGE_SIZE);
  }

  #translate(place: CodePlace, linear: bigint, address: number, count: number): Block {
    const header = this.#blocks.allocate(MAX_INSTRUCTIONS * RECORDS_PER_INSTRUCTION + 2);
    const pages = [Math.floor(address / PAGE_SIZE)];
    const instructions: DecodedInstruction[] = [];
    const offsets: number[] = [];
    const bytes = withinLimit(place, this.#source.page(address));
    const controls = readUnitControls(this.#view);
    let offset = 0;
    let record = header + RECORD_SIZE;
    let ended = false;
    let usesUnits = false;
    let isKept = count === 1;
    this.#next.begin(place);
    while (!ended && offset < bytes.length && instructions.length < count) {
      if (offset > 0 && this.#source.breaks && this.#breaksAt(place, offset)) break;
      const instruction = this.#decode(place, bytes, offset, pages, instructions.length);
      if (instruction === undefined) break;
      const { form } = instruction;
      offsets.push(offset);
      offset += instruction.length;
      this.#next.advance(offset);
      const fault = form.unit === undefined ? undefined : unitFault(form.unit, controls);
      record = this.#write(record, instruction, instructions.length, place, fault);
      instructions.push(instruction);
      usesUnits ||= form.unit !== undefined;
      isKept ||= isProcedure(instruction);
      ended = form.instruction.ends !== undefined;
    }
    const recordsEnd = record;
    if (!ended || goesOn(instructions.at(-1))) this.#writeGo(record);
    this.#blocks.release(record + RECORD_SIZE);
    this.#view.setInt32(header + HEADER.COUNT, instructions.length, true);
    this.#view.setInt32(header + HEADER.HEAT, NEVER_HOT, true);
    this.#view.setInt32(header + HEADER.REGION, 0, true);
    const facts = {
      header,
      rip: place.rip,
      linear,
      codeSize: place.codeSize,
      limit: place.limit,
      address,
      user: place.user,
      pages,
      offsets,
      recordsEnd,
      single: count === 1,
      length: offset,
      calls: calleeOf(instructions.at(-1), place.codeSize, this.#next),
      unitControls: usesUnits ? controls : undefined,
    };
    const kept = isKept || pages.length > 1 ? instructions : undefined;
    const block = new DecodedBlock(facts, this.#decodeAgain, kept);
    for (const page of pages) this.#source.mark(page);
    this.#blocks.add(block);
    return block;
  }

  #breaksAt(place: CodePlace, offset: number): boolean {
    return this.#source.breaksAt(linearAddress(place, offset));
  }

  readonly #decodeAgain = ({ address, codeSize, offsets }: Block): DecodedInstruction[] => {
    const bytes = this.#source.page(address);
    return offsets.map((offset) => this.#decoder.decode(bytes, codeSize, offset));
  };

  /**
   * One instruction. The first of a block may reach into the next page, a later one ends the block
   * before it, as does one that cannot be decoded: it will be the first of its own.
   */
  #decode(
    place: CodePlace,
    bytes: Uint8Array,
    offset: number,
    pages: number[],
    before: number,
  ): DecodedInstruction | undefined {
    try {
      return this.#own(this.#decoder.decode(bytes, place.codeSize, offset));
    } catch (error) {
      if (before > 0) return undefined;
      if (!(error instanceof NeedMoreBytes)) throw error;
    }
    const nextPage = this.#source.fetchPage(linearOf(linearAddress(place, bytes.length))).address;
    const next = this.#source.page(nextPage).subarray(0, MAX_INSTRUCTION_LENGTH);
    const joined = withinLimit(place, new Uint8Array([...bytes, ...next]));
    if (joined.length === bytes.length) throw generalProtection();
    pages.push(Math.floor(nextPage / PAGE_SIZE));
    try {
      return this.#own(this.#decoder.decode(joined, place.codeSize));
    } catch (error) {
      throw error instanceof NeedMoreBytes ? generalProtection() : error;
    }
  }

  #own(instruction: DecodedInstruction): DecodedInstruction {
    if (this.#source.leaves(instruction)) throw new InvalidOpcode();
    return instruction;
  }

  /**
   * Writes an instruction's records; returns where the next one goes.
   * @param fault the exception that it raises instead
   */
  #write(
    at: number,
    instruction: DecodedInstruction,
    index: number,
    place: CodePlace,
    fault: number | undefined,
  ): number {
    const { form, address } = instruction;
    let record = at;
    this.#clear(record, index);
    if (fault !== undefined) {
      this.#view.setUint16(record + RECORD.HANDLER, FAULT, true);
      this.#view.setUint32(record + RECORD.IMMEDIATE, fault, true);
      return record + RECORD_SIZE;
    }
    const target = form.relative
      ? branchTarget(instruction, place.codeSize, this.#next.rip)
      : undefined;
    const handler = this.#handler(instruction, place, target);
    if (address !== undefined && this.#isDirect(instruction, place)) {
      this.#writeAddress(record, address);
    } else if (address !== undefined && form.instruction.meaning !== undefined) {
      const access = place.codeSize === 64 ? undefined : this.#handlers.access(handler);
      if (access !== undefined && hasMmxOperand(instruction)) {
        this.#view.setUint16(record + RECORD.HANDLER, microIndex("mmx-access"), true);
        this.#view.setUint32(record + RECORD.IMMEDIATE, access.write ? 1 : 0, true);
        record += RECORD_SIZE;
        this.#clear(record, index);
      }
      this.#writeAddressOperation(record, instruction, address);
      if (access !== undefined) {
        this.#writeSegmentCheck(record, instruction, access);
      }
      record += RECORD_SIZE;
      this.#clear(record, index);
      this.#view.setUint16(record + RECORD.BASE, STATE.ADDRESS, true);
    }
    this.#view.setUint16(record + RECORD.HANDLER, handler, true);
    this.#writeRegisters(record, instruction);
    this.#writeImmediate(record, instruction, target);
    return record + RECORD_SIZE;
  }

  /** @param target of a relative branch */
  #handler(instruction: DecodedInstruction, place: CodePlace, target: bigint | undefined): number {
    const { form, operandSize, address } = instruction;
    if (form.instruction.meaning === undefined || countsOtherwise(instruction)) return PROCEDURE;
    if (target !== undefined && target > place.limit) return PROCEDURE;
    return this.#handlers.index(form, operandSize, address !== undefined, place.codeSize === 64);
  }

  /** Whether an address needs no segment base and is not cut. */
  #isDirect({ addressSize, segment }: DecodedInstruction, place: CodePlace): boolean {
    return place.codeSize === 64 && addressSize === 64 && segment < SEGMENT_INDEX.fs;
  }

  #writeAddressOperation(record: number, instruction: DecodedInstruction, address: Address): void {
    const mask = ADDRESS_MASK[instruction.addressSize];
    // Without an access (LEA) the address is an offset.
    const offsetOnly = instruction.form.operands.some((o) => o.place === "memory" && o.width === 0);
    const base = offsetOnly ? STATE.ZERO : segmentOffset(instruction.segment) + SEGMENT.BASE;
    this.#writeAddress(record, address);
    this.#view.setUint16(record + RECORD.HANDLER, microIndex("address"), true);
    this.#view.setUint16(record + RECORD.SEGMENT, base, true);
    this.#view.setBigInt64(record + RECORD.IMMEDIATE, BigInt.asIntN(64, mask), true);
  }

  #writeSegmentCheck(
    record: number,
    { segment }: DecodedInstruction,
    { bytes, write }: MemoryAccess,
  ): void {
    const limit = segmentOffset(segment) + (write ? SEGMENT.WRITE_LAST : SEGMENT.READ_LAST);
    this.#view.setUint16(record + RECORD.HANDLER, microIndex("segment-address"), true);
    this.#view.setUint16(record + RECORD.ACCESS_LIMIT, limit, true);
    this.#view.setUint8(record + RECORD.ACCESS_LENGTH, bytes - 1);
  }

  #writeAddress(record: number, address: Address): void {
    const slot = (register: number) => (register < 0 ? STATE.ZERO : STATE.GPR + 8 * register);
    const { displacement } = address;
    this.#view.setUint16(record + RECORD.BASE, slot(address.base), true);
    this.#view.setUint16(record + RECORD.INDEX_REGISTER, slot(address.index), true);
    this.#view.setUint8(record + RECORD.SCALE, address.scale);
    const from = address.ripRelative ? displacement + this.#next.rip : displacement;
    this.#view.setBigInt64(record + RECORD.DISPLACEMENT, from, true);
  }

  #writeRegisters(record: number, instruction: DecodedInstruction): void {
    let field = 0;
    for (const spec of instruction.form.operands) {
      const slot = registerSlot(spec, instruction);
      if (slot === undefined) continue;
      const at = RECORD.REGISTERS[field++];
      if (at !== undefined) this.#view.setUint16(record + at, slot, true);
    }
  }

  /** @param target of a relative branch */
  #writeImmediate(
    record: number,
    instruction: DecodedInstruction,
    target: bigint | undefined,
  ): void {
    const [immediate] = instruction.immediates;
    if (immediate === undefined) {
      this.#next.store(this.#words, record + RECORD.IMMEDIATE);
      return;
    }
    this.#view.setBigInt64(record + RECORD.IMMEDIATE, target ?? immediate, true);
    if (instruction.address === undefined) {
      this.#next.store(this.#words, record + RECORD.DISPLACEMENT);
    }
  }

  #writeGo(record: number): void {
    this.#clear(record, 0);
    this.#view.setUint16(record + RECORD.HANDLER, microIndex("go"), true);
    this.#next.store(this.#words, record + RECORD.IMMEDIATE);
  }

  #clear(record: number, index: number): void {
    const words = this.#words;
    const first = record / 4;
    for (let word = first; word < first + RECORD_SIZE / 4; word++) words[word] = 0;
    this.#view.setUint8(record + RECORD.INDEX, index);
    this.#view.setUint16(record + RECORD.BASE, STATE.ZERO, true);
    this.#view.setUint16(record + RECORD.INDEX_REGISTER, STATE.ZERO, true);
  }
}

/** Without code of its own: the engine asks the block for the instruction. */
const isProcedure = ({ form }: DecodedInstruction): boolean =>
  form.instruction.meaning === undefined;

/** Whether its meaning is for another width of rCX. */
export const countsOtherwise = ({ form, addressSize, operandSize }: DecodedInstruction): boolean =>
  form.instruction.counter === true && addressSize !== operandSize;

/** Ends a block, but its code leaves it to the next record to go on. */
const goesOn = (last: DecodedInstruction | undefined): boolean =>
  last?.form.instruction.resumes === true && !isProcedure(last);

export const isRelative = ({ form }: DecodedInstruction): boolean => form.relative;

/** Where a relative branch goes; 0 if it is none. */
export function branchTarget(
  instruction: DecodedInstruction,
  codeSize: CodePlace["codeSize"],
  next: bigint,
): bigint {
  if (!isRelative(instruction)) return 0n;
  const width = codeSize === 64 ? 64 : instruction.operandSize;
  return BigInt.asUintN(width, next + (instruction.immediates[0] ?? 0n));
}

/** Where a call that a block ends with goes, if the code tells. */
function calleeOf(
  last: DecodedInstruction | undefined,
  codeSize: CodePlace["codeSize"],
  next: NextRip,
): bigint | undefined {
  if (last?.form.instruction.name !== "CALL" || !isRelative(last)) return undefined;
  return branchTarget(last, codeSize, next.rip);
}

const hasMmxOperand = ({ form }: DecodedInstruction): boolean =>
  form.operands.some(({ place }) => place.startsWith("mmx"));
