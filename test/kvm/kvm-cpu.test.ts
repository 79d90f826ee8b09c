import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { APIC_BASE_AT_RESET } from "../../src/core/apic-base.ts";
import type { VmExit } from "../../src/core/cpu.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MILLISECOND, nanos } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import { HostClock } from "../../src/host/clock.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { judgeHas } from "../conformance/judge-features.ts";
import { missing } from "../support/requirements.ts";

const CODE = 0x1000;
const VECTOR = 0x40;
const HANDLER = 0x2000;
const MEMORY_PAGES = 16;

describe.skipIf(missing("kvm"))("the Cpu over KVM", () => {
  const clock = new HostClock();
  let memory: GuestMemory;
  let cpu: KvmCpu;

  beforeEach(() => {
    const pages = { initial: MEMORY_PAGES, maximum: MEMORY_PAGES };
    memory = new GuestMemory(new WebAssembly.Memory(pages).buffer);
    const addon = loadAddon<KvmAddon>();
    cpu = new KvmCpu({ addon, memory, clock, device: "/dev/kvm", timed: false });
  });

  afterEach(() => cpu.close());

  /** Starts 16-bit real-mode code at CODE. */
  function start(...code: number[]): void {
    memory.write(gpa(CODE), Uint8Array.from(code));
    const registers = cpu.readRegisters();
    registers.cs = { ...registers.cs, selector: 0, base: 0n };
    registers.rip = BigInt(CODE);
    registers.rsp = 0x8000n;
    cpu.writeRegisters(registers);
  }

  const soon = () => nanos(clock.now() + 5_000 * MILLISECOND);

  /** Runs to the next exit that is not a kick: the event loop may have had work. */
  async function run(): Promise<VmExit> {
    for (;;) {
      await new Promise(setImmediate);
      const exit = cpu.run(soon());
      if (exit.kind !== "kicked") return exit;
    }
  }

  test("measures on over a reset", async () => {
    cpu.close();
    const addon = loadAddon<KvmAddon>();
    cpu = new KvmCpu({ addon, memory, clock, device: "/dev/kvm", timed: true });
    start(0xf4);
    await run();
    const { cpu: before } = cpu.times;
    expect(before).toBeGreaterThan(0);
    cpu.reset();
    expect(cpu.times.cpu).toBe(before);
    start(0xf4);
    await run();
    expect(cpu.times.cpu).toBeGreaterThan(before);
  });

  test("is not disturbed by a kick after its end", () => {
    cpu.close();
    expect(() => cpu.kick()).not.toThrow();
  });

  test("hands port accesses out and takes the data back", async () => {
    // mov al, 0x41; mov dx, 0x3f8; out dx, al; in ax, dx; hlt
    start(0xb0, 0x41, 0xba, 0xf8, 0x03, 0xee, 0xed, 0xf4);
    const write = await run();
    expect(write).toMatchObject({ kind: "port-write", port: 0x3f8, size: 1, count: 1 });
    expect(write.kind === "port-write" && write.value(0)).toBe(0x41);
    const read = await run();
    expect(read).toMatchObject({ kind: "port-read", port: 0x3f8, size: 2, count: 1 });
    if (read.kind === "port-read") read.complete(0, 0x1234);
    expect(await run()).toMatchObject({ kind: "halt", interruptible: false });
    expect(cpu.readRegisters().rax & 0xffffn).toBe(0x1234n);
  });

  test("completes a pending access before registers are read", async () => {
    start(0xed, 0xf4); // in ax, dx; hlt
    const read = await run();
    if (read.kind === "port-read") read.complete(0, 0xbeef);
    expect(cpu.readRegisters()).toMatchObject({ rip: BigInt(CODE + 1) });
    expect(cpu.readRegisters().rax & 0xffffn).toBe(0xbeefn);
  });

  test("hands out accesses to addresses without RAM", async () => {
    // mov ax, 0xffff; mov ds, ax; mov word [0x20], 0x1234; mov bx, [0x22]; hlt
    // RAM ends at 1 MiB here: real mode reaches beyond it with segment 0xffff.
    start(
      ...[0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xc7, 0x06, 0x20, 0x00, 0x34, 0x12],
      ...[0x8b, 0x1e, 0x22, 0x00, 0xf4],
    );
    const write = await run();
    expect(write).toMatchObject({ kind: "mmio-write", address: 0x100010, length: 2 });
    expect(write.kind === "mmio-write" && [...write.data.subarray(0, 2)]).toEqual([0x34, 0x12]);
    const read = await run();
    expect(read).toMatchObject({ kind: "mmio-read", address: 0x100012, length: 2 });
    if (read.kind === "mmio-read") read.data.set([0x78, 0x56]);
    expect((await run()).kind).toBe("halt");
    expect(cpu.readRegisters().rbx & 0xffffn).toBe(0x5678n);
  });

  test("makes all accesses of an instruction, whoever looks in between", async () => {
    // mov ax, 0xffff; mov ds, ax; or word [0x20], 0x1200; movsd from and to there; hlt
    start(
      ...[0xb8, 0xff, 0xff, 0x8e, 0xd8, 0x8e, 0xc0],
      ...[0x81, 0x0e, 0x20, 0x00, 0x00, 0x12],
      ...[0xbe, 0x30, 0x00, 0xbf, 0x40, 0x00, 0x66, 0xa5, 0xf4],
    );
    for (const [address, length, value] of [
      [0x100010, 2, 0x0034],
      [0x100020, 4, 0x8765_4321],
    ] as const) {
      const read = await run();
      expect(read).toMatchObject({ kind: "mmio-read", address, length });
      const data = read.kind === "mmio-read" ? read.data : new Uint8Array(8);
      for (let i = 0; i < length; i++) data[i] = value >>> (8 * i);
      expect(cpu.settle()).toBe(false);
      cpu.readRegisters();
      const write = await run();
      expect(write.kind).toBe("mmio-write");
      const written = write.kind === "mmio-write" ? [...write.data.subarray(0, 4)] : [];
      expect(written.slice(0, length)).toEqual(
        length === 2 ? [0x34, 0x12] : [0x21, 0x43, 0x65, 0x87],
      );
      expect(cpu.settle()).toBe(true);
    }
    expect((await run()).kind).toBe("halt");
  });

  test("leaves no fault behind of an instruction that it refuses", async () => {
    // No memory is there to fetch from.
    const registers = cpu.readRegisters();
    registers.cs = { ...registers.cs, selector: 0, base: 0xe000_0000n };
    registers.rip = 0n;
    cpu.writeRegisters(registers);
    expect((await run()).kind).toBe("cannot-continue");
    expect(cpu.refused).toBe(true);
    expect(cpu.readState().pending).toEqual({ exception: undefined, nmi: false });
  });

  test("takes any code segment's attributes in any mode", () => {
    const registers = cpu.readRegisters();
    const cs = { ...registers.cs, attributes: registers.cs.attributes | 0x2000 };
    expect(() => cpu.writeRegisters({ ...registers, cs })).not.toThrow();
  });

  test("takes an interrupt while it halts, and comes back from the handler", async () => {
    memory.writeU16(gpa(VECTOR * 4), HANDLER);
    memory.write(gpa(HANDLER), Uint8Array.of(0xe6, 0x80, 0xcf)); // out 0x80, al; iret
    start(0xfb, 0xf4, 0xfa, 0xf4); // sti; hlt; cli; hlt
    expect(await run()).toMatchObject({ kind: "halt", interruptible: true });
    expect(cpu.interruptible).toBe(true);
    cpu.interrupt(VECTOR);
    expect(await run()).toMatchObject({ kind: "port-write", port: 0x80 });
    expect(await run()).toMatchObject({ kind: "halt", interruptible: false });
    expect(cpu.interruptible).toBe(false);
  });

  test("says when an interrupt can be taken", async () => {
    start(0xfa, 0xe6, 0x80, 0xfb, 0x90, 0xeb, 0xfe); // cli; out 0x80, al; sti; nop; jmp .
    expect((await run()).kind).toBe("port-write");
    expect(cpu.interruptible).toBe(false);
    cpu.requestInterruptWindow(true);
    expect((await run()).kind).toBe("interrupt-window");
    expect(cpu.interruptible).toBe(true);
  });

  test("takes a non-maskable interrupt with interrupts disabled", async () => {
    memory.writeU16(gpa(2 * 4), HANDLER);
    memory.write(gpa(HANDLER), Uint8Array.of(0xe6, 0x80, 0xcf)); // out 0x80, al; iret
    start(0xfa, 0xf4, 0xf4); // cli; hlt; hlt
    expect(await run()).toMatchObject({ kind: "halt", interruptible: false });
    cpu.nmi();
    expect(await run()).toMatchObject({ kind: "port-write", port: 0x80 });
    expect(await run()).toMatchObject({ kind: "halt", interruptible: false });
    expect(cpu.readRegisters().rip).toBe(BigInt(CODE + 3));
  });

  test("tells of itself in CPUID, and of no processors but one", async () => {
    const out = [0xe6, 0x80];
    const leaf = (number: number): number[] => [
      ...[0x66, 0xb8, number & 0xff, (number >> 8) & 0xff, (number >> 16) & 0xff, number >>> 24],
      ...[0x66, 0x31, 0xc9, 0x0f, 0xa2, ...out], // xor ecx, ecx; cpuid
    ];
    start(...leaf(1), ...leaf(0x4000_0000), ...leaf(0xb), ...leaf(0x8000_0008));
    const answer = async () => {
      expect((await run()).kind).toBe("port-write");
      return cpu.readRegisters();
    };
    expect((await answer()).rcx & 0x8000_0000n).toBe(0x8000_0000n);
    const { rbx, rcx, rdx } = await answer();
    expect([rbx, rcx, rdx]).toEqual([0x4b4d_564bn, 0x564b_4d56n, 0x4dn]); // KVMKVMKVM
    expect((await answer()).rbx).toBe(0n);
    expect((await answer()).rcx & 0xf0ffn).toBe(0n);
  });

  test("offers the local APIC in CPUID, as long as IA32_APIC_BASE enables it", async () => {
    const cpuid = [0x66, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0xe6, 0x80]; // mov eax, 1; cpuid; out 0x80
    const apic = 0x200n;
    start(
      ...cpuid,
      ...[0x66, 0xb9, 0x1b, 0, 0, 0], // mov ecx, IA32_APIC_BASE
      ...[0x0f, 0x32, 0xe6, 0x80], // rdmsr; out 0x80
      ...[0x66, 0x25, 0xff, 0xf7, 0xff, 0xff], // and eax, ~0x800
      ...[0x0f, 0x30], // wrmsr
      ...cpuid,
    );
    expect(cpu.apicBase).toBe(APIC_BASE_AT_RESET);
    expect((await run()).kind).toBe("port-write");
    const first = cpu.readRegisters();
    expect(first.rdx & apic).toBe(apic);
    // The APIC's ID and the number of processors; x2APIC and TSC deadline.
    expect(first.rbx & 0xffff_0000n).toBe(0n);
    expect(first.rcx & 0x0120_0000n).toBe(0n);
    expect((await run()).kind).toBe("port-write");
    const { rax, rdx } = cpu.readRegisters();
    expect((rdx << 32n) | rax).toBe(BigInt(APIC_BASE_AT_RESET));
    expect((await run()).kind).toBe("port-write");
    expect(cpu.readRegisters().rdx & apic).toBe(0n);
    expect(cpu.apicBase).toBe(APIC_BASE_AT_RESET - 0x800);
    cpu.reset();
    expect(cpu.apicBase).toBe(APIC_BASE_AT_RESET);
  });

  test("shares CR8 with whoever has the task priority", async () => {
    start(0xe6, 0x80, 0xf4); // out 0x80, al; hlt
    cpu.cr8 = 5;
    expect(cpu.readRegisters().cr8).toBe(5n);
    expect((await run()).kind).toBe("port-write");
    expect([cpu.cr8, cpu.readRegisters().cr8]).toEqual([5, 5n]);
    cpu.writeRegisters({ ...cpu.readRegisters(), cr8: 3n });
    expect((await run()).kind).toBe("halt");
    expect(cpu.cr8).toBe(3);
    cpu.reset();
    expect(cpu.cr8).toBe(0);
  });

  test("comes back from a guest that computes, at the deadline and after a kick", async () => {
    start(0xeb, 0xfe); // jmp .
    await new Promise(setImmediate);
    const begin = clock.now();
    expect(cpu.run(nanos(begin + 20 * MILLISECOND)).kind).toBe("kicked");
    cpu.kick();
    expect(cpu.run(soon()).kind).toBe("kicked");
    expect(cpu.readRegisters().rip).toBe(BigInt(CODE));
  });

  test("comes back at a deadline though one has passed while registers were looked at", async () => {
    start(0xec, 0xeb, 0xfe); // in al, dx; jmp .
    await new Promise(setImmediate);
    // Ends the guest's turn in any case.
    const rescue = once(spawn("sleep", ["1"]), "exit");
    const first = nanos(clock.now() + 20 * MILLISECOND);
    while (cpu.run(first).kind === "kicked");
    while (clock.now() < first + 5 * MILLISECOND);
    cpu.readRegisters();
    const begin = clock.now();
    expect(cpu.run(nanos(begin + 20 * MILLISECOND)).kind).toBe("kicked");
    expect(clock.now() - begin).toBeLessThan(500 * MILLISECOND);
    await rescue;
  });

  test("is broken off when the event loop has work", async () => {
    start(0xeb, 0xfe); // jmp .
    await new Promise(setImmediate);
    const before = clock.now();
    // Completed by another thread while this one is in the guest.
    const file = stat(".");
    while (cpu.run(soon()).kind !== "kicked") expect.unreachable();
    expect(clock.now() - before).toBeLessThan(4_000 * MILLISECOND);
    await file;
  });

  test("reports a triple fault", async () => {
    start(0x0f, 0x0b); // ud2
    const registers = cpu.readRegisters();
    const flat = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };
    registers.cr0 |= 1n;
    registers.cs = flat;
    registers.ss = { ...flat, selector: 16, attributes: 0xc093 };
    registers.idtr = { base: 0n, limit: 0 };
    cpu.writeRegisters(registers);
    expect((await run()).kind).toBe("shutdown");
  });

  test("goes back to the power-on state", async () => {
    start(0xb0, 0x41, 0xf4);
    await run();
    cpu.reset();
    expect(cpu.readRegisters()).toMatchObject({ rip: 0xfff0n, rax: 0n });
    start(0xb0, 0x42, 0xf4);
    expect((await run()).kind).toBe("halt");
  });

  test("gives out all of its state, and takes it back changed", () => {
    const before = cpu.readState();
    const fx = before.fx.slice();
    fx.fill(0x5a, 0xa0, 0x1a0);
    new DataView(fx.buffer).setUint32(0x18, 0x3f80, true);
    // KVM has no AVX where the host has none.
    const ymmUppers = before.ymmUppers.slice().fill(judgeHas("avx") ? 0xa5 : 0);
    const changed = {
      ...before,
      registers: { ...before.registers, r15: 0x1234_5678_9abc_def0n },
      debugRegisters: before.debugRegisters.with(3, 0x1000n),
      msrs: { ...before.msrs, lstar: 0xffff_8000_0000_1000n, sysenterCs: 8n },
      shadow: { sti: true, movSs: false },
      nmiMasked: true,
      fx,
      ymmUppers,
    };
    cpu.writeState(changed);
    const componentsInUse = judgeHas("avx") ? 7n : 3n;
    expect({ ...cpu.readState(), tsc: 0n }).toEqual({ ...changed, tsc: 0n, componentsInUse });
    cpu.writeState({ ...changed, ymmUppers: before.ymmUppers });
    expect(cpu.readState().ymmUppers).toEqual(before.ymmUppers);
  });

  test("is interruptible by the state it was given, before it has run", () => {
    const { registers, ...state } = cpu.readState();
    const enabled = { ...registers, rflags: registers.rflags | 0x200n };
    cpu.writeState({ ...state, registers: enabled });
    expect(cpu.interruptible).toBe(true);
    cpu.writeState({ ...state, registers: enabled, shadow: { sti: true, movSs: false } });
    expect(cpu.interruptible).toBe(false);
    cpu.writeState({ ...state, registers });
    expect(cpu.interruptible).toBe(false);
  });
});
