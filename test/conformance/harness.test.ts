import { describe, expect, test } from "vitest";
import { Decoder, InvalidOpcode } from "../../fallback/interpreter/decoder.ts";
import { parseForms } from "../../fallback/isa/form.ts";
import { OpcodeMap } from "../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { SeededRandom } from "../support/random.ts";
import { Backgrounds, plainState } from "./backgrounds.ts";
import { compare } from "./compare.ts";
import type { Judge, Snippet, SnippetCpu, SnippetResult } from "./driver.ts";
import { CODE, DATA } from "./environment.ts";
import { Fallback } from "./fallback.ts";
import { testForms } from "./forms.ts";
import { type GeneratedTest, generate } from "./generate.ts";
import { HAND_WRITTEN } from "./hand-written-forms.ts";
import { minimise } from "./minimise.ts";
import { describeFailure } from "./report.ts";
import { undefinedResult } from "./undefined-results.ts";
import { decodeVectors, encodeVectors, type Vector } from "./vectors.ts";

const RAX = 0;
const backgrounds = new Backgrounds(1, 4);
/** With FS and GS at zero. */
const flatBackgrounds = new Backgrounds(1, 4, false);
const forms = testForms([HAND_WRITTEN]);

function formOf(name: string, text: string) {
  const form = forms.find(({ name: candidate }) => candidate === `${name} ${text}`);
  if (form === undefined) throw new Error(`no form ${name} ${text}`);
  return form;
}

function generated(name: string, text: string, seed: number): GeneratedTest {
  return generate(formOf(name, text), 64, new SeededRandom(seed), backgrounds);
}

describe("generated tests", () => {
  test("are the same for the same seed", () => {
    for (const form of forms) {
      const mode = form.modes[0] ?? 64;
      const [a, b] = [7, 7].map((seed) =>
        generate(form, mode, new SeededRandom(seed), backgrounds),
      );
      expect(a?.snippet.code).toEqual(b?.snippet.code);
      expect(a?.snippet.state.bytes).toEqual(b?.snippet.state.bytes);
    }
  });

  test("start from a state that fits the mode", () => {
    for (let seed = 0; seed < 500; seed++) {
      const random = new SeededRandom(seed);
      const form = random.pick(forms.filter(({ modes }) => modes.includes(32)));
      const { snippet } = generate(form, 32, random, backgrounds);
      expect(snippet.state.rip).toBe(BigInt(CODE));
      for (let register = 0; register < 16; register++) {
        const value = snippet.state.gpr(register);
        expect(value >> (register < 8 ? 32n : 0n)).toBe(0n);
      }
    }
  });

  test("take every addressing form", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 4000; seed++) {
      const { snippet, target } = generated("MUL", "F7/4 Ev", seed);
      if (target === undefined) continue;
      const opcode = snippet.code.indexOf(0xf7);
      const modRm = snippet.code[opcode + 1] ?? 0;
      seen.add(`${modRm >> 6} ${modRm & 7}`);
    }
    expect(seen.size).toBe(24);
  });

  test.each([64, 32] as const)("know where their operands are in %i-bit code", (mode) => {
    const cpu = new Fallback();
    const [lea] = testForms(FAMILIES).filter(({ name }) => name.startsWith("LEA "));
    if (lea === undefined) throw new Error("no LEA");
    for (let seed = 0; seed < 1000; seed++) {
      const random = new SeededRandom(seed);
      const { snippet, operandSize, target } = generate(lea, mode, random, flatBackgrounds);
      const opcode = snippet.code.indexOf(lea.form.opcode);
      const [before = 0, modRm = 0] = [snippet.code[opcode - 1], snippet.code[opcode + 1]];
      const rexR = mode === 64 && before >> 4 === 4 ? (before & 4) << 1 : 0;
      const { state } = cpu.run(snippet);
      const offset = state.gpr(((modRm >> 3) & 7) | rexR);
      expect(BigInt.asUintN(operandSize, offset)).toBe(BigInt.asUintN(operandSize, target ?? 0n));
    }
  });

  test("mostly hit the data they aim at", () => {
    let hits = 0;
    let memory = 0;
    for (let seed = 0; seed < 1000; seed++) {
      const { target } = generated("ADD", "01 Ev,Gv", seed);
      if (target === undefined) continue;
      memory++;
      if (target >= BigInt(DATA) && target < BigInt(DATA + 0x2000)) hits++;
    }
    expect(memory).toBeGreaterThan(400);
    expect(hits / memory).toBeGreaterThan(0.9);
  });
});

