import { beforeEach, describe, expect, test } from "vitest";
import { CR0 } from "../../../fallback/bits.ts";
import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { readFxImage } from "../../../fallback/fx-image.ts";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { FXSAVE, STATE } from "../../../fallback/state.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
const DATA = 0x2000;
const NM = 7;
const MF = 16;
const FLAT = { selector: 8, base: 0n, limit: 0xffff_ffff };

/** Instructions, for a memory operand with the address in EBX. */
const FLD1 = "d9 e8";
const FLDZ = "d9 ee";
const FDIVP = "de f9";
const FNCLEX = "db e2";
const FNINIT = "db e3";
const FLDCW = "d9 2b";
const FNSTENV = "d9 33";
const FLDENV = "d9 23";
const FNSAVE = "dd 33";
const FRSTOR = "dd 23";
const FNSTSW_AX = "df e0";
const FADD_M32 = "d8 03";
const FWAIT = "9b";
const EMMS = "0f 77";
const OPERAND_SIZE = "66";

/** Everything masked but division by zero; at once: by zero, and pending. */
const ZERO_DIVIDE_UNMASKED = 0x37b;
const DIVIDE_BY_ZERO = [FNINIT, FLDCW, FLD1, FLDZ, FDIVP];

const MODES = { protected: CR0.PE | CR0.NE, real: CR0.NE } as const;

let cpu: FallbackCpu;
let ram: GuestMemory;

/** Flat 32-bit code (16-bit in real mode), and a control word at EBX. */
function boot(mode: keyof typeof MODES): void {
  const memory = allocateMemory(2);
  ram = memory.ram;
  cpu = createFallbackCpu({
    memory: memory.whole,
    ramSize: ram.size,
    clock: new VirtualClock(),
    hostWaits: () => false,
  });
  ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
  const registers = cpu.readRegisters();
  const isProtected = mode === "protected";
  const code = isProtected ? { ...FLAT, attributes: 0xc09b } : { ...registers.cs, selector: 0 };
  const data = isProtected ? { ...FLAT, attributes: 0xc093 } : { ...registers.ds, selector: 0 };
  cpu.writeRegisters({
    ...registers,
    cr0: BigInt(MODES[mode] | CR0.ET),
    ...{ cs: { ...code, base: 0n }, ds: data, ss: data },
    rbx: BigInt(DATA),
  });
  ram.slice(gpa(DATA), 2).set([ZERO_DIVIDE_UNMASKED & 0xff, ZERO_DIVIDE_UNMASKED >> 8]);
}

/** Executes instructions one after the other. Returns what the last one faulted with. */
function run(...instructions: readonly string[]): number | undefined {
  const bytes = instructions.map((text) =>
    text.split(" ").map((byte) => Number.parseInt(byte, 16)),
  );
  ram.write(gpa(CODE), Uint8Array.from(bytes.flat()));
  cpu.writeRegisters({ ...cpu.readRegisters(), rip: BigInt(CODE) });
  for (const [index] of instructions.entries()) {
    const fault = cpu.executeOne();
    if (fault === undefined) continue;
    expect(index, `fault ${fault.vector}`).toBe(instructions.length - 1);
    return fault.vector;
  }
  return undefined;
}

const setCr0 = (bits: number): void => {
  cpu.writeRegisters({ ...cpu.readRegisters(), cr0: BigInt(MODES.protected | CR0.ET | bits) });
};

const image = (): DataView => new DataView(readFxImage(cpu.processor).buffer);
const statusWord = (): number => image().getUint16(FXSAVE.STATUS_WORD, true);
const controlWord = (): number => image().getUint16(FXSAVE.CONTROL_WORD, true);
const tags = (): number => image().getUint8(FXSAVE.TAG_WORD);
const st = (n: number): string => {
  const at = FXSAVE.ST + 16 * n;
  const high = image()
    .getUint16(at + 8, true)
    .toString(16);
  return `${high}:${image().getBigUint64(at, true).toString(16)}`;
};
const words = (bytes: 2 | 4, count: number): string[] => {
  const view = new DataView(ram.slice(gpa(DATA), 0x80).slice().buffer);
  return Array.from({ length: count }, (_, n) =>
    (bytes === 2 ? view.getUint16(2 * n, true) : view.getUint32(4 * n, true)).toString(16),
  );
};

const ONE = "3fff:8000000000000000";

beforeEach(() => boot("protected"));

