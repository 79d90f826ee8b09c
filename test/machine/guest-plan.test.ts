import { expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import { planGuest } from "../../src/machine/guest-plan.ts";
import { buildElf, multibootHeader } from "../support/elf-builder.ts";
import { hvtImage } from "../support/solo5-builder.ts";

const plan = () => {
  const segment = { physicalAddress: 0x10_0000, data: multibootHeader(0), alignment: 0x1000 };
  const elf = buildElf({ class: 32, entry: 0x10_0000, segments: [segment] });
  const source = new MemorySource(elf);
  return planGuest({ source, memoryMib: 2, bootMode: "auto", commandLine: [] });
};

it("a kernel that is nobody's of Solo5 may know disks by the AT's interface only", () => {
  expect(plan().media).toEqual({ isKernel: true });
});

it("a unikernel of a tender has no display", () => {
  const request = { memoryMib: 16, bootMode: "auto", commandLine: [], display: true } as const;
  const source = new MemorySource(hvtImage());
  expect(() => planGuest({ ...request, source })).toThrow("has no display");
});

it("a PC has nothing where its adapters' ROMs would be", () => {
  const memory = new GuestMemory(new ArrayBuffer(2 << 20));
  plan().load(memory);
  expect(memory.protections).toEqual([
    { start: 0xc_0000, end: 0xe_0000, read: true, write: false, execute: true },
  ]);
  const [video, adapters] = [
    memory.slice(gpa(0xc_0000), 0x8000),
    memory.slice(gpa(0xc_8000), 0x1_8000),
  ];
  expect(video.slice(0, 3)).toEqual(Uint8Array.of(0x55, 0xaa, 64));
  expect(video.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  expect(adapters.every((byte) => byte === 0xff)).toBe(true);
});
