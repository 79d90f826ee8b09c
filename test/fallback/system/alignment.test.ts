import { beforeEach, describe, expect, test } from "vitest";
import type { Registers, Segment } from "../../../src/core/cpu.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { begin, CODE, DATA, type Machine, machine, TABLES } from "../jit/machine.ts";

const [AC, PF] = [17, 14];
const AM = 1n << 18n;
const AC_FLAG = 1n << 18n;
const USER = 4;
/** 9 times: which distances from an aligned address are refused, as a processor (AMD EPYC) does it in a program. */
const BY_16 = ".AAAAAAAA";
const BY_8 = ".AAAAAAA.";
const BY_4 = ".AAA.AAA.";
const BY_2 = ".A.A.A.A.";
const NEVER = ".........";

const segment = (attributes: number, selector: number): Segment => ({
  ...{ selector, attributes, base: 0n, limit: 0xffff_ffff },
});

let m: Machine;

describe.each([undefined, 1])("accesses that have to be aligned, threshold %s", (threshold) => {
  beforeEach(() => {
    m = machine([], threshold);
  });

  /** Executes an instruction of level 3. @returns vectors of what it raises */
  function execute(
    code: readonly number[],
    at: number,
    change: Partial<Registers> = {},
  ): readonly number[] {
    m.cpu.reset();
    begin(m, [...code, 0xcc]);
    for (const table of [TABLES, TABLES + 0x1000, TABLES + 0x2000]) {
      for (const entry of [table, table + 8])
        m.ram.writeU8(gpa(entry), m.ram.readU8(gpa(entry)) | USER);
    }
    const registers = m.cpu.readRegisters();
    const data = segment(0xc0f3, 0x23);
    m.cpu.writeRegisters({
      ...{ ...registers, ss: data, ds: data, es: data, cs: segment(0xa0fb, 0x1b) },
      ...{ cr0: registers.cr0 | AM, rflags: 2n | AC_FLAG, rcx: 2n },
      ...{ rbx: BigInt(at), rsi: BigInt(at), rdi: BigInt(DATA + 0x800), rip: BigInt(CODE) },
      ...change,
    });
    // INT3 has no gate, either: it ends in a triple fault.
    const exit = m.cpu.run(nanos(m.clock.now() + 1000));
    const vectors = exit.kind === "shutdown" ? exit.exceptions?.map(({ vector }) => vector) : [];
    return vectors ?? [];
  }

  const patternOf = (code: readonly number[]): string =>
    Array.from({ length: NEVER.length }, (_, distance) =>
      execute(code, DATA + 0x100 + distance)[0] === AC ? "A" : ".",
    ).join("");

  test.each([
    ["mov al, [rbx]", [0x8a, 0x03], NEVER],
    ["mov ax, [rbx]", [0x66, 0x8b, 0x03], BY_2],
    ["mov eax, [rbx]", [0x8b, 0x03], BY_4],
    ["mov rax, [rbx]", [0x48, 0x8b, 0x03], BY_8],
    ["mov [rbx], rax", [0x48, 0x89, 0x03], BY_8],
    ["lock add [rbx], eax", [0xf0, 0x01, 0x03], BY_4],
    ["movups xmm0, [rbx]", [0x0f, 0x10, 0x03], BY_16],
    ["movups [rbx], xmm0", [0x0f, 0x11, 0x03], BY_16],
    ["movsd xmm0, [rbx]", [0xf2, 0x0f, 0x10, 0x03], BY_8],
    ["fld tbyte [rbx]", [0xdb, 0x2b], BY_8],
    ["fild word [rbx]", [0xdf, 0x03], BY_2],
    ["fnstenv [rbx]", [0xd9, 0x33], BY_4],
    ["fnsave [rbx]", [0xdd, 0x33], BY_4],
    ["stmxcsr [rbx]", [0x0f, 0xae, 0x1b], BY_4],
    ["cmpxchg8b [rbx]", [0x0f, 0xc7, 0x0b], BY_8],
    ["movsd", [0xa5], BY_4],
    ["rep movsq", [0xf3, 0x48, 0xa5], BY_8],
    ["rep movsb", [0xf3, 0xa4], NEVER],
    ["mov rdi, rbx; rep stosd", [0x48, 0x89, 0xdf, 0xf3, 0xab], BY_4],
    ["mov rsp, rbx; push rax", [0x48, 0x89, 0xdc, 0x50], BY_8],
    ["mov rsp, rbx; push ax", [0x48, 0x89, 0xdc, 0x66, 0x50], BY_2],
    ["mov rsp, rbx; enter 0, 0", [0x48, 0x89, 0xdc, 0xc8, 0, 0, 0], BY_8],
  ])("are refused where they are not: %s", (_, code, pattern) => {
    expect(patternOf(code)).toBe(pattern);
  });

  const LOAD = [0x8b, 0x03];

  test("are asked for by CR0.AM, RFLAGS.AC and level 3 together", () => {
    const { cr0, cs, ss } = m.cpu.readRegisters();
    expect(execute(LOAD, DATA + 1, { rflags: 2n })[0]).not.toBe(AC);
    expect(execute(LOAD, DATA + 1, { cr0: (cr0 | 0x8000_0033n) & ~AM })[0]).not.toBe(AC);
    const code = segment(0xa09b, 8);
    expect(execute(LOAD, DATA + 1, { cs: { ...cs, ...code }, ss })[0]).not.toBe(AC);
  });

  test("are so from POPF on, and no longer behind another", () => {
    // pushf; or dword [rsp], AC; popf; mov eax, [rbx]
    const set = [0x9c, 0x81, 0x0c, 0x24, 0, 0, 4, 0, 0x9d];
    expect(execute([...LOAD, ...set, ...LOAD], DATA + 1, { rflags: 2n })[0]).toBe(AC);
    expect(m.cpu.readRegisters().rip).toBe(BigInt(CODE + LOAD.length + set.length));
    // and dword [rsp], ~AC
    const clear = [0x9c, 0x81, 0x24, 0x24, 0xff, 0xff, 0xfb, 0xff, 0x9d];
    expect(execute([...clear, ...LOAD], DATA + 1)[0]).not.toBe(AC);
  });

  test("fault for their page first", () => {
    expect(execute(LOAD, 0x7fff_0001)[0]).toBe(PF);
    expect(execute(LOAD, 0x3f_ffff)[0]).toBe(PF);
  });

  test("leave registers as they are where they are refused", () => {
    expect(execute([0xf3, 0xa5], DATA + 2, { rcx: 3n })[0]).toBe(AC);
    expect(m.cpu.readRegisters()).toMatchObject({ rcx: 3n, rsi: BigInt(DATA + 2) });
  });
});
