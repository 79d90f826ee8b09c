import { generalProtection } from "../exceptions.ts";
import type { OperandSpec } from "../isa/operand.ts";
import { operandBits } from "../isa/variant.ts";
import { isCanonicalLinear, linearOf } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import { PAGE_SIZE } from "../memory/physical.ts";
import type { Processor } from "../processor.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { mayAccess, type SegmentAccess, segmentFault } from "../system/segment-access.ts";
import type { Address, DecodedInstruction } from "./decoder.ts";
import { registerSlot } from "./register-slot.ts";

/** What a procedure asks of the world outside the processor. */
export interface Outside {
  /** Time stamp counter. */
  readTsc(): bigint;
  /** 64 random bits. */
  random(): bigint;
  /**
   * Port input of a device that can be asked at once.
   * @param bytes 1, 2 or 4
   * @returns undefined if there is none: then by {@link portIn}
   */
  readPort(port: number, bytes: number): number | undefined;
  /**
   * Port input: the CPU leaves the guest after this instruction, which must end its block.
   * @param bytes 1, 2 or 4
   * @param deliver gets the answer before the next instruction
   */
  portIn(port: number, bytes: number, deliver: (value: number) => void): void;
  /** Port output: the CPU may leave the guest after this instruction. */
  portOut(port: number, bytes: number, value: number): void;
  /** The processor waits for an interrupt after this instruction. */
  halt(): void;
  /** Whether a debugger looks at this instruction, and at each element of a string. */
  readonly watching: boolean;
}

/** Computed once: string instructions ask for one several times an element. */
const MASKS: Readonly<Record<number, bigint>> = Object.fromEntries(
  [8, 16, 32, 64, 80, 128].map((bits) => [bits, (1n << BigInt(bits)) - 1n]),
);

/** From an XMM register to what its YMM register has above it. */
const TO_UPPER_HALF = STATE.YMM_UPPER - STATE.XMM;

const mask = (bits: number): bigint => MASKS[bits] ?? (1n << BigInt(bits)) - 1n;

/** Whether 16 bytes are two accesses of which the second cannot fail where the first has not. */
const isPairOnPage = (linear: number, bytes: number): boolean =>
  bytes === 16 && (linear & (PAGE_SIZE - 1)) <= PAGE_SIZE - 16;

/**
 * An instruction about to be executed by a procedure. RIP is already behind it: a procedure that
 * throws has it put back.
 */
export class ProcedureContext {
  readonly processor: Processor;
  readonly mmu: Mmu;
  readonly outside: Outside;
  readonly instruction: DecodedInstruction;

  constructor(
    parts: { processor: Processor; mmu: Mmu; outside: Outside },
    instruction: DecodedInstruction,
  ) {
    this.processor = parts.processor;
    this.mmu = parts.mmu;
    this.outside = parts.outside;
    this.instruction = instruction;
  }

  /** Offset of the next instruction, until the procedure goes elsewhere. */
  get next(): bigint {
    return this.processor.rip;
  }

  get operandSize(): 16 | 32 | 64 {
    const { operandSize } = this.instruction;
    return operandSize === 8 ? 32 : operandSize;
  }

  /** A general register by number. @param bits 8 (the low byte), 16, 32 or 64 */
  getRegister(register: number, bits: number): bigint {
    return this.processor.gpr(register) & mask(bits);
  }

  /** 32-bit writes clear the upper half, narrower ones keep the rest. */
  setRegister(register: number, bits: number, value: bigint): void {
    const cut = value & mask(bits);
    const kept = bits < 32 ? this.processor.gpr(register) & ~mask(bits) & mask(64) : 0n;
    this.processor.setGpr(register, kept | cut);
  }

  /** The operand at `index` of the form, zero-extended. */
  read(index: number): bigint {
    const spec = this.#spec(index);
    const bits = operandBits(spec, this.instruction.operandSize);
    const slot = registerSlot(spec, this.instruction);
    if (slot !== undefined) return this.#readSlot(slot, bits);
    if (spec.place === "immediate" || spec.place === "one") return this.immediate() & mask(bits);
    return this.readMemory(this.address(), bits / 8);
  }

  write(index: number, value: bigint): void {
    const spec = this.#spec(index);
    const bits = operandBits(spec, this.instruction.operandSize);
    const slot = registerSlot(spec, this.instruction);
    if (slot !== undefined) this.#writeSlot(slot, bits, value);
    else this.writeMemory(this.address(), bits / 8, value);
  }

  /** All 256 bits of the operand at `index`, which is a register. */
  readWhole(index: number): bigint {
    return this.#readSlot(this.#registerSlot(index), 256);
  }

  writeWhole(index: number, value: bigint): void {
    const slot = this.#registerSlot(index);
    this.#writeSlot(slot, 128, value);
    this.#writeSlot(slot + TO_UPPER_HALF, 128, value >> 128n);
  }

