/** Comparisons of strings and of sets of characters (Intel SDM vol. 1 §12.11.2, vol. 2B §4.1). */
import { ARITHMETIC_FLAGS, RFLAGS } from "../bits.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { GPR } from "../processor.ts";
import { STATE } from "../state.ts";
import { type Encoding, LEGACY, onlyNarrow } from "./encoding.ts";
import type { Family, Instruction } from "./instruction.ts";

/** Fields of the immediate. */
const WORDS = 1 << 0;
const SIGNED = 1 << 1;
const NEGATIVE = 1 << 4;
const ONLY_VALID = 1 << 5;
/** Of the result: the last index, or a mask of whole elements. */
const LAST_OR_WIDE = 1 << 6;
const AGGREGATION = { EQUAL_ANY: 0, RANGES: 1, EQUAL_EACH: 2, EQUAL_ORDERED: 3 } as const;

interface Text {
  readonly elements: readonly number[];
  /** How many of them count. */
  readonly length: number;
}

function split(value: bigint, control: number): number[] {
  const bits = control & WORDS ? 16 : 8;
  const cut = control & SIGNED ? BigInt.asIntN : BigInt.asUintN;
  return Array.from({ length: 128 / bits }, (_, at) =>
    Number(cut(bits, value >> BigInt(at * bits))),
  );
}

/** Up to a zero. */
function implicit(elements: readonly number[]): Text {
  const end = elements.indexOf(0);
  return { elements, length: end < 0 ? elements.length : end };
}

/** As long as a register's magnitude says, at most all of it. */
function explicit(elements: readonly number[], register: bigint): Text {
  const magnitude = register < 0n ? -register : register;
  const most = BigInt(elements.length);
  return { elements, length: Number(magnitude > most ? most : magnitude) };
}

/** The first operand at an element of the second one, by the aggregation. */
function matches(set: Text, text: Text, at: number, aggregation: number): boolean {
  const element = text.elements[at] ?? 0;
  const isValid = at < text.length;
  switch (aggregation) {
    case AGGREGATION.EQUAL_ANY:
      return isValid && set.elements.slice(0, set.length).includes(element);
    case AGGREGATION.RANGES:
      return isValid && isInRanges(set, element);
    case AGGREGATION.EQUAL_EACH:
      if (!isValid || at >= set.length) return !isValid && at >= set.length;
      return set.elements[at] === element;
    default:
      return isSubstringAt(set, text, at);
  }
}

/** Pairs of lower and upper bounds; one without an upper bound does not count. */
function isInRanges({ elements, length }: Text, element: number): boolean {
  for (let at = 0; at + 1 < length; at += 2) {
    if (element >= (elements[at] ?? 0) && element <= (elements[at + 1] ?? 0)) return true;
  }
  return false;
}

/** Whether the set begins at the place, as far as the text register goes. */
function isSubstringAt(set: Text, text: Text, place: number): boolean {
  for (let at = 0; at < set.length && place + at < text.elements.length; at++) {
    const isValid = place + at < text.length;
    if (!isValid || set.elements[at] !== text.elements[place + at]) return false;
  }
  return true;
}

/** The mask that the polarity bits make of the matches. */
function withPolarity(mask: number, control: number, text: Text): number {
  const all = (1 << text.elements.length) - 1;
  if ((control & NEGATIVE) === 0) return mask;
  return control & ONLY_VALID ? mask ^ ((1 << text.length) - 1) : ~mask & all;
}

function compare(context: ProcedureContext, set: Text, text: Text): number {
  const control = Number(context.immediate());
  const aggregation = (control >> 2) & 3;
  let mask = 0;
  for (let at = 0; at < text.elements.length; at++) {
    if (matches(set, text, at, aggregation)) mask |= 1 << at;
  }
  const result = withPolarity(mask, control, text);
  const { processor } = context;
  const flags =
    (result !== 0 ? RFLAGS.CF : 0) |
    (text.length < text.elements.length ? RFLAGS.ZF : 0) |
    (set.length < set.elements.length ? RFLAGS.SF : 0) |
    (result & 1 ? RFLAGS.OF : 0);
  processor.rflags = (processor.rflags & ~ARITHMETIC_FLAGS) | flags;
  return result;
}

/** PCMPESTRI, PCMPISTRI: the first or last index into ECX. */
function writeIndex(context: ProcedureContext, mask: number, count: number): void {
  const last = (Number(context.immediate()) & LAST_OR_WIDE) !== 0;
  const index = last ? 31 - Math.clz32(mask) : 31 - Math.clz32(mask & -mask);
  context.processor.setGpr32(GPR.rcx, mask === 0 ? count : index);
}

/** PCMPESTRM, PCMPISTRM: a mask of bits, or of elements, into XMM0. */
function writeMask(context: ProcedureContext, mask: number, count: number): void {
  let value = BigInt(mask);
  if (Number(context.immediate()) & LAST_OR_WIDE) {
    const bits = 128 / count;
    const ones = (1n << BigInt(bits)) - 1n;
    value = 0n;
    for (let at = 0; at < count; at++) {
      if ((mask >> at) & 1) value |= ones << BigInt(at * bits);
    }
  }
  const { view } = context.processor;
  view.setBigUint64(STATE.XMM, BigInt.asUintN(64, value), true);
  view.setBigUint64(STATE.XMM + 8, value >> 64n, true);
  if (context.instruction.form.vexL === undefined) return;
  view.setBigUint64(STATE.YMM_UPPER, 0n, true);
  view.setBigUint64(STATE.YMM_UPPER + 8, 0n, true);
}

const comparing = (
  encoding: Encoding,
  name: string,
  opcode: string,
  hasLengths: boolean,
  write: typeof writeIndex,
): Instruction => ({
  name,
  forms: onlyNarrow(encoding, `66 0F 3A ${opcode} Vx,Wx,Ib${hasLengths ? " v" : ""}`),
  flags: { written: "OSZAPC" },
  procedure(context) {
    const control = Number(context.immediate());
    const [first, second] = [context.read(0), context.read(1)].map((v) => split(v, control));
    if (first === undefined || second === undefined) return;
    const width = context.operandSize === 64 ? 64 : 32;
    const register = (n: number) => BigInt.asIntN(width, context.getRegister(n, width));
    const set = hasLengths ? explicit(first, register(GPR.rax)) : implicit(first);
    const text = hasLengths ? explicit(second, register(GPR.rdx)) : implicit(second);
    write(context, compare(context, set, text), text.elements.length);
  },
});

export const stringComparisons = (encoding: Encoding): Family =>
  [
    comparing(encoding, "PCMPESTRM", "60", true, writeMask),
    comparing(encoding, "PCMPESTRI", "61", true, writeIndex),
    comparing(encoding, "PCMPISTRM", "62", false, writeMask),
    comparing(encoding, "PCMPISTRI", "63", false, writeIndex),
  ].map(encoding.instruction);

export const sseStrings = stringComparisons(LEGACY);
