import { describe, expect, it } from "vitest";
import { createFallbackCpu } from "../../fallback/index.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { PortAccess } from "../../src/core/cpu.ts";
import { gpa, nanos } from "../../src/core/units.ts";
import { allocateMemory } from "../../src/machine/memory.ts";

const CODE = 0x1000;
const DEADLINE = nanos(1);
const LEAVING = 0x60;

/** A real-mode guest, and ports that remember what was written; each reads as one more. */
function start(threshold: number | undefined, ...code: number[]) {
  const { whole: memory, ram } = allocateMemory(2);
  const cpu = createFallbackCpu({
    ...{ memory, ramSize: ram.size, clock: new VirtualClock(), hostWaits: () => false },
    jit: threshold === undefined ? undefined : { threshold },
    timed: true,
  });
  ram.write(gpa(CODE), Uint8Array.from(code));
  const registers = cpu.readRegisters();
  cpu.writeRegisters({
    ...registers,
    cs: { ...registers.cs, selector: 0, base: 0n },
    ...{ rip: BigInt(CODE), rax: 0xffff_ffff_8765_4321n },
  });
  const written: string[] = [];
  let reads = 0xa0b0_c0d0;
  const access: PortAccess & { settled: boolean } = {
    settled: true,
    leaves: (port: number) => port === LEAVING,
    read: (port: number, size: number) => {
      written.push(`r${size}@${port}`);
      return ++reads;
    },
    write: (port: number, size: number, value: number) => {
      written.push(`w${size}@${port}=${value.toString(16)}`);
    },
  };
  cpu.connectPorts(access);
  return { cpu, ram, access, written };
}

