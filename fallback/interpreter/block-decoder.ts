import { FXSAVE, SEGMENT, SEGMENT_INDEX, SEGMENT_SIZE, STATE } from "../state.ts";
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import { callResult, FunctionBuilder, type Label, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import {
  ACCESSES,
  DECODED,
  DECODING,
  HANDLERS,
  MAX_INSTRUCTION_LENGTH,
  MAX_INSTRUCTIONS,
} from "./decoding.ts";
import {
  CANDIDATE,
  CANDIDATE_SIZE,
  CANDIDATES,
  FACT,
  IMMEDIATE,
  OPERAND,
  TRAIT,
} from "./decoding-table.ts";
import { MICRO_OPERATIONS, microIndex, NO_HANDLER, VARIANTS_PER_FORM } from "./handlers.ts";
import { ACCESS_WRITES } from "./memory-access.ts";
import { HEADER, RECORD, RECORD_SIZE } from "./record.ts";

const NEVER_HOT = 0x7fff_ffff;
const NONE = -1;
const zero = i32.const(0);
const u64 = (value: I32): I64 => i64.extendU(value);
const isSet = (value: I32, bits: number): I32 => i32.ne(i32.and(value, i32.const(bits)), zero);
const either = (a: I32, b: I32): I32 => i32.or(a, b);
const both = (a: I32, b: I32): I32 => i32.and(a, b);
const equals = (a: I32, value: number): I32 => i32.eq(a, i32.const(value));
const pick = (condition: I32, a: number, b: number): I32 =>
  select(condition, i32.const(a), i32.const(b));

/**
 * Adds the function that makes a block's records from its bytes: what `Translator` does with `Decoder`
 * and the table of instructions, in WebAssembly, for most of the code of a short run is decoded once
 * and executed once, and TypeScript is slow before it is warm. The parameters, all i32 but RIP and limit:
 * offset and number of the bytes, header record, RIP, last offset in the code segment, code size, and
 * the vectors of the units' faults (`UNIT_SHIFT`). What it finds besides is in {@link DECODED}.
 * The function returns how many instructions it has decoded; none where `Translator` has to see what the first one is.
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

/** A function of an offset and how many bytes: 1, 2, 4 or 8. */
function addReadSigned(module: ModuleBuilder): number {
  const index = module.addFunction({ parameters: ["i32", "i32"], results: ["i64"] });
  const fn = new FunctionBuilder(["i32", "i32"]);
  const at = fn.parameter(0, "i32");
  const bytes = fn.parameter(1, "i32");
  fn.if(equals(bytes, 1), () => fn.return(i64.extend8S(i64.load8U(at))));
  fn.if(equals(bytes, 2), () => fn.return(i64.extend16S(i64.load16U(at))));
  fn.if(equals(bytes, 4), () => fn.return(i64.load32S(at)));
  fn.return(i64.load(at));
  fn.code.push(0x00);
  module.define(index, fn.finish());
  return index;
}

class BlockDecoder {
  readonly #readSigned: number;
  readonly #fn = new FunctionBuilder(["i32", "i32", "i32", "i64", "i64", "i32", "i32"]);
  readonly #bytes = this.#fn.parameter(0, "i32");
  readonly #length = this.#fn.parameter(1, "i32");
  readonly #header = this.#fn.parameter(2, "i32");
  readonly #rip = this.#fn.parameter(3, "i64");
  readonly #limit = this.#fn.parameter(4, "i64");
  readonly #codeSize = this.#fn.parameter(5, "i32");
  readonly #faults = this.#fn.parameter(6, "i32");

  readonly #code64 = this.#fn.local("i32");
  readonly #count = this.#fn.local("i32");
  readonly #record = this.#fn.local("i32");
  readonly #flags = this.#fn.local("i32");
  /** The next byte, and where the instruction may not reach. */
  readonly #at = this.#fn.local("i32");
  readonly #end = this.#fn.local("i32");

  // Prefixes.
  readonly #narrow = this.#fn.local("i32");
  readonly #otherAddress = this.#fn.local("i32");
  readonly #lock = this.#fn.local("i32");
  /** Of F3 and F2: index into MANDATORY_PREFIXES. */
  readonly #repeat = this.#fn.local("i32");
  /** Segment register, or -1. */
  readonly #segment = this.#fn.local("i32");
  readonly #rex = this.#fn.local("i32");

  readonly #candidate = this.#fn.local("i32");
  readonly #traits = this.#fn.local("i32");
  readonly #modRm = this.#fn.local("i32");
  readonly #operandSize = this.#fn.local("i32");
  readonly #addressSize = this.#fn.local("i32");

  readonly #hasAddress = this.#fn.local("i32");
  /** Register numbers, or -1. */
  readonly #base = this.#fn.local("i32");
  readonly #index = this.#fn.local("i32");
  readonly #scale = this.#fn.local("i32");
  readonly #displacement = this.#fn.local("i64");
  readonly #ripRelative = this.#fn.local("i32");
  readonly #immediates = this.#fn.local("i32");
  readonly #immediate = this.#fn.local("i64");

  /** Offset in the code segment of the next instruction. */
  readonly #next = this.#fn.local("i64");
  readonly #handler = this.#fn.local("i32");

  constructor(readSigned: number) {
    this.#readSigned = readSigned;
  }

  build(): Uint8Array {
    const fn = this.#fn;
    fn.set(this.#code64, equals(this.#codeSize, 64));
    fn.set(this.#record, i32.add(this.#header, i32.const(RECORD_SIZE)));
    fn.set(this.#at, this.#bytes);
    fn.block((done) => {
      fn.loop((again) => {
        fn.branchIf(i32.geU(this.#at, i32.add(this.#bytes, this.#length)), done);
        const start = fn.let(this.#at);
        this.#decode(done);
        this.#write(done);
        const offset = u64(i32.sub(start, this.#bytes));
        const place = i32.shl(this.#count, i32.const(1));
        fn.storeNarrow(16, place, offset, DECODED.OFFSETS);
        fn.set(this.#count, i32.add(this.#count, i32.const(1)));
        fn.store(zero, i32.sub(this.#at, this.#bytes), DECODED.LENGTH);
        fn.set(this.#flags, either(this.#flags, this.#traits));
        fn.branchIf(isSet(this.#traits, TRAIT.ENDS), done);
        fn.branchIf(i32.ltU(this.#count, i32.const(MAX_INSTRUCTIONS)), again);
      });
    });
    fn.if(this.#count, () => this.#finish());
    fn.return(this.#count);
    fn.code.push(0x00);
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

  /** Leaves what it finds in variables; branches if there is no instruction, or not all of one. */
  #decode(fail: Label): void {
    const fn = this.#fn;
    const last = fn.let(i32.add(this.#bytes, this.#length));
    const longest = fn.let(i32.add(this.#at, i32.const(MAX_INSTRUCTION_LENGTH)));
    fn.set(this.#end, select(i32.ltU(last, longest), last, longest));
    this.#prefixes(fail);
    const opcode = this.#opcode(fail);
    const facts = this.#readModRm(opcode, fail);
    this.#find(opcode, facts, fail);
    const refused = both(
      this.#lock,
      i32.eqz(both(this.#has(TRAIT.LOCK), isSet(facts, FACT.MEMORY))),
    );
    fn.branchIf(refused, fail);
    fn.if(this.#has(TRAIT.MODRM), () => fn.set(this.#at, i32.add(this.#at, i32.const(1))));
    this.#findOperandSize();
    const other = pick(equals(this.#codeSize, 32), 16, 32);
    fn.set(this.#addressSize, select(this.#otherAddress, other, this.#codeSize));
    this.#address(fail);
    this.#readImmediates(fail);
  }

  #has(trait: number): I32 {
    return isSet(this.#traits, trait);
  }

  #need(bytes: I32, fail: Label): void {
    this.#fn.branchIf(i32.gtU(i32.add(this.#at, bytes), this.#end), fail);
  }

  #nextByte(fail: Label): Local<"i32"> {
    const fn = this.#fn;
    this.#need(i32.const(1), fail);
    const byte = fn.let(i32.load8U(this.#at));
    fn.set(this.#at, i32.add(this.#at, i32.const(1)));
    return byte;
  }

  /** Legacy prefixes in any order; REX counts only right before the opcode. */
  #prefixes(fail: Label): void {
    const fn = this.#fn;
    for (const variable of [
      this.#narrow,
      this.#otherAddress,
      this.#lock,
      this.#repeat,
      this.#rex,
    ]) {
      fn.set(variable, zero);
    }
    fn.set(this.#segment, i32.const(NONE));
    const one = i32.const(1);
    fn.block((end) => {
      fn.loop((again) => {
        const byte = this.#nextByte(fail);
        const isRex = equals(i32.and(byte, i32.const(0xf0)), 0x40);
        fn.if(both(this.#code64, isRex), () => {
          fn.set(this.#rex, byte);
          fn.branch(again);
        });
        fn.block((legacy) => {
          const prefix = (value: number, body: () => void): void => {
            fn.if(equals(byte, value), () => {
              body();
              fn.branch(legacy);
            });
          };
          // Most instructions have none: opcodes below are told apart first.
          prefix(0x66, () => fn.set(this.#narrow, one));
          prefix(0xf3, () => fn.set(this.#repeat, i32.const(2)));
          prefix(0xf2, () => fn.set(this.#repeat, i32.const(3)));
          prefix(0x67, () => fn.set(this.#otherAddress, one));
          prefix(0xf0, () => fn.set(this.#lock, one));
          prefix(0x64, () => fn.set(this.#segment, i32.const(SEGMENT_INDEX.fs)));
          prefix(0x65, () => fn.set(this.#segment, i32.const(SEGMENT_INDEX.gs)));
          // 26, 2E, 36 and 3E: in 64-bit mode they choose nothing.
          fn.if(equals(i32.and(byte, i32.const(0xe7)), 0x26), () => {
            const named = i32.and(i32.shrU(byte, i32.const(3)), i32.const(3));
            fn.set(this.#segment, select(this.#code64, this.#segment, named));
            fn.branch(legacy);
          });
          fn.branch(end);
        });
        fn.set(this.#rex, zero);
        fn.branch(again);
      });
    });
    fn.set(this.#at, i32.sub(this.#at, one));
  }

  /** As `opcodeNumber` numbers them. */
  #opcode(fail: Label): Local<"i32"> {
    const fn = this.#fn;
    const opcode = this.#nextByte(fail);
    fn.if(equals(opcode, 0x0f), () => {
      fn.set(opcode, either(this.#nextByte(fail), i32.const(0x100)));
      for (const [second, map] of [
        [0x138, 0x200],
        [0x13a, 0x300],
      ] as const) {
        fn.if(equals(opcode, second), () => {
          fn.set(opcode, either(this.#nextByte(fail), i32.const(map)));
        });
      }
    });
    return opcode;
  }

  /** What conditions of forms are about. @returns {@link FACT}s */
  #readModRm(opcode: I32, fail: Label): Local<"i32"> {
    const fn = this.#fn;
    const entry = fn.let(i32.shl(opcode, i32.const(1)));
    const first = i32.load16U(entry, DECODING);
    const end = i32.load16U(entry, DECODING + 2);
    const number = fn.let(first);
    fn.branchIf(i32.eq(number, end), fail);
    fn.set(this.#candidate, i32.mul(number, i32.const(CANDIDATE_SIZE)));
    fn.set(this.#modRm, zero);
    const traits = i32.load16U(this.#candidate, DECODING + CANDIDATES + CANDIDATE.TRAITS);
    // All forms of an opcode have one, or none.
    fn.if(isSet(traits, TRAIT.MODRM), () => {
      this.#need(i32.const(1), fail);
      fn.set(this.#modRm, i32.load8U(this.#at));
    });
    const facts = fn.let(pick(this.#code64, FACT.CODE64, FACT.LEGACY));
    const add = (condition: I32, yes: number, no: number): void =>
      fn.set(facts, either(facts, pick(condition, yes, no)));
    add(isSet(this.#rex, 8), FACT.REX_W, FACT.NO_REX_W);
    add(isSet(this.#rex, 1), FACT.REX_B, 0);
    add(i32.geU(this.#modRm, i32.const(0xc0)), FACT.REGISTER, FACT.MEMORY);
    return facts;
  }

  /** The form that is meant: the first whose conditions hold. */
  #find(opcode: Local<"i32">, facts: I32, fail: Label): void {
    const fn = this.#fn;
    const ofForm = (field: number): number => DECODING + CANDIDATES + field;
    const after = i32.load16U(i32.shl(opcode, i32.const(1)), DECODING + 2);
    const end = fn.let(i32.mul(after, i32.const(CANDIDATE_SIZE)));
    const byPrefix = select(this.#repeat, this.#repeat, this.#narrow);
    const prefix = fn.let(i32.shl(i32.const(1), byPrefix));
    fn.block((found) => {
      fn.loop((again) => {
        const { PREFIXES, FORBIDDEN, MODRM_MASK, MODRM_VALUE } = CANDIDATE;
        const at = this.#candidate;
        const meant = i32.and(i32.load8U(at, ofForm(PREFIXES)), prefix);
        const against = i32.and(i32.load8U(at, ofForm(FORBIDDEN)), facts);
        const bits = i32.and(this.#modRm, i32.load8U(at, ofForm(MODRM_MASK)));
        const same = i32.eq(bits, i32.load8U(at, ofForm(MODRM_VALUE)));
        fn.branchIf(both(both(i32.ne(meant, zero), i32.eqz(against)), same), found);
        fn.set(at, i32.add(at, i32.const(CANDIDATE_SIZE)));
        fn.branchIf(i32.ltU(at, end), again);
        fn.branch(fail);
      });
    });
    fn.set(this.#candidate, i32.add(this.#candidate, i32.const(ofForm(0))));
    const more = i32.shl(i32.load8U(this.#candidate, CANDIDATE.MORE_TRAITS), i32.const(16));
    fn.set(this.#traits, either(i32.load16U(this.#candidate, CANDIDATE.TRAITS), more));
  }

  #findOperandSize(): void {
    const fn = this.#fn;
    const has16 = this.#has(TRAIT.SIZE_16);
    const narrow = fn.let(both(this.#narrow, i32.eqz(this.#has(TRAIT.PREFIX_66))));
    const size = this.#operandSize;
    fn.if(
      this.#code64,
      () => {
        const byPrefix = (wide: number): I32 => pick(narrow, 16, wide);
        fn.set(size, select(has16, byPrefix(32), i32.const(32)));
        fn.if(this.#has(TRAIT.DEFAULT_64), () => fn.set(size, byPrefix(64)));
        fn.if(isSet(this.#rex, 8), () => fn.set(size, pick(this.#has(TRAIT.SIZE_64), 64, 32)));
        fn.if(this.#has(TRAIT.ALWAYS_64), () => fn.set(size, i32.const(64)));
      },
      () => {
        const is16 = i32.ne(equals(this.#codeSize, 16), narrow);
        fn.set(size, pick(both(is16, has16), 16, 32));
      },
    );
  }

  #address(fail: Label): void {
    const fn = this.#fn;
    for (const variable of [this.#hasAddress, this.#scale, this.#ripRelative]) {
      fn.set(variable, zero);
    }
    fn.set(this.#base, i32.const(NONE));
    fn.set(this.#index, i32.const(NONE));
    fn.set(this.#displacement, i64.const(0));
    fn.if(
      this.#has(TRAIT.OFFSET),
      () => {
        fn.set(this.#hasAddress, i32.const(1));
        const bytes = fn.let(i32.shrU(this.#addressSize, i32.const(3)));
        this.#readDisplacement(bytes, fail);
        this.#zeroExtend(this.#displacement, bytes);
      },
      () => {
        const inMemory = i32.ltU(this.#modRm, i32.const(0xc0));
        fn.if(both(this.#has(TRAIT.ADDRESS), inMemory), () => {
          fn.set(this.#hasAddress, i32.const(1));
          const mod = fn.let(i32.shrU(this.#modRm, i32.const(6)));
          const rm = fn.let(i32.and(this.#modRm, i32.const(7)));
          fn.if(
            equals(this.#addressSize, 16),
            () => this.#address16(mod, rm, fail),
            () => this.#address32(mod, rm, fail),
          );
        });
      },
    );
    this.#findSegment();
  }

  /** SS with a base of BP or SP, unless overridden. */
  #findSegment(): void {
    const fn = this.#fn;
    const [RSP, RBP] = [4, 5];
    const onStack = either(equals(this.#base, RSP), equals(this.#base, RBP));
    const usual = pick(onStack, SEGMENT_INDEX.ss, SEGMENT_INDEX.ds);
    const named = equals(this.#segment, NONE);
    fn.set(this.#segment, select(named, usual, this.#segment));
  }

  /** Table 2-1 of Intel SDM vol. 2A. */
  #address16(mod: I32, rm: I32, fail: Label): void {
    const fn = this.#fn;
    const [BX, BP, SI, DI] = [3, 5, 6, 7];
    const bases = [BX, BX, BP, BP, SI, DI, BP, BX];
    // Each in four bits.
    const base = i32.shrU(i32.const(packed(bases)), i32.shl(rm, i32.const(2)));
    fn.set(this.#base, i32.and(base, i32.const(0xf)));
    fn.if(i32.ltU(rm, i32.const(4)), () => fn.set(this.#index, pick(isSet(rm, 1), DI, SI)));
    const direct = both(i32.eqz(mod), equals(rm, 6));
    fn.if(
      direct,
      () => {
        fn.set(this.#base, i32.const(NONE));
        this.#readDisplacement(i32.const(2), fail);
      },
      // One byte with 1, two with 2.
      () => fn.if(mod, () => this.#readDisplacement(mod, fail)),
    );
  }

  /** Tables 2-2 and 2-3, with REX.X and REX.B (§2.2.1.2). */
  #address32(mod: I32, rm: Local<"i32">, fail: Label): void {
    const fn = this.#fn;
    const rexB = i32.shl(i32.and(this.#rex, i32.const(1)), i32.const(3));
    const high = fn.let(rexB);
    fn.if(
      equals(rm, 4),
      () => {
        const sib = this.#nextByte(fail);
        fn.set(this.#scale, i32.shrU(sib, i32.const(6)));
        const low = i32.and(i32.shrU(sib, i32.const(3)), i32.const(7));
        const index = fn.let(either(low, i32.shl(i32.and(this.#rex, i32.const(2)), i32.const(2))));
        fn.set(this.#index, select(equals(index, 4), i32.const(NONE), index));
        fn.set(this.#base, i32.and(sib, i32.const(7)));
      },
      () => fn.set(this.#base, rm),
    );
    const noBase = fn.let(both(i32.eqz(mod), equals(this.#base, 5)));
    const relative = both(both(noBase, equals(rm, 5)), this.#code64);
    fn.set(this.#ripRelative, relative);
    fn.set(this.#base, select(noBase, i32.const(NONE), either(this.#base, high)));
    fn.if(either(noBase, equals(mod, 2)), () => this.#readDisplacement(i32.const(4), fail));
    fn.if(equals(mod, 1), () => this.#readDisplacement(i32.const(1), fail));
  }

  #readDisplacement(bytes: I32, fail: Label): void {
    this.#readInto(this.#displacement, bytes, fail);
  }

  #readInto(target: Local<"i64">, bytes: I32, fail: Label): void {
    const fn = this.#fn;
    const size = fn.let(bytes);
    this.#need(size, fail);
    fn.set(target, callResult("i64", this.#readSigned, this.#at, size));
    fn.set(this.#at, i32.add(this.#at, size));
  }

  #zeroExtend(value: Local<"i64">, bytes: I32): void {
    const unused = this.#fn.let(u64(i32.sub(i32.const(64), i32.shl(bytes, i32.const(3)))));
    this.#fn.set(value, i64.shrU(i64.shl(value, unused), unused));
  }

  #readImmediates(fail: Label): void {
    const fn = this.#fn;
    fn.set(this.#immediate, i64.const(1));
    fn.set(this.#immediates, i32.load8U(this.#candidate, CANDIDATE.IMMEDIATES));
    fn.if(this.#immediates, () => {
      const kind = fn.let(i32.and(this.#immediates, i32.const(0xf)));
      fn.if(
        equals(kind, IMMEDIATE.FAR_POINTER),
        () => {
          const bytes = fn.let(i32.shrU(this.#operandSize, i32.const(3)));
          this.#readInto(this.#immediate, bytes, fail);
          this.#zeroExtend(this.#immediate, bytes);
          this.#skip(i32.const(2), fail);
        },
        () => {
          fn.if(i32.ne(kind, i32.const(IMMEDIATE.ONE)), () =>
            this.#readInto(this.#immediate, this.#immediateBytes(kind), fail),
          );
        },
      );
      const second = fn.let(i32.shrU(this.#immediates, i32.const(4)));
      fn.if(second, () => this.#skip(this.#immediateBytes(second), fail));
    });
  }

  /** An immediate that the record has no room for. */
  #skip(bytes: I32, fail: Label): void {
    const size = this.#fn.let(bytes);
    this.#need(size, fail);
    this.#fn.set(this.#at, i32.add(this.#at, size));
  }

  #immediateBytes(kind: Local<"i32">): I32 {
    const whole = i32.shrU(this.#operandSize, i32.const(3));
    const z = pick(equals(this.#operandSize, 16), 2, 4);
    const bySize = select(equals(kind, IMMEDIATE.Z), z, whole);
    // BYTE and WORD are their own numbers of bytes.
    return select(i32.ltU(kind, i32.const(IMMEDIATE.Z)), kind, bySize);
  }

  /** Sets the offset of what follows. @param offset bytes from the block's start */
  #setNext(offset: I32): void {
    const fn = this.#fn;
    fn.set(this.#next, i64.add(this.#rip, u64(offset)));
    const low = u64(i32.wrap(this.#next));
    fn.set(this.#next, select(this.#code64, this.#next, low));
  }

  /** Writes the instruction's records. */
  #write(fail: Label): void {
    const fn = this.#fn;
    this.#setNext(i32.sub(this.#at, this.#bytes));
    const unit = i32.load8U(this.#candidate, CANDIDATE.UNIT);
    const fault = fn.let(i32.and(i32.shrU(this.#faults, unit), i32.const(0xff)));
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
        this.#writeRegisters();
        this.#writeImmediate();
      },
    );
    fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
  }

  /** Of a relative branch: in the place of its immediate. */
  #findTarget(): void {
    const fn = this.#fn;
    fn.if(this.#has(TRAIT.RELATIVE), () => {
      const width = select(this.#code64, i32.const(64), this.#operandSize);
      fn.set(this.#immediate, i64.add(this.#immediate, this.#next));
      this.#zeroExtend(this.#immediate, i32.shrU(width, i32.const(3)));
      fn.if(this.#has(TRAIT.CALL), () => fn.store(zero, this.#immediate, DECODED.CALLS));
    });
  }

  #findHandler(fail: Label): void {
    const fn = this.#fn;
    const counts = both(this.#has(TRAIT.COUNTER), i32.ne(this.#addressSize, this.#operandSize));
    const isWide = both(this.#code64, equals(this.#addressSize, 64));
    const isWithout = both(this.#has(TRAIT.ONLY_64), i32.eqz(isWide));
    const outside = both(this.#has(TRAIT.RELATIVE), i64.gtU(this.#immediate, this.#limit));
    fn.set(this.#handler, i32.const(microIndex("procedure")));
    const isProcedure = either(this.#has(TRAIT.PROCEDURE), isWithout);
    fn.if(i32.eqz(either(either(isProcedure, counts), outside)), () => {
      const ordinal = i32.load16U(this.#candidate, CANDIDATE.ORDINAL);
      // 8, 16, 32 and 64 bits are 0 to 3.
      const size = i32.sub(i32.ctz(this.#operandSize), i32.const(3));
      const kind = either(i32.shl(this.#hasAddress, i32.const(1)), this.#code64);
      const variant = i32.add(i32.shl(size, i32.const(2)), kind);
      const place = i32.add(i32.mul(ordinal, i32.const(VARIANTS_PER_FORM)), variant);
      fn.set(this.#handler, i32.load16U(i32.shl(place, i32.const(1)), HANDLERS));
      fn.branchIf(equals(this.#handler, NO_HANDLER), fail);
    });
  }

  #writeAddressRecords(): void {
    const fn = this.#fn;
    this.#clear(this.#count, 0);
    fn.if(this.#hasAddress, () => {
      const plain = i32.ltU(this.#segment, i32.const(SEGMENT_INDEX.fs));
      const isDirect = both(equals(this.#addressSize, 64), plain);
      fn.if(
        isDirect,
        () => this.#writeAddress(),
        () => {
          fn.if(i32.eqz(this.#has(TRAIT.PROCEDURE)), () => {
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
      [this.#base, RECORD.BASE],
      [this.#index, RECORD.INDEX_REGISTER],
    ] as const) {
      const slot = i32.add(i32.const(STATE.GPR), i32.shl(register, i32.const(3)));
      const none = equals(register, NONE);
      fn.storeNarrow(16, this.#record, u64(select(none, i32.const(STATE.ZERO), slot)), field);
    }
    fn.storeNarrow(8, this.#record, u64(this.#scale), RECORD.SCALE);
    const from = select(this.#ripRelative, this.#next, i64.const(0));
    fn.store(this.#record, i64.add(this.#displacement, from), RECORD.DISPLACEMENT);
  }

  /** An address that needs a segment's base or is cut; with what is checked outside 64-bit mode. */
  #writeAddressOperation(): void {
    const fn = this.#fn;
    const micro = MICRO_OPERATIONS.length;
    const access = fn.let(i32.const(0));
    const hasCode = i32.geU(this.#handler, i32.const(micro));
    fn.if(both(i32.eqz(this.#code64), hasCode), () =>
      fn.set(access, i32.load8U(i32.sub(this.#handler, i32.const(micro)), ACCESSES)),
    );
    const write = fn.let(isSet(access, ACCESS_WRITES));
    fn.if(both(i32.ne(access, zero), this.#has(TRAIT.MMX)), () => {
      this.#clear(this.#count, microIndex("mmx-access"));
      fn.store(this.#record, write, RECORD.IMMEDIATE);
      fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
    });
    this.#clear(this.#count, microIndex("address"));
    this.#writeAddress();
    const segment = fn.let(i32.mul(this.#segment, i32.const(SEGMENT_SIZE)));
    const base = i32.add(segment, i32.const(STATE.SEGMENTS + SEGMENT.BASE));
    const plain = this.#has(TRAIT.OFFSET_ONLY);
    const shown = select(plain, i32.const(STATE.ZERO), base);
    fn.storeNarrow(16, this.#record, u64(shown), RECORD.SEGMENT);
    const unused = u64(i32.sub(i32.const(64), this.#addressSize));
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
    const operands = fn.let(i32.load(this.#candidate, CANDIDATE.OPERANDS));
    const field = fn.let(this.#record);
    const last = fn.let(i32.add(this.#record, i32.const(2 * RECORD.REGISTERS.length)));
    fn.block((done) => {
      fn.loop((again) => {
        fn.branchIf(i32.eqz(operands), done);
        const operand = fn.let(i32.and(operands, i32.const(0xff)));
        fn.set(operands, i32.shrU(operands, i32.const(8)));
        const source = fn.let(i32.and(operand, i32.const(OPERAND.SOURCE)));
        const inMemory = i32.ltU(this.#modRm, i32.const(0xc0));
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
      i32.shl(i32.and(this.#rex, i32.const(bits)), i32.const(shift));
    const reg = either(i32.and(i32.shrU(this.#modRm, i32.const(3)), i32.const(7)), bit(4, 1));
    const rm = either(i32.and(this.#modRm, i32.const(7)), bit(1, 3));
    const named = i32.shrU(operand, i32.const(OPERAND.NUMBER_SHIFT));
    const number = fn.let(select(equals(source, OPERAND.REG), reg, rm));
    fn.if(equals(source, OPERAND.OPCODE), () => fn.set(number, either(named, bit(1, 3))));
    fn.if(equals(source, OPERAND.FIXED), () => fn.set(number, named));
    const kind = fn.let(
      i32.and(i32.shrU(operand, i32.const(OPERAND.KIND_SHIFT)), i32.const(OPERAND.KIND)),
    );
    const slot = fn.let(i32.add(i32.const(STATE.GPR), i32.shl(number, i32.const(3))));
    // Without REX, byte registers 4 to 7 are AH, CH, DH and BH.
    const high = both(i32.eqz(this.#rex), i32.geU(number, i32.const(4)));
    fn.if(both(equals(kind, OPERAND.BYTE), high), () =>
      fn.set(slot, i32.sub(slot, i32.const(4 * 8 - 1))),
    );
    const wide = (base: number, n: I32): I32 => i32.add(i32.const(base), i32.shl(n, i32.const(4)));
    fn.if(equals(kind, OPERAND.XMM), () => fn.set(slot, wide(STATE.XMM, number)));
    // REX says nothing about MMX registers.
    const mmx = i32.and(number, i32.const(7));
    fn.if(equals(kind, OPERAND.MMX), () => fn.set(slot, wide(STATE.FX_AREA + FXSAVE.ST, mmx)));
    return slot;
  }

  #writeImmediate(): void {
    const fn = this.#fn;
    fn.if(
      this.#immediates,
      () => {
        fn.store(this.#record, this.#immediate, RECORD.IMMEDIATE);
        fn.if(i32.eqz(this.#hasAddress), () =>
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

/** Numbers below 16 in one, the first in the lowest four bits. */
const packed = (values: readonly number[]): number =>
  values.reduceRight((all, value) => all * 16 + value, 0);