describe.each([64, 32] as const)("generated VEX prefixes in %i-bit code", (mode) => {
  const decoder = new Decoder(new OpcodeMap([HAND_WRITTEN]));
  const vexForms = forms.filter(({ form }) => form.map >= 4);
  const tests = Array.from({ length: 3000 }, (_, seed) => {
    const random = new SeededRandom(seed);
    return generate(random.pick(vexForms), mode, random, backgrounds);
  });
  const decoded = (code: Uint8Array): string | undefined => {
    try {
      return decoder.decode(code, mode).form.text;
    } catch (problem) {
      if (problem instanceof InvalidOpcode) return undefined;
      throw problem;
    }
  };

  test("mostly name the form that they were made for, and sometimes none", () => {
    const found = tests.map(({ snippet }) => decoded(snippet.code));
    const share = (what: (text: string | undefined, index: number) => boolean): number =>
      found.filter(what).length / found.length;
    expect(share((text, index) => text === tests[index]?.form.form.text)).toBeGreaterThan(0.95);
    expect(share((text) => text === undefined)).toBeGreaterThan(0.01);
  });

  test("are of both lengths", () => {
    const first = new Set(tests.map(({ snippet: { code } }) => code[0]));
    expect([first.has(0xc4), first.has(0xc5)]).toEqual([true, true]);
  });
});

describe("what is undefined", () => {
  const result: SnippetResult = { state: plainState() };
  const flagsOf = (name: string, text: string, count: number): bigint => {
    const found = Array.from({ length: 3000 }, (_, seed) => generated(name, text, seed)).find(
      ({ snippet, operandSize }) =>
        operandSize === 32 && (snippet.state.gpr(1) & 31n) === BigInt(count),
    );
    if (found === undefined) throw new Error(`no shift by ${count}`);
    return undefinedResult(found, result).flags;
  };

  test("depends on the count of a shift", () => {
    expect(flagsOf("SHL", "D3/4 Ev,CL", 0)).toBe(0n);
    expect(flagsOf("SHL", "D3/4 Ev,CL", 1)).toBe(0x10n);
    expect(flagsOf("SHL", "D3/4 Ev,CL", 7)).toBe(0x810n);
  });

  test("is nothing more than the table says", () => {
    expect(undefinedResult(generated("MUL", "F7/4 Ev", 1), result).flags).toBe(0xd4n);
    expect(undefinedResult(generated("ADD", "01 Ev,Gv", 1), result).flags).toBe(0n);
  });
});

describe("the comparison", () => {
  test("finds every kind of difference", () => {
    const expected: SnippetResult = { state: plainState() };
    const state = plainState();
    state.setGpr(9, 1n);
    state.rflags = 1n;
    state.mxcsr = 0;
    state.statusWord = 1;
    state.xmm(3)[0] = 1;
    state.ymmUpper(5)[15] = 1;
    state.st(2)[9] = 1;
    state.data.set([1, 2], 0x123);
    const differences = compare(expected, { state, fault: { vector: 6 } });
    expect(differences.map(({ what }) => what)).toEqual([
      "fault",
      "rflags",
      "r9",
      "x87 status",
      "st2",
      "xmm3",
      "ymm5 above",
      "mxcsr",
      "[0x20000123]",
    ]);
    expect(differences.at(-1)).toMatchObject({ expected: "0000", actual: "0102" });
  });

  test("passes over what is undefined, unless there was a fault", () => {
    const state = plainState();
    state.rflags = 0x810n;
    const parts = { ...undefinedResult(generated("MUL", "F7/4 Ev", 1), { state }), flags: 0x810n };
    expect(compare({ state: plainState() }, { state }, parts)).toEqual([]);
    const fault = { vector: 14, errorCode: 4, cr2: 0n };
    const faulting = compare({ state: plainState(), fault }, { state, fault }, parts);
    expect(faulting.map(({ what }) => what)).toEqual(["rflags"]);
  });
});

