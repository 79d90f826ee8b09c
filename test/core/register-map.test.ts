import { beforeEach, describe, expect, it } from "vitest";
import { RegisterMap, type RegisterSpec } from "../../src/core/register-map.ts";
import { readWriteEverything } from "../support/bus-fuzz.ts";

const LAYOUT = [
  { name: "BYTE", offset: 0, size: 1 },
  { name: "WORD", offset: 2, size: 2 },
  { name: "LONG", offset: 4, size: 4 },
  { name: "STATUS", offset: 8, size: 2 },
] as const satisfies readonly RegisterSpec[];

describe("register map", () => {
  const values = { BYTE: 0, WORD: 0, LONG: 0, STATUS: 0 };
  let writes: string[];
  let map: RegisterMap<typeof LAYOUT>;

  const create = () =>
    new RegisterMap(
      LAYOUT,
      {
        BYTE: { read: () => values.BYTE },
        WORD: {
          read: () => values.WORD,
          write: (value) => {
            values.WORD = value;
            writes.push(`WORD=${value.toString(16)}`);
          },
        },
        LONG: {
          read: () => values.LONG,
          write: (value) => {
            values.LONG = value;
            writes.push(`LONG=${value.toString(16)}`);
          },
        },
        STATUS: {
          read: () => values.STATUS,
          write: (value) => {
            values.STATUS &= ~value;
          },
          unwritten: 0,
        },
      },
      12,
    );

  beforeEach(() => {
    writes = [];
    Object.assign(values, { BYTE: 0x11, WORD: 0x3322, LONG: 0xf7665544, STATUS: 0xffff });
    map = create();
  });

  it("reads whole registers, parts of them, and several at once", () => {
    expect(map.read(4, 4)).toBe(0xf7665544);
    expect(map.read(6, 2)).toBe(0xf766);
    expect(map.read(7, 1)).toBe(0xf7);
    expect(map.read(3, 2)).toBe(0x4433);
    expect(map.read(2, 4)).toBe(0x55443322);
  });

  it("reads holes as zero", () => {
    expect(map.read(0, 4)).toBe(0x33220011);
    expect(map.read(10, 2)).toBe(0);
  });

  it("merges a partial write into the register", () => {
    map.write(5, 1, 0xaa);
    expect(writes).toEqual(["LONG=f766aa44"]);
    map.write(6, 2, 0x8001);
    expect(values.LONG).toBe(0x8001aa44);
  });

  it("hands a write over several registers to each of them, once", () => {
    map.write(2, 4, 0xddccbbaa);
    expect(writes).toEqual(["WORD=bbaa", "LONG=f766ddcc"]);
  });

  it("swallows writes to read-only registers and to holes", () => {
    map.write(0, 2, 0xffff);
    map.write(10, 2, 0xffff);
    expect([values.BYTE, writes]).toEqual([0x11, []]);
  });

  it("does not clear the bits that a partial write leaves out, where a one clears", () => {
    map.write(9, 1, 0x80);
    expect(values.STATUS).toBe(0x7fff);
  });

  it("refuses layouts that overlap or do not fit", () => {
    const register = { read: () => 0 };
    const overlapping = [
      { name: "A", offset: 0, size: 2 },
      { name: "B", offset: 1, size: 1 },
    ] as const;
    expect(() => new RegisterMap(overlapping, { A: register, B: register }, 4)).toThrow("overlaps");
    expect(() => new RegisterMap(overlapping, { A: register, B: register }, 1)).toThrow("fits");
  });

  it("lives through any access", () => {
    readWriteEverything(() => ({ ranges: [[create(), 12]] }));
  });
});
