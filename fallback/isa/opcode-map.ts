import { type Form, MANDATORY_PREFIXES, parseForms } from "./form.ts";
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

/** All forms, findable by opcode. */
export class OpcodeMap {
  readonly forms: readonly Form[];
  readonly #byOpcode: (Form[] | undefined)[] = new Array(4 * 256);

  constructor(families: readonly Family[]) {
    this.forms = families.flat().flatMap(parseForms);
    for (const [ordinal, form] of this.forms.entries()) {
      form.ordinal = ordinal;
      const index = form.map * 256 + form.opcode;
      const forms = this.#byOpcode[index] ?? [];
      forms.push(form);
      this.#byOpcode[index] = forms;
    }
  }

  /** Whether the opcode takes a ModRM byte: the same for all its forms. */
  hasModRm(map: Form["map"], opcode: number): boolean {
    return this.#byOpcode[map * 256 + opcode]?.some((form) => form.hasModRm) ?? false;
  }

  /** @param modRm the byte, or -1 */
  find(query: OpcodeQuery, modRm: number): Form | undefined {
    const forms = this.#byOpcode[query.map * 256 + query.opcode];
    if (forms === undefined) return undefined;
    const matching = forms.filter((form) => matches(form, query, modRm));
    // A form with more conditions is the one that is meant.
    return matching.sort((a, b) => special(b) - special(a))[0];
  }
}

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
    return !isRegisterOnly || register || form.operands.some((o) => o.place === "control");
  });
}
