import { describe, expect, it } from "vitest";
import { CR0, CR4, RFLAGS } from "../../../fallback/bits.ts";
import { CpuException, VECTOR } from "../../../fallback/exceptions.ts";
import { GPR } from "../../../fallback/processor.ts";
import { STATE } from "../../../fallback/state.ts";
import { farCall, farJump } from "../../../fallback/system/far-transfer.ts";
import { interruptReturn } from "../../../fallback/system/interrupt-return.ts";
import { deliverException } from "../../../fallback/system/interrupts.ts";
import { exceptionOf, GDT, Guest, IDT, PAGE_TABLES, TSS } from "../support/guest.ts";

/** A second task, at this selector and address. */
const TASK = 0x40;
const TASK_TSS = 0x4000;
const BUSY = 0x8b;
const AVAILABLE = 0x89;
const AVAILABLE_16 = 0x81;
const STACK = 0x9000;

function twoTasks(): Guest {
  const guest = new Guest().protectedMode();
  guest.p.view.setUint32(STATE.GDTR_LIMIT, 0xff, true);
  guest.setDescriptor(0x28, BUSY, TSS, 0x67);
  guest.setSegment("tr", 0x28, BUSY, BigInt(TSS), 0x67);
  guest.setDescriptor(TASK, AVAILABLE, TASK_TSS, 0x67);
  const fields: [number, number][] = [
    ...([
      [0x20, 0x5000],
      [0x24, RFLAGS.FIXED],
      [0x28, 0x1111],
      [0x38, STACK],
    ] as [number, number][]),
    ...([
      [0x48, 0x10],
      [0x4c, 0x08],
      [0x50, 0x10],
      [0x54, 0x10],
    ] as [number, number][]),
  ];
  for (const [offset, value] of fields) guest.setU32(TASK_TSS + offset, value);
  guest.p.rip = 0x1234n;
  return guest;
}

const typeOf = (guest: Guest, selector: number): number =>
  (guest.u32(GDT + selector + 4) >>> 8) & 0xff;

