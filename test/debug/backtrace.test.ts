import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import type { Registers } from "../../src/core/cpu.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import { backtrace } from "../../src/debug/backtrace.ts";
import { GuestCode } from "../../src/debug/code.ts";
import { interruptFrameAt } from "../../src/debug/interrupt-frame.ts";
import { mappedRanges } from "../../src/debug/mapped-memory.ts";
import { SymbolTable } from "../../src/debug/symbols.ts";
import { SeededRandom } from "../support/random.ts";
import { registersAt } from "../support/scripted-cpu.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 10_000;

/** Flat 32-bit code without paging. */
function flat(rip: number, rsp: number): Registers {
  const segment = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };
  return { ...registersAt(rip), cr0: 1n, cs: segment, ss: segment, rsp: BigInt(rsp) };
}

const none = new SymbolTable([]);

describe("a backtrace", () => {
  it("ends, whatever is on the stack: random bytes", () => {
    const memory = new GuestMemory(new ArrayBuffer(MIB));
    const random = new SeededRandom(7);
    for (let at = 0; at < MIB; at += 4) memory.writeU32(gpa(at), random.below(2 ** 32));
    const start = performance.now();
    backtrace(new GuestCode(flat(0x1000, 0x8000), memory), none);
    expect(performance.now() - start).toBeLessThan(LIMIT_MS);
  });

  it("ends, whatever is on the stack: calls to long functions only", () => {
    const memory = new GuestMemory(new ArrayBuffer(MIB));
    // push eax everywhere, and calls into it.
    memory.fill(gpa(0), MIB / 2, 0x50);
    for (let at = 0x4_0000; at < 0x5_0000; at += 8) {
      memory.writeU8(gpa(at), 0xe8);
      memory.writeU32(gpa(at + 1), (0x1_0000 - (at % 0x1000) - (at + 5)) >>> 0);
    }
    for (let i = 0; i < 8192; i++) memory.writeU32(gpa(0x9_0000 + 4 * i), 0x4_0000 + 8 * i + 5);
    const start = performance.now();
    const frames = backtrace(new GuestCode(flat(0x3_0000, 0x9_0000), memory), none);
    expect(performance.now() - start).toBeLessThan(LIMIT_MS);
    expect(frames.length).toBeGreaterThan(1);
  });

  it("has one frame where there is nothing to go by", () => {
    const memory = new GuestMemory(new ArrayBuffer(MIB));
    const frames = backtrace(new GuestCode(flat(0xf000_0000, 0xf000_0000), memory), none);
    expect(frames).toEqual([{ address: 0xf000_0000n, found: "registers" }]);
  });
});

describe("mapped memory", () => {
  it("is a bounded list, also of tables that lead into themselves", () => {
    const memory = new GuestMemory(new ArrayBuffer(MIB));
    // Every entry of one table is that table: present and writable.
    for (let i = 0; i < 512; i++) memory.writeU64(gpa(0x1000 + 8 * i), 0x1003);
    const registers = { cr0: 0x8000_0001n, cr3: 0x1000n, cr4: 0x20n, efer: 0x500n };
    const start = performance.now();
    const ranges = mappedRanges(registers, memory);
    expect(performance.now() - start).toBeLessThan(2 * LIMIT_MS);
    expect(ranges.length).toBeLessThanOrEqual(1 << 16);
    expect(ranges[0]).toMatchObject({ linear: 0n, physical: 0x1000, length: 0x1000 });
  });

  it("joins neighbours, and leaves out what is not RAM", () => {
    const memory = new GuestMemory(new ArrayBuffer(4 * MIB));
    // 32-bit paging with 4 MiB pages: the first is RAM, the third is none.
    memory.writeU32(gpa(0x1000), 0x83);
    memory.writeU32(gpa(0x1008), 0xe000_0083);
    // Then a table: two pages that follow each other, one apart, one read-only.
    memory.writeU32(gpa(0x100c), 0x2003);
    for (const [i, entry] of [0x5003, 0x6003, 0x9003, 0xa001].entries()) {
      memory.writeU32(gpa(0x2000 + 4 * i), entry);
    }
    const registers = { cr0: 0x8000_0001n, cr3: 0x1000n, cr4: 0x10n, efer: 0n };
    const rights = { writable: true, executable: true };
    expect(mappedRanges(registers, memory)).toEqual([
      { linear: 0n, physical: 0, length: 4 * MIB, ...rights },
      { linear: 0xc0_0000n, physical: 0x5000, length: 0x2000, ...rights },
      { linear: 0xc0_2000n, physical: 0x9000, length: 0x1000, ...rights },
      { linear: 0xc0_3000n, physical: 0xa000, length: 0x1000, ...rights, writable: false },
    ]);
  });
});

describe("symbols", () => {
  it("are none in what is no ELF file, and in one that is cut off anywhere", () => {
    expect(none.size).toBe(0);
    expect(new SymbolTable([new MemorySource(new Uint8Array(3))]).size).toBe(0);
  });
});

describe("what an interrupt pushed", () => {
  /** 64-bit code whose handler runs with this stack segment. */
  function inHandler(ss: number): GuestCode {
    const memory = new GuestMemory(new ArrayBuffer(MIB));
    [0x1000, 8, 0x202, 0x9000, 0x10].forEach((word, i) => {
      memory.writeU64(gpa(0x8000 + 8 * i), word);
    });
    const { cs, ...others } = flat(0x2000, 0x7ff8);
    const registers = { ...others, efer: 0x500n, cs: { ...cs, attributes: 0xa09b } };
    return new GuestCode({ ...registers, ss: { ...cs, selector: ss } }, memory);
  }

  it.each([
    ["the segment that was interrupted", 0x10, true],
    ["none, as after a change of stack", 0, true],
    ["another segment", 0x18, false],
  ])("is told by its form, with %s", (_what, selector, found) => {
    const frame = found ? { at: 0x8000n, rip: 0x1000n, rsp: 0x9000n } : undefined;
    expect(interruptFrameAt(inHandler(selector), 0x8000n)).toEqual(frame);
  });
});
