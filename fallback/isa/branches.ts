/**
 * Near control transfers (Intel SDM vol. 1 §7.3.8). Targets are cut to the operand size. Relative
 * ones that the code segment does not have are known when they are translated, and left to the
 * procedures: they fault if they are taken.
 */
import { RFLAGS } from "../bits.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter, MemoryBits } from "./emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";
import { forEachCondition } from "./moves.ts";
import type { Operand } from "./operand.ts";

const RCX = 1;
const RSP = 4;
const CONDITION_E = 4;
const CONDITION_NE = 5;
/** What a relative branch has as its operand. */
const TARGET: Operand = { kind: "immediate", bits: 64, field: 0 };

/** A relative branch that is taken, or not. */
function branchIf(e: Emitter, condition: I32, target: ReturnType<Emitter["read"]>): void {
  e.if(
    condition,
    () => e.jump(target, "target"),
    () => e.jump(e.nextRip(), "next"),
  );
}

/** @param encoding as in Intel SDM vol. 1 table B-1: odd ones are the negation of the one before */
function conditionHolds(flags: number, encoding: number): boolean {
  const { OF, CF, ZF, SF, PF } = RFLAGS;
  const less = ((flags & SF) !== 0) !== ((flags & OF) !== 0);
  const masks = [OF, CF, ZF, CF | ZF, SF, PF, 0, ZF];
  const pair = encoding >> 1;
  const compares = pair >= 6 && less;
  const holds = compares || (flags & (masks[pair] ?? 0)) !== 0;
  return holds !== ((encoding & 1) !== 0);
}

/** The target of a jump or call; one from a register or memory has to be checked. */
const readTarget = (e: Emitter, target: Operand): Local<"i64"> =>
  e.read(target.kind === "immediate" ? { ...target, bits: 64 } : target);

/** LOOP and its kin count in rCX, as wide as the address size. */
function counting(
  name: string,
  opcode: string,
  flags: FlagUse,
  condition: (zero: boolean) => boolean,
  encoding?: number,
): Instruction {
  return {
    name,
    forms: [`${opcode} Jb f64`],
    flags,
    ends: true,
    counter: true,
    meaning(e) {
      const count = e.let(i64.sub(e.getRegister(RCX, e.bits), i64.const(1)));
      e.setRegister(RCX, e.bits, count);
      const more = i32.eqz(i64.eqz(e.getRegister(RCX, e.bits)));
      const holds = encoding === undefined ? more : i32.and(more, e.flags.condition(encoding));
      branchIf(e, holds, e.read(TARGET));
    },
    procedure(context) {
      const { addressSize } = context.instruction;
      const count = context.getRegister(RCX, addressSize) - 1n;
      context.setRegister(RCX, addressSize, count);
      const more = context.getRegister(RCX, addressSize) !== 0n;
      if (more && condition((context.processor.rflags & RFLAGS.ZF) !== 0)) context.branch();
    },
  };
}

export const branches: Family = [
  ...forEachCondition((name, encoding, hex) => ({
    name: `J${name}`,
    forms: [`${hex(0x70)} Jb f64`, `0F ${hex(0x80)} Jz f64`],
    ends: true,
    sizeless: true,
    meaning(e, target) {
      if (target === undefined) return;
      branchIf(e, e.flags.condition(encoding), e.read({ ...target, bits: 64 }));
    },
    procedure(context) {
      if (conditionHolds(context.processor.rflags, encoding)) context.branch();
    },
  })),
  {
    name: "JMP",
    forms: ["EB Jb f64", "E9 Jz f64", "FF/4 Ev f64"],
    ends: true,
    stack: true,
    meaning(e, target) {
      if (target === undefined) return;
      const to = readTarget(e, target);
      if (target.kind !== "immediate") e.checkTarget(to);
      e.jump(to, target.kind === "immediate" ? "target" : undefined);
    },
    procedure: (context) => context.branch(),
  },
  {
    name: "CALL",
    forms: ["E8 Jz f64", "FF/2 Ev f64"],
    ends: true,
    stack: true,
    meaning(e, target) {
      if (target === undefined) return;
      const to = readTarget(e, target);
      e.push(e.bits, e.nextRip(), () => {
        if (target.kind !== "immediate") e.checkTarget(to);
      });
      e.jump(to, target.kind === "immediate" ? "target" : undefined);
    },
    procedure: (context) => context.branch(),
  },
  {
    name: "RET",
    forms: ["C3 f64", "C2 Iw f64"],
    ends: true,
    stack: true,
    meaning(e, release) {
      const to = e.pop(e.bits, (target) => e.checkTarget(target));
      if (release !== undefined) {
        const bytes = e.read(release);
        const width: MemoryBits = e.long ? 64 : 32;
        e.setRegister(RSP, width, i64.add(e.getRegister(RSP, width), bytes));
      }
      e.jump(to);
    },
  },
  counting("LOOP", "E2", {}, () => true),
  counting("LOOPE", "E1", { read: "Z" }, (zero) => zero, CONDITION_E),
  counting("LOOPNE", "E0", { read: "Z" }, (zero) => !zero, CONDITION_NE),
  {
    name: "JCXZ",
    // JCXZ, JECXZ, JRCXZ by the address size.
    forms: ["E3 Jb f64"],
    ends: true,
    counter: true,
    meaning: (e) => branchIf(e, i64.eqz(e.getRegister(RCX, e.bits)), e.read(TARGET)),
    procedure(context) {
      if (context.getRegister(RCX, context.instruction.addressSize) === 0n) context.branch();
    },
  },
];
