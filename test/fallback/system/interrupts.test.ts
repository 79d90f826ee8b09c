import { describe, expect, it } from "vitest";
import { DR7, RFLAGS } from "../../../fallback/bits.ts";
import { CpuException, TripleFault, VECTOR } from "../../../fallback/exceptions.ts";
import { GPR, SHADOW } from "../../../fallback/processor.ts";
import { SEGMENT_INDEX, STATE } from "../../../fallback/state.ts";
import { interruptReturn } from "../../../fallback/system/interrupt-return.ts";
import {
  deliverException,
  deliverInterrupt,
  deliverNmi,
  interruptInstruction,
  softwareInterrupt,
} from "../../../fallback/system/interrupts.ts";
import { exceptionOf, Guest, IDT, PAGE_TABLES, TSS } from "../support/guest.ts";

const { cs, ss, ds } = SEGMENT_INDEX as { cs: number; ss: number; ds: number };
const RIP = 0x1_2345n;
const INTERRUPT_GATE = 0x8e;
const TRAP_GATE = 0x8f;
const HANDLER = 0x7000;
/** Handlers lie here, 16 bytes apart. */
const handlerOf = (vector: number): number => HANDLER + 16 * vector;

function start(guest: Guest): Guest {
  guest.p.rip = RIP;
  guest.p.setGpr(GPR.rsp, 0x9000n);
  guest.p.rflags = RFLAGS.IF | RFLAGS.CF;
  return guest;
}

function protectedGuest(level: 0 | 3 = 0): Guest {
  const guest = start(new Guest().protectedMode(level));
  for (let v = 0; v < 64; v++) guest.setGate(IDT + 8 * v, 0x08, handlerOf(v), INTERRUPT_GATE);
  guest.setU32(TSS + 4, 0x6000);
  guest.setU32(TSS + 8, 0x10);
  return guest;
}

function longGuest(level: 0 | 3 = 0): Guest {
  const guest = start(new Guest().longMode(level));
  for (let v = 0; v < 64; v++) {
    guest.setLongGate(IDT + 16 * v, 0x08, BigInt(handlerOf(v)), INTERRUPT_GATE);
  }
  guest.setU64(TSS + 4, 0x6000);
  return guest;
}

function at(guest: Guest): string {
  const { p } = guest;
  return `${p.selector(cs).toString(16)}:${p.rip.toString(16)} level ${p.cpl}`;
}

const atHandler = (vector: number, level = 0): string =>
  `8:${handlerOf(vector).toString(16)} level ${level}`;

/** The stack from its top, in slots. */
function stack32(guest: Guest, count: number): number[] {
  const top = guest.p.gpr32(GPR.rsp);
  return Array.from({ length: count }, (_, n) => guest.u32(top + 4 * n));
}

function stack64(guest: Guest, count: number): bigint[] {
  const top = guest.p.gpr32(GPR.rsp);
  return Array.from({ length: count }, (_, n) => guest.u64(top + 8 * n));
}

describe("interrupts in real mode", () => {
  it("go through the vector table and come back", () => {
    const guest = start(new Guest());
    guest.p.rip = 0x1234n;
    guest.setSegment("cs", 0x100, 0x9b, 0x1000n, 0xffff);
    guest.setU16(0x21 * 4, 0x5678);
    guest.setU16(0x21 * 4 + 2, 0x2000);
    guest.p.rflags = RFLAGS.IF | RFLAGS.TF | RFLAGS.ZF;
    softwareInterrupt(guest.p, guest.mmu, 0x21);
    expect(at(guest)).toBe("2000:5678 level 0");
    expect(guest.p.rflags & (RFLAGS.IF | RFLAGS.TF | RFLAGS.ZF)).toBe(RFLAGS.ZF);
    expect([0, 2, 4].map((n) => guest.u16(0x8ffa + n))).toEqual([0x1234, 0x100, 0x342]);
    interruptReturn(guest.p, guest.mmu, 16);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["100:1234 level 0", 0x9000n]);
    expect(guest.p.rflags).toBe(0x342);
  });

  it("push no error code", () => {
    const guest = start(new Guest());
    deliverException(guest.p, guest.mmu, new CpuException(VECTOR.GP, 0));
    expect(guest.p.gpr(GPR.rsp)).toBe(0x8ffan);
  });

  it("end in a triple fault without a table", () => {
    const guest = start(new Guest());
    guest.p.view.setUint32(STATE.IDTR_LIMIT, 0, true);
    const run = () => deliverInterrupt(guest.p, guest.mmu, 8);
    expect(run).toThrow();
    try {
      run();
    } catch (error) {
      expect(error).toBeInstanceOf(TripleFault);
    }
  });
});

