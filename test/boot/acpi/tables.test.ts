import { describe, expect, it } from "vitest";
import { RSDP_ADDRESS, writeAcpiTables } from "../../../src/boot/acpi/tables.ts";
import { gpa } from "../../../src/core/units.ts";
import { writtenTables } from "../written-tables.ts";

const { memory, bytes, text, sum } = writtenTables(writeAcpiTables);

const u32 = (address: number): number => memory.readU32(gpa(address));

/** Tables by signature, found as an operating system finds them. */
const tables = new Map<string, { address: number; length: number }>();
const note = (address: number): void => {
  tables.set(text(address, 4), { address, length: u32(address + 4) });
};
const rsdt = u32(RSDP_ADDRESS + 16);
note(rsdt);
note(u32(RSDP_ADDRESS + 24));
for (let at = rsdt + 36; at < rsdt + u32(rsdt + 4); at += 4) note(u32(at));
const table = (signature: string): { address: number; length: number } => {
  const found = tables.get(signature);
  if (found === undefined) throw new Error(`no ${signature}`);
  return found;
};
note(u32(table("FACP").address + 40));

describe("ACPI tables", () => {
  it("are found by their pointer on a boundary of 16 bytes", () => {
    expect(text(RSDP_ADDRESS, 8)).toBe("RSD PTR ");
    expect(RSDP_ADDRESS % 16).toBe(0);
    expect([sum(RSDP_ADDRESS, 20), sum(RSDP_ADDRESS, 36)]).toEqual([0, 0]);
  });

  it("have the sums that they should have", () => {
    expect([...tables.keys()].sort()).toEqual(["APIC", "DSDT", "FACP", "RSDT", "XSDT"]);
    for (const { address, length } of tables.values()) expect(sum(address, length)).toBe(0);
  });

  it("list the same tables with 32 and with 64 bits", () => {
    const xsdt = table("XSDT").address;
    expect(memory.readU64(gpa(xsdt + 36))).toBe(u32(rsdt + 36));
    expect(memory.readU64(gpa(xsdt + 44))).toBe(u32(rsdt + 40));
  });

  it("say where the power management registers are, and how to reset", () => {
    const { address } = table("FACP");
    expect([u32(address + 56), u32(address + 64), u32(address + 76)]).toEqual([
      ...[0x600, 0x604, 0x608],
    ]);
    expect(memory.readU16(gpa(address + 46))).toBe(9);
    expect(bytes(address + 116, 8)).toEqual([1, 8, 0, 1, 0xf9, 0x0c, 0, 0]);
    expect(u32(address + 112) & (1 << 10)).not.toBe(0);
    expect(text(u32(address + 36), 4)).toBe("FACS");
  });

  it("have the sleep types of S5 where Solo5 and others look for them", () => {
    const { address, length } = table("DSDT");
    const code = bytes(address, length);
    const at = text(address, length).indexOf("_S5_");
    // PackageOp, PkgLength, NumElements, and the first two elements.
    expect(code.slice(at + 4, at + 11)).toEqual([0x12, 0x08, 0x04, 0x0a, 5, 0x0a, 5]);
    expect(code[at - 1]).toBe(0x08);
  });

  it("list one processor, one I/O APIC, and three lines that are not as on an ISA bus", () => {
    const { address, length } = table("APIC");
    const entries: number[][] = [];
    for (let at = address + 44; at < address + length; ) {
      const size = memory.readU8(gpa(at + 1));
      entries.push(bytes(at, size));
      at += size;
    }
    expect(entries.map(([type]) => type)).toEqual([0, 1, 2, 2, 2, 4]);
    expect(entries[2]).toEqual([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    expect(entries[4]).toEqual([2, 10, 0, 11, 11, 0, 0, 0, 0x0d, 0]);
  });
});