describe("an unmasked exception", () => {
  test("is pending, and the operands are still there", () => {
    expect(run(...DIVIDE_BY_ZERO)).toBeUndefined();
    expect(statusWord().toString(16)).toBe("b084");
    expect([st(0), st(1)]).toEqual(["0:0", ONE]);
  });

  test.each([
    ["FWAIT", FWAIT],
    ["FLD1", FLD1],
    ["FLDCW", FLDCW],
    ["FLDENV", FLDENV],
    ["FNOP", "d9 d0"],
    ["an MMX instruction", "0f ef c0"],
    ["EMMS", EMMS],
  ])("is raised by %s", (_name, instruction) => {
    expect(run(...DIVIDE_BY_ZERO, instruction)).toBe(MF);
    expect(statusWord().toString(16)).toBe("b084");
    const before = DIVIDE_BY_ZERO.join(" ").split(" ").length;
    expect(cpu.processor.rip).toBe(BigInt(CODE + before));
  });

  test("comes before the memory operand is looked at", () => {
    run(...DIVIDE_BY_ZERO);
    cpu.processor.setGpr(3, 0xffff_0000n);
    expect(run(FADD_M32)).toBe(MF);
  });

  test.each([
    ["FNSTSW", FNSTSW_AX],
    ["FNSTCW", "d9 3b"],
    ["FNCLEX", FNCLEX],
    ["FNINIT", FNINIT],
    ["FNSTENV", FNSTENV],
    ["FNSAVE", FNSAVE],
    ["FNSETPM", "db e4"],
  ])("does not stop %s", (_name, instruction) => {
    expect(run(...DIVIDE_BY_ZERO, instruction)).toBeUndefined();
  });

  test("is raised again and again, until FNCLEX", () => {
    expect(run(...DIVIDE_BY_ZERO, FWAIT)).toBe(MF);
    expect(run(FWAIT)).toBe(MF);
    expect(run(FNCLEX, FWAIT, FLD1)).toBeUndefined();
    expect(st(0)).toBe(ONE);
  });

  test("FNSTENV masks it: it is not pending any more, but flagged", () => {
    expect(run(...DIVIDE_BY_ZERO, FNSTENV, FWAIT)).toBeUndefined();
    expect(controlWord()).toBe(0x37f);
    expect(statusWord() & 0x80ff).toBe(4);
    expect(words(4, 2)).toEqual(["ffff037b", "ffffb084"]);
  });

  test("becomes pending when FLDCW unmasks a flag that is set", () => {
    expect(run(FNINIT, FLD1, FLDZ, FDIVP, FWAIT, FLDCW, FWAIT)).toBe(MF);
    expect(statusWord() & 0x8080).toBe(0x8080);
  });

  test("tells where it was, and of a memory operand where that is", () => {
    ram.slice(gpa(DATA), 2).set([0x40, 0x03]);
    expect(run(FNINIT, FLDCW, FADD_M32, FNSTENV)).toBeUndefined();
    expect(words(4, 7).slice(3)).toEqual(["1004", "30000", "2000", "ffff0000"]);
  });
});

describe("without an exception", () => {
  test("the instruction pointer follows, opcode and data pointer do not", () => {
    expect(run(FNINIT, FLD1, FADD_M32, FNSTENV)).toBeUndefined();
    expect(words(4, 7).slice(3)).toEqual(["1004", "0", "0", "ffff0000"]);
  });
});

describe("CR0", () => {
  test.each([CR0.EM, CR0.TS, CR0.EM | CR0.TS | CR0.MP])("%i keeps x87 from the guest", (bits) => {
    setCr0(bits);
    for (const instruction of [FLD1, FNINIT, FNSTSW_AX, FLDCW, FNSAVE, "d9 fe"]) {
      expect(run(instruction)).toBe(NM);
    }
  });

  test("#NM comes before a pending exception", () => {
    run(...DIVIDE_BY_ZERO);
    setCr0(CR0.TS | CR0.MP);
    expect(run(FLD1)).toBe(NM);
    expect(run(FWAIT)).toBe(NM);
  });

  test("FWAIT asks for TS and MP together, and never for EM", () => {
    const outcomes = [0, CR0.TS, CR0.MP, CR0.EM, CR0.EM | CR0.MP, CR0.TS | CR0.MP].map((bits) => {
      setCr0(bits);
      return run(FWAIT);
    });
    expect(outcomes).toEqual([undefined, undefined, undefined, undefined, undefined, NM]);
  });
});

