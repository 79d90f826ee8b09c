import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RFLAGS } from "../../../fallback/bits.ts";
import { ATTRIBUTE, GPR } from "../../../fallback/processor.ts";
import {
  RAM_BASE,
  STATE,
  STATE_BYTES,
  WINDOW_AREAS,
  windowOffset,
} from "../../../fallback/state.ts";
import { deliverThroughGate } from "../../../fallback/system/interrupt-gate.ts";
import { generalReturn } from "../../../fallback/system/interrupt-return.ts";
import { deliverAtSameLevel, returnAtSameLevel } from "../../../fallback/system/same-level.ts";
import { exceptionOf, Guest, IDT, PAGE_TABLES, TSS } from "../support/guest.ts";

const VECTOR = 0x21;
const RIP = 0xffff_8000_0012_3456n;
const HANDLER = 0xffff_8000_0000_7000n;
const MAPPED_END = 0x40_0000;
const STACKS = 0x20_0000;
const KERNEL_CODE = 0xa09b;
const KERNEL_DATA = 0xc093;
/** Of RAM: tables, page tables, stacks. */
const REGIONS = [0, PAGE_TABLES, STACKS];
const REGION_BYTES = 0x4000;
const event = { vector: VECTOR, errorCode: undefined, software: false, resume: false };

/** Something that is as usual in most cases. */
const mostly = <Value>(usual: Value, ...others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(usual) }, ...others.map((one) => fc.constant(one)));

const pointers = mostly(
  BigInt(STACKS + 0x500),
  ...[STACKS + 0x503, STACKS + 0x18, STACKS, MAPPED_END + 8, MAPPED_END + 40].map(BigInt),
  0xffff_8000_0000_0000n,
  0x8000_0000_0008n,
);
const flags = fc
  .integer({ min: 0, max: 0x3f_ffff })
  .map((bits) => (bits & 0x25_0fd7) | RFLAGS.FIXED);
const codes = mostly(
  KERNEL_CODE,
  KERNEL_CODE | (3 << 5),
  KERNEL_CODE | ATTRIBUTE.CONFORMING,
  KERNEL_CODE & ~ATTRIBUTE.ACCESSED,
  KERNEL_CODE & ~ATTRIBUTE.PRESENT,
  KERNEL_CODE | ATTRIBUTE.BIG,
  KERNEL_DATA,
);
const stacks = mostly(
  KERNEL_DATA,
  KERNEL_DATA & ~ATTRIBUTE.WRITABLE,
  KERNEL_DATA & ~ATTRIBUTE.ACCESSED,
  KERNEL_DATA | (3 << 5),
  KERNEL_CODE,
);

/** What a guest is made from: the descriptors in memory may have changed since they were loaded. */
const guests = fc.record({
  loadedCode: mostly(KERNEL_CODE, KERNEL_CODE | ATTRIBUTE.CONFORMING),
  code: codes,
  codeLimit: mostly(0xfffff, 0xffff),
  loadedStack: stacks,
  stack: stacks,
  stackSelector: mostly(0x10, 0, 0x20),
  level: mostly<0 | 3>(0, 3),
  rsp: pointers,
  flags,
});
type Made = typeof guests extends fc.Arbitrary<infer Value> ? Value : never;

const buffers = [0, 1].map(() => new Guest().p.buffer);

function make(made: Made, which: number): Guest {
  const buffer = buffers[which] as ArrayBuffer;
  for (const at of REGIONS) new Uint8Array(buffer, RAM_BASE + at, REGION_BYTES).fill(0);
  const guest = new Guest(buffer).longMode(made.level);
  guest.setDescriptor(0x08, made.code, 0, made.codeLimit);
  guest.setDescriptor(0x10, made.stack);
  if (made.level === 0) {
    guest.setSegment("cs", 0x08, made.loadedCode);
    if (made.stackSelector === 0) guest.setSegment("ss", 0, 0, 0n, 0);
    else guest.setSegment("ss", made.stackSelector, made.loadedStack);
  }
  guest.p.rip = RIP;
  guest.p.rflags = made.flags;
  guest.p.setGpr(GPR.rsp, made.rsp);
  return guest;
}

/** All that instructions can see. */
function seen({ p }: Guest): Buffer {
  const state = Buffer.from(new Uint8Array(p.buffer, 0, STATE_BYTES));
  for (const area of WINDOW_AREAS) {
    for (const access of ["read", "write"] as const) {
      const at = windowOffset(area, access);
      state.fill(0, at, at + 16);
    }
  }
  return Buffer.concat([
    state,
    ...REGIONS.map((at) => Buffer.from(p.buffer, RAM_BASE + at, REGION_BYTES)),
  ]);
}