/** Does nothing but go on to the next instruction; a wrong one adds to RAX where RCX is odd. */
class Dummy implements SnippetCpu, Judge {
  readonly name: string;
  readonly modes = [64, 32] as const;
  readonly #wrong: boolean;
  constructor(wrong: boolean) {
    this.name = wrong ? "wrong" : "right";
    this.#wrong = wrong;
  }
  run({ code, state }: Parameters<SnippetCpu["run"]>[0]): SnippetResult {
    const after = state.clone();
    after.rip += BigInt(code.length);
    if (this.#wrong && (state.gpr(1) & 1n) === 1n) after.setGpr(RAX, state.gpr(RAX) ^ 2n);
    return { state: after };
  }
  runAll(snippets: readonly Snippet[]): SnippetResult[] {
    return snippets.map((snippet) => this.run(snippet));
  }
}

describe.each(["interpreter", "jit"] as const)("what the %s has been prepared for", (by) => {
  test("has the same results as each snippet by itself", () => {
    const snippets = Array.from({ length: 400 }, (_, seed) => {
      const random = new SeededRandom(seed);
      const form = random.pick(forms);
      return generate(form, random.pick(form.modes), random, backgrounds).snippet;
    });
    const cpu = new Fallback(undefined, by);
    const alone = snippets.map((snippet) => {
      const { state, fault } = cpu.run(snippet);
      return { state: state.clone(), fault };
    });
    cpu.prepare(snippets);
    // One that it has not been prepared for in between.
    for (const index of [...snippets.keys(), 7]) {
      const [snippet, expected] = [snippets[index] as Snippet, alone[index] as SnippetResult];
      expect(compare(expected, cpu.run(snippet))).toEqual([]);
      if (index === 300) cpu.run({ ...snippet });
    }
  });
});

describe("a failure", () => {
  const [right, wrong] = [new Dummy(false), new Dummy(true)];
  const failing = Array.from({ length: 50 }, (_, seed) => generated("ADD", "01 Ev,Gv", seed)).find(
    ({ snippet }) => (snippet.state.gpr(1) & 1n) === 1n,
  ) as GeneratedTest;

  test("is reduced to the state that it needs", () => {
    const { snippet } = minimise(failing, right, wrong);
    const least = plainState();
    least.setGpr(1, snippet.state.gpr(1) & 0xffn);
    expect(compare({ state: least }, { state: snippet.state })).toEqual([]);
    expect(snippet.state.gpr(1) & 1n).toBe(1n);
  });

  test("is printed with both outcomes", () => {
    const { snippet } = minimise(failing, right, wrong);
    const differences = compare(right.run(snippet), wrong.run(snippet));
    const text = describeFailure({ ...failing, snippet }, ["right", "wrong"], differences);
    expect(text).toMatch(/^ADD 01 Ev,Gv, 64-bit: /);
    expect(text).toMatch(/ {2}rax\n {4}right 0x0\n {4}wrong 0x2$/);
  });
});

describe("recorded vectors", () => {
  const vectors: Vector[] = forms.map((form, index) => {
    const test = generate(form, form.modes[0] ?? 64, new SeededRandom(index), backgrounds);
    const state = test.snippet.state.clone();
    state.setGpr(index % 16, BigInt(index));
    state.data[index] = ~index;
    const fault = index % 3 === 0 ? { vector: 14, errorCode: 6, cr2: 1n << 63n } : undefined;
    const result = { state, fault };
    const undefinedParts = undefinedResult(test, result);
    return { name: form.name, snippet: test.snippet, result, undefinedParts };
  });

  test("come back as they were written", () => {
    const file = encodeVectors(vectors, backgrounds.states);
    const back = decodeVectors(file);
    expect(back.length).toBe(vectors.length);
    back.forEach((vector, index) => {
      const original = vectors[index] as Vector;
      expect(vector.name).toBe(original.name);
      expect([...vector.snippet.code]).toEqual([...original.snippet.code]);
      expect(vector.snippet.mode).toBe(original.snippet.mode);
      expect(vector.snippet.state.bytes).toEqual(original.snippet.state.bytes);
      expect(compare(original.result, vector.result)).toEqual([]);
      expect(vector.undefinedParts).toEqual(original.undefinedParts);
    });
  });

  test("are refused when the file is something else", () => {
    expect(() => decodeVectors(new TextEncoder().encode("GIF89a"))).toThrow(
      "not a file of test vectors",
    );
  });
});

test("a form with an opcode register stands for eight opcodes", () => {
  const push = parseForms({ name: "PUSH", forms: ["50 Zv d64"] });
  expect(push.map(({ opcode }) => opcode)).toEqual([
    0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57,
  ]);
});