describe("interrupts in protected mode", () => {
  it("stay on the level's stack; interrupt gates clear IF, trap gates do not", () => {
    const guest = protectedGuest();
    guest.setGate(IDT + 8 * 0x21, 0x08, handlerOf(0x21), TRAP_GATE);
    deliverInterrupt(guest.p, guest.mmu, 0x21);
    expect([at(guest), guest.p.rflags & RFLAGS.IF]).toEqual([atHandler(0x21), RFLAGS.IF]);
    expect(stack32(guest, 3)).toEqual([0x12345, 0x08, 0x203]);
    deliverInterrupt(guest.p, guest.mmu, 0x20);
    expect([at(guest), guest.p.rflags & RFLAGS.IF]).toEqual([atHandler(0x20), 0]);
    interruptReturn(guest.p, guest.mmu, 32);
    interruptReturn(guest.p, guest.mmu, 32);
    expect([at(guest), guest.p.gpr(GPR.rsp), guest.p.rflags]).toEqual([
      "8:12345 level 0",
      0x9000n,
      0x203,
    ]);
  });

  it("switch to the inner level's stack and back", () => {
    const guest = protectedGuest(3);
    deliverException(guest.p, guest.mmu, new CpuException(VECTOR.GP, 0x18));
    expect([at(guest), guest.p.selector(ss)]).toEqual([atHandler(VECTOR.GP), 0x10]);
    expect(stack32(guest, 6)).toEqual([0x18, 0x12345, 0x1b, 0x1_0203, 0x9000, 0x23]);
    guest.p.setGpr32(GPR.rsp, guest.p.gpr32(GPR.rsp) + 4);
    interruptReturn(guest.p, guest.mmu, 32);
    expect([at(guest), guest.p.selector(ss), guest.p.gpr(GPR.rsp)]).toEqual([
      "1b:12345 level 3",
      0x23,
      0x9000n,
    ]);
    expect(guest.p.rflags & RFLAGS.RF).toBe(RFLAGS.RF);
  });

  it("save RF for faults only", () => {
    const saved = (vector: number): number => {
      const guest = protectedGuest();
      deliverException(guest.p, guest.mmu, new CpuException(vector));
      return stack32(guest, 3)[2] as number;
    };
    expect([saved(VECTOR.UD), saved(VECTOR.DE), saved(VECTOR.DB), saved(VECTOR.BP)]).toEqual([
      0x1_0203, 0x1_0203, 0x203, 0x203,
    ]);
  });

  it("push 16-bit frames through 16-bit gates", () => {
    const guest = protectedGuest();
    guest.setGate(IDT + 8 * 0x21, 0x08, 0x7000, 0x86);
    deliverInterrupt(guest.p, guest.mmu, 0x21);
    expect([0, 2, 4].map((n) => guest.u16(0x8ffa + n))).toEqual([0x2345, 0x08, 0x203]);
    expect(guest.p.gpr(GPR.rsp)).toBe(0x8ffan);
  });

  it("leave virtual-8086 mode with the data segments saved, and come back to it", () => {
    const guest = protectedGuest(3);
    guest.p.rflags = RFLAGS.VM | RFLAGS.IOPL | RFLAGS.IF;
    guest.setSegment("cs", 0x1000, 0xf3, 0x10000n, 0xffff);
    for (const [n, name] of (["es", "ss", "ds", "fs", "gs"] as const).entries()) {
      guest.setSegment(name, 0x2000 + n, 0xf3, BigInt((0x2000 + n) * 16), 0xffff);
    }
    guest.p.rip = 0x4444n;
    guest.setGate(IDT + 8 * 0x21, 0x08, handlerOf(0x21), 0xee);
    interruptInstruction(guest.p, guest.mmu, 0x21);
    expect([at(guest), guest.p.virtual8086, guest.p.selector(ds)]).toEqual([
      atHandler(0x21),
      false,
      0,
    ]);
    expect(stack32(guest, 9)).toEqual([
      0x4444, 0x1000, 0x2_3202, 0x9000, 0x2001, 0x2000, 0x2002, 0x2003, 0x2004,
    ]);
    interruptReturn(guest.p, guest.mmu, 32);
    expect([at(guest), guest.p.virtual8086]).toEqual(["1000:4444 level 3", true]);
    expect(guest.p.segment(ds)).toEqual({
      selector: 0x2002,
      base: 0x20020n,
      limit: 0xffff,
      attributes: 0xf3,
    });
    guest.p.rflags = RFLAGS.VM;
    expect(exceptionOf(() => interruptInstruction(guest.p, guest.mmu, 0x21))).toBe("13:0");
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 16))).toBe("13:0");
  });
});

