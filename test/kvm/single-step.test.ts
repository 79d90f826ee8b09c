import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Registers, Segment } from "../../src/core/cpu.ts";
import { NO_STOPS } from "../../src/core/debug.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MILLISECOND, nanos } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import { HostClock } from "../../src/host/clock.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { missing } from "../support/requirements.ts";

const GDT = 0x2000;
const IDT = 0x3000;
const TSS = 0x4000;
const CODE = 0x6000;
const STACK = 0x9000;
const USER_STACK = 0xa000;
const IST1 = 0xb000;
/** Of vector 0: each has sixteen bytes. */
const HANDLERS = 0xd000;
const PML4 = 0x1_0000;
const PDPT = 0x1_1000;
const PAGE_DIRECTORY = 0x1_2000;

const RF = 1n << 16n;
const TF = 1n << 8n;
const BS = 1n << 14n;
const ONE = 2n;

const [DB, UD, GP, PF] = [1, 6, 13, 14];
const UD2 = [0x0f, 0x0b];
const RDMSR = [0x0f, 0x32];
const CPUID = [0x0f, 0xa2];
const NOP = 0x90;
/** mov al, [0x4000_0000] in 32-bit and 64-bit code: not mapped. */
const LOAD = [0x8a, 0x04, 0x25, 0, 0, 0, 0x40];

const handler = (vector: number): bigint => BigInt(HANDLERS + 16 * vector);
const segment = (selector: number, attributes: number): Segment => ({
  ...{ selector, attributes, base: 0n, limit: 0xffff_ffff },
});

