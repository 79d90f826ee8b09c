import { describe, expect, it } from "vitest";
import { GPR } from "../../../fallback/processor.ts";
import { SEGMENT_INDEX } from "../../../fallback/state.ts";
import { farCall, farJump, farReturn } from "../../../fallback/system/far-transfer.ts";
import { exceptionOf, GDT, Guest, TSS } from "../support/guest.ts";

const { cs, ss, ds, es } = SEGMENT_INDEX as { cs: number; ss: number; ds: number; es: number };
const SLOT = 0x30;
const GATE = 0x40;
const RIP = 0x1_2345n;

function at(guest: Guest): string {
  const { p } = guest;
  return `${p.selector(cs).toString(16)}:${p.rip.toString(16)} level ${p.cpl}`;
}

function start(guest: Guest, stack = 0x9000n): Guest {
  guest.p.rip = RIP;
  guest.p.setGpr(GPR.rsp, stack);
  return guest;
}

describe("far jump", () => {
  it("in real mode loads a paragraph", () => {
    const guest = start(new Guest());
    farJump(guest.p, guest.mmu, 0x1234, 0x5678n, 16);
    expect([at(guest), guest.p.segmentBase(cs)]).toEqual(["1234:5678 level 0", 0x12340n]);
    expect(exceptionOf(() => farJump(guest.p, guest.mmu, 0, 0x1_0000n, 32))).toBe("13:0");
  });

  it("changes between 64-bit and compatibility mode", () => {
    const guest = start(new Guest().longMode());
    guest.setDescriptor(SLOT, 0xc09a);
    farJump(guest.p, guest.mmu, SLOT, 0x5000n, 32);
    expect([guest.p.codeSize, at(guest)]).toEqual([32, "30:5000 level 0"]);
    expect(guest.u16(GDT + SLOT + 4) >> 8).toBe(0x9b);
    farJump(guest.p, guest.mmu, 0x08, 0x6000n, 32);
    expect([guest.p.codeSize, at(guest)]).toEqual([64, "8:6000 level 0"]);
  });

  it.each([
    ["code of the level", 0xc09b, 0, SLOT, undefined],
    ["an inner level's code", 0xc09b, 3, SLOT, "13:30"],
    ["an outer level's code", 0xc0fb, 0, SLOT, "13:30"],
    ["RPL above the level", 0xc09b, 0, SLOT | 3, "13:30"],
    ["conforming inner code", 0xc09f, 3, SLOT | 3, undefined],
    ["conforming outer code", 0xc0ff, 0, SLOT, "13:30"],
    ["data", 0xc093, 0, SLOT, "13:30"],
    ["absent code", 0xc01b, 0, SLOT, "11:30"],
    ["a busy TSS", 0x8b, 0, SLOT, "13:30"],
    ["null", 0xc09b, 0, 0, "13:0"],
  ] as const)("goes to %s", (_, attributes, level, selector, expected) => {
    const guest = start(new Guest().protectedMode(level));
    guest.setDescriptor(SLOT, attributes);
    expect(exceptionOf(() => farJump(guest.p, guest.mmu, selector, 0x1000n, 32))).toBe(expected);
    const selected = (SLOT | level).toString(16);
    if (expected === undefined) expect(at(guest)).toBe(`${selected}:1000 level ${level}`);
    else expect(guest.p.rip).toBe(RIP);
  });

  it("refuses offsets beyond the limit, and 64-bit ones that are not canonical", () => {
    const guest = start(new Guest().protectedMode());
    guest.setDescriptor(SLOT, 0x409b, 0, 0xfff);
    expect(exceptionOf(() => farJump(guest.p, guest.mmu, SLOT, 0x1000n, 32))).toBe("13:0");
    const long = start(new Guest().longMode());
    expect(exceptionOf(() => farJump(long.p, long.mmu, 8, 1n << 47n, 64))).toBe("13:0");
  });

  it("refuses code that is both 32- and 64-bit in long mode", () => {
    const guest = start(new Guest().longMode());
    guest.setDescriptor(SLOT, 0xe09b);
    expect(exceptionOf(() => farJump(guest.p, guest.mmu, SLOT, 0n, 32))).toBe("13:30");
  });
});

describe("far call and return", () => {
  it.each([16, 32] as const)("push and pop %i bits in real mode", (size) => {
    const guest = start(new Guest());
    guest.p.rip = 0x4321n;
    guest.setSegment("cs", 0x100, 0x9b, 0x1000n, 0xffff);
    farCall(guest.p, guest.mmu, 0x2000, 0x10n, size);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual([
      "2000:10 level 0",
      0x9000n - BigInt(size / 4),
    ]);
    farReturn(guest.p, guest.mmu, size, 6);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["100:4321 level 0", 0x9006n]);
  });

  it("faults at the stack's end without a change", () => {
    const guest = start(new Guest().protectedMode(), 2n);
    guest.setSegment("ss", 0x10, 0xc093, 0n, 0xfff);
    guest.setDescriptor(SLOT, 0xc09b);
    expect(exceptionOf(() => farCall(guest.p, guest.mmu, SLOT, 0n, 32))).toBe("12:0");
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["8:12345 level 0", 2n]);
  });

  it("returns to an outer level: new stack, parameters off both, inner segments dropped", () => {
    const guest = start(new Guest().protectedMode());
    for (const [n, value] of [0x5000, 0x1b, 0xaaaa, 0xbbbb, 0x8000, 0x23].entries()) {
      guest.setU32(0x9000 + 4 * n, value);
    }
    guest.setSegment("es", 0x23, 0xc0f3);
    farReturn(guest.p, guest.mmu, 32, 8);
    expect([at(guest), guest.p.selector(ss), guest.p.gpr(GPR.rsp)]).toEqual([
      "1b:5000 level 3",
      0x23,
      0x8008n,
    ]);
    expect([guest.p.selector(ds), guest.p.selector(es)]).toEqual([0, 0x23]);
  });

  it.each([
    ["inner code", 3, [0x5000, 0x08, 0x8000, 0x10], "13:8"],
    ["a null stack", 0, [0x5000, 0x1b, 0x8000, 0], "13:0"],
    ["a stack of another level", 0, [0x5000, 0x1b, 0x8000, 0x10], "13:10"],
    ["null code", 0, [0x5000, 0, 0, 0], "13:0"],
  ] as const)("does not return to %s", (_, level, frame, expected) => {
    const guest = start(new Guest().protectedMode(level));
    for (const [n, value] of frame.entries()) guest.setU32(0x9000 + 4 * n, value);
    expect(exceptionOf(() => farReturn(guest.p, guest.mmu, 32))).toBe(expected);
    expect(guest.p.gpr(GPR.rsp)).toBe(0x9000n);
  });
});

