/** Comparisons of strings by vectors, against comparisons of one element after another. */
import { expect, it } from "vitest";
import { buildStringComparison } from "../../../fallback/emission/string-comparison.ts";
import { MASK_SHIFT, UP_TO_ZERO } from "../../../fallback/isa/string-comparison.ts";
import { i32 } from "../../../fallback/wasm/expression.ts";
import { callResult, FunctionBuilder } from "../../../fallback/wasm/function-builder.ts";
import { ModuleBuilder } from "../../../fallback/wasm/module-builder.ts";
import { v128 } from "../../../fallback/wasm/simd.ts";
import { SeededRandom } from "../../support/random.ts";

const CONTROLS = 256;
const TESTS = 300;
const CF = 0x01;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

const memory = new WebAssembly.Memory({ initial: 1 });
const SET = new Uint8Array(memory.buffer, 0, 16);
const TEXT = new Uint8Array(memory.buffer, 16, 16);
const random = new SeededRandom(1);

type Compare = (control: number, setLength: number, textLength: number) => number;

/** Of what the memory has: no vector can come from JavaScript. */
function makeCompare(): Compare {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", 1, false);
  const compare = buildStringComparison(module);
  const parameters = ["i32", "i32", "i32"] as const;
  const index = module.addFunction({ parameters, results: ["i32"] });
  const fn = new FunctionBuilder(parameters);
  const [control, ...lengths] = [0, 1, 2].map((n) => fn.parameter(n, "i32"));
  const vectors = [0, 16].map((at) => v128.load(i32.const(0), at));
  fn.return(callResult("i32", compare, control ?? i32.const(0), ...vectors, ...lengths));
  module.define(index, fn.finish());
  module.exportFunction("compare", index);
  const made = new WebAssembly.Module(module.finish());
  return new WebAssembly.Instance(made, { cpu: { memory } }).exports.compare as Compare;
}

interface Text {
  readonly elements: readonly number[];
  /** How many of them count. */
  readonly length: number;
}

function textIn(bytes: Uint8Array<ArrayBuffer>, control: number, given: number): Text {
  const { buffer, byteOffset } = bytes;
  const kinds = [Uint8Array, Uint16Array, Int8Array, Int16Array] as const;
  const Kind = kinds[control & 3] ?? Uint8Array;
  const elements = [...new Kind(buffer, byteOffset, 16 / Kind.BYTES_PER_ELEMENT)];
  const end = given === UP_TO_ZERO ? elements.indexOf(0) : given;
  return { elements, length: end < 0 ? elements.length : Math.min(end, elements.length) };
}

function matches(set: Text, text: Text, at: number, control: number): boolean {
  const element = text.elements[at] as number;
  const isValid = at < text.length;
  const counted = set.elements.slice(0, set.length);
  switch ((control >> 2) & 3) {
    case 0:
      return isValid && counted.includes(element);
    case 1:
      return isValid && isInRanges(counted, element);
    case 2:
      if (!isValid || at >= set.length) return !isValid && at >= set.length;
      return set.elements[at] === element;
    default:
      return counted.every((wanted, n) => {
        const place = at + n;
        if (place >= text.elements.length) return true;
        return place < text.length && text.elements[place] === wanted;
      });
  }
}

function isInRanges(bounds: readonly number[], element: number): boolean {
  for (let at = 0; at + 1 < bounds.length; at += 2) {
    if (element >= (bounds[at] as number) && element <= (bounds[at + 1] as number)) return true;
  }
  return false;
}

function expected(control: number, setLength: number, textLength: number): number {
  const set = textIn(SET, control, setLength);
  const text = textIn(TEXT, control, textLength);
  let mask = 0;
  for (const at of text.elements.keys()) {
    const isNegated = control & 0x10 && (!(control & 0x20) || at < text.length);
    if (matches(set, text, at, control) !== Boolean(isNegated)) mask |= 1 << at;
  }
  const flags = [
    [mask !== 0, CF],
    [text.length < text.elements.length, ZF],
    [set.length < set.elements.length, SF],
    [(mask & 1) !== 0, OF],
  ] as const;
  return flags.reduce((all, [is, flag]) => all | (is ? flag : 0), mask << MASK_SHIFT);
}

/** Few values, so that some are equal; zeros; and the ends of all ranges. */
function fill(): void {
  const values = random.pick([
    [0x61, 0x62],
    [0, 0x61, 0x62, 0x63],
    [0, 1, 0x7f, 0x80, 0x81, 0xff],
  ]);
  const isShort = random.chance(50);
  for (const bytes of [SET, TEXT]) {
    for (const at of bytes.keys()) bytes[at] = random.pick(values);
    // Words with one byte only.
    if (random.chance(30)) for (let at = 1; at < 16; at += 2) bytes[at] = 0;
    if (isShort) bytes.fill(0, random.below(16));
  }
}

const compare = makeCompare();

it.each([
  ["up to zeros", () => UP_TO_ZERO],
  ["of lengths that are given", () => random.below(17)],
])("%s come out the same by all immediates", (_, length) => {
  for (let control = 0; control < CONTROLS; control++) {
    for (let test = 0; test < TESTS; test++) {
      fill();
      const parameters = [control, length(), length()] as const;
      if (compare(...parameters) !== expected(...parameters)) {
        const texts = [SET, TEXT].map((bytes) => Buffer.from(bytes).toString("hex"));
        expect([texts, parameters, compare(...parameters)]).toEqual([
          ...[texts, parameters, expected(...parameters)],
        ]);
      }
    }
  }
});
