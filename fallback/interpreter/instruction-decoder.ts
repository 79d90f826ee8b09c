import { SEGMENT_INDEX } from "../state.ts";
import { type I32, i32, i64, select } from "../wasm/expression.ts";
import {
  callResult,
  type FunctionBuilder,
  type Label,
  type Local,
} from "../wasm/function-builder.ts";
import { DECODING, MAX_INSTRUCTION_LENGTH, REX, SHORT_VEX, VEX_2, VEX_3 } from "./decoding.ts";
import {
  both,
  type CodeParameters,
  either,
  equals,
  isSet,
  NONE,
  packed,
  pick,
  zero,
  zeroExtend,
} from "./decoding-expressions.ts";
import { CANDIDATE, CANDIDATE_SIZE, CANDIDATES, FACT, IMMEDIATE, TRAIT } from "./decoding-table.ts";

/** The part of the block decoder that takes one instruction apart: what `Decoder` does. */
export class InstructionDecoder {
  readonly #fn: FunctionBuilder;
  readonly #code: CodeParameters;
  readonly #readSigned: number;
  readonly code64: Local<"i32">;
  /** The next byte, and where the instruction may not reach. */
  readonly at: Local<"i32">;
  readonly #end: Local<"i32">;
  readonly #narrow: Local<"i32">;
  readonly #otherAddress: Local<"i32">;
  readonly #lock: Local<"i32">;
  /** Of F3 and F2: index into MANDATORY_PREFIXES. */
  readonly repeat: Local<"i32">;
  /** Segment register, or -1. */
  readonly segment: Local<"i32">;
  /** As {@link DecodedInstruction} has both. */
  readonly rex: Local<"i32">;
  readonly vvvv: Local<"i32">;
  /** {@link FACT}s. */
  readonly #vexFacts: Local<"i32">;
  readonly candidate: Local<"i32">;
  readonly traits: Local<"i32">;
  readonly modRm: Local<"i32">;
  readonly operandSize: Local<"i32">;
  readonly addressSize: Local<"i32">;
  readonly hasAddress: Local<"i32">;
  /** Register numbers, or -1. */
  readonly base: Local<"i32">;
  readonly index: Local<"i32">;
  readonly scale: Local<"i32">;
  readonly displacement: Local<"i64">;
  readonly ripRelative: Local<"i32">;
  readonly immediates: Local<"i32">;
  readonly immediate: Local<"i64">;
  /** Of a far pointer, else 0. */
  readonly farSelector: Local<"i32">;

  /** @param code where the code's parameters are; `readSigned` as `addReadSigned` makes it */
  constructor(fn: FunctionBuilder, code: CodeParameters, readSigned: number) {
    this.#fn = fn;
    this.#code = code;
    this.#readSigned = readSigned;
    this.code64 = fn.local("i32");
    this.at = fn.local("i32");
    this.#end = fn.local("i32");
    this.#narrow = fn.local("i32");
    this.#otherAddress = fn.local("i32");
    this.#lock = fn.local("i32");
    this.repeat = fn.local("i32");
    this.segment = fn.local("i32");
    this.rex = fn.local("i32");
    this.vvvv = fn.local("i32");
    this.#vexFacts = fn.local("i32");
    this.candidate = fn.local("i32");
    this.traits = fn.local("i32");
    this.modRm = fn.local("i32");
    this.operandSize = fn.local("i32");
    this.addressSize = fn.local("i32");
    this.hasAddress = fn.local("i32");
    this.base = fn.local("i32");
    this.index = fn.local("i32");
    this.scale = fn.local("i32");
    this.displacement = fn.local("i64");
    this.ripRelative = fn.local("i32");
    this.immediates = fn.local("i32");
    this.immediate = fn.local("i64");
    this.farSelector = fn.local("i32");
  }

