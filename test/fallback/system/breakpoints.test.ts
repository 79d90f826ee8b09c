import { describe, expect, it } from "vitest";
import { CR4, DR6, RFLAGS } from "../../../fallback/bits.ts";
import { STATE } from "../../../fallback/state.ts";
import {
  breakpointsEnabled,
  instructionBreakpoint,
  trapAfter,
  watchData,
  watchPorts,
} from "../../../fallback/system/breakpoints.ts";
import { writeDebugRegister } from "../../../fallback/system/debug.ts";
import { Guest } from "../support/guest.ts";

const EXECUTE = 0;
const WRITE = 1;
const PORT = 2;
const ACCESS = 3;
const LENGTH_CODE = { 1: 0, 2: 1, 4: 3, 8: 2 } as const;

/** Sets breakpoint `n`; local enable. */
function set(
  guest: Guest,
  n: number,
  address: bigint,
  kind: number,
  length: 1 | 2 | 4 | 8 = 1,
): void {
  const control = (1 << (2 * n)) | ((kind | (LENGTH_CODE[length] << 2)) << (16 + 4 * n));
  writeDebugRegister(guest.p, n, address);
  writeDebugRegister(guest.p, 7, guest.p.dr(7) | BigInt(control >>> 0));
  watchData(guest.p, guest.mmu);
}

/** DR6's bits of the breakpoints hit, or nothing. */
function hits(guest: Guest): number | undefined {
  guest.p.setDr(6, 0n);
  const trap = trapAfter(guest.p, guest.mmu, false);
  if (trap === undefined) return undefined;
  expect(trap.vector).toBe(1);
  return Number(guest.p.dr(6));
}

describe("instruction breakpoints", () => {
  it("fault at their address, unless RF", () => {
    const guest = new Guest().longMode();
    expect(breakpointsEnabled(guest.p)).toBe(false);
    set(guest, 2, 0xffff_8000_0000_1000n, EXECUTE);
    expect(breakpointsEnabled(guest.p)).toBe(true);
    expect(instructionBreakpoint(guest.p, 0x1000n)).toBeUndefined();
    expect(instructionBreakpoint(guest.p, 0xffff_8000_0000_1000n)?.vector).toBe(1);
    expect(guest.p.dr(6)).toBe(0xffff_0ff4n);
    guest.p.rflags = RFLAGS.RF;
    expect(instructionBreakpoint(guest.p, 0xffff_8000_0000_1000n)).toBeUndefined();
  });

  it("keep single-step's bit", () => {
    const guest = new Guest().longMode();
    guest.p.setDr(6, BigInt(DR6.BS));
    set(guest, 0, 5n, EXECUTE);
    instructionBreakpoint(guest.p, 5n);
    expect(guest.p.dr(6)).toBe(BigInt(DR6.BS | 1));
  });
});

describe("data breakpoints", () => {
  it("tell writes from reads", () => {
    const guest = new Guest().longMode();
    set(guest, 0, 0x5000n, WRITE, 4);
    set(guest, 1, 0x5000n, ACCESS, 2);
    guest.mmu.read(0x5000, 4);
    expect(hits(guest)).toBe(2);
    guest.mmu.write(0x5001, 1, 0);
    expect(hits(guest)).toBe(3);
    guest.mmu.write(0x5003, 1, 0);
    expect(hits(guest)).toBe(1);
    guest.mmu.write64(0x5004, 0n);
    guest.mmu.write(0x4fff, 1, 0);
    expect(hits(guest)).toBeUndefined();
  });

  it("see accesses that only overlap, across pages, and of whole areas", () => {
    const guest = new Guest().longMode();
    set(guest, 3, 0x5ffdn, WRITE, 8);
    guest.mmu.write64(0x5ff1, 0n);
    expect(hits(guest)).toBe(8);
    set(guest, 2, 0x6000n, ACCESS);
    guest.mmu.read64(0x5ffc);
    expect(hits(guest)).toBe(4);
    guest.mmu.writeBytes(0x5f00, new Uint8Array(512));
    expect(hits(guest)).toBe(12);
  });

  it("keep their pages out of what generated code accesses by itself", () => {
    const guest = new Guest().longMode();
    guest.mmu.write(0x5000, 4, 0);
    expect(guest.p.field(STATE.WRITE_WINDOW_LENGTH)).toBe(0x20_0000n - 31n);
    set(guest, 0, 0x5000n, WRITE, 4);
    guest.mmu.write(0x5000, 4, 0);
    hits(guest);
    expect(guest.p.field(STATE.WRITE_WINDOW_LENGTH)).toBe(0n);
    guest.mmu.write(0x6000, 4, 0);
    expect(guest.p.field(STATE.WRITE_WINDOW_BASE)).toBe(0x6000n);
    guest.mmu.write(0x5000, 4, 0);
    expect(hits(guest)).toBe(1);
  });

  it("end when they are taken away", () => {
    const guest = new Guest().longMode();
    set(guest, 0, 0x5000n, WRITE, 4);
    writeDebugRegister(guest.p, 7, 0n);
    watchData(guest.p, guest.mmu);
    guest.mmu.write(0x5000, 4, 0);
    expect(hits(guest)).toBeUndefined();
    expect(guest.p.field(STATE.WRITE_WINDOW_LENGTH)).toBe(0x20_0000n - 31n);
  });
});

describe("the trap after an instruction", () => {
  it("tells breakpoints and single step at once, and forgets earlier breakpoints", () => {
    const guest = new Guest().longMode();
    set(guest, 1, 0x5000n, WRITE, 4);
    guest.p.setDr(6, BigInt(DR6.BD | 4));
    guest.mmu.write(0x5000, 1, 0);
    expect(trapAfter(guest.p, guest.mmu, true)?.vector).toBe(1);
    expect(guest.p.dr(6)).toBe(BigInt(DR6.BD | DR6.BS | 2));
    expect(trapAfter(guest.p, guest.mmu, false)).toBeUndefined();
  });
});

describe("port breakpoints", () => {
  it("trap after an access to any of their ports, with debug extensions only", () => {
    const guest = new Guest().longMode();
    const access = (port: number, bytes: number): number | undefined => {
      watchPorts(guest.p, guest.mmu, port, bytes);
      return hits(guest);
    };
    set(guest, 1, 0x60n, PORT, 2);
    expect(access(0x60, 1)).toBeUndefined();
    guest.p.cr4 |= CR4.DE;
    expect([access(0x60, 1), access(0x61, 4), access(0x5e, 4)]).toEqual([2, 2, 2]);
    expect([access(0x5f, 1), access(0x62, 1)]).toEqual([undefined, undefined]);
  });
});
