import { RFLAGS } from "../bits.ts";
import {
  AGGREGATION,
  MASK_SHIFT,
  STRING_COMPARISON,
  STRING_CONTROL,
} from "../isa/string-comparison.ts";
import { type I32, i32, select, type V128 } from "../wasm/expression.ts";
import { FunctionBuilder, type Local } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { i8x16, i16x8, v128 } from "../wasm/simd.ts";

/**
 * What comparisons of strings compute (Intel SDM vol. 2B §4.1), as `isa/string-comparison.ts` says.
 * @returns index of the function
 */
export function buildStringComparison(module: ModuleBuilder): number {
  const index = module.addFunction(STRING_COMPARISON);
  const fn = new FunctionBuilder(STRING_COMPARISON.parameters);
  const isOfWords = i32.and(fn.parameter(0, "i32"), i32.const(STRING_CONTROL.WORDS));
  fn.if(isOfWords, () => new Comparison(fn, i16x8, 16).build());
  new Comparison(fn, i8x16, 8).build();
  fn.unreachable();
  module.define(index, fn.finish());
  return index;
}

const zero = i32.const(0);
const one = i32.const(1);

/** The function for elements of one size. Masks have a bit for each element. */
class Comparison {
  readonly #fn: FunctionBuilder;
  readonly #lanes: typeof i8x16 | typeof i16x8;
  readonly #bits: 8 | 16;
  readonly #count: number;
  /** All elements. */
  readonly #all: I32;
  readonly #control: Local<"i32">;
  readonly #set: Local<"v128">;
  readonly #setLength: Local<"i32">;
  readonly #text: Local<"v128">;
  readonly #textLength: Local<"i32">;
  /** Elements of the text that count. */
  readonly #valid: Local<"i32">;
  readonly #mask: Local<"i32">;

  constructor(fn: FunctionBuilder, lanes: typeof i8x16 | typeof i16x8, bits: 8 | 16) {
    this.#fn = fn;
    this.#lanes = lanes;
    this.#bits = bits;
    this.#count = 128 / bits;
    this.#all = i32.const(2 ** this.#count - 1);
    this.#control = fn.parameter(0, "i32");
    this.#set = fn.parameter(1, "v128");
    this.#text = fn.parameter(2, "v128");
    this.#setLength = this.#length(this.#set, fn.parameter(3, "i32"));
    this.#textLength = this.#length(this.#text, fn.parameter(4, "i32"));
    this.#valid = fn.let(firstOnes(this.#textLength));
    this.#mask = fn.local("i32");
  }

