import { describe, expect, it } from "vitest";
import { MP_POINTER_ADDRESS, writeMpTables } from "../../src/boot/mp-tables.ts";
import { gpa } from "../../src/core/units.ts";
import { writtenTables } from "./written-tables.ts";

const { memory, bytes, text, sum } = writtenTables(writeMpTables);

/** Found as an operating system finds it. */
const table = memory.readU32(gpa(MP_POINTER_ADDRESS + 4));
const length = memory.readU16(gpa(table + 4));
const entries: number[][] = [];
for (let at = table + 44; at < table + length; ) {
  const size = memory.readU8(gpa(at)) === 0 ? 20 : 8;
  entries.push(bytes(at, size));
  at += size;
}
const ofType = (type: number): number[][] => entries.filter(([first]) => first === type);

describe("MP tables", () => {
  it("are where systems search, with the sums that they should have", () => {
    expect(text(MP_POINTER_ADDRESS, 4)).toBe("_MP_");
    expect(bytes(MP_POINTER_ADDRESS + 8, 2)).toEqual([1, 4]);
    expect(sum(MP_POINTER_ADDRESS, 16)).toBe(0);
    expect(text(table, 4)).toBe("PCMP");
    expect(sum(table, length)).toBe(0);
    expect(memory.readU16(gpa(table + 34))).toBe(entries.length);
  });

  it("tell of one processor, two buses and both kinds of APIC", () => {
    expect(memory.readU32(gpa(table + 36))).toBe(0xfee0_0000);
    expect(ofType(0).map((entry) => entry.slice(0, 4))).toEqual([[0, 0, 0x14, 3]]);
    expect(ofType(1).map((entry) => String.fromCharCode(...entry.slice(2)))).toEqual([
      ...["PCI   ", "ISA   "],
    ]);
    expect(ofType(2)).toEqual([[2, 0, 0x11, 1, 0, 0, 0xc0, 0xfe]]);
    expect(ofType(4).map((entry) => entry[1])).toEqual([3, 1]);
  });

  it("lead the timer to its pin, and PCI's wires to one", () => {
    const from = (bus: number) => ofType(3).filter((entry) => entry[4] === bus);
    expect(from(1).map(([, , flags, , , line, , pin]) => [line, flags, pin])).toEqual([
      [0, 0, 2],
      [1, 0, 1],
      ...[3, 4, 5, 6, 7, 8].map((line) => [line, 0, line]),
      [9, 13, 9],
      [10, 0, 10],
      [11, 13, 11],
      ...[12, 13, 14, 15].map((line) => [line, 0, line]),
    ]);
    expect(new Set(from(0).map(([, , flags, , , , , pin]) => `${flags} ${pin}`))).toEqual(
      new Set(["13 11"]),
    );
  });
});