  /** Leaves what it finds in variables; branches if there is no instruction, or not all of one. */
  decode(fail: Label): void {
    const fn = this.#fn;
    const last = fn.let(i32.add(this.#code.bytes, this.#code.length));
    const longest = fn.let(i32.add(this.at, i32.const(MAX_INSTRUCTION_LENGTH)));
    fn.set(this.#end, select(i32.ltU(last, longest), last, longest));
    this.#prefixes(fail);
    const opcode = this.#opcode(fail);
    const facts = this.#readModRm(opcode, fail);
    this.#find(opcode, facts, fail);
    const refused = both(
      this.#lock,
      i32.eqz(both(this.has(TRAIT.LOCK), isSet(facts, FACT.MEMORY))),
    );
    fn.branchIf(refused, fail);
    fn.if(this.has(TRAIT.MODRM), () => fn.set(this.at, i32.add(this.at, i32.const(1))));
    this.#findOperandSize();
    const other = pick(equals(this.#code.codeSize, 32), 16, 32);
    fn.set(this.addressSize, select(this.#otherAddress, other, this.#code.codeSize));
    this.#address(fail);
    this.#readImmediates(fail);
  }

  /** Whether the instruction has a {@link TRAIT}. */
  has(trait: number): I32 {
    return isSet(this.traits, trait);
  }

  #need(bytes: I32, fail: Label): void {
    this.#fn.branchIf(i32.gtU(i32.add(this.at, bytes), this.#end), fail);
  }

  #nextByte(fail: Label): Local<"i32"> {
    const fn = this.#fn;
    this.#need(i32.const(1), fail);
    const byte = fn.let(i32.load8U(this.at));
    fn.set(this.at, i32.add(this.at, i32.const(1)));
    return byte;
  }

  /** Legacy prefixes in any order; REX counts only right before the opcode. */
  #prefixes(fail: Label): void {
    const fn = this.#fn;
    for (const variable of [this.#narrow, this.#otherAddress, this.#lock, this.repeat, this.rex]) {
      fn.set(variable, zero);
    }
    fn.set(this.segment, i32.const(NONE));
    const one = i32.const(1);
    fn.block((end) => {
      fn.loop((again) => {
        const byte = this.#nextByte(fail);
        const isRex = equals(i32.and(byte, i32.const(0xf0)), 0x40);
        fn.if(both(this.code64, isRex), () => {
          fn.set(this.rex, byte);
          fn.branch(again);
        });
        fn.block((legacy) => {
          const prefix = (value: number, body: () => void): void => {
            fn.if(equals(byte, value), () => {
              body();
              fn.branch(legacy);
            });
          };
          prefix(0x66, () => fn.set(this.#narrow, one));
          prefix(0xf3, () => fn.set(this.repeat, i32.const(2)));
          prefix(0xf2, () => fn.set(this.repeat, i32.const(3)));
          prefix(0x67, () => fn.set(this.#otherAddress, one));
          prefix(0xf0, () => fn.set(this.#lock, one));
          prefix(0x64, () => fn.set(this.segment, i32.const(SEGMENT_INDEX.fs)));
          prefix(0x65, () => fn.set(this.segment, i32.const(SEGMENT_INDEX.gs)));
          // 26, 2E, 36 and 3E: in 64-bit mode they choose nothing.
          fn.if(equals(i32.and(byte, i32.const(0xe7)), 0x26), () => {
            const named = i32.and(i32.shrU(byte, i32.const(3)), i32.const(3));
            fn.set(this.segment, select(this.code64, this.segment, named));
            fn.branch(legacy);
          });
          fn.branch(end);
        });
        fn.set(this.rex, zero);
        fn.branch(again);
      });
    });
    fn.set(this.at, i32.sub(this.at, one));
  }

  /** As `opcodeNumber` numbers them. */
  #opcode(fail: Label): Local<"i32"> {
    const fn = this.#fn;
    const opcode = this.#nextByte(fail);
    fn.set(this.vvvv, zero);
    fn.set(this.#vexFacts, i32.const(FACT.NO_VEX_L));
    fn.if(equals(i32.and(opcode, i32.const(~(VEX_2 ^ VEX_3))), VEX_3), () => {
      this.#need(i32.const(1), fail);
      const registers = i32.geU(i32.load8U(this.at), i32.const(0xc0));
      const outside64 = both(equals(this.#code.codeSize, 32), registers);
      fn.if(either(this.code64, outside64), () => this.#vexPrefix(opcode, fail));
    });
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

  /** Behind C4 or C5, which becomes the opcode: as `Decoder` does it. */
  #vexPrefix(opcode: Local<"i32">, fail: Label): void {
    const fn = this.#fn;
    const others = [this.rex, this.#narrow, this.#lock, this.repeat];
    fn.branchIf(others.reduce<I32>(either, zero), fail);
    const second = this.#nextByte(fail);
    const third = fn.let(i32.and(second, i32.const(0x7f)));
    fn.if(
      equals(opcode, VEX_3),
      () => fn.set(third, this.#nextByte(fail)),
      () => fn.set(second, either(i32.and(second, i32.const(0x80)), i32.const(SHORT_VEX))),
    );
    const map = fn.let(i32.and(second, i32.const(0x1f)));
    fn.branchIf(i32.gtU(i32.sub(map, i32.const(1)), i32.const(2)), fail);
    const inverted = (value: I32): I32 => i32.xor(value, i32.const(-1));
    const rxb = i32.and(i32.shrU(inverted(second), i32.const(5)), i32.const(7));
    const w = i32.shl(i32.shrU(third, i32.const(7)), i32.const(3));
    fn.set(this.rex, either(either(i32.const(REX), w), select(this.code64, rxb, zero)));
    fn.set(this.vvvv, i32.and(i32.shrU(inverted(third), i32.const(3)), i32.const(0xf)));
    fn.set(this.#vexFacts, pick(isSet(third, 4), FACT.VEX_L, FACT.NO_VEX_L));
    fn.if(this.vvvv, () => fn.set(this.#vexFacts, either(this.#vexFacts, i32.const(FACT.VVVV))));
    fn.set(this.vvvv, i32.and(this.vvvv, pick(this.code64, 0xf, 7)));
    const prefix = fn.let(i32.and(third, i32.const(3)));
    fn.set(this.#narrow, equals(prefix, 1));
    fn.set(this.repeat, select(i32.gtU(prefix, i32.const(1)), prefix, zero));
    const number = i32.shl(i32.add(map, i32.const(3)), i32.const(8));
    fn.set(opcode, either(number, this.#nextByte(fail)));
  }

  /** What conditions of forms are about. @returns {@link FACT}s */
  #readModRm(opcode: I32, fail: Label): Local<"i32"> {
    const fn = this.#fn;
    const entry = fn.let(i32.shl(opcode, i32.const(1)));
    const first = i32.load16U(entry, DECODING);
    const end = i32.load16U(entry, DECODING + 2);
    const number = fn.let(first);
    fn.branchIf(i32.eq(number, end), fail);
    fn.set(this.candidate, i32.mul(number, i32.const(CANDIDATE_SIZE)));
    fn.set(this.modRm, zero);
    const traits = i32.load16U(this.candidate, DECODING + CANDIDATES + CANDIDATE.TRAITS);
    // All forms of an opcode have one, or none.
    fn.if(isSet(traits, TRAIT.MODRM), () => {
      this.#need(i32.const(1), fail);
      fn.set(this.modRm, i32.load8U(this.at));
    });
    const facts = fn.let(either(pick(this.code64, FACT.CODE64, FACT.LEGACY), this.#vexFacts));
    const add = (condition: I32, yes: number, no: number): void =>
      fn.set(facts, either(facts, pick(condition, yes, no)));
    add(isSet(this.rex, 8), FACT.REX_W, FACT.NO_REX_W);
    add(isSet(this.rex, 1), FACT.REX_B, 0);
    add(i32.geU(this.modRm, i32.const(0xc0)), FACT.REGISTER, FACT.MEMORY);
    return facts;
  }

  /** The form that is meant: the first whose conditions hold. */
  #find(opcode: Local<"i32">, facts: I32, fail: Label): void {
    const fn = this.#fn;
    const ofForm = (field: number): number => DECODING + CANDIDATES + field;
    const after = i32.load16U(i32.shl(opcode, i32.const(1)), DECODING + 2);
    const end = fn.let(i32.mul(after, i32.const(CANDIDATE_SIZE)));
    const byPrefix = select(this.repeat, this.repeat, this.#narrow);
    const prefix = fn.let(i32.shl(i32.const(1), byPrefix));
    fn.block((found) => {
      fn.loop((again) => {
        const { PREFIXES, FORBIDDEN, MODRM_MASK, MODRM_VALUE } = CANDIDATE;
        const at = this.candidate;
        const meant = i32.and(i32.load8U(at, ofForm(PREFIXES)), prefix);
        const against = i32.and(i32.load16U(at, ofForm(FORBIDDEN)), facts);
        const bits = i32.and(this.modRm, i32.load8U(at, ofForm(MODRM_MASK)));
        const same = i32.eq(bits, i32.load8U(at, ofForm(MODRM_VALUE)));
        fn.branchIf(both(both(i32.ne(meant, zero), i32.eqz(against)), same), found);
        fn.set(at, i32.add(at, i32.const(CANDIDATE_SIZE)));
        fn.branchIf(i32.ltU(at, end), again);
        fn.branch(fail);
      });
    });
    fn.set(this.candidate, i32.add(this.candidate, i32.const(ofForm(0))));
    const more = i32.shl(i32.load8U(this.candidate, CANDIDATE.MORE_TRAITS), i32.const(16));
    fn.set(this.traits, either(i32.load16U(this.candidate, CANDIDATE.TRAITS), more));
  }

  #findOperandSize(): void {
    const fn = this.#fn;
    const has16 = this.has(TRAIT.SIZE_16);
    const narrow = fn.let(both(this.#narrow, i32.eqz(this.has(TRAIT.PREFIX_66))));
    const size = this.operandSize;
    fn.if(
      this.code64,
      () => {
        const byPrefix = (wide: number): I32 => pick(narrow, 16, wide);
        fn.set(size, select(has16, byPrefix(32), i32.const(32)));
        fn.if(this.has(TRAIT.DEFAULT_64), () => fn.set(size, byPrefix(64)));
        fn.if(isSet(this.rex, 8), () => fn.set(size, pick(this.has(TRAIT.SIZE_64), 64, 32)));
        fn.if(this.has(TRAIT.ALWAYS_64), () => fn.set(size, i32.const(64)));
      },
      () => {
        const is16 = i32.ne(equals(this.#code.codeSize, 16), narrow);
        fn.set(size, pick(both(is16, has16), 16, 32));
      },
    );
  }

  #address(fail: Label): void {
    const fn = this.#fn;
    for (const variable of [this.hasAddress, this.scale, this.ripRelative]) fn.set(variable, zero);
    fn.set(this.base, i32.const(NONE));
    fn.set(this.index, i32.const(NONE));
    fn.set(this.displacement, i64.const(0));
    fn.if(
      this.has(TRAIT.OFFSET),
      () => {
        fn.set(this.hasAddress, i32.const(1));
        const bytes = fn.let(i32.shrU(this.addressSize, i32.const(3)));
        this.#readInto(this.displacement, bytes, fail);
        zeroExtend(fn, this.displacement, bytes);
      },
      () => {
        const inMemory = i32.ltU(this.modRm, i32.const(0xc0));
        fn.if(both(this.has(TRAIT.ADDRESS), inMemory), () => {
          fn.set(this.hasAddress, i32.const(1));
          const mod = fn.let(i32.shrU(this.modRm, i32.const(6)));
          const rm = fn.let(i32.and(this.modRm, i32.const(7)));
          fn.if(
            equals(this.addressSize, 16),
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
    const onStack = either(equals(this.base, RSP), equals(this.base, RBP));
    const usual = pick(onStack, SEGMENT_INDEX.ss, SEGMENT_INDEX.ds);
    const named = equals(this.segment, NONE);
    fn.set(this.segment, select(named, usual, this.segment));
  }

  /** Table 2-1 of Intel SDM vol. 2A. */
  #address16(mod: I32, rm: I32, fail: Label): void {
    const fn = this.#fn;
    const [BX, BP, SI, DI] = [3, 5, 6, 7];
    const bases = [BX, BX, BP, BP, SI, DI, BP, BX];
    // Each in four bits.
    const base = i32.shrU(i32.const(packed(bases)), i32.shl(rm, i32.const(2)));
    fn.set(this.base, i32.and(base, i32.const(0xf)));
    fn.if(i32.ltU(rm, i32.const(4)), () => fn.set(this.index, pick(isSet(rm, 1), DI, SI)));
    const direct = both(i32.eqz(mod), equals(rm, 6));
    fn.if(
      direct,
      () => {
        fn.set(this.base, i32.const(NONE));
        this.#readInto(this.displacement, i32.const(2), fail);
      },
      // One byte with 1, two with 2.
      () => fn.if(mod, () => this.#readInto(this.displacement, mod, fail)),
    );
  }

  /** Tables 2-2 and 2-3, with REX.X and REX.B (§2.2.1.2). */
  #address32(mod: I32, rm: Local<"i32">, fail: Label): void {
    const fn = this.#fn;
    const rexB = i32.shl(i32.and(this.rex, i32.const(1)), i32.const(3));
    const high = fn.let(rexB);
    fn.if(
      equals(rm, 4),
      () => {
        const sib = this.#nextByte(fail);
        fn.set(this.scale, i32.shrU(sib, i32.const(6)));
        const low = i32.and(i32.shrU(sib, i32.const(3)), i32.const(7));
        const index = fn.let(either(low, i32.shl(i32.and(this.rex, i32.const(2)), i32.const(2))));
        fn.set(this.index, select(equals(index, 4), i32.const(NONE), index));
        fn.set(this.base, i32.and(sib, i32.const(7)));
      },
      () => fn.set(this.base, rm),
    );
    const noBase = fn.let(both(i32.eqz(mod), equals(this.base, 5)));
    const relative = both(both(noBase, equals(rm, 5)), this.code64);
    fn.set(this.ripRelative, relative);
    fn.set(this.base, select(noBase, i32.const(NONE), either(this.base, high)));
    fn.if(either(noBase, equals(mod, 2)), () =>
      this.#readInto(this.displacement, i32.const(4), fail),
    );
    fn.if(equals(mod, 1), () => this.#readInto(this.displacement, i32.const(1), fail));
  }

  #readInto(target: Local<"i64">, bytes: I32, fail: Label): void {
    const fn = this.#fn;
    const size = fn.let(bytes);
    this.#need(size, fail);
    fn.set(target, callResult("i64", this.#readSigned, this.at, size));
    fn.set(this.at, i32.add(this.at, size));
  }

  #readImmediates(fail: Label): void {
    const fn = this.#fn;
    fn.set(this.immediate, i64.const(1));
    fn.set(this.farSelector, zero);
    fn.set(this.immediates, i32.load8U(this.candidate, CANDIDATE.IMMEDIATES));
    fn.if(this.immediates, () => {
      const kind = fn.let(i32.and(this.immediates, i32.const(0xf)));
      fn.if(
        equals(kind, IMMEDIATE.FAR_POINTER),
        () => {
          const bytes = fn.let(i32.shrU(this.operandSize, i32.const(3)));
          this.#readInto(this.immediate, bytes, fail);
          zeroExtend(fn, this.immediate, bytes);
          this.#skip(i32.const(2), fail);
          fn.set(this.farSelector, i32.load16U(i32.sub(this.at, i32.const(2))));
        },
        () => {
          fn.if(i32.ne(kind, i32.const(IMMEDIATE.ONE)), () =>
            this.#readInto(this.immediate, this.#immediateBytes(kind), fail),
          );
          fn.if(equals(kind, IMMEDIATE.REGISTER), () => {
            const bits = select(this.code64, i64.const(0xff), i64.const(0x7f));
            fn.set(this.immediate, i64.and(this.immediate, bits));
          });
        },
      );
      const second = fn.let(i32.shrU(this.immediates, i32.const(4)));
      fn.if(second, () => this.#skip(this.#immediateBytes(second), fail));
    });
  }

  /** An immediate that the record has no room for. */
  #skip(bytes: I32, fail: Label): void {
    const size = this.#fn.let(bytes);
    this.#need(size, fail);
    this.#fn.set(this.at, i32.add(this.at, size));
  }

  #immediateBytes(kind: Local<"i32">): I32 {
    const whole = i32.shrU(this.operandSize, i32.const(3));
    const z = pick(equals(this.operandSize, 16), 2, 4);
    const bySize = select(equals(kind, IMMEDIATE.Z), z, whole);
    const bySizeOrByte = select(equals(kind, IMMEDIATE.REGISTER), i32.const(1), bySize);
    // BYTE and WORD are their own numbers of bytes.
    return select(i32.ltU(kind, i32.const(IMMEDIATE.Z)), kind, bySizeOrByte);
  }
}
