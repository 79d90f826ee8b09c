import { describe, expect, test } from "vitest";
import { execute, RIGHTS, ram, segment } from "./legacy-cpu.ts";

const GP = "13:0";
const SS = "12:0";
const faultOf = (...parameters: Parameters<typeof execute>): string | undefined =>
  execute(...parameters).fault;

/** mov eax, [ebx] and mov [ebx], eax */
const LOAD = "8b 03";
const STORE = "89 03";

describe("limits of segments in protected mode", () => {
  const ds = segment(RIGHTS.DATA, 0x1_0000, 0xfff);

  test("the last bytes are accessible, those across the limit are not", () => {
    expect(faultOf("protected", LOAD, { ds, rbx: 0xffcn })).toBeUndefined();
    expect(faultOf("protected", LOAD, { ds, rbx: 0xffdn })).toBe(GP);
    expect(faultOf("protected", STORE, { ds, rbx: 0xffdn })).toBe(GP);
    expect(faultOf("protected", "8a 03", { ds, rbx: 0xfffn })).toBeUndefined();
    expect(faultOf("protected", "8a 03", { ds, rbx: 0x1000n })).toBe(GP);
  });

  test("offsets count from the base, and addresses wrap at 4 GiB", () => {
    const { registers } = execute("protected", LOAD, { ds, rbx: 0x10n }, () => {
      ram[0x1_0010] = 0x55;
    });
    expect(registers.rax).toBe(0x55n);
    const high = segment(RIGHTS.DATA, 0xffff_f000);
    const wrapped = execute("protected", LOAD, { ds: high, rbx: 0x1800n }, () => {
      ram[0x800] = 0x66;
    });
    expect(wrapped.registers.rax).toBe(0x66n);
  });

  test("what is modified must be writable, what is only named is not looked at", () => {
    const readOnly = segment(RIGHTS.READ_ONLY);
    const rbx = 0x100n;
    expect(faultOf("protected", LOAD, { ds: readOnly, rbx })).toBeUndefined();
    expect(faultOf("protected", STORE, { ds: readOnly, rbx })).toBe(GP);
    expect(faultOf("protected", "01 03", { ds: readOnly, rbx })).toBe(GP);
    expect(faultOf("protected", "39 03", { ds: readOnly, rbx })).toBeUndefined();
    expect(faultOf("protected", "8d 03", { ds: segment(RIGHTS.NULL), rbx })).toBeUndefined();
  });

  test("a null selector is good for nothing", () => {
    for (const code of [LOAD, STORE]) {
      expect(faultOf("protected", code, { ds: segment(RIGHTS.NULL, 0, 0) })).toBe(GP);
    }
  });

  test("code cannot be written, and read only if it is readable", () => {
    expect(faultOf("protected", "2e 8b 03", { rbx: 0x100n })).toBeUndefined();
    expect(faultOf("protected", "2e 89 03", { rbx: 0x100n })).toBe(GP);
    const cs = segment(RIGHTS.EXECUTE_ONLY);
    expect(faultOf("protected", "2e 8b 03", { cs, rbx: 0x100n })).toBe(GP);
  });

  test("data that expands down lies above the limit", () => {
    const down = segment(RIGHTS.DOWN, 0, 0xfff);
    expect(faultOf("protected", LOAD, { ds: down, rbx: 0xfffn })).toBe(GP);
    expect(faultOf("protected", LOAD, { ds: down, rbx: 0x1000n })).toBeUndefined();
    const narrow = segment(RIGHTS.DOWN_16, 0, 0xfff);
    expect(faultOf("protected", STORE, { ds: narrow, rbx: 0xfffcn })).toBeUndefined();
    expect(faultOf("protected", STORE, { ds: narrow, rbx: 0xfffdn })).toBe(GP);
  });

  test("instructions that are procedures look too", () => {
    expect(faultOf("protected", "0f c7 0b", { ds, rbx: 0xff9n })).toBe(GP);
    expect(faultOf("protected", "d7", { ds, rbx: 0x1000n })).toBe(GP);
    expect(faultOf("protected", "0f 01 03", { ds, rbx: 0xffcn })).toBe(GP);
  });

  test("an operand by EBP or ESP is in the stack's segment", () => {
    const ss = segment(RIGHTS.DATA, 0, 0xfff);
    expect(faultOf("protected", "8b 45 00", { ss, rbp: 0x1000n })).toBe(SS);
    expect(faultOf("protected", "3e 8b 45 00", { ss, rbp: 0x1000n })).toBeUndefined();
  });
});