describe.skipIf(missing("kvm"))("a single step of KVM's", () => {
  const clock = new HostClock();
  let memory: GuestMemory;
  let cpu: KvmCpu;

  beforeEach(() => {
    memory = new GuestMemory(new WebAssembly.Memory({ initial: 32, maximum: 32 }).buffer);
    const addon = loadAddon<KvmAddon>();
    cpu = new KvmCpu({ addon, memory, clock, device: "/dev/kvm", timed: false });
  });

  afterEach(() => cpu.close());

  const store = (address: number, value: bigint): void => {
    memory.write(gpa(address), new Uint8Array(BigUint64Array.of(value).buffer));
  };

  /** The machine at CODE, with a gate for every exception. */
  function start(code: readonly number[], changes: Partial<Registers>): void {
    // Code and data of levels 0 and 3, a code segment of 32 bits, and one of it with a base.
    const descriptors = [
      ...[0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x00cf_f300_0000_ffffn],
      ...[0x00af_fb00_0000_ffffn, 0x00cf_9b00_0000_ffffn, 0x00cf_9b00_1000_ffffn],
    ];
    for (const [n, descriptor] of descriptors.entries()) store(GDT + 8 * n, descriptor);
    memory.write(gpa(HANDLERS), new Uint8Array(0x100).fill(NOP));
    memory.write(gpa(CODE), Uint8Array.of(...code, NOP, NOP));
    const data = segment(16, 0xc093);
    cpu.writeRegisters({
      ...cpu.readRegisters(),
      ...{ cr0: 0x11n, ss: data, ds: data, es: data, fs: data, gs: data },
      gdtr: { base: BigInt(GDT), limit: 0x37 },
      tr: { ...segment(0x38, 0x8b), base: BigInt(TSS), limit: 0x67 },
      rflags: ONE,
      // Of no MSR.
      rcx: 0x1234_5678n,
      rip: BigInt(CODE),
      rsp: BigInt(STACK),
      ...changes,
    });
  }

  /** @param ist stack of exceptions, by its number */
  function start64(code: readonly number[], changes: Partial<Registers> = {}, ist = 0): void {
    store(PML4, BigInt(PDPT | 7));
    store(PDPT, BigInt(PAGE_DIRECTORY | 7));
    store(PAGE_DIRECTORY, 0x87n);
    store(TSS + 4, BigInt(STACK));
    store(TSS + 0x24, BigInt(IST1));
    for (let vector = 0; vector < 32; vector++) {
      store(IDT + 16 * vector, 0x8e00_0008_0000n | handler(vector) | (BigInt(ist) << 32n));
    }
    start(code, {
      ...{ cr0: 0x8000_0011n, cr3: BigInt(PML4), cr4: 0x20n, efer: 0x500n },
      cs: segment(8, 0xa09b),
      idtr: { base: BigInt(IDT), limit: 0x1ff },
      ...changes,
    });
  }

  const atLevel3 = {
    cs: segment(0x23, 0xa0fb),
    ss: segment(0x1b, 0xc0f3),
    rsp: BigInt(USER_STACK),
  };

  /** @param selector of the handlers */
  function start32(code: readonly number[], selector: number, base: number): void {
    for (let vector = 0; vector < 32; vector++) {
      const offset = handler(vector) - BigInt(base);
      store(IDT + 8 * vector, 0x8e00_0000_0000n | BigInt(selector << 16) | offset);
    }
    const idtr = { base: BigInt(IDT), limit: 0xff };
    start(code, { cs: segment(0x28, 0xc09b), idtr });
  }

  function startReal(code: readonly number[]): void {
    for (let vector = 0; vector < 32; vector++) {
      memory.writeU16(gpa(4 * vector), 16 * vector);
      memory.writeU16(gpa(4 * vector + 2), HANDLERS >> 4);
    }
    const flat = { ...segment(0, 0x93), limit: 0xffff };
    const idtr = { base: 0n, limit: 0x3ff };
    start(code, { cr0: 0x10n, idtr, cs: { ...flat, attributes: 0x9b }, ss: flat, ds: flat });
  }

  /** @returns linear address of the next instruction */
  async function step(): Promise<bigint> {
    cpu.stopAt({ ...NO_STOPS, step: true });
    for (;;) {
      await new Promise(setImmediate);
      const exit = cpu.run(nanos(clock.now() + 5_000 * MILLISECOND));
      if (exit.kind === "kicked") continue;
      expect(exit).toMatchObject({ kind: "debug", cause: "step" });
      cpu.stopAt(NO_STOPS);
      const { cs, rip } = cpu.readRegisters();
      return cs.base + rip;
    }
  }

  /** Words at the stack. */
  const pushed = (width: number, count: number): bigint[] => {
    const at = Number(cpu.readRegisters().rsp);
    return Array.from({ length: count }, (_, n) => {
      const bytes = memory.slice(gpa(at + width * n), width);
      return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    });
  };

  test.each([
    ["without an error code", UD2, UD, []],
    ["with an error code", RDMSR, GP, [0n]],
    ["of a page", LOAD, PF, [0n]],
  ])("ends in a fault's handler %s, which finds no TF", async (_, code, vector, errorCode) => {
    start64(code);
    expect(await step()).toBe(handler(vector));
    const frame = [BigInt(CODE), 8n, RF | ONE, BigInt(STACK), 16n];
    expect(pushed(8, 5 + errorCode.length)).toEqual([...errorCode, ...frame]);
  });

  test.each([0, 1])(
    "ends in the handler of a fault at level 3, on its stack (IST %i)",
    async (ist) => {
      start64(RDMSR, atLevel3, ist);
      expect(await step()).toBe(handler(GP));
      const frame = [0n, BigInt(CODE), 0x23n, RF | ONE, BigInt(USER_STACK), 0x1bn];
      expect(pushed(8, 6)).toEqual(frame);
      const top = ist === 0 ? STACK : IST1;
      expect(cpu.readRegisters().rsp).toBe(BigInt(top - 8 * frame.length));
    },
  );

  test.each([
    ["without", 0x28, 0],
    ["with", 0x30, 0x1000],
  ])("ends in a 32-bit handler, in a segment %s a base", async (_, selector, base) => {
    start32(RDMSR, selector, base);
    expect(await step()).toBe(handler(GP));
    expect(pushed(4, 4)).toEqual([0n, BigInt(CODE), 0x28n, RF | ONE]);
  });

  test("ends in a handler in real mode", async () => {
    startReal(UD2);
    expect(await step()).toBe(handler(UD));
    expect(pushed(2, 3)).toEqual([BigInt(CODE), 0n, ONE]);
  });

  test.each([
    ["0", {}],
    ["3", atLevel3],
  ])("ends behind the instruction at level %s, and the guest has no trap", async (_, level) => {
    start64([NOP], level);
    const { debugRegisters } = cpu.readState();
    expect(await step()).toBe(BigInt(CODE + 1));
    const { registers, ...state } = cpu.readState();
    expect(registers.rflags).toBe(ONE);
    expect(state.debugRegisters).toEqual(debugRegisters);
    expect(state.pending.exception).toBeUndefined();
    const { rsp, cs, ss } = { ...segmentsAt0, ...level };
    expect(registers).toMatchObject({ rsp, cs, ss });
  });
  const segmentsAt0 = { rsp: BigInt(STACK), cs: segment(8, 0xa09b), ss: segment(16, 0xc093) };

  test("gets past the first instruction of a handler", async () => {
    start64(UD2);
    await step();
    expect(await step()).toBe(handler(UD) + 1n);
  });

  test("leaves a guest that steps itself its trap", async () => {
    start64(CPUID, { rflags: TF | ONE });
    expect(await step()).toBe(BigInt(CODE + CPUID.length));
    const { registers, debugRegisters, pending } = cpu.readState();
    expect(pending.exception).toEqual({ vector: DB, errorCode: undefined });
    expect((debugRegisters[6] ?? 0n) & BS).toBe(BS);
    expect(registers.rflags & TF).toBe(TF);
  });

  test("leaves a guest that steps itself its TF when nothing came of it", () => {
    start64([NOP], { rflags: TF | ONE });
    cpu.stopAt({ ...NO_STOPS, step: true });
    cpu.stopAt(NO_STOPS);
    expect(cpu.readRegisters().rflags).toBe(TF | ONE);
  });

  test("leaves TF in the frame of a guest that steps itself", async () => {
    start64(UD2, { rflags: TF | ONE });
    expect(await step()).toBe(handler(UD));
    expect(pushed(8, 3)).toEqual([BigInt(CODE), 8n, RF | TF | ONE]);
  });
});
