import type { MemoryBits } from "../isa/emitter.ts";
import type { Form } from "../isa/form.ts";
import { isInterpreted } from "../isa/instruction.ts";
import { type Variant, variant, variantKey, variantsOf } from "../isa/variant.ts";
import type { DecodedInstruction } from "./decoder.ts";
import { frequentLateVariants, frequentVariants, labelOf } from "./frequent.ts";
import { type MemoryAccess, parseAccess, serialiseAccess } from "./memory-access.ts";

/** Handlers that no instruction of the table has. */
export const MICRO_OPERATIONS = [
  /** Calls the procedure of the instruction. */
  "procedure",
  /** Goes on at the record's immediate. */
  "go",
  /** ADDRESS = segment base + (address cut to a width). */
  "address",
  /** The same outside 64-bit mode: checked against the segment's limit and rights, 32 bits wide. */
  "segment-address",
  /**
   * Before "segment-address" of an MMX instruction: a pending x87 exception comes before what the
   * segment refuses; and where the record's immediate says so, the access is a store.
   */
  "mmx-access",
  /** Leaves the block before this instruction: it is to be translated anew. */
  "leave",
  /** Raises the exception whose vector the record's immediate is. */
  "fault",
  /** A function of `StringRuns`, for elements of the record's scale; the rest is the procedure's. */
  "move",
  "fill",
  /** Goes on at STATE.RIP: of the record that no block has. */
  "enter",
] as const;
export type MicroOperation = (typeof MICRO_OPERATIONS)[number];

export const microIndex = (name: MicroOperation): number => MICRO_OPERATIONS.indexOf(name);
const PROCEDURE = microIndex("procedure");

/** Custom section of the interpreter's module that holds its {@link HandlerIndex}. */
export const HANDLERS_SECTION = "handlers";

const SIZES: readonly MemoryBits[] = [8, 16, 32, 64];
export const VARIANTS_PER_FORM = 4 * SIZES.length;
/** In the place of a handler's index: that of a micro-operation, which no instruction has. */
export const NO_HANDLER = 0;

const place = (form: Form, bits: MemoryBits, memory: boolean, long: boolean): number =>
  form.ordinal * VARIANTS_PER_FORM + 4 * SIZES.indexOf(bits) + (memory ? 2 : 0) + (long ? 1 : 0);

/** Of a handler in the module of `buildTranslated`. */
export const translatedName = (form: Form, bits: MemoryBits): string => `${form.ordinal} ${bits}`;

const isAmong = (labels: ReadonlySet<string>, variant: Variant): boolean =>
  labels.has(labelOf(variant) ?? "");

/**
 * The interpreter's handlers in order: micro-operations, then frequent variants (which may be inline in
 * the dispatch loop), then the others. The same forms give the same order.
 */
export class HandlerTable {
  readonly forms: readonly Form[];
  readonly variants: readonly Variant[];
  /** How many of {@link variants} are inline in the dispatch loop. */
  readonly inlineCount: number;
  readonly #indices: Uint16Array<ArrayBuffer>;

