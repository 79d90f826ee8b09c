/** The guest's descriptor tables (Intel SDM vol. 3A §3.4.5, §5.8.3, §6.11, §6.14.1). */
import type { Registers } from "../../core/cpu.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { hex } from "../../core/units.ts";
import { readLinear } from "../linear-memory.ts";

const CR0_PE = 1n << 0n;
const EFER_LMA = 1n << 10n;

const SYSTEM_TYPES: Readonly<Record<number, string>> = {
  ...{ 1: "TSS16", 2: "LDT", 3: "TSS16 busy", 4: "call gate 16", 5: "task gate" },
  ...{ 6: "interrupt gate 16", 7: "trap gate 16", 9: "TSS", 11: "TSS busy", 12: "call gate" },
  ...{ 14: "interrupt gate", 15: "trap gate" },
};
/** These have sixteen bytes in long mode. */
const WIDE_SYSTEM_TYPES: ReadonlySet<number> = new Set([2, 9, 11, 12]);

const longMode = ({ efer }: Registers): boolean => (efer & EFER_LMA) !== 0n;

/** Entries that are there, as views of their bytes; a table may be in part unmapped. */
function* entries(
  registers: Registers,
  memory: GuestMemory,
  table: "gdtr" | "idtr",
  size: number,
): Generator<readonly [offset: number, entry: DataView]> {
  const { base, limit } = registers[table];
  for (let offset = 0; offset + size - 1 <= limit; offset += size) {
    const bytes = readLinear(registers, memory, base + BigInt(offset), size);
    if (bytes.length === size) yield [offset, new DataView(bytes.buffer)];
  }
}

const heading = (name: string, { base, limit }: Registers["gdtr"]): string =>
  `${name} at ${hex(base)}, limit ${hex(limit)}`;

export function describeIdt(registers: Registers, memory: GuestMemory): string[] {
  const lines = [heading("IDT", registers.idtr)];
  const wide = longMode(registers);
  const real = (registers.cr0 & CR0_PE) === 0n;
  const size = real ? 4 : wide ? 16 : 8;
  for (const [offset, entry] of entries(registers, memory, "idtr", size)) {
    const vector = hex(offset / size, 2);
    if (real) {
      lines.push(
        `${vector}  ${hex(entry.getUint16(2, true), 4)}:${hex(entry.getUint16(0, true), 4)}`,
      );
      continue;
    }
    const type = entry.getUint8(5);
    if ((type & 0x80) === 0) continue;
    const low = entry.getUint16(0, true) | (entry.getUint16(6, true) << 16);
    const high = wide ? entry.getUint32(8, true) : 0;
    const target = (BigInt(high) << 32n) | BigInt(low >>> 0);
    const ist = wide && (entry.getUint8(4) & 7) !== 0 ? `, IST${entry.getUint8(4) & 7}` : "";
    lines.push(
      `${vector}  ${SYSTEM_TYPES[type & 15] ?? `type ${type & 15}`} to ` +
        `${hex(entry.getUint16(2, true))}:${hex(target)}, level ${(type >> 5) & 3}${ist}`,
    );
  }
  return lines;
}

export function describeGdt(registers: Registers, memory: GuestMemory): string[] {
  const lines = [heading("GDT", registers.gdtr)];
  let upperHalf = false;
  for (const [offset, entry] of entries(registers, memory, "gdtr", 8)) {
    if (upperHalf) {
      upperHalf = false;
      continue;
    }
    const access = entry.getUint8(5);
    if ((access & 0x80) === 0) continue;
    const system = (access & 0x10) === 0;
    upperHalf = system && longMode(registers) && WIDE_SYSTEM_TYPES.has(access & 15);
    lines.push(`${hex(offset, 4)}  ${describeSegment(entry, system)}`);
  }
  return lines;
}

function describeSegment(entry: DataView, system: boolean): string {
  const access = entry.getUint8(5);
  const flags = entry.getUint8(6);
  const base = entry.getUint16(2, true) | (entry.getUint8(4) << 16) | (entry.getUint8(7) << 24);
  const units = entry.getUint16(0, true) | ((flags & 15) << 16);
  const limit = (flags & 0x80) !== 0 ? units * 4096 + 4095 : units;
  const place = `base ${hex(base >>> 0)}, limit ${hex(limit)}, level ${(access >> 5) & 3}`;
  if (system) return `${SYSTEM_TYPES[access & 15] ?? `type ${access & 15}`}, ${place}`;
  const width = (flags & 0x20) !== 0 ? "64-bit" : (flags & 0x40) !== 0 ? "32-bit" : "16-bit";
  if ((access & 8) !== 0) return `code ${width}${(access & 2) !== 0 ? ", readable" : ""}, ${place}`;
  return `data ${width}${(access & 2) !== 0 ? ", writable" : ""}, ${place}`;
}