describe("INT n", () => {
  it.each([
    ["a gate of an inner level", 3, 0x8e, 0x08, "13:10a"],
    ["an absent gate", 0, 0x0e, 0x08, "11:10a"],
    ["a task gate without a task", 0, 0x85, 0x08, "13:8"],
    ["something else", 0, 0x8c, 0x08, "13:10a"],
    ["a gate to data", 0, 0x8e, 0x10, "13:10"],
    ["a gate to null", 0, 0x8e, 0, "13:0"],
    ["a gate to outer code", 0, 0x8e, 0x18, "13:18"],
  ] as const)("faults on %s and leaves everything", (_, level, gate, selector, expected) => {
    const guest = protectedGuest(level);
    guest.setGate(IDT + 8 * 0x21, selector, 0x7000, gate);
    expect(exceptionOf(() => softwareInterrupt(guest.p, guest.mmu, 0x21))).toBe(expected);
    expect([guest.p.rip, guest.p.gpr(GPR.rsp), guest.p.rflags]).toEqual([RIP, 0x9000n, 0x203]);
  });

  it("faults beyond the table's limit", () => {
    const guest = protectedGuest();
    guest.p.view.setUint32(STATE.IDTR_LIMIT, 8 * 0x21 + 6, true);
    expect(exceptionOf(() => softwareInterrupt(guest.p, guest.mmu, 0x21))).toBe("13:10a");
  });
});