  /**
   * @param forms of an `OpcodeMap`, all of them
   * @param inline whether the frequent variants are to be inline; their indices are the same either way
   */
  constructor(forms: readonly Form[], inline: boolean) {
    this.forms = forms;
    const withCode = forms.filter(
      ({ instruction }) => isInterpreted(instruction) && instruction.byVariant === undefined,
    );
    const frequentLate = frequentLateVariants();
    const uses = withCode
      .flatMap((form) =>
        variantsOf(form).map((use) => ({ ...use, form, key: variantKey(use.variant) })),
      )
      .filter(
        ({ variant }) => variant.instruction.late === undefined || isAmong(frequentLate, variant),
      );
    const byKey = new Map(uses.map(({ key, variant }) => [key, variant]));
    const labels = frequentVariants();
    const isFrequent = (variant: Variant): boolean => isAmong(labels, variant);
    const frequent = [...byKey].filter(([, variant]) => isFrequent(variant));
    const others = [...byKey].filter(([, variant]) => !isFrequent(variant));
    // V8 puts the end of the last one in front of the loop, and aligns that: where it was long, the loop's jump
    // came to lie across two lines of the cache, for a tenth of the speed. What does nothing is short.
    const isEmpty = ([, { instruction }]: readonly [string, Variant]): boolean =>
      instruction.name === "NOP";
    frequent.sort((a, b) => Number(isEmpty(a)) - Number(isEmpty(b)));
    const ordered = [...frequent, ...others];
    this.inlineCount = inline ? frequent.length : 0;
    this.variants = ordered.map(([, variant]) => variant);
    const order = new Map(ordered.map(([key], n) => [key, MICRO_OPERATIONS.length + n]));
    this.#indices = new Uint16Array(forms.length * VARIANTS_PER_FORM);
    for (const { form, size, memory, variant, key } of uses) {
      const index = order.get(key) ?? NO_HANDLER;
      // Code that does not depend on the mode is the same in both.
      const modes = variant.instruction.stack ? [variant.long] : [false, true];
      for (const kind of memory) {
        for (const long of modes) this.#indices[place(form, size, kind, long)] = index;
      }
    }
  }

  /** For {@link HANDLERS_SECTION}: without what is at the end of forms that are late. */
  serialise(): Uint8Array {
    const last = this.#indices.findLastIndex((index) => index !== NO_HANDLER);
    return new Uint8Array(this.#indices.buffer, 0, 2 * (last + 1));
  }
}

/**
 * Which handler a form has in a variant: as {@link HandlerTable} laid it down in the module, and those
 * that come later.
 */
export class HandlerIndex {
  readonly #indices: Uint16Array;
  readonly #accesses: Uint8Array;
  /** By variant. */
  readonly #late = new Map<string, number>();
  #count: number;
  /** The first that is not part of the interpreter's module. */
  readonly #firstLate: number;
  /**
   * Gets a handler for an instruction that is `late` or `byVariant`, the next one in the table.
   * @returns how it accesses memory
   */
  onLate: (variant: Variant, form: Form) => MemoryAccess | undefined = ({ instruction }) => {
    throw new Error(`no handler for ${instruction.name}`);
  };

  /**
   * @param indices contents of {@link HANDLERS_SECTION}, with room behind
   * @param accesses contents of `ACCESSES_SECTION`, with room behind
   * @param count of handlers, micro-operations not among them
   */
  constructor(indices: Uint16Array, accesses: Uint8Array, count: number) {
    this.#indices = indices;
    this.#accesses = accesses;
    this.#count = count;
    this.#firstLate = MICRO_OPERATIONS.length + count;
  }

  /** Whether the interpreter's module has no code of what an index stands for. */
  isBeside(index: number): boolean {
    return index === PROCEDURE || index >= this.#firstLate;
  }

  /** @param long whether it is in 64-bit code */
  index({ form, operandSize: bits, address }: DecodedInstruction, long: boolean): number {
    const memory = address !== undefined;
    const index = this.#indices[place(form, bits, memory, long)] ?? NO_HANDLER;
    return index === NO_HANDLER ? this.#makeLate(form, bits, memory, long) : index;
  }

  #makeLate(form: Form, bits: MemoryBits, memory: boolean, long: boolean): number {
    const wanted = variant(form, bits, memory, long);
    // What is made by variant may mean something else by each form.
    const { byVariant } = form.instruction;
    const key = byVariant === undefined ? variantKey(wanted) : translatedName(form, bits);
    const known = this.#late.get(key);
    const index = known ?? MICRO_OPERATIONS.length + this.#count;
    if (known === undefined) {
      this.#accesses[this.#count] = serialiseAccess(this.onLate(wanted, form));
      this.#late.set(key, index);
      this.#count++;
    }
    this.#indices[place(form, bits, memory, long)] = index;
    return index;
  }

  /** How a handler accesses its memory operand. @param index of the handler */
  access(index: number): MemoryAccess | undefined {
    return parseAccess(this.#accesses[index - MICRO_OPERATIONS.length]);
  }
}
