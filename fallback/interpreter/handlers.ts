import type { MemoryBits } from "../isa/emitter.ts";
import type { Form } from "../isa/form.ts";
import { type Variant, variant, variantKey, variantsOf } from "../isa/variant.ts";

/** Handlers that no instruction of the table has. */
export const MICRO_OPERATIONS = [
  /** Calls the procedure of the instruction. */
  "procedure",
  /** Goes on at the record's immediate. */
  "go",
  /** ADDRESS = segment base + (address cut to a width). */
  "address",
  /** Leaves the block before this instruction: it is to be translated anew. */
  "leave",
  /** Raises the exception whose vector the record's immediate is. */
  "fault",
] as const;
export type MicroOperation = (typeof MICRO_OPERATIONS)[number];

/**
 * The interpreter's handlers in order: micro-operations, then hot variants (which are inline in the
 * dispatch loop), then the others. The same forms give the same order.
 */
export class HandlerTable {
  readonly variants: readonly Variant[];
  /** How many of {@link variants} are inline. */
  readonly hotCount: number;
  readonly #indexByKey: ReadonlyMap<string, number>;

  constructor(forms: readonly Form[]) {
    const byKey = new Map<string, Variant>();
    for (const form of forms) {
      if (form.instruction.meaning === undefined) continue;
      for (const one of variantsOf(form)) byKey.set(variantKey(one), one);
    }
    const entries = [...byKey];
    const hot = entries.filter(([, { instruction }]) => instruction.hot);
    const cold = entries.filter(([, { instruction }]) => !instruction.hot);
    const ordered = [...hot, ...cold];
    this.hotCount = hot.length;
    this.variants = ordered.map(([, one]) => one);
    this.#indexByKey = new Map(
      ordered.map(([key], index) => [key, MICRO_OPERATIONS.length + index]),
    );
  }

  /** The handler of a form in a variant. */
  index(form: Form, bits: MemoryBits, memory: boolean, long: boolean): number {
    const index = this.#indexByKey.get(variantKey(variant(form, bits, memory, long)));
    if (index === undefined) throw new Error(`no handler for ${form.text}`);
    return index;
  }
}

export const microIndex = (name: MicroOperation): number => MICRO_OPERATIONS.indexOf(name);