describe("exceptions while an event is delivered", () => {
  const deliver = (guest: Guest, vector: number, errorCode?: number) =>
    deliverException(guest.p, guest.mmu, new CpuException(vector, errorCode));
  const breakGate = (guest: Guest, vector: number) => guest.setGate(IDT + 8 * vector, 8, 0, 0x0e);

  it.each([
    ["benign, then contributory", VECTOR.UD, VECTOR.NP, (VECTOR.UD << 3) | 3],
    ["contributory twice", VECTOR.GP, VECTOR.DF, 0],
    ["page fault, then contributory", VECTOR.PF, VECTOR.DF, 0],
  ])("%s", (_, first, second, errorCode) => {
    const guest = protectedGuest();
    breakGate(guest, first);
    deliver(guest, first, 0);
    expect([at(guest), stack32(guest, 1)]).toEqual([atHandler(second), [errorCode]]);
  });

  it("of an external interrupt set EXT", () => {
    const guest = protectedGuest();
    breakGate(guest, 0x30);
    deliverInterrupt(guest.p, guest.mmu, 0x30);
    expect([at(guest), stack32(guest, 1)]).toEqual([atHandler(VECTOR.NP), [0x183]]);
  });

  it("a double fault that cannot be delivered is a triple fault", () => {
    const guest = protectedGuest();
    breakGate(guest, VECTOR.GP);
    breakGate(guest, VECTOR.DF);
    try {
      deliver(guest, VECTOR.GP, 0);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(TripleFault);
    }
  });

  it("a page fault on the way into a contributory fault's handler is served first", () => {
    const guest = longGuest(3);
    guest.setLongGate(IDT + 16 * VECTOR.PF, 0x08, BigInt(handlerOf(VECTOR.PF)), 0x8e, 1);
    guest.setU64(TSS + 4, 0x4000_0000);
    guest.setU64(TSS + 0x24, 0x5000);
    deliver(guest, VECTOR.GP, 0);
    expect([at(guest), guest.p.cr2]).toEqual([atHandler(VECTOR.PF), 0x3fff_fff8n]);
    expect(stack64(guest, 2)).toEqual([2n, RIP]);
  });
});

describe("interrupts in long mode", () => {
  it("always push SS:RSP, on a 16-byte boundary", () => {
    const guest = longGuest();
    guest.p.setGpr(GPR.rsp, 0x9007n);
    deliverInterrupt(guest.p, guest.mmu, 0x20);
    expect([at(guest), guest.p.gpr(GPR.rsp), guest.p.selector(ss)]).toEqual([
      atHandler(0x20),
      0x8fd8n,
      0x10,
    ]);
    expect(stack64(guest, 5)).toEqual([RIP, 8n, 0x203n, 0x9007n, 0x10n]);
    interruptReturn(guest.p, guest.mmu, 64);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["8:12345 level 0", 0x9007n]);
  });

  it("take a null SS in the frame at level 0", () => {
    const guest = longGuest();
    deliverInterrupt(guest.p, guest.mmu, 0x20);
    guest.setU64(guest.p.gpr32(GPR.rsp) + 32, 0);
    interruptReturn(guest.p, guest.mmu, 64);
    expect([guest.p.selector(ss), guest.p.gpr(GPR.rsp)]).toEqual([0, 0x9000n]);
  });

  it("load RSP from the TSS on the way in, with a null SS, and go back to compatibility mode", () => {
    const guest = longGuest(3);
    guest.setDescriptor(0x30, 0xc0fb);
    guest.setSegment("cs", 0x33, 0xc0fb);
    deliverException(guest.p, guest.mmu, new CpuException(VECTOR.PF, 5));
    expect([at(guest), guest.p.codeSize, guest.p.selector(ss)]).toEqual([
      atHandler(VECTOR.PF),
      64,
      0,
    ]);
    expect(stack64(guest, 6)).toEqual([5n, RIP, 0x33n, 0x1_0203n, 0x9000n, 0x23n]);
    guest.p.setGpr(GPR.rsp, guest.p.gpr(GPR.rsp) + 8n);
    interruptReturn(guest.p, guest.mmu, 64);
    expect([at(guest), guest.p.codeSize, guest.p.selector(ss)]).toEqual([
      "33:12345 level 3",
      32,
      0x23,
    ]);
  });

  it("switch to the gate's interrupt stack on any level", () => {
    const guest = longGuest();
    guest.setLongGate(IDT + 16 * 0x20, 0x08, 0xffff_8000_0000_7000n, INTERRUPT_GATE, 7);
    guest.setU64(TSS + 0x24 + 48, 0x5008);
    deliverInterrupt(guest.p, guest.mmu, 0x20);
    expect([guest.p.rip, guest.p.gpr(GPR.rsp), guest.p.selector(ss)]).toEqual([
      0xffff_8000_0000_7000n,
      0x4fd8n,
      0x10,
    ]);
  });

  it.each([
    ["32-bit code", () => {}, 0x18, "13:18"],
    [
      "a stack pointer that is not canonical",
      (g: Guest) => g.setU64(TSS + 4, 1n << 50n),
      8,
      "12:0",
    ],
    ["a TSS too short", (g: Guest) => g.setSegment("tr", 0x28, 0x8b, 0n, 10), 8, "10:28"],
  ] as const)("fault on %s", (_, change, selector, expected) => {
    const guest = longGuest(3);
    guest.setDescriptor(0x18, 0xc09b);
    guest.setLongGate(IDT + 16 * 0x21, selector, 0x7000n, 0xee);
    change(guest);
    expect(exceptionOf(() => softwareInterrupt(guest.p, guest.mmu, 0x21))).toBe(expected);
  });

  it("do not return with NT set, nor to inner code", () => {
    const guest = longGuest(3);
    guest.p.rflags = RFLAGS.NT;
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 64))).toBe("13:0");
    guest.p.rflags = 0;
    guest.setU64(0x9008, 8);
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 64))).toBe("13:8");
  });
});