describe("call gates", () => {
  function inner32(): Guest {
    const guest = start(new Guest().protectedMode(3));
    guest.setGate(GDT + GATE, 0x08, 0x7000, 0xec, 2);
    guest.setU32(TSS + 4, 0x6000);
    guest.setU32(TSS + 8, 0x10);
    guest.setU32(0x9000, 0x1111);
    guest.setU32(0x9004, 0x2222);
    return guest;
  }

  it("switch to the inner level's stack and copy parameters", () => {
    const guest = inner32();
    farCall(guest.p, guest.mmu, GATE | 3, 0xdeadn, 32);
    expect([at(guest), guest.p.selector(ss), guest.p.gpr(GPR.rsp)]).toEqual([
      "8:7000 level 0",
      0x10,
      0x5fe8n,
    ]);
    expect([0, 4, 8, 12, 16, 20].map((n) => guest.u32(0x5fe8 + n))).toEqual([
      0x12345, 0x1b, 0x1111, 0x2222, 0x9000, 0x23,
    ]);
    farReturn(guest.p, guest.mmu, 32, 8);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["1b:12345 level 3", 0x9008n]);
  });

  it("push 16-bit frames if they are 16-bit gates", () => {
    const guest = inner32();
    guest.setGate(GDT + GATE, 0x08, 0xffff_7000 | 0, 0xe4, 1);
    farCall(guest.p, guest.mmu, GATE | 3, 0n, 16);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["8:7000 level 0", 0x5ff6n]);
    expect([0, 2, 4, 6, 8].map((n) => guest.u16(0x5ff6 + n))).toEqual([
      0x2345, 0x1b, 0x1111, 0x9000, 0x23,
    ]);
  });

  it("keep the stack where the level stays", () => {
    const guest = start(new Guest().protectedMode());
    guest.setGate(GDT + GATE, 0x08, 0x7000, 0x8c, 5);
    farCall(guest.p, guest.mmu, GATE, 0n, 32);
    expect([at(guest), guest.p.gpr(GPR.rsp), guest.u32(0x8ff8)]).toEqual([
      "8:7000 level 0",
      0x8ff8n,
      0x12345,
    ]);
  });

  it("in long mode: 64-bit offset, RSP from the TSS, null SS", () => {
    const guest = start(new Guest().longMode(3));
    guest.setLongGate(GDT + GATE, 0x08, 0xffff_8000_1234_5678n, 0xec);
    guest.setU64(TSS + 4, 0x6000);
    farCall(guest.p, guest.mmu, GATE | 3, 0n, 32);
    expect([at(guest), guest.p.selector(ss), guest.p.gpr(GPR.rsp)]).toEqual([
      "8:ffff800012345678 level 0",
      0,
      0x5fe0n,
    ]);
    expect([0, 8, 16, 24].map((n) => guest.u64(0x5fe0 + n))).toEqual([RIP, 0x1bn, 0x9000n, 0x23n]);
  });

  it.each([
    ["a jump to an inner level", farJump, {}, "13:8"],
    ["a gate of an inner level", farCall, { attributes: 0x8c }, "13:40"],
    ["an absent gate", farCall, { attributes: 0x6c }, "11:40"],
    ["a task gate without a task", farCall, { attributes: 0xe5 }, "13:8"],
    ["a gate to data", farCall, { target: 0x10 }, "13:10"],
    ["a gate to null", farCall, { target: 0 }, "13:0"],
    ["an inner stack that is no stack", farCall, { stack: 0x08 }, "10:8"],
    ["a null inner stack", farCall, { stack: 0 }, "10:0"],
    ["a TSS too short", farCall, { tssLimit: 8 }, "10:28"],
  ] as const)("refuse %s", (_, transfer, change, expected) => {
    const { attributes, target, stack, tssLimit } = {
      attributes: 0xec,
      target: 0x08,
      stack: 0x10,
      tssLimit: 0x67,
      ...change,
    };
    const guest = inner32();
    guest.setGate(GDT + GATE, target, 0x7000, attributes, 2);
    guest.setU32(TSS + 8, stack);
    guest.setSegment("tr", 0x28, 0x8b, BigInt(TSS), tssLimit);
    expect(exceptionOf(() => transfer(guest.p, guest.mmu, GATE | 3, 0n, 32))).toBe(expected);
    expect([at(guest), guest.p.gpr(GPR.rsp)]).toEqual(["1b:12345 level 3", 0x9000n]);
  });
});