  build(): void {
    const fn = this.#fn;
    this.#aggregate();
    fn.if(this.#has("NEGATIVE"), () => {
      const inverted = select(this.#has("ONLY_VALID"), this.#valid, this.#all);
      fn.set(this.#mask, i32.xor(this.#mask, inverted));
    });
    const count = i32.const(this.#count);
    const flags = [
      flag(i32.ne(this.#mask, zero), RFLAGS.CF),
      flag(i32.ltU(this.#textLength, count), RFLAGS.ZF),
      flag(i32.ltU(this.#setLength, count), RFLAGS.SF),
      flag(i32.and(this.#mask, one), RFLAGS.OF),
    ].reduce((all, one) => i32.or(all, one));
    fn.return(i32.or(i32.shl(this.#mask, i32.const(MASK_SHIFT)), flags));
  }

  /** How many elements count. @param given as `StringOperands` has it */
  #length(vector: Local<"v128">, given: Local<"i32">): Local<"i32"> {
    const zeros = this.#lanes.bitmask(this.#lanes.eq(vector, i8x16.const(0)));
    const ends = select(i32.ltS(given, zero), zeros, i32.shl(one, given));
    return this.#fn.let(i32.ctz(i32.or(ends, i32.const(2 ** this.#count))));
  }

  /** The mask by the aggregation; §4.1.6 says what becomes of elements that do not count. */
  #aggregate(): void {
    const fn = this.#fn;
    const kind = fn.let(i32.and(this.#control, i32.const(STRING_CONTROL.AGGREGATION)));
    const is = (aggregation: keyof typeof AGGREGATION): I32 =>
      i32.eq(kind, i32.const(AGGREGATION[aggregation]));
    const ordered = () => this.#findOrdered();
    const ranges = () => fn.if(is("RANGES"), () => this.#findRanges(), ordered);
    const any = () => fn.if(is("EQUAL_ANY"), () => this.#findAny(), ranges);
    fn.if(is("EQUAL_EACH"), () => this.#compareEach(), any);
  }

  #compareEach(): void {
    const fn = this.#fn;
    // Where one of both has ended nothing is equal, and where both have everything.
    const setValid = fn.let(firstOnes(this.#setLength));
    const both = i32.and(this.#equal(this.#set), setValid);
    const neither = i32.xor(i32.or(this.#valid, setValid), this.#all);
    fn.set(this.#mask, i32.or(both, neither));
  }

  #findAny(): void {
    const fn = this.#fn;
    fn.set(this.#mask, zero);
    this.#eachOf(1, () => {
      fn.set(this.#mask, i32.or(this.#mask, this.#equal(this.#element(0))));
    });
  }

  /** Pairs of lower and upper bounds; one without an upper bound does not count. */
  #findRanges(): void {
    const fn = this.#fn;
    const [text, mask] = [this.#text, this.#mask];
    const { eq, minU, maxU, bitmask, const: constant } = this.#lanes;
    // Signed numbers are in the same order as unsigned ones with the highest bits inverted.
    fn.if(this.#has("SIGNED"), () => {
      const signs = constant(2 ** (this.#bits - 1));
      for (const vector of [this.#set, text]) fn.set(vector, v128.xor(vector, signs));
    });
    fn.set(mask, zero);
    this.#eachOf(2, () => {
      const isAbove = eq(maxU(text, this.#element(0)), text);
      const isBelow = eq(minU(text, this.#element(1)), text);
      fn.set(mask, i32.or(mask, bitmask(v128.and(isAbove, isBelow))));
    });
    fn.set(mask, i32.and(mask, this.#valid));
  }

  /** Where the text has all of the set, or its beginning at the end of the register. */
  #findOrdered(): void {
    const fn = this.#fn;
    const behind = i32.const(-(2 ** this.#count));
    fn.set(this.#mask, this.#all);
    this.#eachOf(1, (at) => {
      const found = i32.or(this.#equal(this.#element(0)), behind);
      fn.set(this.#mask, i32.and(this.#mask, i32.shrU(found, at)));
    });
  }

  /** Where the text has the same elements. */
  #equal(elements: V128): I32 {
    const { bitmask, eq } = this.#lanes;
    return i32.and(bitmask(eq(this.#text, elements)), this.#valid);
  }

  /** With the elements of the set at its beginning, `step` at a time, as long as so many are left. */
  #eachOf(step: 1 | 2, body: (at: Local<"i32">) => void): void {
    const fn = this.#fn;
    const bytes = (step * this.#bits) / 8;
    const rotated = Array.from({ length: 16 }, (_, at) => (at + bytes) & 15);
    const end = fn.let(i32.sub(this.#setLength, i32.const(step)));
    const at = fn.let(zero);
    fn.block((done) => {
      fn.loop((again) => {
        fn.branchIf(i32.gtS(at, end), done);
        body(at);
        fn.set(this.#set, i8x16.shuffle(this.#set, this.#set, rotated));
        fn.set(at, i32.add(at, i32.const(step)));
        fn.branch(again);
      });
    });
  }

  /** One of the set, in all places. */
  #element(lane: number): V128 {
    return this.#lanes.splat(this.#lanes.extractLaneU(this.#set, lane));
  }

  #has(field: "SIGNED" | "NEGATIVE" | "ONLY_VALID"): I32 {
    return i32.and(this.#control, i32.const(STRING_CONTROL[field]));
  }
}

const flag = (is: I32, bit: number): I32 => i32.mul(is, i32.const(bit));
const firstOnes = (count: I32): I32 => i32.sub(i32.shl(one, count), one);
