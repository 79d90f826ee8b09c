import { expect, it } from "vitest";
import { Dma8237 } from "../../../src/devices/dma/dma8237.ts";
import { pageRegisters } from "../../../src/devices/dma/page-registers.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

it.each([1, 2] as const)(
  "keeps addresses and counts, a byte at a time (%i ports a register)",
  (spacing) => {
    const dma = new Dma8237(spacing);
    const read = (register: number) => dma.read(register * spacing, 1);
    const write = (register: number, value: number) => dma.write(register * spacing, 1, value);
    write(12, 0);
    write(2, 0x34);
    write(2, 0x12);
    write(3, 0x78);
    write(3, 0x56);
    expect([read(2), read(2), read(3), read(3)]).toEqual([0x34, 0x12, 0x78, 0x56]);
    // The flip-flop says which half is next; clearing it starts over.
    read(2);
    write(12, 0);
    expect(read(2)).toBe(0x34);
  },
);

it("masks channels one by one and together", () => {
  const dma = new Dma8237(1);
  const mask = () => dma.read(15, 1) & 0xf;
  expect(mask()).toBe(0xf);
  dma.write(10, 1, 2);
  expect(mask()).toBe(0xb);
  dma.write(14, 1, 0);
  expect(mask()).toBe(0);
  dma.write(10, 1, 5);
  expect(mask()).toBe(2);
  dma.write(15, 1, 9);
  expect(mask()).toBe(9);
  dma.write(13, 1, 0);
  expect(mask()).toBe(0xf);
  expect(dma.read(8, 1)).toBe(0);
});

it("lets a device move bytes as far as it counts, and begins again where it is to", () => {
  const dma = new Dma8237(1);
  const program = (mode: number): void => {
    dma.write(11, 1, mode);
    for (const part of [0xf0, 0xff]) dma.write(4, 1, part);
    for (const part of [0x1f, 0]) dma.write(5, 1, part);
    dma.write(10, 1, 2);
  };
  program(0x46);
  expect(dma.run(2, "read", 8)).toBeUndefined();
  expect(dma.run(2, "write", 8)).toEqual({ address: 0xfff0, length: 8, ended: false });
  // Addresses have 16 bits.
  expect(dma.run(2, "write", 64)).toEqual({ address: 0xfff8, length: 8, ended: false });
  expect(dma.run(2, "write", 64)).toEqual({ address: 0, length: 16, ended: true });
  expect([dma.read(8, 1), dma.read(8, 1), dma.read(15, 1) & 4]).toEqual([4, 0, 4]);
  expect(dma.run(2, "write", 1)).toBeUndefined();
  program(0x5a);
  for (let round = 0; round < 2; round++) {
    expect(dma.run(2, "read", 64)).toEqual({ address: 0xfff0, length: 16, ended: false });
    expect(dma.run(2, "read", 64)).toEqual({ address: 0, length: 16, ended: true });
  }
});

it("has page registers that read back", () => {
  const pages = pageRegisters();
  for (let port = 0; port < 16; port++) pages.write(port, 1, 0x40 + port);
  expect(pages.read(0, 4)).toBe(0x43424140);
  expect(pages.read(15, 1)).toBe(0x4f);
  pages.reset();
  expect(pages.read(0, 1)).toBe(0);
});

it("survives any order of accesses", () => {
  readWriteEverything(() => {
    const dma = new Dma8237(2);
    return { ranges: [[dma, dma.length]] };
  });
});
