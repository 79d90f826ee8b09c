import { describe, expect, test } from "vitest";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { plainState } from "./backgrounds.ts";
import { compare } from "./compare.ts";
import type { CpuState } from "./cpu-state.ts";
import type { Fault, Mode } from "./driver.ts";
import { DATA, DATA_SIZE, PAGE, READ_ONLY } from "./environment.ts";
import { testForms } from "./forms.ts";
import type { GeneratedTest } from "./generate.ts";
import { undefinedHere } from "./vendor.ts";

const FORMS = testForms(FAMILIES);
const END = BigInt(DATA + DATA_SIZE);
const [RCX, RSP, RBP, RSI, RDI] = [1, 4, 5, 6, 7];

/** What is undefined where an AMD processor ends an instruction with a fault, or none. */
function undefinedThere(
  name: string,
  fault: Fault | undefined,
  details: Partial<Pick<GeneratedTest, "target" | "operandSize" | "immediate">> & {
    readonly mode?: Mode;
    readonly prefix?: number;
    readonly prepare?: (state: CpuState) => void;
  } = {},
) {
  const form = FORMS.find(({ form: { instruction } }) => instruction.name === name);
  if (form === undefined) throw new Error(`no form of ${name}`);
  const { mode = 64, prefix, prepare = () => {}, target, operandSize = 32, immediate } = details;
  const state = plainState();
  prepare(state);
  const prefixes = prefix === undefined ? [] : [prefix];
  const snippet = { mode, code: Uint8Array.of(...prefixes, form.form.opcode), state };
  const generated = { form, snippet, operandSize, target, rm: undefined, immediate };
  return undefinedHere(generated, { state, fault }, true);
}

const pageFault = (cr2: bigint): Fault => ({ vector: 14, errorCode: 4, cr2 });
const isJudged = (...what: Parameters<typeof undefinedThere>): boolean =>
  undefinedThere(...what).unjudged !== true;

