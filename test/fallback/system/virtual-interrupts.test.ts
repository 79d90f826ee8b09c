import { describe, expect, it } from "vitest";
import { CR4, RFLAGS } from "../../../fallback/bits.ts";
import { SEGMENT_INDEX } from "../../../fallback/state.ts";
import { writeControlRegister } from "../../../fallback/system/control-registers.ts";
import {
  clearInterruptFlag,
  flagsToPush,
  popFlags,
  setInterruptFlag,
} from "../../../fallback/system/flags-register.ts";
import { interruptReturn } from "../../../fallback/system/interrupt-return.ts";
import { interruptInstruction } from "../../../fallback/system/interrupts.ts";
import { virtual8086Segment } from "../../../fallback/system/segments.ts";
import { exceptionOf, Guest, IDT, TSS } from "../support/guest.ts";

const { IF, IOPL, VM, VIF, VIP, CF, TF, FIXED } = RFLAGS;
const GP = "13:0";
const VECTOR = 0x21;
/** Of the bit maps in the TSS: for ports, and for interrupts below it. */
const PORT_MAP = 0x90;
const REDIRECTION = PORT_MAP - 32;
const STACK = 0x2_0000;

/** In virtual-8086 mode at 1000:0100, with a stack at 2000:1000. */
function guest8086(flags: number, cr4: number): Guest {
  const guest = new Guest().protectedMode();
  guest.setSegment("tr", 0x28, 0x8b, BigInt(TSS), 0x200);
  guest.setU16(TSS + 0x66, PORT_MAP);
  guest.p.cr4 = cr4;
  guest.p.rflags = VM | flags;
  const { cs, ss } = SEGMENT_INDEX;
  guest.p.setSegment(cs, virtual8086Segment(0x1000));
  guest.p.setSegment(ss, virtual8086Segment(STACK >> 4));
  guest.p.rip = 0x100n;
  guest.p.setGpr32(4, 0x1000);
  guest.mmu.changePrivilege(3);
  return guest;
}

const flagsOf = ({ p }: Guest): number => p.rflags & ~(VM | FIXED);

describe("CLI and STI below IOPL", () => {
  const modes = [
    ["with PVI", CR4.PVI, () => new Guest().protectedMode(3)],
    ["in virtual-8086 mode with VME", CR4.VME, () => guest8086(0, 0)],
  ] as const;

  it.each(modes)("change VIF %s", (_, cr4, make) => {
    const guest = make();
    guest.p.cr4 = cr4;
    setInterruptFlag(guest.p);
    expect([flagsOf(guest), guest.p.shadow]).toEqual([VIF, 0]);
    clearInterruptFlag(guest.p);
    expect(flagsOf(guest)).toBe(0);
  });

  it.each(modes)("fault %s where an interrupt is pending that STI would let in", (_, cr4, make) => {
    const { p } = make();
    p.cr4 = cr4;
    p.rflags |= VIP;
    expect(exceptionOf(() => setInterruptFlag(p))).toBe(GP);
    clearInterruptFlag(p);
  });

  it.each(modes)("fault with the other one's bit of CR4 instead: not %s", (_, cr4, make) => {
    const { p } = make();
    p.cr4 = cr4 ^ (CR4.PVI | CR4.VME);
    for (const change of [setInterruptFlag, clearInterruptFlag]) {
      expect(exceptionOf(() => change(p))).toBe(GP);
    }
  });

  it("change IF itself where they may", () => {
    const guest = guest8086(IOPL | VIP, CR4.VME);
    setInterruptFlag(guest.p);
    expect(flagsOf(guest)).toBe(IOPL | VIP | IF);
  });
});

it("CR4 takes both", () => {
  const { p, mmu } = new Guest().protectedMode();
  writeControlRegister(p, mmu, 4, BigInt(CR4.VME | CR4.PVI));
  expect(p.cr4).toBe(CR4.VME | CR4.PVI);
});

