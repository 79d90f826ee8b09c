import { type Form, MANDATORY_PREFIXES, parseForms } from "./form.ts";
import { type FormIndex, OPCODE_COUNT } from "./form-index.ts";
import type { Family } from "./instruction.ts";

/** What of an encoding, besides the opcode, decides which form it is. */
export interface OpcodeQuery {
  readonly map: Form["map"];
  readonly opcode: number;
  /** Index into {@link MANDATORY_PREFIXES}: F3 and F2 win over 66 (Intel SDM vol. 2A §2.1.2). */
  readonly prefix: number;
  readonly code64: boolean;
  readonly rexW: boolean;
  readonly rexB: boolean;
}

/** The forms of an opcode, parsed; those with more conditions first. */
interface Opcode {
  readonly forms: readonly Form[];
  readonly hasModRm: boolean;
}

/** All forms, findable by opcode. */
export class OpcodeMap {
  readonly #opcodes: (Opcode | undefined)[] = new Array(OPCODE_COUNT);
  readonly #index: FormIndex | undefined;

  /** @param index of the same table, if there is one: then forms are parsed as they are needed */
  constructor(families: readonly Family[], index?: FormIndex) {
    this.#index = index;
    if (index === undefined) this.#parseAll(families);
  }

  #parseAll(families: readonly Family[]): void {
    const byOpcode: Form[][] = Array.from({ length: OPCODE_COUNT }, () => []);
    for (const [ordinal, form] of families.flat().flatMap(parseForms).entries()) {
      form.ordinal = ordinal;
      byOpcode[form.map * 256 + form.opcode]?.push(form);
    }
    for (const [opcode, forms] of byOpcode.entries()) this.#opcodes[opcode] = opcodeOf(forms);
  }

  #opcode(map: Form["map"], opcode: number): Opcode {
    const number = map * 256 + opcode;
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
      const opcode = this.#opcode((number >> 8) as Form["map"], number & 0xff);
      for (const form of opcode.forms) forms[form.ordinal] = form;
    }
    return forms;
  }

  /** Whether the opcode takes a ModRM byte: the same for all its forms. */
  hasModRm(map: Form["map"], opcode: number): boolean {
    return this.#opcode(map, opcode).hasModRm;
  }

  /** @param modRm the byte, or -1 */
  find(query: OpcodeQuery, modRm: number): Form | undefined {
    // A form with more conditions is the one that is meant: it comes first.
    return this.#opcode(query.map, query.opcode).forms.find((form) => matches(form, query, modRm));
  }
}

const opcodeOf = (forms: readonly Form[]): Opcode => ({
  forms: forms.toSorted((a, b) => special(b) - special(a)),
  hasModRm: forms.some(({ hasModRm }) => hasModRm),
});

const special = (form: Form): number =>
  (form.modRm === undefined ? 0 : 4) +
  (form.prefix === undefined ? 0 : 2) +
  (form.traits.has("noB") ? 1 : 0);

function matches(form: Form, query: OpcodeQuery, modRm: number): boolean {
  const { traits } = form;
  if (form.prefix !== undefined && form.prefix !== MANDATORY_PREFIXES[query.prefix]) return false;
  if (traits.has("64") && !query.code64) return false;
  if (traits.has("no64") && query.code64) return false;
  if (traits.has("W") && !query.rexW) return false;
  if (traits.has("noW") && query.rexW) return false;
  if (traits.has("noB") && query.rexB) return false;
  if (form.modRm !== undefined) return modRm === form.modRm;
  if (form.digit !== undefined && ((modRm >> 3) & 7) !== form.digit) return false;
  const register = modRm >= 0xc0;
  if (traits.has("mem") && register) return false;
  if (traits.has("reg") && !register) return false;
  return form.operands.every(({ place }) => {
    if (place === "memory") return !register;
    const isRegisterOnly =
      place === "rm-register" || place === "xmm-rm-register" || place === "mmx-rm-register";
    return !isRegisterOnly || register || ignoresMod(form);
  });
}

/** MOV to and from control and debug registers take any ModRM.mod for 3. */
export const ignoresMod = (form: Form): boolean =>
  form.operands.some(({ place }) => place === "control" || place === "debug");