describe("switching tasks", () => {
  it("by a call links them, by IRET comes back", () => {
    const guest = twoTasks();
    guest.p.setGpr(GPR.rbx, 0x7777n);
    farCall(guest.p, guest.mmu, TASK, 0n, 32);
    expect([guest.p.rip, guest.p.gpr(GPR.rax), guest.p.gpr(GPR.rsp)]).toEqual([
      ...[0x5000n, 0x1111n, BigInt(STACK)],
    ]);
    expect(guest.p.rflags & RFLAGS.NT).toBe(RFLAGS.NT);
    expect(guest.p.cr0 & CR0.TS).toBe(CR0.TS);
    expect([typeOf(guest, 0x28), typeOf(guest, TASK), guest.u16(TASK_TSS)]).toEqual([
      ...[BUSY, BUSY, 0x28],
    ]);
    guest.setSegment("ldtr", 0, 0);
    guest.setU32(TSS + 0x4c, 8);
    guest.setU32(TSS + 0x50, 0x10);
    interruptReturn(guest.p, guest.mmu, 32);
    expect([guest.p.rip, guest.p.gpr(GPR.rbx), guest.p.pendingTrap]).toEqual([
      ...[0x1234n, 0x7777n, undefined],
    ]);
    expect(guest.p.rflags & RFLAGS.NT).toBe(0);
    expect([typeOf(guest, 0x28), typeOf(guest, TASK)]).toEqual([BUSY, AVAILABLE]);
  });

  it("loads CR3, with PAE's pointers", () => {
    const guest = twoTasks();
    guest.setU32(TASK_TSS + 0x1c, PAGE_TABLES);
    guest.setU64(PAGE_TABLES, 0x20_0001n);
    guest.setU64(0x20_0000, 0x83n);
    guest.p.cr3 = BigInt(PAGE_TABLES + 0x1000);
    guest.setU64(PAGE_TABLES + 0x1000, 0x20_0001n);
    guest.p.cr4 = CR4.PAE | CR4.PSE;
    guest.p.cr0 |= CR0.PG;
    guest.mmu.stateReplaced();
    farJump(guest.p, guest.mmu, TASK, 0n, 32);
    expect([guest.p.cr3, guest.p.pendingTrap, guest.p.rip]).toEqual([
      ...[BigInt(PAGE_TABLES), undefined, 0x5000n],
    ]);
    expect(guest.p.field(STATE.PDPTE)).toBe(0x20_0001n);
  });

  it("to a task of virtual-8086 mode makes paragraphs of its selectors", () => {
    const guest = twoTasks();
    guest.setU32(TASK_TSS + 0x24, RFLAGS.VM | RFLAGS.FIXED);
    guest.setU32(TASK_TSS + 0x4c, 0x500);
    farJump(guest.p, guest.mmu, TASK, 0n, 32);
    expect([guest.p.virtual8086, guest.p.cpl, guest.p.pendingTrap]).toEqual([true, 3, undefined]);
    expect(guest.p.segmentBase(1)).toBe(0x5000n);
  });

  it("to a 16-bit TSS makes ones of what that does not have, and null of FS and GS", () => {
    const guest = twoTasks();
    guest.setDescriptor(TASK, AVAILABLE_16, TASK_TSS, 0x2b);
    const ip = 0x0e;
    const words = [
      0x5000,
      RFLAGS.FIXED,
      0x1111,
      0x2222,
      0x3333,
      0x4444,
      STACK,
      0x6666,
      0x7777,
      0x8888,
    ];
    const selectors = [0x10, 0x08, 0x10, 0x10, 0];
    for (const [n, word] of [...words, ...selectors].entries()) {
      guest.setU16(TASK_TSS + ip + 2 * n, word);
    }
    farJump(guest.p, guest.mmu, TASK, 0n, 32);
    expect(guest.p.pendingTrap).toBeUndefined();
    expect(guest.p.rip).toBe(0x5000n);
    expect([GPR.rax, GPR.rcx, GPR.rsp, GPR.rdi].map((n) => guest.p.gpr(n))).toEqual([
      ...[0xffff_1111n, 0xffff_2222n, 0xffff_9000n, 0xffff_8888n],
    ]);
    expect([guest.p.selector(3), guest.p.selector(4), guest.p.selector(5)]).toEqual([0x10, 0, 0]);
  });

  it("changes nothing where the old task cannot be saved", () => {
    const guest = twoTasks();
    guest.p.cr3 = BigInt(PAGE_TABLES);
    guest.setU32(PAGE_TABLES, 0x83);
    guest.p.cr4 = CR4.PSE;
    guest.p.cr0 |= CR0.PG;
    guest.mmu.stateReplaced();
    guest.setSegment("tr", 0x28, BUSY, 0x40_0000n, 0x67);
    expect(exceptionOf(() => farJump(guest.p, guest.mmu, TASK, 0n, 32))).toMatch(/^14:/);
    expect([typeOf(guest, TASK), guest.p.rip]).toEqual([AVAILABLE, 0x1234n]);
  });

  it("by a double fault's gate pushes its error code on the new stack", () => {
    const guest = twoTasks();
    guest.setGate(IDT + 8 * VECTOR.DF, TASK, 0, 0x85);
    deliverException(guest.p, guest.mmu, new CpuException(VECTOR.DF, 0));
    expect([guest.p.rip, guest.p.gpr(GPR.rsp), guest.u32(STACK - 4)]).toEqual([
      ...[0x5000n, BigInt(STACK - 4), 0],
    ]);
  });

  it("is not there in long mode", () => {
    const guest = new Guest().longMode();
    guest.p.changeSystemFlags(0, RFLAGS.NT);
    expect(exceptionOf(() => interruptReturn(guest.p, guest.mmu, 64))).toBe("13:0");
  });
});
