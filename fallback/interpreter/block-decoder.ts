import { RECORDS, SEGMENT, SEGMENT_INDEX, SEGMENT_SIZE, STATE } from "../state.ts";
import { type I32, i32, i64, select } from "../wasm/expression.ts";
import { FunctionBuilder, type Label, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { ACCESSES, DECODED, HANDLERS, MAX_INSTRUCTIONS } from "./decoding.ts";
import {
  addReadSigned,
  both,
  either,
  equals,
  isSet,
  NONE,
  pick,
  u64,
  zero,
  zeroExtend,
} from "./decoding-expressions.ts";
import { CANDIDATE, OPERAND, TRAIT, UNIT_FAULT } from "./decoding-table.ts";
import { MICRO_OPERATIONS, microIndex, NO_HANDLER, VARIANTS_PER_FORM } from "./handlers.ts";
import { InstructionDecoder } from "./instruction-decoder.ts";
import { ACCESS_WRITES } from "./memory-access.ts";
import { HEADER, RECORD, RECORD_SIZE } from "./record.ts";

const NEVER_HOT = 0x7fff_ffff;

/**
 * Adds the function that makes a block's records from its bytes: what `Translator` does with `Decoder`
 * and the table of instructions, in WebAssembly, for most of the code of a short run is decoded once
 * and executed once, and TypeScript is slow before it is warm. The parameters, all i32 but RIP and limit:
 * offset and number of the bytes, header record, RIP, last offset in the code segment, code size, and
 * the vectors of the units' faults (`UNIT_SHIFT`). What it finds besides is in {@link DECODED}.
 * The function returns how many instructions it has decoded; none where `Translator` has to see what the
 * first one is.
 */
export function addBlockDecoder(module: ModuleBuilder): number {
  const readSigned = addReadSigned(module);
  const index = module.addFunction({
    parameters: ["i32", "i32", "i32", "i64", "i64", "i32", "i32"],
    results: ["i32"],
  });
  module.define(index, new BlockDecoder(readSigned).build());
  return index;
}

class BlockDecoder {
  readonly #instruction: InstructionDecoder;
  readonly #fn = new FunctionBuilder(["i32", "i32", "i32", "i64", "i64", "i32", "i32"]);
  readonly #bytes = this.#fn.parameter(0, "i32");
  readonly #length = this.#fn.parameter(1, "i32");
  readonly #header = this.#fn.parameter(2, "i32");
  readonly #rip = this.#fn.parameter(3, "i64");
  readonly #limit = this.#fn.parameter(4, "i64");
  readonly #codeSize = this.#fn.parameter(5, "i32");
  readonly #faults = this.#fn.parameter(6, "i32");

  readonly #count = this.#fn.local("i32");
  readonly #record = this.#fn.local("i32");
  readonly #flags = this.#fn.local("i32");

  /** Offset in the code segment of the next instruction. */
  readonly #next = this.#fn.local("i64");
  readonly #handler = this.#fn.local("i32");

  constructor(readSigned: number) {
    const code = { bytes: this.#bytes, length: this.#length, codeSize: this.#codeSize };
    this.#instruction = new InstructionDecoder(this.#fn, code, readSigned);
  }

  build(): Uint8Array {
    const fn = this.#fn;
    fn.set(this.#instruction.code64, equals(this.#codeSize, 64));
    fn.set(this.#record, i32.add(this.#header, i32.const(RECORD_SIZE)));
    fn.set(this.#instruction.at, this.#bytes);
    fn.block((done) => {
      fn.loop((again) => {
        fn.branchIf(i32.geU(this.#instruction.at, i32.add(this.#bytes, this.#length)), done);
        const start = fn.let(this.#instruction.at);
        this.#instruction.decode(done);
        this.#write(start, done);
        fn.set(this.#count, i32.add(this.#count, i32.const(1)));
        fn.store(zero, i32.sub(this.#instruction.at, this.#bytes), DECODED.LENGTH);
        fn.set(this.#flags, either(this.#flags, this.#instruction.traits));
        fn.branchIf(isSet(this.#instruction.traits, TRAIT.ENDS), done);
        fn.branchIf(i32.ltU(this.#count, i32.const(MAX_INSTRUCTIONS)), again);
      });
    });
    fn.if(this.#count, () => this.#finish());
    fn.return(this.#count);
    fn.unreachable();
    return fn.finish();
  }

  #finish(): void {
    const fn = this.#fn;
    fn.store(zero, this.#record, DECODED.RECORDS_END);
    const ends = isSet(this.#flags, TRAIT.ENDS);
    fn.if(either(i32.eqz(ends), isSet(this.#flags, TRAIT.GOES_ON)), () => {
      this.#setNext(i32.load(zero, DECODED.LENGTH));
      this.#clear(zero, microIndex("go"));
      fn.store(this.#record, this.#next, RECORD.IMMEDIATE);
      fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
    });
    fn.store(zero, this.#record, DECODED.END);
    fn.store(zero, this.#flags, DECODED.TRAITS);
    fn.store(this.#header, this.#count, HEADER.COUNT);
    fn.store(this.#header, i32.const(NEVER_HOT), HEADER.HEAT);
    fn.store(this.#header, zero, HEADER.REGION);
  }

  /** Sets the offset of what follows. @param offset bytes from the block's start */
  #setNext(offset: I32): void {
    const fn = this.#fn;
    fn.set(this.#next, i64.add(this.#rip, u64(offset)));
    const low = u64(i32.wrap(this.#next));
    fn.set(this.#next, select(this.#instruction.code64, this.#next, low));
  }

  /** Writes the instruction's records. @param start its first byte */
  #write(start: Local<"i32">, fail: Label): void {
    const fn = this.#fn;
    this.#setNext(i32.sub(this.#instruction.at, this.#bytes));
    const unit = i32.load8U(this.#instruction.candidate, CANDIDATE.UNIT);
    const fault = fn.let(i32.and(i32.shrU(this.#faults, unit), i32.const(UNIT_FAULT)));
    fn.if(
      fault,
      () => {
        this.#clear(this.#count, microIndex("fault"));
        fn.store(this.#record, fault, RECORD.IMMEDIATE);
      },
      () => {
        this.#findTarget();
        this.#findHandler(fail);
        this.#writeAddressRecords();
        fn.storeNarrow(16, this.#record, u64(this.#handler), RECORD.HANDLER);
        fn.storeNarrow(8, this.#record, u64(this.#instruction.modRm), RECORD.MOD_RM);
        this.#writeElementShift();
        this.#writeRegisters();
        fn.if(this.#instruction.has(TRAIT.RELATIVE), () => {
          for (const link of Object.values(RECORD.LINKS)) {
            fn.store(this.#record, i32.const(RECORDS), link);
          }
        });
        this.#writeImmediate();
      },
    );
    fn.storeNarrow(8, this.#record, u64(i32.sub(this.#instruction.at, start)), RECORD.LENGTH);
    fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
  }

  /** Of a relative branch: in the place of its immediate. */
  #findTarget(): void {
    const fn = this.#fn;
    fn.if(this.#instruction.has(TRAIT.RELATIVE), () => {
      const width = select(this.#instruction.code64, i32.const(64), this.#instruction.operandSize);
      fn.set(this.#instruction.immediate, i64.add(this.#instruction.immediate, this.#next));
      zeroExtend(fn, this.#instruction.immediate, i32.shrU(width, i32.const(3)));
      fn.if(this.#instruction.has(TRAIT.CALL), () =>
        fn.store(zero, this.#instruction.immediate, DECODED.CALLS),
      );
    });
  }

  #findHandler(fail: Label): void {
    const fn = this.#fn;
    const counts = both(
      this.#instruction.has(TRAIT.COUNTER),
      i32.ne(this.#instruction.addressSize, this.#instruction.operandSize),
    );
    const inData = (): I32 => i32.ltU(this.#instruction.segment, i32.const(SEGMENT_INDEX.fs));
    const isRepeated = (): I32 => i32.ne(this.#instruction.repeat, zero);
    const isWide = (): I32 =>
      both(this.#instruction.code64, equals(this.#instruction.addressSize, 64));
    const isNarrow = both(this.#instruction.has(TRAIT.ONLY_64), i32.eqz(isWide()));
    const isOther = both(
      this.#instruction.has(TRAIT.STRING),
      either(isRepeated(), i32.eqz(inData())),
    );
    const outside = both(
      this.#instruction.has(TRAIT.RELATIVE),
      i64.gtU(this.#instruction.immediate, this.#limit),
    );
    fn.set(this.#handler, i32.const(microIndex("procedure")));
    fn.if(both(both(isRepeated(), inData()), isWide()), () => {
      for (const run of ["move", "fill"] as const) {
        const isThat = this.#instruction.has(run === "move" ? TRAIT.MOVE : TRAIT.FILL);
        fn.if(isThat, () => fn.set(this.#handler, i32.const(microIndex(run))));
      }
    });
    const isProcedure = either(this.#instruction.has(TRAIT.PROCEDURE), either(isNarrow, isOther));
    fn.if(i32.eqz(either(either(isProcedure, counts), outside)), () => {
      const ordinal = i32.load16U(this.#instruction.candidate, CANDIDATE.ORDINAL);
      const size = this.#operandShift();
      const kind = either(
        i32.shl(this.#instruction.hasAddress, i32.const(1)),
        this.#instruction.code64,
      );
      const variant = i32.add(i32.shl(size, i32.const(2)), kind);
      const place = i32.add(i32.mul(ordinal, i32.const(VARIANTS_PER_FORM)), variant);
      fn.set(this.#handler, i32.load16U(i32.shl(place, i32.const(1)), HANDLERS));
      fn.branchIf(equals(this.#handler, NO_HANDLER), fail);
    });
  }

  /** 8, 16, 32 and 64 bits are 0 to 3. */
  #operandShift(): I32 {
    return i32.sub(i32.ctz(this.#instruction.operandSize), i32.const(3));
  }

  /** What a function does for a string instruction is done for elements of a size. */
  #writeElementShift(): void {
    const isMove = equals(this.#handler, microIndex("move"));
    const isRun = either(isMove, equals(this.#handler, microIndex("fill")));
    this.#fn.if(both(isRun, this.#instruction.has(TRAIT.WIDE_ELEMENTS)), () =>
      this.#fn.storeNarrow(8, this.#record, u64(this.#operandShift()), RECORD.SCALE),
    );
  }

  #writeAddressRecords(): void {
    const fn = this.#fn;
    this.#clear(this.#count, 0);
    fn.if(this.#instruction.hasAddress, () => {
      const plain = i32.ltU(this.#instruction.segment, i32.const(SEGMENT_INDEX.fs));
      const isDirect = both(equals(this.#instruction.addressSize, 64), plain);
      fn.if(
        isDirect,
        () => this.#writeAddress(),
        () => {
          fn.if(i32.eqz(this.#instruction.has(TRAIT.PROCEDURE)), () => {
            this.#writeAddressOperation();
            fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
            this.#clear(this.#count, 0);
            fn.storeNarrow(16, this.#record, i64.const(STATE.ADDRESS), RECORD.BASE);
          });
        },
      );
    });
  }

  #writeAddress(): void {
    const fn = this.#fn;
    for (const [register, field] of [
      [this.#instruction.base, RECORD.BASE],
      [this.#instruction.index, RECORD.INDEX_REGISTER],
    ] as const) {
      const slot = i32.add(i32.const(STATE.GPR), i32.shl(register, i32.const(3)));
      const none = equals(register, NONE);
      fn.storeNarrow(16, this.#record, u64(select(none, i32.const(STATE.ZERO), slot)), field);
    }
    fn.storeNarrow(8, this.#record, u64(this.#instruction.scale), RECORD.SCALE);
    const from = select(this.#instruction.ripRelative, this.#next, i64.const(0));
    fn.store(this.#record, i64.add(this.#instruction.displacement, from), RECORD.DISPLACEMENT);
  }

  /** An address that needs a segment's base or is cut; with what is checked outside 64-bit mode. */
  #writeAddressOperation(): void {
    const fn = this.#fn;
    const micro = MICRO_OPERATIONS.length;
    const access = fn.let(i32.const(0));
    const hasCode = i32.geU(this.#handler, i32.const(micro));
    fn.if(both(i32.eqz(this.#instruction.code64), hasCode), () =>
      fn.set(access, i32.load8U(i32.sub(this.#handler, i32.const(micro)), ACCESSES)),
    );
    const write = fn.let(isSet(access, ACCESS_WRITES));
    fn.if(both(i32.ne(access, zero), this.#instruction.has(TRAIT.MMX)), () => {
      this.#clear(this.#count, microIndex("mmx-access"));
      fn.store(this.#record, write, RECORD.IMMEDIATE);
      fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
    });
    this.#clear(this.#count, microIndex("address"));
    this.#writeAddress();
    const segment = fn.let(i32.mul(this.#instruction.segment, i32.const(SEGMENT_SIZE)));
    const base = i32.add(segment, i32.const(STATE.SEGMENTS + SEGMENT.BASE));
    const plain = this.#instruction.has(TRAIT.OFFSET_ONLY);
    const shown = select(plain, i32.const(STATE.ZERO), base);
    fn.storeNarrow(16, this.#record, u64(shown), RECORD.SEGMENT);
    const unused = u64(i32.sub(i32.const(64), this.#instruction.addressSize));
    fn.store(this.#record, i64.shrU(i64.const(-1), unused), RECORD.IMMEDIATE);
    fn.if(access, () => {
      const handler = i64.const(microIndex("segment-address"));
      fn.storeNarrow(16, this.#record, handler, RECORD.HANDLER);
      const last = pick(write, SEGMENT.WRITE_LAST, SEGMENT.READ_LAST);
      const limit = i32.add(i32.add(segment, i32.const(STATE.SEGMENTS)), last);
      fn.storeNarrow(16, this.#record, u64(limit), RECORD.ACCESS_LIMIT);
      const bytes = i32.and(access, i32.const(~ACCESS_WRITES));
      fn.storeNarrow(8, this.#record, u64(i32.sub(bytes, i32.const(1))), RECORD.ACCESS_LENGTH);
    });
  }

  /** As `registerSlot`. */
  #writeRegisters(): void {
    const fn = this.#fn;
    const operands = fn.let(i32.load(this.#instruction.candidate, CANDIDATE.OPERANDS));
    const field = fn.let(this.#record);
    const last = fn.let(i32.add(this.#record, i32.const(2 * RECORD.REGISTERS.length)));
    fn.block((done) => {
      fn.loop((again) => {
        fn.branchIf(i32.eqz(operands), done);
        const operand = fn.let(i32.and(operands, i32.const(0xff)));
        fn.set(operands, i32.shrU(operands, i32.const(8)));
        const source = fn.let(i32.and(operand, i32.const(OPERAND.SOURCE)));
        const inMemory = i32.ltU(this.#instruction.modRm, i32.const(0xc0));
        fn.branchIf(both(equals(source, OPERAND.RM), inMemory), again);
        const slot = this.#slot(operand, source);
        fn.branchIf(i32.geU(field, last), done);
        fn.storeNarrow(16, field, u64(slot), RECORD.REGISTERS[0]);
        fn.set(field, i32.add(field, i32.const(2)));
        fn.branch(again);
      });
    });
  }

  /** Offset in the state of a register. */
  #slot(operand: I32, source: I32): I32 {
    const fn = this.#fn;
    const bit = (bits: number, shift: number): I32 =>
      i32.shl(i32.and(this.#instruction.rex, i32.const(bits)), i32.const(shift));
    const reg = fn.let(
      either(i32.and(i32.shrU(this.#instruction.modRm, i32.const(3)), i32.const(7)), bit(4, 1)),
    );
    const rm = either(i32.and(this.#instruction.modRm, i32.const(7)), bit(1, 3));
    const named = fn.let(i32.shrU(operand, i32.const(OPERAND.NUMBER_SHIFT)));
    const number = fn.let(select(equals(source, OPERAND.REG), reg, rm));
    fn.if(equals(source, OPERAND.OPCODE), () => fn.set(number, either(named, bit(1, 3))));
    fn.if(equals(source, OPERAND.FIXED), () => fn.set(number, named));
    fn.if(equals(source, OPERAND.VVVV), () => fn.set(number, this.#instruction.vvvv));
    const kind = fn.let(
      i32.and(i32.shrU(operand, i32.const(OPERAND.KIND_SHIFT)), i32.const(OPERAND.KIND)),
    );
    const slot = fn.let(i32.add(i32.const(STATE.GPR), i32.shl(number, i32.const(3))));
    // Without REX, byte registers 4 to 7 are AH, CH, DH and BH.
    const high = both(i32.eqz(this.#instruction.rex), i32.geU(number, i32.const(4)));
    fn.if(both(equals(kind, OPERAND.BYTE), high), () =>
      fn.set(slot, i32.sub(slot, i32.const(4 * 8 - 1))),
    );
    const wide = (base: number, n: I32): I32 => i32.add(i32.const(base), i32.shl(n, i32.const(4)));
    fn.if(equals(kind, OPERAND.XMM), () => fn.set(slot, wide(STATE.XMM, number)));
    // REX says nothing about MMX registers.
    const mmx = i32.and(number, i32.const(7));
    fn.if(equals(kind, OPERAND.MMX), () => fn.set(slot, wide(STATE.X87_REGISTERS, mmx)));
    fn.if(equals(source, OPERAND.SYSTEM), () =>
      fn.if(
        named,
        () => fn.set(slot, select(i32.eqz(reg), i32.const(STATE.CR0), i32.const(STATE.ZERO))),
        () => {
          const segment = i32.and(i32.shrU(this.#instruction.modRm, i32.const(3)), i32.const(7));
          const offset = i32.mul(segment, i32.const(SEGMENT_SIZE));
          fn.set(slot, i32.add(offset, i32.const(STATE.SEGMENTS)));
        },
      ),
    );
    return slot;
  }

  #writeImmediate(): void {
    const fn = this.#fn;
    fn.if(
      this.#instruction.immediates,
      () => {
        fn.store(this.#record, this.#instruction.immediate, RECORD.IMMEDIATE);
        const { farSelector } = this.#instruction;
        fn.if(farSelector, () =>
          fn.storeNarrow(16, this.#record, u64(farSelector), RECORD.FAR_SELECTOR),
        );
        fn.if(i32.eqz(this.#instruction.hasAddress), () =>
          fn.store(this.#record, this.#next, RECORD.DISPLACEMENT),
        );
      },
      () => fn.store(this.#record, this.#next, RECORD.IMMEDIATE),
    );
  }

  #clear(index: I32, handler: number): void {
    const fn = this.#fn;
    for (let at = 0; at < RECORD_SIZE; at += 8) fn.store(this.#record, i64.const(0), at);
    fn.storeNarrow(16, this.#record, i64.const(handler), RECORD.HANDLER);
    fn.storeNarrow(8, this.#record, u64(index), RECORD.INDEX);
    fn.storeNarrow(16, this.#record, i64.const(STATE.ZERO), RECORD.BASE);
    fn.storeNarrow(16, this.#record, i64.const(STATE.ZERO), RECORD.INDEX_REGISTER);
  }
}
