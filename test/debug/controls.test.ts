import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { createProcessor } from "../../src/accelerator.ts";
import type { Cpu, VmExit } from "../../src/core/cpu.ts";
import { type DebugStops, NO_STOPS, type Watchpoint } from "../../src/core/debug.ts";
import type { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MILLISECOND, nanos } from "../../src/core/units.ts";
import { HostClock } from "../../src/host/clock.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { judgeHas } from "../conformance/judge-features.ts";
import { PROCESSORS } from "../support/monitor.ts";

const CODE = 0x1000;
const DATA = 0x2000;
const HANDLER = 0x3000;
const STACK = 0x8000n;
const TABLES = 0x1_0000;

const NOP = 0x90;
const HLT = 0xf4;
const INT3 = 0xcc;
const STI = 0xfb;
const IRET = 0xcf;

const stops = (wanted: Partial<DebugStops>): DebugStops => ({ ...NO_STOPS, ...wanted });
const at = (...addresses: number[]): DebugStops =>
  stops({ breakpoints: new Set(addresses.map(BigInt)) });
const STEP = stops({ step: true });
const watching = (kind: Watchpoint["kind"], address: number, length: number): DebugStops =>
  stops({ watchpoints: [{ address: BigInt(address), length, kind }] });

/** Real-mode code, as the processors start in it; the interrupt table is where it always is. */
describe.each(PROCESSORS)("what a debugger stops at (%s)", (accelerator) => {
  const clock = new HostClock();
  const whole = allocateMemory(2, true);
  const memory: GuestMemory = whole.ram;
  const explain = (): void => {};
  // One for all: to make one takes a second.
  const request = { accelerator, jit: true, memory: whole, clock, timed: false, explain };
  const cpu: Cpu = createProcessor(request).cpu;

  beforeEach(() => {
    memory.fill(gpa(0), memory.size);
    cpu.reset();
    cpu.stopAt(NO_STOPS);
  });

  afterAll(() => cpu.close());

  function start(...code: number[]): void {
    memory.write(gpa(CODE), Uint8Array.from(code));
    const registers = cpu.readRegisters();
    for (const name of ["cs", "ds", "es", "ss"] as const) {
      registers[name] = { ...registers[name], selector: 0, base: 0n };
    }
    cpu.writeRegisters({ ...registers, rip: BigInt(CODE), rsp: STACK });
  }

  /** 64-bit code; the first 2 MiB are mapped onto themselves. */
  function startLong(...code: number[]): void {
    start(...code);
    memory.writeU64(gpa(TABLES), TABLES + 0x1003);
    memory.writeU64(gpa(TABLES + 0x1000), TABLES + 0x2003);
    memory.writeU64(gpa(TABLES + 0x2000), 0x83);
    const registers = cpu.readRegisters();
    const flat = { selector: 8, base: 0n, limit: 0xffff_ffff };
    registers.cs = { ...flat, attributes: 0xa09b };
    for (const name of ["ds", "es", "ss"] as const)
      registers[name] = { ...flat, attributes: 0xc093 };
    const modes = { cr0: 0x8000_0011n, cr3: BigInt(TABLES), cr4: 0x20n, efer: 0x500n };
    cpu.writeRegisters({ ...registers, ...modes });
  }

  const setVector = (vector: number, offset: number): void =>
    memory.writeU32(gpa(4 * vector), offset);

  async function run(wanted?: DebugStops): Promise<VmExit> {
    if (wanted !== undefined) cpu.stopAt(wanted);
    for (;;) {
      await new Promise(setImmediate);
      const exit = cpu.run(nanos(clock.now() + 5_000 * MILLISECOND));
      if (exit.kind !== "kicked") return exit;
    }
  }

  const rip = (): number => Number(cpu.readRegisters().rip);
  const byBreakpoint = { kind: "debug", cause: "breakpoint" };
  const byStep = { kind: "debug", cause: "step" };
  const byWatchpoint = { kind: "debug", cause: "watchpoint" };

  test("a breakpoint stops before its instruction, in the middle of a block as well", async () => {
    // inc ax, three times
    start(0x40, 0x40, 0x40, HLT);
    expect(await run(at(CODE + 2))).toMatchObject(byBreakpoint);
    expect(rip()).toBe(CODE + 2);
    expect(cpu.readRegisters().rax).toBe(2n);
  });

  test("it stops at once where it already is, and a step goes past it", async () => {
    start(NOP, NOP, HLT);
    expect(await run(at(CODE))).toMatchObject(byBreakpoint);
    expect(rip()).toBe(CODE);
    expect(await run(stops({ ...at(CODE), step: true }))).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 1);
    expect(await run(NO_STOPS)).toMatchObject({ kind: "halt" });
  });

  test("code loaded over a breakpoint does not remove it, and the guest does not see it", async () => {
    // rep movsb of one byte over what is executed next; then al is read from there
    const copy = [0xbe, 0x00, 0x20, 0xbf, 0x0b, 0x10, 0xb9, 1, 0, 0xf3, 0xa4];
    start(...copy, HLT, 0xa0, 0x0b, 0x10, HLT);
    memory.writeU8(gpa(DATA), NOP);
    expect(await run(at(CODE + copy.length))).toMatchObject(byBreakpoint);
    expect(rip()).toBe(CODE + copy.length);
    expect(memory.readU8(gpa(CODE + copy.length))).toBe(NOP);
    expect(await run(stops({ ...at(CODE + copy.length), step: true }))).toMatchObject(byStep);
    expect(await run(at(CODE + copy.length))).toMatchObject({ kind: "halt" });
    expect(cpu.readRegisters().rax & 0xffn).toBe(BigInt(NOP));
  });

  test("more breakpoints than the hardware has", async () => {
    start(...Array.from({ length: 40 }, () => NOP), HLT);
    const all = at(...Array.from({ length: 20 }, (_, i) => CODE + 2 * i + 1));
    for (let i = 0; i < 20; i++) {
      expect(await run(all)).toMatchObject(byBreakpoint);
      expect(rip()).toBe(CODE + 2 * i + 1);
      expect(await run(stops({ ...all, step: true }))).toMatchObject(byStep);
    }
  });

  test("breakpoints are linear addresses", async () => {
    start(NOP, NOP, HLT);
    const registers = cpu.readRegisters();
    registers.cs = { ...registers.cs, selector: 0x100, base: 0x1000n };
    cpu.writeRegisters({ ...registers, rip: 0n });
    expect(await run(at(CODE + 1))).toMatchObject(byBreakpoint);
    expect(rip()).toBe(1);
  });

  test("a step is one instruction, be it a jump", async () => {
    // jmp $+3; nop; cpuid
    start(0xeb, 0x01, NOP, 0x0f, 0xa2, HLT);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 3);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 5);
  });

  test("a device's access comes before the end of its step", async () => {
    // out 0x80, al
    start(0xe6, 0x80, HLT);
    expect(await run(STEP)).toMatchObject({ kind: "port-write", port: 0x80 });
    expect(await run()).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 2);
  });

  test("a read from a device is complete at the end of its step", async () => {
    // in al, 0x80
    start(0xe4, 0x80, HLT);
    const exit = await run(STEP);
    if (exit.kind !== "port-read") throw new Error(`a ${exit.kind} instead of a read`);
    exit.complete(0, 0x5a);
    expect(await run()).toMatchObject(byStep);
    expect(cpu.readRegisters().rax & 0xffn).toBe(0x5an);
  });

  test("so is an access outside of RAM", async () => {
    // mov al, [fs:0]
    start(0x64, 0xa0, 0, 0, HLT);
    const registers = cpu.readRegisters();
    registers.fs = { ...registers.fs, base: 0xf000_0000n };
    cpu.writeRegisters(registers);
    const exit = await run(STEP);
    if (exit.kind !== "mmio-read") throw new Error(`a ${exit.kind} instead of a read`);
    exit.data[0] = 0x5a;
    expect(await run()).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 4);
    expect(cpu.readRegisters().rax & 0xffn).toBe(0x5an);
  });

  test("a step over hlt sleeps, and the next one is in the handler", async () => {
    setVector(0x40, HANDLER);
    memory.write(gpa(HANDLER), Uint8Array.of(NOP, IRET));
    start(STI, NOP, HLT, NOP);
    for (let i = 0; i < 2; i++) expect(await run(STEP)).toMatchObject(byStep);
    expect(await run(STEP)).toMatchObject({ kind: "halt", interruptible: true });
    expect(await run()).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 3);
    expect(cpu.interruptible).toBe(true);
    cpu.interrupt(0x40);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(HANDLER + 1);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 3);
  });

  test("an instruction that faults is stepped into its handler", async () => {
    setVector(6, HANDLER);
    memory.writeU8(gpa(HANDLER), HLT);
    // ud2
    start(0x0f, 0x0b);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(HANDLER);
  });

  test("the guest's int3 and its debug registers are its own", async () => {
    setVector(3, HANDLER);
    setVector(1, HANDLER + 0x10);
    memory.write(gpa(HANDLER), Uint8Array.of(IRET));
    memory.write(gpa(HANDLER + 0x10), Uint8Array.of(HLT));
    // mov eax, CODE + 15; mov dr0, eax; mov al, 1; mov dr7, eax; int3; nop; nop (where DR0 points)
    const code = [0x66, 0xb8, 0x0f, 0x10, 0, 0, 0x0f, 0x23, 0xc0, 0xb0, 0x01, 0x0f, 0x23, 0xf8];
    start(...code, INT3, NOP, HLT);
    expect(await run(at(HANDLER))).toMatchObject(byBreakpoint);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(CODE + 15);
    // The debugger stops first, then the guest has its exception.
    expect(await run(at(CODE + 15))).toMatchObject(byBreakpoint);
    expect(await run(STEP)).toMatchObject(byStep);
    expect(rip()).toBe(HANDLER + 0x10);
    const { debugRegisters } = cpu.readState();
    expect(debugRegisters[0]).toBe(BigInt(CODE + 15));
    expect((debugRegisters[6] ?? 0n) & 0xfn).toBe(1n);
  });

  test("writing watched data stops behind the instruction", async () => {
    // mov ax, [DATA]; mov [DATA + 2], al; nop
    start(0xa1, 0x00, 0x20, 0xa2, 0x02, 0x20, NOP, HLT);
    const wanted = watching("write", DATA, 4);
    expect(await run(wanted)).toMatchObject(byWatchpoint);
    expect(rip()).toBe(CODE + 6);
    expect(await run()).toMatchObject({ kind: "halt" });
  });

  test("reading it, and both", async () => {
    const code = [0xa1, 0x00, 0x20, 0xa2, 0x02, 0x20, NOP, HLT];
    start(...code);
    expect(await run(watching("read", DATA, 4))).toMatchObject(byWatchpoint);
    expect(rip()).toBe(CODE + 3);
    expect(await run()).toMatchObject({ kind: "halt" });
    start(...code);
    const both = watching("access", DATA + 1, 2);
    expect(await run(both)).toMatchObject({ ...byWatchpoint, watchpoint: both.watchpoints[0] });
    expect(rip()).toBe(CODE + 3);
    expect(await run()).toMatchObject(byWatchpoint);
    expect(rip()).toBe(CODE + 6);
    expect(await run()).toMatchObject({ kind: "halt" });
  });

  test("a read-modify-write happens once", async () => {
    // add word [DATA], 1; lock xadd [DATA], ax
    start(0x83, 0x06, 0x00, 0x20, 0x01, 0xf0, 0x0f, 0xc1, 0x06, 0x00, 0x20, HLT);
    const wanted = watching("write", DATA, 2);
    expect(await run(wanted)).toMatchObject(byWatchpoint);
    expect(rip()).toBe(CODE + 5);
    expect(memory.readU16(gpa(DATA))).toBe(1);
    cpu.writeRegisters({ ...cpu.readRegisters(), rax: 5n });
    expect(await run()).toMatchObject(byWatchpoint);
    expect(memory.readU16(gpa(DATA))).toBe(6);
    expect(cpu.readRegisters().rax).toBe(1n);
    expect(await run()).toMatchObject({ kind: "halt" });
  });

  test("an element of a string that is watched stops there", async () => {
    // mov di, DATA; mov cx, 0x20; rep stosb; nop
    start(0xbf, 0x00, 0x20, 0xb9, 0x20, 0x00, 0xf3, 0xaa, NOP, HLT);
    expect(await run(watching("write", DATA + 8, 1))).toMatchObject(byWatchpoint);
    expect(rip()).toBe(CODE + 6);
    expect(cpu.readRegisters().rdi).toBe(BigInt(DATA + 9));
    expect(await run()).toMatchObject({ kind: "halt" });
    expect(cpu.readRegisters().rdi).toBe(BigInt(DATA + 0x20));
  });

  test("a step is one element of a string", async () => {
    // mov di, DATA; mov cx, 2; rep stosb
    start(0xbf, 0x00, 0x20, 0xb9, 0x02, 0x00, 0xf3, 0xaa, HLT);
    await run(at(CODE + 6));
    for (const [left, next] of [
      [1n, CODE + 6],
      [0n, CODE + 8],
    ]) {
      expect(await run(STEP)).toMatchObject(byStep);
      expect([cpu.readRegisters().rcx, rip()]).toEqual([left, next]);
    }
  });

  test("the frame of an interrupt that is pushed over it", async () => {
    setVector(0x40, HANDLER);
    memory.writeU8(gpa(HANDLER), HLT);
    start(STI, NOP, HLT);
    const wanted = watching("write", Number(STACK) - 6, 2);
    expect(await run(wanted)).toMatchObject({ kind: "halt" });
    cpu.interrupt(0x40);
    expect(await run()).toMatchObject(byWatchpoint);
    expect(rip()).toBe(HANDLER);
  });

  test("a loop that runs hot is stopped in its middle, and at the data that it writes", async () => {
    // again: inc eax; mov [DATA], eax; cmp eax, ebx; jne again; hlt
    const loop = [0xff, 0xc0, 0x89, 0x04, 0x25, 0x00, 0x20, 0, 0, 0x39, 0xd8, 0x75, 0xf3];
    startLong(...loop, HLT);
    const registers = cpu.readRegisters();
    cpu.writeRegisters({ ...registers, rax: 0n, rbx: 200_000n });
    expect(await run()).toMatchObject({ kind: "halt" });
    const again = (rax: bigint): void => {
      cpu.writeRegisters({ ...cpu.readRegisters(), rip: BigInt(CODE), rax, rbx: 400_000n });
    };
    again(200_000n);
    expect(await run(at(CODE + 9))).toMatchObject(byBreakpoint);
    expect(cpu.readRegisters().rax).toBe(200_001n);
    expect(await run(NO_STOPS)).toMatchObject({ kind: "halt" });
    again(300_000n);
    expect(await run(watching("write", DATA, 1))).toMatchObject(byWatchpoint);
    expect([rip(), memory.readU32(gpa(DATA))]).toEqual([CODE + 9, 300_001]);
    expect(await run()).toMatchObject(byWatchpoint);
    expect(memory.readU32(gpa(DATA))).toBe(300_002);
    // While a stop elsewhere is armed, the loop is as fast as ever.
    expect(await run(at(CODE + 13))).toMatchObject(byBreakpoint);
    expect(memory.readU32(gpa(DATA))).toBe(400_000);
  });

  test("stops stay over a reset, and go when they are taken away", async () => {
    start(NOP, NOP, HLT);
    cpu.stopAt(at(CODE + 1));
    cpu.reset();
    start(NOP, NOP, HLT);
    expect(await run()).toMatchObject(byBreakpoint);
    expect(await run(NO_STOPS)).toMatchObject({ kind: "halt" });
  });

  test("state written by the debugger is what the guest goes on with", async () => {
    start(NOP, NOP, HLT);
    await run(at(CODE + 1));
    const state = cpu.readState();
    const fx = state.fx.slice();
    fx[0xa0] = 0x77;
    const ymmUppers = state.ymmUppers.slice();
    ymmUppers[0xff] = judgeHas("avx") ? 0x88 : 0;
    cpu.writeState({ ...state, fx, ymmUppers, registers: { ...state.registers, rbx: 7n } });
    expect(await run(NO_STOPS)).toMatchObject({ kind: "halt" });
    const after = cpu.readState();
    expect(after.registers.rbx).toBe(7n);
    expect(after.fx[0xa0]).toBe(0x77);
    expect(after.ymmUppers).toEqual(ymmUppers);
  });
});
