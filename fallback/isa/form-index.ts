import { type Form, parseForm } from "./form.ts";
import type { Family, Instruction } from "./instruction.ts";

/** Custom section of the interpreter's module that holds a {@link FormIndex}. */
export const FORMS_SECTION = "forms";

/** Opcodes of all maps: `map * 256 + opcode`. */
export const OPCODE_COUNT = 7 * 256;

/**
 * Which forms of the table each opcode has, without having parsed them: made when the package is
 * built, so that a start parses only the forms of opcodes that it meets.
 *
 * As unsigned integers of 16 bits: for each opcode, and once more for the end, the number of its
 * first entry; then entries of four: the form's ordinal, the instruction's number in the table,
 * which of its forms, and how much is added to the opcode as written.
 */
export class FormIndex {
  readonly #words: Uint16Array;
  readonly #others: (() => readonly Family[])[];
  /** As much of the table as has been needed. */
  #known: readonly Instruction[];

  /** @param others the parts of the table behind the common one, each called when it is needed */
  constructor(
    section: ArrayBuffer,
    common: readonly Family[],
    ...others: (() => readonly Family[])[]
  ) {
    this.#words = new Uint16Array(section);
    this.#known = common.flat();
    this.#others = others;
  }

  /** Parses the forms of an opcode. */
  forms(opcode: number): Form[] {
    const end = this.#word(opcode + 1);
    const forms: Form[] = [];
    for (let entry = this.#word(opcode); entry < end; entry++) {
      const at = OPCODE_COUNT + 1 + 4 * entry;
      const instruction = this.#instruction(this.#word(at + 1));
      const written = parseForm(instruction, instruction.forms[this.#word(at + 2)] as string);
      const added = this.#word(at + 3);
      const form = added === 0 ? written : { ...written, opcode: written.opcode + added };
      form.ordinal = this.#word(at);
      forms.push(form);
    }
    return forms;
  }

  #word(index: number): number {
    return this.#words[index] as number;
  }

  /** @param number in the table */
  #instruction(number: number): Instruction {
    const known = this.#known[number];
    if (known !== undefined) return known;
    const part = this.#others.shift();
    if (part === undefined) throw new Error(`the table has no instruction ${number}`);
    this.#known = [...this.#known, ...part().flat()];
    return this.#instruction(number);
  }
}

/** For {@link FORMS_SECTION}. @param forms all of the table, by ordinal */
export function serialiseForms(forms: readonly Form[]): Uint8Array {
  const instructions = [...new Set(forms.map(({ instruction }) => instruction))];
  const starts: number[] = [];
  const entries: number[] = [];
  for (let opcode = 0; opcode < OPCODE_COUNT; opcode++) {
    starts.push(entries.length / 4);
    for (const form of forms) {
      if (form.map * 256 + form.opcode !== opcode) continue;
      const { instruction, ordinal, text } = form;
      const added = form.opcode - parseForm(instruction, text).opcode;
      const which = instruction.forms.indexOf(text);
      entries.push(ordinal, instructions.indexOf(instruction), which, added);
    }
  }
  starts.push(entries.length / 4);
  return new Uint8Array(Uint16Array.from([...starts, ...entries]).buffer);
}
