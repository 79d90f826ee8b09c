import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../support/requirements.ts";
import { Backgrounds, plainState } from "./backgrounds.ts";
import { judgedTests } from "./campaign.ts";
import { compare } from "./compare.ts";
import type { CpuState } from "./cpu-state.ts";
import type { Mode, SnippetResult } from "./driver.ts";
import {
  CODE,
  CODE_PAGE,
  DATA,
  DATA_SIZE,
  MARKER,
  PAGE,
  READ_ONLY,
  VISIBLE_FLAGS,
} from "./environment.ts";
import { testForms } from "./forms.ts";
import { HAND_WRITTEN } from "./hand-written-forms.ts";
import { judgedForms, judgeHas } from "./judge-features.ts";
import { KvmSilicon } from "./kvm-silicon.ts";
import { Silicon } from "./silicon.ts";
import { undefinedHere } from "./vendor.ts";

const [RAX, RCX, RDX, RSP] = [0, 1, 2, 4];
const CARRY = 0x001n;
const OVERFLOW = 0x800n;
const STATUS_FLAGS = 0x8d5n;

describe.skipIf(missing("silicon"))("the real processor as a judge", () => {
  let silicon: Silicon;
  beforeAll(() => {
    silicon = new Silicon();
  });
  afterAll(() => silicon.close());

  function run(code: string, prepare: (state: CpuState) => void, mode: Mode = 64): SnippetResult {
    const state = plainState();
    prepare(state);
    return silicon.run({ mode, code: Buffer.from(code.replaceAll(" ", ""), "hex"), state });
  }
  const nothing = (): void => {};

  test("adds, and sets the flags", () => {
    const { state, fault } = run("48 01 c8", (s) => {
      s.setGpr(RAX, 0x7fff_ffff_ffff_ffffn);
      s.setGpr(RCX, 1n);
    });
    expect(fault).toBeUndefined();
    expect(state.gpr(RAX)).toBe(0x8000_0000_0000_0000n);
    expect(state.rflags & STATUS_FLAGS).toBe(0x894n); // OF, SF, AF, PF
    expect(state.rip).toBe(BigInt(CODE + 3));
  });

  test("takes and gives the carry", () => {
    const { state } = run("11 c8", (s) => {
      s.setGpr(RAX, 0xffff_ffff_ffff_ffffn);
      s.setGpr(RCX, 0n);
      s.rflags = CARRY;
    });
    expect(state.gpr(RAX)).toBe(0n);
    expect(state.rflags & CARRY).toBe(CARRY);
  });

  test("shifts and multiplies", () => {
    expect(run("c1 e0 04", (s) => s.setGpr(RAX, 0x1234_5678n)).state.gpr(RAX)).toBe(0x2345_6780n);
    const { state } = run("48 f7 e1", (s) => {
      s.setGpr(RAX, 1n << 63n);
      s.setGpr(RCX, 6n);
    });
    expect([state.gpr(RAX), state.gpr(RDX)]).toEqual([0n, 3n]);
    expect(state.rflags & (CARRY | OVERFLOW)).toBe(CARRY | OVERFLOW);
  });

  test("divides, and reports a quotient that does not fit", () => {
    const fits = run("f7 f1", (s) => {
      s.setGpr(RAX, 100n);
      s.setGpr(RCX, 7n);
    });
    expect([fits.state.gpr(RAX), fits.state.gpr(RDX)]).toEqual([14n, 2n]);
    const { fault, state } = run("f7 f1", nothing);
    expect(fault).toEqual({ vector: 0 });
    expect(state.rip).toBe(BigInt(CODE));
  });

  test("moves vectors, and insists on alignment", () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i * 3);
    const aligned = run("0f 28 04 25 10 00 00 20", (s) => s.data.set(bytes, 0x10));
    expect([...aligned.state.xmm(0)]).toEqual([...bytes]);
    const { fault } = run("0f 28 04 25 11 00 00 20", nothing);
    expect(fault).toEqual({ vector: 13, errorCode: 0 });
  });

  test("shuffles bytes", () => {
    const { state } = run("66 0f 38 00 c1", (s) => {
      s.xmm(0).set(Uint8Array.from({ length: 16 }, (_, i) => 0x40 + i));
      s.xmm(1).set([15, 0x80, 1, 0, ...new Array(12).fill(2)]);
    });
    expect([...state.xmm(0).subarray(0, 4)]).toEqual([0x4f, 0, 0x41, 0x40]);
  });

  describe.skipIf(!judgeHas("avx2"))("with AVX", () => {
    const bytes = (first: number): Uint8Array =>
      Uint8Array.from({ length: 16 }, (_, n) => first + n);
    const load = (s: CpuState): void => {
      for (const n of [0, 1, 2, 9]) {
        s.xmm(n).set(bytes(0x10 * n));
        s.ymmUpper(n).set(bytes(0x80 + 0x10 * n));
      }
    };
    const zeros = new Uint8Array(16);

    test("has both halves of registers, and of memory", () => {
      const moved = run("c4 41 7e 6f c1", load); // vmovdqu ymm8, ymm9
      expect([moved.state.xmm(8), moved.state.ymmUpper(8)]).toEqual([bytes(0x90), bytes(0x110)]);
      const stored = run("c5 fe 7f 0c 25 03 00 00 20", load); // vmovdqu [0x20000003], ymm1
      expect([...stored.state.data.subarray(3, 35)]).toEqual([...bytes(0x10), ...bytes(0x90)]);
    });

    test("clears the upper half with the lower one's VEX forms only", () => {
      const kept = run("66 0f ef c1", load); // pxor xmm0, xmm1
      expect(kept.state.ymmUpper(0)).toEqual(bytes(0x80));
      const cleared = run("c5 f1 ef c2", load); // vpxor xmm0, xmm1, xmm2
      expect(cleared.state.xmm(0)).toEqual(bytes(0x10).map((byte, n) => byte ^ (0x20 + n)));
      expect(cleared.state.ymmUpper(0)).toEqual(zeros);
    });

    test("leaves to 32-bit code the registers that it has", ({ skip }) => {
      skip(!silicon.modes.includes(32), "this kernel has no 32-bit user code");
      const { state } = run("c5 f8 77", load, 32); // vzeroupper
      expect([state.ymmUpper(1), state.ymmUpper(9)]).toEqual([zeros, bytes(0x110)]);
    });
  });

  test("adds in the 80-bit format", () => {
    const one = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
    const { state } = run("de c1", (s) => {
      s.tagWord = 0x03;
      s.st(0).set(one);
      s.st(1).set(one);
    });
    expect([...state.st(0)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x40]);
    expect(state.tagWord).toBe(0x02);
    expect(state.statusWord >> 11).toBe(1);
  });

  test("compares and exchanges under LOCK", () => {
    const { state } = run("f0 48 0f b1 0c 25 00 00 00 20", (s) => {
      s.data.set([7]);
      s.setGpr(RAX, 7n);
      s.setGpr(RCX, 9n);
    });
    expect(state.data[0]).toBe(9);
    expect(state.rflags & 0x40n).toBe(0x40n);
  });

  test("reports page faults with address and error code", () => {
    const load = (address: number): string => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(address);
      return `8b 04 25 ${bytes.toString("hex")}`;
    };
    const fault = (code: string) => run(code, nothing).fault;
    const end = DATA + DATA_SIZE;
    expect(fault(load(end))).toEqual({ vector: 14, errorCode: 4, cr2: BigInt(end) });
    expect(fault(load(end - 2))).toEqual({ vector: 14, errorCode: 4, cr2: BigInt(end) });
    expect(fault("89 04 25 08 00 01 20")).toEqual({
      vector: 14,
      errorCode: 7,
      cr2: BigInt(READ_ONLY + 8),
    });
    expect(fault(load(DATA + PAGE - 2))).toBeUndefined();
    const high = run("8b 00", (s) => s.setGpr(RAX, 0xffff_8000_0000_0000n));
    expect(high.fault).toEqual({ vector: 14, errorCode: 4, cr2: 0xffff_8000_0000_0000n });
  });

  test("tells stack faults from others", () => {
    const { fault } = run("50", (s) => s.setGpr(RSP, 0x9000_0000_0000_0000n));
    expect(fault).toEqual({ vector: 12, errorCode: 0 });
    const other = run("8b 00", (s) => s.setGpr(RAX, 0x9000_0000_0000_0000n));
    expect(other.fault).toEqual({ vector: 13, errorCode: 0 });
  });

  test("lets branches arrive anywhere", () => {
    expect(run("eb 10", nothing).state.rip).toBe(BigInt(CODE + 0x12));
    expect(run("eb 00", nothing).state.rip).toBe(BigInt(CODE + 2));
    expect(run("eb 02", nothing).state.rip).toBe(BigInt(CODE + 4));
    const away = run("ff e0", (s) => s.setGpr(RAX, BigInt(DATA + 5)));
    expect(away.fault).toBeUndefined();
    expect(away.state.rip).toBe(BigInt(DATA + 5));
    const back = run("ff e0", (s) => s.setGpr(RAX, BigInt(CODE_PAGE + 3)));
    expect(back.state.rip).toBe(BigInt(CODE_PAGE + 3));
  });

  test("tells a breakpoint of the snippet from one that ends it", () => {
    const { fault, state } = run("cc", nothing);
    expect(fault).toEqual({ vector: 3 });
    expect(state.rip).toBe(BigInt(CODE + 1));
  });

  test("lets code read itself, marker included", () => {
    const { state } = run("48 8b 05 00 00 00 00", nothing);
    const bytes = Buffer.alloc(8, 0xcc);
    bytes.set(MARKER);
    expect(state.gpr(RAX)).toBe(bytes.readBigUInt64LE());
  });

  test("has the flags, segment bases and control registers that it was given", () => {
    const before = plainState();
    before.rflags = STATUS_FLAGS | 0x400n;
    if (silicon.segmentBases) {
      before.fsBase = 0xffff_8123_4567_8000n;
      before.gsBase = 0x1234n;
    }
    before.mxcsr = 0x7fc0;
    before.controlWord = 0x0c40;
    before.statusWord = 0x3800;
    before.ymmUpper(15).fill(0x5a);
    const { state } = silicon.run({ mode: 64, code: Uint8Array.of(0x90), state: before });
    before.rip += 1n;
    expect(compare({ state: before }, { state })).toEqual([]);
  });

  test("repeats string instructions to their end", () => {
    const { state, fault } = run("f3 a4", (s) => {
      s.setGpr(RCX, 0x20n);
      s.setGpr(6, BigInt(READ_ONLY));
      s.setGpr(7, BigInt(DATA + DATA_SIZE - 0x10));
    });
    expect(fault).toMatchObject({ vector: 14, errorCode: 6, cr2: BigInt(DATA + DATA_SIZE) });
    expect(state.gpr(RCX)).toBe(0x10n);
    expect(state.data.at(-1)).toBe(~(0xf * 0xf + 1) & 0xff);
  });

  test("runs 32-bit code", ({ skip }) => {
    skip(!silicon.modes.includes(32), "this kernel has no 32-bit user code");
    const daa = run("27", (s) => s.setGpr(RAX, 0x9fn), 32);
    expect(daa.state.gpr(RAX)).toBe(0x05n);
    const overflow = run(
      "ce",
      (s) => {
        s.rflags = OVERFLOW;
      },
      32,
    );
    expect(overflow.fault).toEqual({ vector: 4 });
    expect(run("eb 10", nothing, 32).state.rip).toBe(BigInt(CODE + 0x12));
    expect(run("fe c8", nothing, 32).state.gpr(RAX)).toBe(0xffn);
    const absolute = run("a1 04 00 00 20", (s) => s.data.set([1, 2, 3, 4], 4), 32);
    expect(absolute.state.gpr(RAX)).toBe(0x0403_0201n);
  });

  test("judges the others where one snippet does not end", () => {
    const loop = { mode: 64, code: Uint8Array.of(0xeb, 0xfe), state: plainState() } as const;
    const nop = { ...loop, code: Uint8Array.of(0x90) };
    const impatient = new Silicon(300);
    const [before, during, behind] = impatient.runAll([nop, loop, nop]);
    expect(before?.state.rip).toBe(BigInt(CODE + 1));
    expect(during).toBeUndefined();
    expect(behind?.state.rip).toBe(BigInt(CODE + 1));
    expect(() => impatient.run(loop)).toThrow("ebfe");
    impatient.close();
  });

  test.for([64, 32] as const)("pops any flags in %i-bit code", (mode, { skip }) => {
    skip(!silicon.modes.includes(mode), "this kernel has no 32-bit user code");
    for (let bit = 0; bit < 22; bit++) {
      const bytes = [0, 8, 16].map((from) => ((1 << bit) >> from) & 0xff);
      const { state, fault } = run("9d", (s) => s.data.set(bytes, DATA_SIZE / 2), mode);
      expect(fault).toBeUndefined();
      expect(state.rflags).toBe(BigInt(1 << bit) & VISIBLE_FLAGS);
      expect(state.rip).toBe(BigInt(CODE + 1));
    }
  });

  test("says the same thing twice", () => {
    const tests = [...judgedTests(randomTests(silicon, silicon.modes, 3000), silicon)];
    const again = silicon.runAll(tests.map(({ test: { snippet } }) => snippet));
    tests.forEach(({ expected }, index) => {
      expect(compare(expected, again[index] as SnippetResult)).toEqual([]);
    });
  });

  test.skipIf(missing("kvm"))("agrees with the processor under KVM", () => {
    const kvm = new KvmSilicon();
    const tests = [...judgedTests(randomTests(silicon, [64], 2000), silicon)];
    const results = kvm.runAll(tests.map(({ test: { snippet } }) => snippet));
    const both = tests.map(({ test: random, expected }, index) => {
      const actual = results[index] as SnippetResult;
      return { random, expected, actual };
    });
    // Some KVMs emulate what faults, and know fewer instructions than the processor.
    const completed = both.filter(({ expected, actual }) => !expected.fault && !actual.fault);
    expect(completed.length).toBeGreaterThan(tests.length * 0.8);
    for (const { random, expected, actual } of completed) {
      expect(compare(expected, actual, undefinedHere(random, expected))).toEqual([]);
    }
    kvm.close();
  });
});

function randomTests({ segmentBases }: Silicon, modes: readonly Mode[], count: number) {
  const backgrounds = new Backgrounds(5, 16, segmentBases);
  const forms = judgedForms(testForms([HAND_WRITTEN]), (feature, lost) =>
    console.warn(`${lost} forms are not judged here, for want of ${feature}`),
  );
  return { forms, modes, seed: 5, first: 0, count, backgrounds };
}