describe("string instructions in segments", () => {
  test("do the elements before the limit", () => {
    const es = segment(RIGHTS.DATA, 0x1_0000, 0xff);
    const { fault, registers } = execute("protected", "f3 ab", { es, rdi: 0xf0n, rcx: 8n });
    expect(fault).toBe(GP);
    expect(registers).toMatchObject({ rdi: 0x100n, rcx: 4n, rip: 0x1000n });
  });

  test("wrap at 64 KiB with 16-bit addresses, whatever the base", () => {
    const es = segment(RIGHTS.DATA_16, 0x1_0080, 0xffff);
    const { fault } = execute("real", "f3 aa", { es, rdi: 0xfffen, rcx: 4n, rax: 0x77n });
    expect(fault).toBeUndefined();
    expect([...ram.subarray(0x2_007d, 0x2_0082)]).toEqual([0, 0x77, 0x77, 0, 0]);
    expect([...ram.subarray(0x1_0080, 0x1_0083)]).toEqual([0x77, 0x77, 0]);
  });
});

describe("limits of stacks", () => {
  const ss = segment(RIGHTS.DATA, 0x1_0000, 0xfff);

  test("pushes and pops beyond raise #SS(0) and leave the stack pointer", () => {
    const push = execute("protected", "50", { ss, rsp: 0x1001n });
    expect(push.fault).toBe(SS);
    expect(push.registers.rsp).toBe(0x1001n);
    expect(faultOf("protected", "50", { ss, rsp: 0x1000n })).toBeUndefined();
    expect(faultOf("protected", "58", { ss, rsp: 0xffdn })).toBe(SS);
    expect(faultOf("protected", "58", { ss, rsp: 0xffcn })).toBeUndefined();
    expect(faultOf("protected", "e8 00 00 00 00", { ss, rsp: 0n })).toBe(SS);
    expect(faultOf("protected", "c3", { ss, rsp: 0x1000n })).toBe(SS);
    expect(faultOf("protected", "c9", { ss, rbp: 0x1000n })).toBe(SS);
  });

  test("a stack that expands down ends at its limit", () => {
    const down = segment(RIGHTS.DOWN, 0, 0xfff);
    expect(faultOf("protected", "50", { ss: down, rsp: 0x1004n })).toBeUndefined();
    expect(faultOf("protected", "50", { ss: down, rsp: 0x1003n })).toBe(SS);
  });

  test("16-bit stack pointers wrap, words across 64 KiB fault", () => {
    const { registers } = execute("real", "50", { rsp: 0xabcd_0000n, rax: 0x1234n });
    expect(registers.rsp).toBe(0xabcd_fffen);
    expect(ram[0xfffe]).toBe(0x34);
    expect(faultOf("real", "50", { rsp: 1n })).toBe(SS);
  });
});

describe("real mode", () => {
  test("words across 64 KiB raise #GP, on the stack #SS", () => {
    expect(faultOf("real", "8b 07", { rbx: 0xfffen })).toBeUndefined();
    expect(faultOf("real", "8b 07", { rbx: 0xffffn })).toBe(GP);
    expect(faultOf("real", "8b 46 00", { rbp: 0xffffn })).toBe(SS);
  });

  test("code may be written", () => {
    expect(faultOf("real", "2e 89 07", { rbx: 0x100n })).toBeUndefined();
  });

  test("limits of protected mode live on", () => {
    const big = segment(RIGHTS.DATA);
    expect(faultOf("real", "67 8b 03", { rbx: 0x10_0000n })).toBe(GP);
    expect(faultOf("real", "67 8b 03", { ds: big, rbx: 0x10_0000n })).toBeUndefined();
  });

  test("a register that was null in protected mode becomes usable by a load", () => {
    const { registers } = execute("real", "8e d8", { ds: segment(RIGHTS.NULL, 0, 0), rax: 0x20n });
    expect(registers.ds).toEqual(segment(RIGHTS.DATA_16, 0x200, 0xffff, 0x20));
  });
});