describe("with an AMD processor as the judge", () => {
  test("an upper bound that cannot be read may hide a lower one, and not the other way round", () => {
    const details = { mode: 32, target: END - 4n } as const;
    expect(isJudged("BOUND", pageFault(END), details)).toBe(false);
    expect(isJudged("BOUND", pageFault(END - 4n), details)).toBe(true);
    expect(isJudged("BOUND", { vector: 5 }, details)).toBe(true);
  });

  test("what SHA's instructions have in memory need not be aligned", () => {
    const target = BigInt(DATA);
    expect(isJudged("SHA256MSG1", undefined, { target: target + 8n })).toBe(false);
    expect(isJudged("SHA256MSG1", undefined, { target })).toBe(true);
    expect(isJudged("AESENC", undefined, { target: target + 8n })).toBe(true);
  });

  test("MOVSXD of 16 bits reads 32", () => {
    expect(isJudged("MOVSXD", pageFault(END), { target: END - 2n, operandSize: 16 })).toBe(false);
    expect(isJudged("MOVSXD", pageFault(END), { target: END - 1n, operandSize: 16 })).toBe(true);
    expect(isJudged("MOVSXD", pageFault(END), { target: END - 2n })).toBe(true);
  });

  test("CMPS of two elements that cannot be read may tell of either", () => {
    const at = (source: number, destination: number) => ({
      prepare(state: CpuState): void {
        state.setGpr(RSI, BigInt(source));
        state.setGpr(RDI, BigInt(destination));
      },
    });
    expect(isJudged("CMPS", pageFault(0n), at(0, 0x1000))).toBe(false);
    expect(isJudged("CMPS", pageFault(0n), at(0, DATA))).toBe(true);
    expect(isJudged("CMPS", pageFault(0x1000n), at(READ_ONLY, 0x1000))).toBe(true);
  });

  test("MASKMOVDQU where neither half can be written may tell of either", () => {
    const at = (destination: number) => ({
      prepare: (state: CpuState): void => state.setGpr(RDI, BigInt(destination)),
    });
    const readOnly = BigInt(READ_ONLY);
    expect(isJudged("MASKMOVDQU", pageFault(readOnly), at(READ_ONLY))).toBe(false);
    expect(isJudged("MASKMOVDQU", pageFault(readOnly + 8n), at(READ_ONLY))).toBe(true);
    expect(isJudged("MASKMOVDQU", pageFault(END), at(Number(END) - 8))).toBe(true);
  });

  test("FSCALE of a denormal number by one may underflow if that is not masked", () => {
    const of = (controlWord: number, factor: number) => ({
      prepare(state: CpuState): void {
        state.controlWord = controlWord;
        state.st(0)[3] = 1;
        state.st(1)[9] = factor;
      },
    });
    expect(isJudged("FSCALE", undefined, of(0x36f, 0x80))).toBe(false);
    expect(isJudged("FSCALE", undefined, of(0x36f, 1))).toBe(true);
    expect(isJudged("FSCALE", undefined, of(0x37f, 0))).toBe(true);
  });

  test("the sine of a denormal number may underflow if that is not masked", () => {
    const of = (controlWord: number, exponent: number, last = 0) => ({
      prepare(state: CpuState): void {
        state.controlWord = controlWord;
        state.st(0)[0] = last;
        state.st(0)[7] = 0x80;
        state.st(0)[8] = exponent;
      },
    });
    expect(isJudged("FSIN", undefined, of(0x36f, 0))).toBe(false);
    // And that of the least number that is none.
    expect(isJudged("FSIN", undefined, of(0x36f, 1))).toBe(false);
    expect(isJudged("FSIN", undefined, of(0x36f, 1, 1))).toBe(true);
    expect(isJudged("FSIN", undefined, of(0x37f, 0))).toBe(true);
  });

  test("what is left of a denormal number by infinity may underflow if that is not masked", () => {
    const of = (controlWord: number, divisor: number) => ({
      prepare(state: CpuState): void {
        state.controlWord = controlWord;
        state.st(0)[7] = 6;
        state.st(1)[7] = 0x80;
        state.st(1)[8] = divisor;
        state.st(1)[9] = 0xff;
      },
    });
    for (const name of ["FPREM", "FPREM1"]) {
      expect(isJudged(name, undefined, of(0xc42, 0xff))).toBe(false);
      expect(isJudged(name, undefined, of(0xc42, 0xfe))).toBe(true);
      expect(isJudged(name, undefined, of(0xc52, 0xff))).toBe(true);
    }
  });

  test("accesses whose bytes go round at the end of all addresses may fault for that", () => {
    const generalProtection = { vector: 13, errorCode: 0 };
    expect(isJudged("PADDB", generalProtection, { target: 2n ** 64n - 3n })).toBe(false);
    expect(isJudged("PADDB", generalProtection, { target: 2n ** 63n })).toBe(true);
    const at = (pointer: bigint) => ({
      mode: 32 as const,
      prepare: (state: CpuState): void => state.setGpr(RSP, pointer),
    });
    const stackFault = { vector: 12, errorCode: 0 };
    expect(isJudged("POPA", stackFault, at(0xffff_ffffn))).toBe(false);
    expect(isJudged("POPA", stackFault, at(0x8000_0000n))).toBe(true);
    expect(isJudged("POPA", pageFault(0xffff_ffffn), at(0xffff_ffffn))).toBe(true);
    expect(isJudged("BOUND", stackFault, { mode: 32, target: 0xffff_fffdn })).toBe(false);
    expect(isJudged("BOUND", stackFault, { mode: 32, target: END })).toBe(true);
  });

  test("so may the frame pointers that ENTER copies", () => {
    const stackFault = { vector: 12, errorCode: 0 };
    const at = (rbp: bigint, immediate: number) => ({
      ...({ mode: 32, immediate } as const),
      prepare: (state: CpuState): void => state.setGpr(RBP, rbp),
    });
    expect(isJudged("ENTER", stackFault, at(1n, 2))).toBe(false);
    expect(isJudged("ENTER", stackFault, at(9n, 24))).toBe(false);
    expect(isJudged("ENTER", stackFault, at(9n, 34))).toBe(true);
    expect(isJudged("ENTER", stackFault, at(1n, 1))).toBe(true);
    expect(isJudged("ENTER", pageFault(0xffff_fffdn), at(1n, 2))).toBe(true);
  });

  test("images that go round there need not fault, from FS's base", () => {
    const base = BigInt(DATA + 8);
    const at = (offset: bigint) => ({
      ...({ mode: 32, prefix: 0x64, target: base + offset } as const),
      prepare: (state: CpuState): void => {
        state.fsBase = base;
      },
    });
    for (const name of ["FXSAVE", "FXRSTOR", "FNSAVE", "FLDENV"]) {
      expect(isJudged(name, undefined, at(-8n))).toBe(false);
      expect(isJudged(name, undefined, at(8n))).toBe(true);
    }
    expect(isJudged("ADD", undefined, at(-8n))).toBe(true);
  });

  test("ten bytes across pages are stored all or not at all", () => {
    const target = BigInt(DATA + PAGE - 8);
    const stored = (name: string, fault?: Fault) => undefinedThere(name, fault, { target }).memory;
    expect(stored("FBSTP", pageFault(target + 8n))).toEqual([[target, 8]]);
    expect(stored("FBSTP")).toEqual([]);
    expect(stored("FISTP", pageFault(target + 8n))).toEqual([]);
  });

  test("a counter of 32 bits stays as it is where nothing is repeated", () => {
    const [form] = FORMS.filter(({ form: { instruction } }) => instruction.name === "MOVS");
    if (form === undefined) throw new Error("no form of MOVS");
    const [state, repeated] = [plainState(), plainState()];
    state.setGpr(RCX, 0x3_0000_0002n);
    repeated.setGpr(RCX, 1n);
    const snippet = { mode: 64, code: Uint8Array.of(0x67, 0xf3, form.form.opcode), state } as const;
    const nothing = { target: undefined, rm: undefined, immediate: undefined };
    const generated = { form, snippet, operandSize: 32 as const, ...nothing };
    const fault = pageFault(END);
    expect(undefinedHere(generated, { state, fault }, true).gpr).toBe(RCX);
    expect(undefinedHere(generated, { state: repeated, fault }, true).gpr).toBeUndefined();
  });

  test("POPA that faults may have popped some registers", () => {
    expect(undefinedThere("POPA", pageFault(END), { mode: 32 }).popped).toBe(true);
    expect(undefinedThere("POPA", undefined, { mode: 32 }).popped).toBe(false);
    const [before, popped] = [plainState(), plainState()];
    popped.setGpr(RDI, 1n);
    const parts = undefinedThere("POPA", pageFault(END), { mode: 32 });
    expect(compare({ state: before }, { state: popped }, parts)).toEqual([]);
    popped.setGpr(RSP, 1n);
    expect(compare({ state: before }, { state: popped }, parts)).toHaveLength(1);
  });
});
