import { isInterpreted } from "../isa/instruction.ts";
import { elementShift, repeatedBy } from "../isa/string-repetition.ts";
import { RECORDS, SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import type { CodePlace, NextRip } from "./code-place.ts";
import {
  type Address,
  branchTarget,
  countsOtherwise,
  type DecodedInstruction,
  isWithout,
} from "./decoder.ts";
import { type HandlerIndex, microIndex } from "./handlers.ts";
import type { MemoryAccess } from "./memory-access.ts";
import { RECORD, RECORD_SIZE } from "./record.ts";
import { registerSlot } from "./register-slot.ts";

const FAULT = microIndex("fault");
const PROCEDURE = microIndex("procedure");
const ADDRESS_MASK = { 16: 0xffffn, 32: 0xffff_ffffn, 64: -1n } as const;

/** Writes records of decoded instructions. */
export class RecordWriter {
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #handlers: HandlerIndex;
  readonly #next: NextRip;

  /** @param next where the instruction that is written ends */
  constructor(buffer: ArrayBuffer, handlers: HandlerIndex, next: NextRip) {
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    this.#handlers = handlers;
    this.#next = next;
  }

  /**
   * Writes an instruction's records; returns where the next one goes.
   * @param fault the exception that it raises instead
   * @param isStep whether it is executed by itself, and a string element by element maybe
   */
  write(
    at: number,
    instruction: DecodedInstruction,
    index: number,
    place: CodePlace,
    fault: number | undefined,
    isStep: boolean,
  ): number {
    const { form, address } = instruction;
    let record = at;
    this.#clear(record, index);
    if (fault !== undefined) {
      this.#view.setUint16(record + RECORD.HANDLER, FAULT, true);
      this.#view.setUint32(record + RECORD.IMMEDIATE, fault, true);
      this.#view.setUint8(record + RECORD.LENGTH, instruction.length);
      return record + RECORD_SIZE;
    }
    const target = form.relative
      ? branchTarget(instruction, place.codeSize, this.#next.rip)
      : undefined;
    const run = isStep ? undefined : repeatedBy(instruction, place.codeSize);
    const handler = run === undefined ? this.#handler(instruction, place, target) : microIndex(run);
    if (address !== undefined && this.#isDirect(instruction, place)) {
      this.#writeAddress(record, address);
    } else if (address !== undefined && isInterpreted(form.instruction)) {
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
    this.#view.setUint8(record + RECORD.LENGTH, instruction.length);
    this.#view.setUint8(record + RECORD.MOD_RM, form.hasModRm ? instruction.modRm : 0);
    if (run !== undefined) this.#view.setUint8(record + RECORD.SCALE, elementShift(instruction));
    this.#writeRegisters(record, instruction);
    if (form.relative) {
      for (const link of Object.values(RECORD.LINKS))
        this.#view.setInt32(record + link, RECORDS, true);
    }
    this.#writeImmediate(record, instruction, target);
    return record + RECORD_SIZE;
  }

  /** @param target of a relative branch */
  #handler(instruction: DecodedInstruction, place: CodePlace, target: bigint | undefined): number {
    if (isWithout(instruction, place.codeSize) || countsOtherwise(instruction)) return PROCEDURE;
    if (target !== undefined && target > place.limit) return PROCEDURE;
    return this.#handlers.index(instruction, place.codeSize === 64);
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
      if (slot === undefined || spec.place === "xmm-immediate") continue;
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
    const [immediate, second] = instruction.immediates;
    if (immediate === undefined) {
      this.#next.store(this.#words, record + RECORD.IMMEDIATE);
      return;
    }
    this.#view.setBigInt64(record + RECORD.IMMEDIATE, target ?? immediate, true);
    if (second !== undefined && instruction.form.immediates[0]?.place === "far-pointer") {
      this.#view.setUint16(record + RECORD.FAR_SELECTOR, Number(second), true);
    }
    if (instruction.address === undefined) {
      this.#next.store(this.#words, record + RECORD.DISPLACEMENT);
    }
  }

  /** The record that goes on with the next instruction. */
  writeGo(record: number): void {
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

const hasMmxOperand = ({ form }: DecodedInstruction): boolean =>
  form.operands.some(({ place }) => place.startsWith("mmx"));