describe("what events change besides", () => {
  it("an NMI blocks others until IRET, and shadows end", () => {
    const guest = longGuest();
    guest.p.shadow = SHADOW.STI;
    deliverNmi(guest.p, guest.mmu);
    expect([at(guest), guest.p.shadow]).toEqual([atHandler(VECTOR.NMI), SHADOW.NMI]);
    interruptReturn(guest.p, guest.mmu, 64);
    expect(guest.p.shadow).toBe(0);
  });

  it("IRET above IOPL keeps IF, above level 0 IOPL", () => {
    const guest = longGuest(3);
    const frame = [0x5000n, 0x1bn, BigInt(RFLAGS.IOPL | RFLAGS.CF), 0x8000n, 0x23n];
    for (const [n, value] of frame.entries()) guest.setU64(0x9000 + 8 * n, value);
    interruptReturn(guest.p, guest.mmu, 64);
    expect(guest.p.rflags).toBe(RFLAGS.IF | RFLAGS.CF | RFLAGS.FIXED);
  });

  it("nothing outside RAM: what lies there reads as all ones", () => {
    const guest = protectedGuest();
    guest.p.setField(STATE.IDTR_BASE, 0xfee0_0000n);
    expect(() => deliverInterrupt(guest.p, guest.mmu, 0x20)).toThrow();
    const other = protectedGuest();
    other.p.setGpr(GPR.rsp, 0xf000_0000n);
    deliverInterrupt(other.p, other.mmu, 0x20);
    expect([at(other), other.p.gpr(GPR.rsp)]).toEqual([atHandler(0x20), 0xefff_fff4n]);
  });

  it("a debug exception clears DR7.GD", () => {
    const guest = longGuest();
    guest.p.setDr(7, BigInt(0x400 | DR7.GD));
    deliverException(guest.p, guest.mmu, new CpuException(VECTOR.DB));
    expect(guest.p.dr(7)).toBe(0x400n);
  });

  it("nothing, if the stack is not mapped: a fault in delivery is precise", () => {
    const guest = longGuest();
    guest.p.setGpr(GPR.rsp, 0x4000_0000n);
    guest.setLongGate(IDT + 16 * VECTOR.PF, 0x08, BigInt(handlerOf(VECTOR.PF)), 0x8e, 1);
    guest.setU64(TSS + 0x24, 0x5000);
    deliverInterrupt(guest.p, guest.mmu, 0x20);
    expect(stack64(guest, 6)).toEqual([2n, RIP, 8n, 0x1_0203n, 0x4000_0000n, 0x10n]);
    expect(guest.u64(PAGE_TABLES + 0x2000 + 8 * 2)).toBe(0n);
  });
});
