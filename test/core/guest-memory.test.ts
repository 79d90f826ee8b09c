import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GuestError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";

const SIZE = 64;
const create = (): GuestMemory => new GuestMemory(new ArrayBuffer(128), SIZE);

describe("guest memory", () => {
  it("is little-endian", () => {
    const memory = create();
    memory.writeU32(gpa(0), 0x12345678);
    expect([...memory.slice(gpa(0), 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
    expect(memory.readU16(gpa(1))).toBe(0x3456);
    memory.writeU64(gpa(8), 0x1f_0000_0001);
    expect(memory.readU32(gpa(12))).toBe(0x1f);
    expect(memory.readU64(gpa(8))).toBe(0x1f_0000_0001);
  });

  it("hands out the bytes themselves, not copies", () => {
    const memory = create();
    memory.slice(gpa(10), 2).set([1, 2]);
    expect(memory.readU16(gpa(10))).toBe(0x0201);
  });

  it("ends where RAM ends, not where the buffer does", () => {
    const memory = create();
    memory.writeU8(gpa(SIZE - 1), 1);
    expect(() => memory.writeU8(gpa(SIZE), 1)).toThrow(GuestError);
    expect(() => memory.readU32(gpa(SIZE - 3))).toThrow(GuestError);
    expect(() => memory.readU64(gpa(SIZE - 7))).toThrow(GuestError);
    expect(() => memory.write(gpa(SIZE - 1), new Uint8Array(2))).toThrow(GuestError);
    expect(() => memory.fill(gpa(SIZE - 1), 2)).toThrow(GuestError);
    expect(memory.slice(gpa(SIZE), 0)).toHaveLength(0);
  });

  it("refuses every range that leaves RAM, and no other", () => {
    const anywhere = fc.oneof(fc.integer({ min: -70, max: 140 }), fc.maxSafeInteger());
    fc.assert(
      fc.property(anywhere, anywhere, (address, length) => {
        const memory = create();
        const inside = address >= 0 && length >= 0 && address <= SIZE && length <= SIZE - address;
        expect(memory.contains(address, length)).toBe(inside);
        if (inside) expect(memory.slice(gpa(address), length)).toHaveLength(length);
        else expect(() => memory.slice(gpa(address), length)).toThrow(GuestError);
      }),
    );
  });

  it("says in one line which address was wrong", () => {
    expect(() => create().readU16(gpa(0x3f))).toThrow(/^guest address 0x3f .* \(0x40 bytes\)$/);
  });
});
