import type { MemoryBits } from "./emitter.ts";
import type { Form } from "./form.ts";
import type { Instruction } from "./instruction.ts";
import type { Operand, OperandSpec } from "./operand.ts";

/**
 * A form with operand size, operand kinds and stack mode chosen: one piece of code. Forms that need
 * the same code share the variant.
 */
export interface Variant {
  readonly instruction: Instruction;
  readonly bits: MemoryBits;
  readonly long: boolean;
  readonly operands: readonly Operand[];
}

const MODRM_RM = new Set(["rm", "xmm-rm", "mmx-rm"]);

/** Whether ModRM.mod decides the kind of one of the operands. */
const hasEitherKind = (form: Form): boolean =>
  form.operands.some(({ place }) => MODRM_RM.has(place)) &&
  !form.traits.has("mem") &&
  !form.traits.has("reg");

/** Bits of an operand at an operand size. */
export function operandBits({ width }: OperandSpec, size: MemoryBits): number {
  switch (width) {
    case "v":
    case "y":
      return size;
    case "z":
      return size === 16 ? 16 : size === 64 ? 64 : 32;
    case "p":
      return size;
    default:
      return width;
  }
}

/**
 * A variant, and what it is for: an operand size, and kinds of ModRM.rm; both, where that makes no
 * difference.
 */
export interface VariantUse {
  readonly variant: Variant;
  readonly size: MemoryBits;
  readonly memory: readonly boolean[];
}

/** What `form` needs code for. */
export function variantsOf(form: Form): VariantUse[] {
  const either = hasEitherKind(form);
  const kinds = either ? [false, true] : [!form.traits.has("reg")];
  const modes = form.instruction.stack ? [true, false] : [true];
  return form.sizes.flatMap((size) =>
    kinds.flatMap((memory) =>
      modes.map((long) => ({
        variant: variant(form, size, memory, long),
        size,
        memory: either ? [memory] : [false, true],
      })),
    ),
  );
}

const variants = new Map<Form, Variant[]>();

/** @param memory whether ModRM.rm names memory, where it may be either */
export function variant(form: Form, bits: MemoryBits, memory: boolean, long: boolean): Variant {
  let known = variants.get(form);
  if (known === undefined) {
    known = [];
    variants.set(form, known);
  }
  // The sizes are 8 to 64: they are told apart by their eighths.
  const place = ((bits >> 3) << 2) | (memory ? 2 : 0) | (long ? 1 : 0);
  known[place] ??= newVariant(form, bits, memory, long);
  return known[place];
}

function newVariant(form: Form, size: MemoryBits, memory: boolean, long: boolean): Variant {
  const { instruction } = form;
  const bits = instruction.sizeless ? 64 : size;
  let field = 0;
  const operands = form.operands.map((spec): Operand => {
    const kind = operandKind(spec, memory);
    const isRegister = kind !== "memory" && kind !== "immediate";
    const width = isExtended(spec) ? bits : operandBits(spec, bits);
    const operand = { kind, bits: width, field: isRegister ? field : 0 };
    if (isRegister) field++;
    return spec.place === "xmm-immediate" ? { ...operand, byImmediate: true } : operand;
  });
  return { instruction, bits, long, operands };
}

/** What is sign-extended is as an operand as wide as what it is extended to, and needs no code of its own. */
const isExtended = ({ place, signExtended }: OperandSpec): boolean =>
  place === "relative" || signExtended === true;

function operandKind({ place, width }: OperandSpec, memory: boolean): Operand["kind"] {
  switch (place) {
    case "rm":
      return memory ? "memory" : "register";
    case "xmm-rm":
      return memory ? "memory" : "xmm";
    case "mmx-rm":
      return memory ? "memory" : "mmx";
    case "memory":
    case "offset":
      return "memory";
    case "xmm-reg":
    case "xmm-rm-register":
    case "xmm-vvvv":
    case "xmm-immediate":
      return "xmm";
    case "mmx-reg":
    case "mmx-rm-register":
      return "mmx";
    case "immediate":
    case "relative":
    case "far-pointer":
    case "one":
      return "immediate";
    case "fixed":
      return width === 128 ? "xmm" : "register";
    default:
      return "register";
  }
}

/** Variants with equal keys need equal code. */
export const variantKey = ({ instruction, bits, long, operands }: Variant): string =>
  [
    instruction.name,
    bits,
    instruction.stack ? long : "",
    ...operands.map((operand) => `${operand.kind}${operand.bits}`),
  ].join(" ");
