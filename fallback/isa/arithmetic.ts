/** Addition, subtraction, logic and comparison (Intel SDM vol. 1 §7.3.2 to §7.3.4). */
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import type { Emitter } from "./emitter.ts";
import type { Family, FlagUse, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";

/** What an operation makes of two operands, and of the carry flag (0 or 1). */
type Combine = (a: I64, b: I64, carry: () => I64) => I64;
type SetFlags = (
  e: Emitter,
  a: Local<"i64">,
  b: Local<"i64">,
  result: Local<"i64">,
  bits: number,
) => void;

const ALL = "OSZAPC";
const LOGIC: FlagUse = { written: "OSZPC", undefined: "A" };

const setAdd: SetFlags = (e, a, b, sum, bits) => e.flags.add(a, b, sum, bits);
const setSubtract: SetFlags = (e, a, b, rest, bits) => e.flags.subtract(a, b, rest, bits);
const setLogic: SetFlags = (e, _a, _b, result, bits) => e.flags.logic(result, bits);

/** The nine forms that the eight classic operations share. @param base opcode of `Eb,Gb` */
function classicForms(base: number, digit: number): string[] {
  const hex = (offset: number): string =>
    (base + offset).toString(16).toUpperCase().padStart(2, "0");
  return [
    `${hex(0)} Eb,Gb`,
    `${hex(1)} Ev,Gv`,
    `${hex(2)} Gb,Eb`,
    `${hex(3)} Gv,Ev`,
    `${hex(4)} AL,Ib`,
    `${hex(5)} rAX,Iz`,
    `80/${digit} Eb,Ib`,
    `81/${digit} Ev,Iz`,
    `82/${digit} Eb,Ib no64`,
    `83/${digit} Ev,Ibs`,
  ];
}

/** The second operand at the first one's width: immediates are sign-extended to it. */
function readSource(e: Emitter, source: Operand, bits: number): Local<"i64"> {
  if (source.kind !== "immediate") return e.read(source);
  return e.read({ ...source, bits });
}

/** An operation that replaces its first operand. */
function modifying(
  name: string,
  digit: number,
  flags: FlagUse,
  combine: Combine,
  setFlags: SetFlags,
): Instruction {
  return {
    name,
    forms: classicForms(digit * 8, digit),
    flags,
    lock: true,
    meaning(e, destination, source) {
      if (destination === undefined || source === undefined) return;
      const { bits } = destination;
      const b = readSource(e, source, bits);
      const a = e.local("i64");
      const result = e.local("i64");
      e.modify(destination, (old) => {
        e.set(a, old);
        e.set(
          result,
          combine(a, b, () => i64.extendU(e.flags.get("C"))),
        );
        return result;
      });
      // Only now: a store that has to be repeated must find the carry as it was.
      setFlags(e, a, b, result, bits);
    },
  };
}

/** An operation of which only the flags are kept. */
function comparing(
  name: string,
  forms: readonly string[],
  flags: FlagUse,
  combine: Combine,
  setFlags: SetFlags,
): Instruction {
  return {
    name,
    forms,
    flags,
    meaning(e, first, second) {
      if (first === undefined || second === undefined) return;
      const b = readSource(e, second, first.bits);
      const a = e.read(first);
      const result = e.let(combine(a, b, () => i64.const(0)));
      setFlags(e, a, b, result, first.bits);
    },
  };
}

/** An operation on one operand. */
function single(
  name: string,
  forms: readonly string[],
  flags: FlagUse,
  change: (e: Emitter, old: Local<"i64">) => I64,
  setFlags: (e: Emitter, old: Local<"i64">, result: Local<"i64">, bits: number) => void,
): Instruction {
  return {
    name,
    forms,
    flags,
    lock: true,
    meaning(e, operand) {
      if (operand === undefined) return;
      const before = e.local("i64");
      const result = e.local("i64");
      e.modify(operand, (old) => {
        e.set(before, old);
        e.set(result, change(e, before));
        return result;
      });
      setFlags(e, before, result, operand.bits);
    },
  };
}

/** ADCX and ADOX: an addition with a carry flag of its own, which alone changes. */
const addingWith = (
  name: string,
  prefix: string,
  flag: "C" | "O",
  setFlag: (e: Emitter, carry: I32) => void,
): Instruction => ({
  name,
  forms: [`${prefix} 0F 38 F6 Gy,Ey`],
  flags: { read: flag, written: flag },
  meaning(e, destination, source) {
    if (destination === undefined || source === undefined) return;
    const b = e.read(source);
    const a = e.read(destination);
    const sum = e.let(i64.add(i64.add(a, b), i64.extendU(e.flags.get(flag))));
    const inverted = i64.xor(sum, i64.const(-1));
    const carry =
      destination.bits === 32
        ? i64.shrU(sum, i64.const(32))
        : i64.shrU(i64.or(i64.and(a, b), i64.and(i64.or(a, b), inverted)), i64.const(63));
    const out = e.let(i32.wrap(carry));
    e.write(destination, sum);
    setFlag(e, out);
  },
});

const stepFlags = { written: "OSZAP" };

export const arithmetic: Family = [
  modifying("ADD", 0, { written: ALL }, i64.add, setAdd),
  modifying("OR", 1, LOGIC, i64.or, setLogic),
  modifying(
    "ADC",
    2,
    { read: "C", written: ALL },
    (a, b, carry) => i64.add(i64.add(a, b), carry()),
    setAdd,
  ),
  modifying(
    "SBB",
    3,
    { read: "C", written: ALL },
    (a, b, carry) => i64.sub(i64.sub(a, b), carry()),
    setSubtract,
  ),
  addingWith("ADCX", "66", "C", (e, carry) => e.flags.carryOnly(carry)),
  addingWith("ADOX", "F3", "O", (e, carry) =>
    e.flags.overflowAndCarry(carry, e.let(e.flags.get("C"))),
  ),
  modifying("AND", 4, LOGIC, i64.and, setLogic),
  modifying("SUB", 5, { written: ALL }, i64.sub, setSubtract),
  modifying("XOR", 6, LOGIC, i64.xor, setLogic),
  comparing("CMP", classicForms(0x38, 7), { written: ALL }, i64.sub, setSubtract),
  comparing(
    "TEST",
    [
      ...["84 Eb,Gb", "85 Ev,Gv", "A8 AL,Ib", "A9 rAX,Iz"],
      ...["F6/0 Eb,Ib", "F6/1 Eb,Ib", "F7/0 Ev,Iz", "F7/1 Ev,Iz"],
    ],
    LOGIC,
    i64.and,
    setLogic,
  ),
  single(
    "INC",
    ["FE/0 Eb", "FF/0 Ev", "40 Zv no64"],
    stepFlags,
    (_e, old) => i64.add(old, i64.const(1)),
    (e, old, result, bits) =>
      e.flags.keepingCarry(() => e.flags.add(old, e.let(i64.const(1)), result, bits)),
  ),
  single(
    "DEC",
    ["FE/1 Eb", "FF/1 Ev", "48 Zv no64"],
    stepFlags,
    (_e, old) => i64.sub(old, i64.const(1)),
    (e, old, result, bits) =>
      e.flags.keepingCarry(() => e.flags.subtract(old, e.let(i64.const(1)), result, bits)),
  ),
  single(
    "NEG",
    ["F6/3 Eb", "F7/3 Ev"],
    { written: ALL },
    (_e, old) => i64.sub(i64.const(0), old),
    (e, old, result, bits) => e.flags.subtract(e.let(i64.const(0)), old, result, bits),
  ),
  single(
    "NOT",
    ["F6/2 Eb", "F7/2 Ev"],
    {},
    (_e, old) => i64.xor(old, i64.const(-1)),
    () => {},
  ),
];