/** The same in two guests, by the short way and in general: either there is no difference, or it was not taken. */
function compare(
  prepare: (which: number) => Guest,
  short: (guest: Guest) => boolean,
  general: (guest: Guest) => void,
): boolean {
  const [guest, other] = [prepare(0), prepare(1)];
  const before = seen(guest);
  let taken = false;
  const fault = exceptionOf(() => {
    taken = short(guest);
  });
  const otherFault = exceptionOf(() => general(other));
  if (taken || fault !== undefined) {
    expect(fault).toBe(otherFault);
    expect(guest.p.cr2).toBe(other.p.cr2);
  }
  if (taken) expect(seen(guest).equals(seen(other))).toBe(true);
  else if (fault === undefined) expect(withoutAccessed(seen(guest), before)).toBe(true);
  return taken;
}

/** Whether nothing has changed but flags in page tables. */
function withoutAccessed(after: Buffer, before: Buffer): boolean {
  if (after.equals(before)) return true;
  const tables = STATE_BYTES + REGION_BYTES;
  return after.every((byte, i) => {
    const inTables = i >= tables && i < tables + REGION_BYTES;
    return byte === before[i] || (inTables && ((byte ^ (before[i] ?? 0)) & ~0x60) === 0);
  });
}

describe("interrupts within level 0", () => {
  const deliveries = fc.record({
    made: guests,
    kind: mostly(0x8e, 0x8f, 0xee, 0x0e, 0x8c, 0x85),
    selector: mostly(0x08, 0x0b, 0x10, 0x18, 0, 0x0c),
    offset: mostly(HANDLER, 0x7000n, 0x8000_0000_0000n),
    ist: mostly(0, 1, 7),
    istPointer: pointers,
    idtLimit: mostly(0xfff, VECTOR * 16 + 14),
    tssLimit: mostly(0x67, 0x2a),
  });

  it("are delivered as by the general way", () => {
    let taken = 0;
    fc.assert(
      fc.property(deliveries, (d) => {
        const prepare = (which: number): Guest => {
          const guest = make(d.made, which);
          guest.setLongGate(IDT + 16 * VECTOR, d.selector, d.offset, d.kind, d.ist);
          guest.setU64(TSS + 0x24, d.istPointer);
          guest.setU64(TSS + 0x24 + 48, d.istPointer);
          guest.p.view.setUint32(STATE.IDTR_LIMIT, d.idtLimit, true);
          guest.setSegment("tr", 0x28, 0x8b, BigInt(TSS), d.tssLimit);
          return guest;
        };
        const isTaken = compare(
          prepare,
          ({ p, mmu }) => deliverAtSameLevel(p, mmu, VECTOR),
          ({ p, mmu }) => deliverThroughGate(p, mmu, event),
        );
        if (isTaken) taken++;
      }),
      { numRuns: 500, seed: 5 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  const returns = fc.record({
    made: guests,
    cs: mostly(0x08, 0x1b, 0x0b, 0x10, 0x1_0008),
    ss: mostly<number | undefined>(undefined, 0x10, 0, 0x23, 0x2_0010),
    rip: mostly(HANDLER, 0x8000_0000_0000n),
    rsp: pointers,
    flags,
  });

  it("are returned from as by the general way", () => {
    let taken = 0;
    fc.assert(
      fc.property(returns, (r) => {
        const prepare = (which: number): Guest => {
          const guest = make(r.made, which);
          const frame = [r.rip, r.cs, r.flags, r.rsp, r.ss ?? r.made.stackSelector].map(BigInt);
          const top = Number(r.made.rsp);
          if (top < MAPPED_END) frame.forEach((word, i) => void guest.setU64(top + 8 * i, word));
          return guest;
        };
        const isTaken = compare(
          prepare,
          ({ p, mmu }) => returnAtSameLevel(p, mmu),
          ({ p, mmu }) => generalReturn(p, mmu, 64),
        );
        if (isTaken) taken++;
      }),
      { numRuns: 500, seed: 5 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it("go the general way where the stack's page is watched", () => {
    const guest = make(
      {
        ...{ loadedCode: KERNEL_CODE, code: KERNEL_CODE, codeLimit: 0xfffff, level: 0 },
        ...{ loadedStack: KERNEL_DATA, stack: KERNEL_DATA, stackSelector: 0x10 },
        ...{ rsp: BigInt(STACKS + 0x500), flags: RFLAGS.FIXED },
      },
      0,
    );
    guest.setLongGate(IDT + 16 * VECTOR, 0x08, HANDLER, 0x8e);
    guest.mmu.watch([{ bit: 1, start: STACKS + 0x800, length: 8, reads: true, writes: true }]);
    expect(deliverAtSameLevel(guest.p, guest.mmu, VECTOR)).toBe(false);
  });
});