describe("PUSHF and POPF in virtual-8086 mode with VME", () => {
  it("have VIF for IF, and IOPL 3, of 16 bits", () => {
    const { p } = guest8086(CF | VIF, CR4.VME);
    expect(flagsToPush(p, 16) & 0xffff).toBe(CF | IF | IOPL | FIXED);
    p.rflags = VM | IF;
    expect(flagsToPush(p, 16) & 0xffff).toBe(IOPL | FIXED);
    expect(exceptionOf(() => flagsToPush(p, 32))).toBe(GP);
    expect(exceptionOf(() => popFlags(p, 0, 32))).toBe(GP);
  });

  it("leave IF and IOPL alone", () => {
    const guest = guest8086(IF, CR4.VME);
    popFlags(guest.p, CF | IF | IOPL, 16);
    expect(flagsOf(guest)).toBe(CF | IF | VIF);
    popFlags(guest.p, 0, 16);
    expect(flagsOf(guest)).toBe(IF);
  });

  it("leave TF, and IF with an interrupt pending, to the system", () => {
    const { p } = guest8086(VIP, CR4.VME);
    expect(exceptionOf(() => popFlags(p, TF, 16))).toBe(GP);
    expect(exceptionOf(() => popFlags(p, IF, 16))).toBe(GP);
    popFlags(p, CF, 16);
    expect(p.rflags & (CF | VIP)).toBe(CF | VIP);
  });

  it("IRET does the same, and leaves the stack where it faults", () => {
    const guest = guest8086(0, CR4.VME);
    for (const [i, value] of [0x200, 0x3000, CF | IF].entries()) {
      guest.setU16(STACK + 0x1000 + 2 * i, value);
    }
    guest.p.rflags |= VIP;
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 16))).toBe(GP);
    expect(guest.p.gpr32(4)).toBe(0x1000);
    guest.p.rflags &= ~VIP;
    interruptReturn(guest.p, guest.mmu, 16);
    expect([flagsOf(guest), guest.p.selector(SEGMENT_INDEX.cs), guest.p.rip]).toEqual([
      ...[CF | VIF, 0x3000, 0x200n],
    ]);
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 32))).toBe(GP);
  });
});

describe("INT n in virtual-8086 mode with VME", () => {
  const interrupt = ({ p, mmu }: Guest) => exceptionOf(() => interruptInstruction(p, mmu, VECTOR));

  it.each([
    ["VIF below IOPL 3", 0, VIF],
    ["IF at IOPL 3", IOPL, IF],
  ])("goes to the program's handler, with %s cleared", (_, iopl, flag) => {
    const guest = guest8086(iopl | flag | CF, CR4.VME);
    guest.setU16(4 * VECTOR, 0x1234);
    guest.setU16(4 * VECTOR + 2, 0x0400);
    expect(interrupt(guest)).toBeUndefined();
    const { p } = guest;
    expect([p.selector(SEGMENT_INDEX.cs), p.rip, flagsOf(guest), p.cpl]).toEqual([
      ...[0x0400, 0x1234n, iopl | CF, 3],
    ]);
    expect([0, 2, 4].map((at) => guest.u16(STACK + 0xffa + at))).toEqual([
      ...[0x100, 0x1000, IF | IOPL | CF | FIXED],
    ]);
  });

  it("is the system's where the TSS's bit says so: a fault below IOPL 3, a gate at 3", () => {
    const guest = guest8086(0, CR4.VME);
    guest.ram.setUint8(TSS + REDIRECTION + (VECTOR >> 3), 1 << (VECTOR & 7));
    expect(interrupt(guest)).toBe(GP);
    guest.p.rflags |= IOPL;
    guest.setGate(IDT + 8 * VECTOR, 0x08, 0x5000, 0xee);
    guest.setU16(TSS + 8, 0x10);
    guest.setU32(TSS + 4, 0x8000);
    expect(interrupt(guest)).toBeUndefined();
    expect([guest.p.rip, guest.p.virtual8086]).toEqual([0x5000n, false]);
  });

  it("faults without a bit map", () => {
    const guest = guest8086(0, CR4.VME);
    guest.setU16(TSS + 0x66, 20);
    expect(interrupt(guest)).toBe(GP);
    guest.setU16(TSS + 0x66, 0x300);
    expect(interrupt(guest)).toBe(GP);
  });

  it("is not looked for without VME", () => {
    expect(interrupt(guest8086(0, 0))).toBe(GP);
  });
});