  /**
   * Memory, little endian.
   * @param offset in the segment, cut to the address size
   * @param bytes up to 32
   * @param segment index as in `SEGMENT_INDEX`; that of the memory operand if it is not given
   * @throws CpuException
   */
  readMemory(offset: bigint, bytes: number, segment = this.instruction.segment): bigint {
    const at = this.#permitted(segment, offset, bytes, "read");
    if (bytes === 8) return this.mmu.read64(at);
    if (bytes === 1 || bytes === 2 || bytes === 4) return BigInt(this.mmu.read(at, bytes));
    if (isPairOnPage(at, bytes)) return this.mmu.read64(at) | (this.mmu.read64(at + 8) << 64n);
    const data = new Uint8Array(bytes);
    this.mmu.readBytes(at, data);
    return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** Reads what will be written: memory that is not writable faults as a write. */
  readForWrite(offset: bigint, bytes: number): bigint {
    this.check(offset, bytes, "write");
    return this.readMemory(offset, bytes);
  }

  /** @throws CpuException */
  writeMemory(
    offset: bigint,
    bytes: number,
    value: bigint,
    segment = this.instruction.segment,
  ): void {
    const at = this.#permitted(segment, offset, bytes, "write");
    if (bytes === 8) this.mmu.write64(at, value);
    else if (bytes === 1 || bytes === 2 || bytes === 4) {
      this.mmu.write(at, bytes, Number(value & mask(8 * bytes)));
    } else if (isPairOnPage(at, bytes)) {
      this.mmu.write64(at, BigInt.asUintN(64, value));
      this.mmu.write64(at + 8, value >> 64n);
    } else {
      const data = Uint8Array.from({ length: bytes }, (_, i) => {
        return Number((value >> BigInt(8 * i)) & 0xffn);
      });
      this.mmu.writeBytes(at, data);
    }
  }

  /**
   * The memory operand's offset, for accesses that must be aligned.
   * @param alignment a power of two
   * @throws CpuException #GP(0), or #SS(0) if it is not even canonical
   */
  alignedAddress(alignment: bigint): bigint {
    const offset = this.address();
    const { segment } = this.instruction;
    if (!isCanonicalLinear(linearOf(this.linear(segment, offset)))) throw segmentFault(segment);
    if (!this.isAligned(alignment)) throw generalProtection();
    return offset;
  }

  /** Whether the memory operand's linear address is aligned. @param alignment a power of two */
  isAligned(alignment: bigint): boolean {
    return (this.linear(this.instruction.segment, this.address()) & (alignment - 1n)) === 0n;
  }

  /** Any number of bytes, at most a page. @throws CpuException */
  readBytes(offset: bigint, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const { segment } = this.instruction;
    this.mmu.readBytes(this.#permitted(segment, offset, length, "read"), bytes);
    return bytes;
  }

  /** At most a page. @throws CpuException */
  writeBytes(offset: bigint, bytes: Uint8Array): void {
    const { segment } = this.instruction;
    this.mmu.writeBytes(this.#permitted(segment, offset, bytes.length, "write"), bytes);
  }

  /** Whether memory may be accessed. @throws CpuException */
  check(
    offset: bigint,
    bytes: number,
    access: SegmentAccess,
    segment = this.instruction.segment,
  ): void {
    this.mmu.check(this.#permitted(segment, offset, bytes, access), bytes, access);
  }

  /** Whether the segment permits an access: in 64-bit mode always. */
  isInSegment(segment: number, offset: bigint, bytes: number, access: SegmentAccess): boolean {
    if (this.processor.code64) return true;
    return mayAccess(this.processor, segment, Number(offset), bytes, access);
  }

  /** Whether ModRM names memory. */
  get inMemory(): boolean {
    return this.instruction.address !== undefined;
  }

  /** The n-th immediate, sign-extended. */
  immediate(index = 0): bigint {
    return this.instruction.immediates[index] ?? 0n;
  }

  /** ModRM.reg with REX.R, and ModRM.rm with REX.B. */
  get reg(): number {
    return ((this.instruction.modRm >> 3) & 7) | ((this.instruction.rex & 4) << 1);
  }

  get rm(): number {
    return (this.instruction.modRm & 7) | ((this.instruction.rex & 1) << 3);
  }

  /** Offset that ModRM or a direct offset names, `plus` bytes on, cut to the address size. */
  address(plus: number | bigint = 0): bigint {
    const { address, addressSize } = this.instruction;
    return address === undefined ? 0n : (this.#sum(address) + BigInt(plus)) & mask(addressSize);
  }

  /** The same with another index than the register that ModRM names. */
  addressBy(index: bigint): bigint {
    const { address, addressSize } = this.instruction;
    if (address === undefined) return 0n;
    const scaled = index << BigInt(address.scale);
    return (this.#sum({ ...address, index: -1 }) + scaled) & mask(addressSize);
  }

  /** Linear address of an offset in a segment. @param segment index as in `SEGMENT_INDEX` */
  linear(segment: number, offset: bigint): bigint {
    if (!this.processor.code64) {
      return (this.processor.segmentBase(segment) + offset) & mask(32);
    }
    const base = segment >= SEGMENT_INDEX.fs ? this.processor.segmentBase(segment) : 0n;
    return (base + offset) & mask(64);
  }

  /** Sets the arithmetic flags as CMP does. @param a, b zero-extended */
  setCompareFlags(a: bigint, b: bigint, bits: number): void {
    const { view } = this.processor;
    const difference = a - b;
    view.setBigInt64(STATE.FLAG_RESULT, BigInt.asIntN(bits, difference), true);
    view.setBigInt64(STATE.FLAG_CARRIES, BigInt.asIntN(bits, a ^ b ^ difference), true);
    view.setInt32(STATE.FLAG_CARRY, a < b ? 1 : 0, true);
  }

  /** Takes from the budget what an instruction does besides itself. @param work in instructions */
  spend(work: number): void {
    const { view } = this.processor;
    view.setInt32(STATE.BUDGET, view.getInt32(STATE.BUDGET, true) - work, true);
  }

  /** The arithmetic flags, to be put back by {@link restoreFlags}. */
  saveFlags(): Uint8Array {
    const { buffer } = this.processor;
    return new Uint8Array(buffer, STATE.FLAG_RESULT, STATE.RFLAGS - STATE.FLAG_RESULT).slice();
  }

  restoreFlags(flags: Uint8Array): void {
    new Uint8Array(this.processor.buffer).set(flags, STATE.FLAG_RESULT);
  }

  /** Goes to the relative branch's target. */
  branch(): void {
    const width = this.processor.codeSize === 64 ? 64 : this.operandSize;
    this.jump((this.next + this.immediate()) & mask(width));
  }

  /** @throws CpuException #GP(0) if the offset is beyond the code segment, or not canonical */
  jump(target: bigint): void {
    if (this.processor.code64) {
      if (BigInt.asUintN(64, BigInt.asIntN(48, target)) !== target) throw generalProtection();
    } else {
      if (target > this.processor.segmentLimit(SEGMENT_INDEX.cs)) throw generalProtection();
    }
    this.processor.rip = target;
  }

  /**
   * Linear address of an access that the segment permits.
   * @throws CpuException #SS or #GP(0), by the segment
   */
  #permitted(segment: number, offset: bigint, bytes: number, access: SegmentAccess): number {
    const at = linearOf(this.linear(segment, offset));
    const canonical = isCanonicalLinear(at) && isCanonicalLinear(at + bytes - 1);
    if (!canonical || !this.isInSegment(segment, offset, bytes, access)) {
      throw segmentFault(segment);
    }
    return at;
  }

  #spec(index: number): OperandSpec {
    const spec = this.instruction.form.operands[index];
    if (spec === undefined) throw new Error("no such operand");
    return spec;
  }

  #registerSlot(index: number): number {
    const slot = registerSlot(this.#spec(index), this.instruction);
    if (slot === undefined) throw new Error("no register");
    return slot;
  }

  #sum({ base, index, scale, displacement, ripRelative }: Address): bigint {
    const register = (n: number): bigint => (n < 0 ? 0n : this.processor.gpr(n));
    const relative = ripRelative ? this.next : 0n;
    return register(base) + (register(index) << BigInt(scale)) + displacement + relative;
  }

  #readSlot(slot: number, bits: number): bigint {
    const view = this.processor.view;
    if (bits === 8) return BigInt(view.getUint8(slot));
    if (bits === 16) return BigInt(view.getUint16(slot, true));
    if (bits === 32) return BigInt(view.getUint32(slot, true));
    if (bits === 256) {
      return this.#readSlot(slot, 128) | (this.#readSlot(slot + TO_UPPER_HALF, 128) << 128n);
    }
    const low = view.getBigUint64(slot, true);
    return bits === 64 ? low : low | (view.getBigUint64(slot + 8, true) << 64n);
  }

  #writeSlot(slot: number, bits: number, value: bigint): void {
    const view = this.processor.view;
    if (bits === 8) view.setUint8(slot, Number(value & 0xffn));
    else if (bits === 16) view.setUint16(slot, Number(value & 0xffffn), true);
    else {
      // A 32-bit general register is written whole.
      const whole = slot < STATE.ZERO;
      if (bits === 32 && !whole) view.setUint32(slot, Number(value & mask(32)), true);
      else view.setBigUint64(slot, value & mask(bits === 32 ? 32 : 64), true);
      if (bits === 128) view.setBigUint64(slot + 8, (value >> 64n) & mask(64), true);
    }
  }
}