describe("ports that are connected", () => {
  it("are accessed without leaving the guest, in all widths", () => {
    // out 0x70, al; out 0x70, ax; out 0x70, eax; in al, 0x71; mov bl, al; in ax, 0x71; in eax, 0x71; hlt
    const out = [0xe6, 0x70, 0xe7, 0x70, 0x66, 0xe7, 0x70];
    const into = [0xe4, 0x71, 0x88, 0xc3, 0xe5, 0x71, 0x66, 0xe5, 0x71];
    const { cpu, written } = start(undefined, ...out, ...into, 0xf4);
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "halt" });
    expect(written).toEqual([
      ...["w1@112=21", "w2@112=4321", "w4@112=87654321", "r1@113", "r2@113", "r4@113"],
    ]);
    const { rax, rbx } = cpu.readRegisters();
    expect([rax, rbx & 0xffn]).toEqual([0xa0b0_c0d3n, 0xd1n]);
  });

  it("bring the guest back behind the access unless it is settled", () => {
    const { cpu, access, written } = start(undefined, 0xe6, 0x70, 0xf4);
    access.settled = false;
    expect(cpu.run(DEADLINE)).toEqual({ kind: "accessed" });
    expect(cpu.readRegisters().rip).toBe(BigInt(CODE + 2));
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "halt" });
    expect(written).toEqual(["w1@112=21"]);
  });

  it("may ask that the guest be left", () => {
    const { cpu, written } = start(undefined, 0xe6, LEAVING, 0xe4, LEAVING, 0xf4);
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "port-write", port: LEAVING });
    const exit = cpu.run(DEADLINE);
    if (exit.kind !== "port-read") throw new Error(`${exit.kind} is no port-read`);
    exit.complete(0, 0x99);
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "halt" });
    expect(cpu.readRegisters().rax & 0xffn).toBe(0x99n);
    expect(written).toEqual([]);
  });

  it.each([
    ["half of which are RAM", 0x1ffe, ["2000: 4433"]],
    ["of which none is RAM", 0x2ffe, ["2ffe: 2211", "3000: 4433"]],
  ])("may be read to bytes %s, once", (_, to, asked) => {
    // mov dx, 0x60; mov di, to; insd; hlt
    const code = [0xba, LEAVING, 0, 0xbf, to & 0xff, to >> 8, 0x66, 0x6d, 0xf4];
    const { cpu, ram } = start(undefined, ...code);
    const denied = { start: 0x2000, end: 0x4000, read: true, write: false, execute: true };
    cpu.mmu.memory.protect([denied]);
    const read = cpu.run(DEADLINE);
    if (read.kind !== "port-read") throw new Error(`${read.kind} is no port-read`);
    read.complete(0, 0x4433_2211);
    const writes: string[] = [];
    let exit = cpu.run(DEADLINE);
    for (; exit.kind === "mmio-write"; exit = cpu.run(DEADLINE)) {
      const value = new DataView(exit.data.buffer).getUint16(0, true);
      writes.push(`${exit.address.toString(16)}: ${value.toString(16)}`);
    }
    expect([exit.kind, writes]).toEqual(["halt", asked]);
    expect(ram.readU16(gpa(0x1ffe))).toBe(to < 0x2000 ? 0x2211 : 0);
    expect(ram.readU32(gpa(0x2000))).toBe(0);
    expect(cpu.readRegisters().rdi & 0xffffn).toBe(BigInt(to + 4));
  });

  it("are accessed in the middle of a region", () => {
    // mov cx, 1000; again: out 0x70, al; in al, 0x71; dec cx; jnz again; hlt
    const body = [0xe6, 0x70, 0xe4, 0x71, 0x49, 0x75, 0xf9];
    const { cpu, access, written } = start(3, 0xb9, 0xe8, 0x03, ...body, 0xf4);
    expect(cpu.run(DEADLINE)).toMatchObject({ kind: "halt" });
    expect(written).toHaveLength(2000);
    expect(written.at(-2)).toBe("w1@112=b7");
    expect(new Map(cpu.notes).get("jit exits")).toMatch(/ instruction [0-3],/);
    expect(cpu.instructions).toBe(1 + 4 * 1000 + 1);
    expect(access.settled).toBe(true);
  });

  it("end a region where something else is to be done, with flags and count as they are", () => {
    // mov cx, 1000; again: cmp cx, 2000; out dx, al; adc bx, 0; dec cx; jnz again; hlt
    const body = [0x81, 0xf9, 0xd0, 0x07, 0xee, 0x83, 0xd3, 0, 0x49, 0x75, 0xf5];
    const { cpu, access, written } = start(3, 0xb9, 0xe8, 0x03, ...body, 0xf4);
    cpu.connectPorts({ ...access, leaves: () => false, settled: false });
    let exits = 0;
    while (cpu.run(DEADLINE).kind === "accessed") {
      exits++;
      // Below: CF and SF, and neither ZF nor OF.
      expect(cpu.readRegisters().rflags & 0x8c1n).toBe(0x81n);
    }
    expect(exits).toBe(1000);
    expect(written).toHaveLength(1000);
    expect(cpu.readRegisters().rbx & 0xffffn).toBe(1000n);
    expect(cpu.instructions).toBe(1 + 5 * 1000 + 1);
  });

  it.each([
    ["the interpreter", undefined],
    ["a region", 3],
  ])("may change registers under way, and where it goes on, in %s", (_, threshold) => {
    // mov cx, 1000; again: out 0x70, al; mov al, [es:5]; dec cx; jnz again; hlt; mov dl, bl; hlt
    const body = [0xe6, 0x70, 0x26, 0xa0, 5, 0, 0x49, 0x75, 0xf7, 0xf4];
    const code = [0xb9, 0xe8, 0x03, ...body, 0x88, 0xda, 0xf4];
    const { cpu, access } = start(threshold, ...code);
    const seen: number[] = [];
    cpu.connectPorts({
      ...access,
      write: (_port, _size, value) => {
        const { registerAccess: registers } = cpu;
        seen.push(value);
        registers.setGeneral("rbx", registers.general("rbx") + 1);
        // Where the code is.
        if (seen.length === 500) registers.loadParagraph("es", CODE / 16);
        if (seen.length === 600) registers.ip = registers.ip + body.length - 2;
      },
    });
    let exit = cpu.run(DEADLINE);
    while (exit.kind === "accessed") exit = cpu.run(DEADLINE);
    expect(exit.kind).toBe("halt");
    expect(cpu.readRegisters()).toMatchObject({
      ...{
        rbx: 600n,
        rcx: 401n,
        rdx: BigInt.asUintN(32, (cpu.readRegisters().rdx & ~0xffn) | 88n),
      },
      ...{ rip: BigInt(CODE + code.length), es: { selector: CODE / 16, base: BigInt(CODE) } },
    });
    expect(new Set(seen.slice(1, 500))).toEqual(new Set([0]));
    expect(new Set(seen.slice(500))).toEqual(new Set([code[5]]));
  });
});