describe("the environment", () => {
  test("has 14 bytes with 16-bit operands: selectors are zero", () => {
    run(FNINIT, FLD1, FLDZ, `${OPERAND_SIZE} ${FNSTENV}`);
    expect(words(2, 7)).toEqual(["37f", "3000", "1fff", "1004", "0", "0", "0"]);
  });

  test("tells zeros, special numbers and empty registers apart", () => {
    ram.slice(gpa(DATA), 4).set([0, 0, 0x80, 0x7f]);
    run(FNINIT, FLD1, FLDZ, "d9 03", FNSTENV);
    // ST(0) is register 5: infinity; 6: zero; 7: one.
    expect(words(4, 3)[2]).toBe("ffff1bff");
  });

  test("has linear addresses in real mode", () => {
    boot("real");
    ram.slice(gpa(DATA), 2).set([0x40, 0x03]);
    cpu.processor.setGpr(3, BigInt(DATA));
    // With 16-bit addresses the same bytes would mean [BP + DI].
    const wide = (text: string) => `67 ${text}`;
    run(FNINIT, wide(FLDCW), wide(FADD_M32), wide(FNSTENV));
    expect(words(2, 7).slice(3)).toEqual(["1005", "3", "2000", "0"]);
    run(FNINIT, wide(FLDCW), wide(FADD_M32), wide(`${OPERAND_SIZE} ${FNSTENV}`));
    expect(words(4, 7).slice(0, 3)).toEqual(["ffff0340", "ffff80c1", "ffffffff"]);
    expect(words(4, 7).slice(3)).toEqual(["ffff1005", "3", "ffff2000", "0"]);
  });

  test.each(["protected", "real"] as const)("FRSTOR takes what FNSAVE left, %s mode", (mode) => {
    boot(mode);
    cpu.processor.setGpr(3, BigInt(DATA));
    const address = mode === "real" ? "67 " : "";
    for (const size of ["", `${OPERAND_SIZE} `]) {
      run(FNINIT, FLD1, FLDZ, "d9 eb");
      const before = readFxImage(cpu.processor);
      run(`${address}${size}${FNSAVE}`);
      expect([controlWord(), statusWord(), tags()]).toEqual([0x37f, 0, 0]);
      run(FLDZ, `${address}${size}${FRSTOR}`);
      const after = readFxImage(cpu.processor);
      // A 16-bit image outside real mode has no opcode; here there is none to keep.
      expect(after).toEqual(before);
    }
  });

  test("a page that cannot be written leaves registers and memory as they were", () => {
    run(FNINIT, FLD1);
    const before = readFxImage(cpu.processor);
    // Present pages for code and the tables, none for the second half of the image.
    const [directory, table] = [0x8000, 0x9000];
    const entries = new DataView(ram.slice(gpa(directory), 0x2000).buffer);
    const at = ram.slice(gpa(directory), 0x2000).byteOffset;
    entries.setUint32(at, table | 3, true);
    for (const page of [CODE >> 12, DATA >> 12]) {
      entries.setUint32(at + 0x1000 + 4 * page, (page << 12) | 3, true);
    }
    const registers = cpu.readRegisters();
    cpu.writeRegisters({
      ...registers,
      ...{ cr0: registers.cr0 | BigInt(CR0.PG), cr3: BigInt(directory) },
      rbx: BigInt(DATA + 0x1000 - 100),
    });
    const memory = ram.slice(gpa(DATA), 0x1000).slice();
    expect(run(FNSAVE)).toBe(14);
    expect(readFxImage(cpu.processor)).toEqual(before);
    expect(ram.slice(gpa(DATA), 0x1000)).toEqual(memory);
    expect(cpu.processor.cr2).toBe(BigInt(DATA + 0x1000 + 7));
  });
});

describe("MMX and x87", () => {
  test("share registers: MMn is the significand of register n", () => {
    run(FNINIT, FLD1, "0f 6e c3");
    expect(tags()).toBe(0xff);
    expect(statusWord() >> 11).toBe(0);
    expect(st(0)).toBe(`ffff:${DATA.toString(16)}`);
    expect(st(7)).toBe(ONE);
    run(EMMS, FLD1);
    expect(tags()).toBe(0x80);
    expect(cpu.processor.view.getUint16(STATE.FX_AREA + FXSAVE.STATUS_WORD, true)).toBe(0x3800);
  });
});
