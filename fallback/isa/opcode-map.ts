import { type Form, MANDATORY_PREFIXES, parseForms } from "./form.ts";
import { FormIndex, OPCODE_COUNT } from "./form-index.ts";
import type { Family } from "./instruction.ts";

/** A form, and what has to hold for it besides the opcode; undefined is whatever it is. */
export interface Candidate {
  readonly form: Form;
  readonly prefix: number | undefined;
  readonly code64: boolean | undefined;
  readonly rexW: boolean | undefined;
  readonly modRm: number | undefined;
  readonly digit: number | undefined;
  /** Whether ModRM.rm is a register. */
  readonly register: boolean | undefined;
  readonly noB: boolean;
  /** VEX.L. */
  readonly vexL: 0 | 1 | undefined;
  /** VEX.vvvv must name nothing. */
  readonly noVvvv: boolean;
}

/** What a VEX prefix says besides what REX and the mandatory prefixes say. */
export interface Vex {
  readonly l: 0 | 1;
  /**
   * As the number of a register: 0 for 1111b. 32-bit code ignores bit 3 where it names one; where it must
   * not, all four bits have to be 1 there too (Intel SDM vol. 2A §2.3.5; so does AMD's Zen 4).
   */
  readonly vvvv: number;
}
export const NO_VEX: Vex = { l: 0, vvvv: 0 };

/** One number of an opcode map, as in {@link Form.map}, and the opcode. */
export const opcodeNumber = (map: Form["map"], opcode: number): number => map * 256 + opcode;

const REX_W = 8;
const REX_B = 1;

/** The forms of an opcode, parsed; those with more conditions first. */
interface Opcode {
  readonly candidates: readonly Candidate[];
  readonly hasModRm: boolean;
}

/** All forms, findable by opcode. */
export class OpcodeMap {
  readonly #opcodes: (Opcode | undefined)[] = new Array(OPCODE_COUNT);
  readonly #index: FormIndex | undefined;

  /** @param table all families; or the index of a table, and then forms are parsed as they are needed */
  constructor(table: readonly Family[] | FormIndex) {
    this.#index = table instanceof FormIndex ? table : undefined;
    if (!(table instanceof FormIndex)) this.#parseAll(table);
  }

  #parseAll(families: readonly Family[]): void {
    const byOpcode: Form[][] = Array.from({ length: OPCODE_COUNT }, () => []);
    for (const [ordinal, form] of families.flat().flatMap(parseForms).entries()) {
      form.ordinal = ordinal;
      byOpcode[opcodeNumber(form.map, form.opcode)]?.push(form);
    }
    for (const [opcode, forms] of byOpcode.entries()) this.#opcodes[opcode] = opcodeOf(forms);
  }

  /** @param number as {@link opcodeNumber} */
  #opcode(number: number): Opcode {
    const known = this.#opcodes[number];
    if (known !== undefined) return known;
    const parsed = opcodeOf(this.#index?.forms(number) ?? []);
    this.#opcodes[number] = parsed;
    return parsed;
  }

  /** All of them, by ordinal. */
  get forms(): readonly Form[] {
    const forms: Form[] = [];
    for (let number = 0; number < OPCODE_COUNT; number++) {
      for (const { form } of this.#opcode(number).candidates) forms[form.ordinal] = form;
    }
    return forms;
  }

  /** Whether the opcode takes a ModRM byte: the same for all its forms. */
  hasModRm(opcode: number): boolean {
    return this.#opcode(opcode).hasModRm;
  }

  /**
   * @param opcode as {@link opcodeNumber}
   * @param prefix index into {@link MANDATORY_PREFIXES}: F3 and F2 win over 66 (Intel SDM vol. 2A
   * §2.1.2)
   * @param rex the byte, or 0
   * @param modRm the byte, or -1
   */
  find(
    opcode: number,
    prefix: number,
    code64: boolean,
    rex: number,
    modRm: number,
    vex: Vex = NO_VEX,
  ): Form | undefined {
    for (const candidate of this.#opcode(opcode).candidates) {
      const { vexL, noVvvv } = candidate;
      if (vexL !== undefined && vexL !== vex.l) continue;
      if (noVvvv && vex.vvvv !== 0) continue;
      if (matches(candidate, prefix, code64, rex, modRm)) return candidate.form;
    }
    return undefined;
  }
}

/** A form with more conditions is the one that is meant: it comes first. @param forms of one opcode */
export const candidatesOf = (forms: readonly Form[]): Candidate[] =>
  forms.toSorted((a, b) => special(b) - special(a)).map(candidateOf);

const opcodeOf = (forms: readonly Form[]): Opcode => ({
  candidates: candidatesOf(forms),
  hasModRm: forms.some(({ hasModRm }) => hasModRm),
});

const special = (form: Form): number =>
  (form.modRm === undefined ? 0 : 4) +
  (form.prefix === undefined ? 0 : 2) +
  (form.traits.has("noB") ? 1 : 0);

function candidateOf(form: Form): Candidate {
  const { prefix, traits, modRm, digit } = form;
  const either = (yes: string, no: string): boolean | undefined =>
    traits.has(yes) ? true : traits.has(no) ? false : undefined;
  return {
    form,
    prefix: prefix === undefined ? undefined : MANDATORY_PREFIXES.indexOf(prefix),
    code64: either("64", "no64"),
    rexW: either("W", "noW"),
    modRm,
    digit,
    register: either("reg", "mem") ?? registerOnly(form),
    noB: traits.has("noB"),
    vexL: form.vexL,
    noVvvv: !form.hasVvvv,
  };
}

const REGISTER_PLACES = ["rm-register", "xmm-rm-register", "mmx-rm-register"];

/** What the operands make of ModRM.rm. */
function registerOnly({ operands, hasAddress }: Form): boolean | undefined {
  if (operands.some(({ place }) => place === "memory")) return false;
  if (!hasAddress) return undefined;
  return operands.some(({ place }) => REGISTER_PLACES.includes(place)) ? true : undefined;
}

function matches(
  candidate: Candidate,
  prefix: number,
  code64: boolean,
  rex: number,
  modRm: number,
): boolean {
  if (candidate.prefix !== undefined && candidate.prefix !== prefix) return false;
  if (candidate.code64 !== undefined && candidate.code64 !== code64) return false;
  if (candidate.rexW !== undefined && candidate.rexW !== ((rex & REX_W) !== 0)) return false;
  if (candidate.noB && (rex & REX_B) !== 0) return false;
  if (candidate.modRm !== undefined) return modRm === candidate.modRm;
  const { digit, register } = candidate;
  if (digit !== undefined && ((modRm >> 3) & 7) !== digit) return false;
  return register === undefined || register === modRm >= 0xc0;
}