describe("the limit of code", () => {
  const cs = segment(RIGHTS.CODE_32, 0, 0x1fff);

  test("no byte of an instruction may lie beyond", () => {
    expect(faultOf("protected", "31 c0", { cs, rip: 0x1ffen })).toBeUndefined();
    const across = execute("protected", "31 c0", { cs, rip: 0x1fffn });
    expect(across.fault).toBe(GP);
    expect(across.registers.rip).toBe(0x1fffn);
    expect(faultOf("protected", "90", { cs, rip: 0x2000n })).toBe(GP);
  });

  test("an instruction across pages may end at it", () => {
    const wide = segment(RIGHTS.CODE_32, 0, 0x2001);
    expect(faultOf("protected", "b8 01 00 00 00", { cs: wide, rip: 0x1ffdn })).toBeUndefined();
    expect(faultOf("protected", "b8 01 00 00 00", { cs: wide, rip: 0x1ffen })).toBe(GP);
  });

  test("relative branches beyond fault where they are, if they are taken", () => {
    const jump = execute("protected", "e9 00 10 00 00", { cs });
    expect(jump).toMatchObject({ fault: GP, registers: { rip: 0x1000n } });
    const call = execute("protected", "e8 00 10 00 00", { cs });
    expect(call).toMatchObject({ fault: GP, registers: { rip: 0x1000n, rsp: 0x8000n } });
    expect(faultOf("protected", "0f 84 00 10 00 00", { cs, rflags: 0x42n })).toBe(GP);
    const notTaken = execute("protected", "0f 84 00 10 00 00", { cs, rflags: 2n });
    expect(notTaken).toMatchObject({ fault: undefined, registers: { rip: 0x1006n } });
  });

  test("every condition decides as it does inside", () => {
    const flags = [0n, 0x1n, 0x4n, 0x40n, 0x80n, 0x800n, 0x880n, 0x8c1n, 0x41n];
    for (let encoding = 0; encoding < 16; encoding++) {
      const opcode = (0x80 + encoding).toString(16);
      for (const rflags of flags) {
        const inside = execute("protected", `0f ${opcode} 00 00 00 01`, { rflags: rflags | 2n });
        const taken = inside.registers.rip !== 0x1006n;
        const beyond = faultOf("protected", `0f ${opcode} 00 00 00 01`, {
          cs,
          rflags: rflags | 2n,
        });
        expect(beyond, `${opcode} with ${rflags}`).toBe(taken ? GP : undefined);
      }
    }
  });

  test("indirect branches and returns beyond fault too", () => {
    expect(faultOf("protected", "ff e0", { cs, rax: 0x2000n })).toBe(GP);
    expect(faultOf("protected", "ff d0", { cs, rax: 0x2000n })).toBe(GP);
    expect(faultOf("protected", "c3", { cs, rsp: 0x1004n }, () => ram.set([0, 0x20], 0x1004))).toBe(
      GP,
    );
  });
});

describe("ENTER and LEAVE with a stack of 16 bits", () => {
  const change = { ss: segment(RIGHTS.DATA_16, 0, 0xffff), rsp: 0x1234_5008n, rbp: 0xabcd_0800n };
  const frame = (...parameters: Parameters<typeof execute>): (string | undefined)[] => {
    const { fault, registers } = execute(...parameters);
    return [fault, registers.rbp.toString(16), registers.rsp.toString(16)];
  };

  // As seen on a processor (AMD, family 25).
  test.each([
    ["32", "c8 08 00 00", "12345004", "12344ffc"],
    ["32, nested", "c8 08 00 02", "12345004", "12344ff4"],
    ["16", "66 c8 08 00 00", "abcd5006", "12344ffe"],
    ["16, nested", "66 c8 08 00 02", "abcd5006", "12344ffa"],
  ])("ENTER takes as much of ESP as EBP has: %s", (_, code, rbp, rsp) => {
    expect(frame("protected", code, change)).toEqual([undefined, rbp, rsp]);
  });

  test("what encloses it finds all of ESP on the stack", () => {
    execute("protected", "c8 08 00 02", change);
    expect([...ram.slice(0x4ffc, 0x5000)]).toEqual([0x04, 0x50, 0x34, 0x12]);
  });

  test.each([
    ["32", "c9", "0", "12340804"],
    ["16", "66 c9", "abcd0000", "12340802"],
  ])("LEAVE goes by BP and leaves the rest of ESP: %s", (_, code, rbp, rsp) => {
    expect(frame("protected", code, change)).toEqual([undefined, rbp, rsp]);
  });
});
