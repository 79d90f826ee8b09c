import type { AcpiDescription } from "../../src/boot/acpi/tables.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";

/** Memory with the tables of a board in it, and ways to read them. */
export function writtenTables(write: (memory: GuestMemory, board: AcpiDescription) => void) {
  const memory = new GuestMemory(new ArrayBuffer(2 * MIB));
  write(memory, {
    memorySize: memory.size,
    localApic: 0xfee0_0000,
    ioApic: 0xfec0_0000,
    timerPin: 2,
    powerManagement: 0x600,
    sciIrq: 9,
    pciIrq: 11,
    sleepTypeS5: 5,
    resetPort: 0xcf9,
  });
  const bytes = (address: number, length: number): number[] => [
    ...memory.slice(gpa(address), length),
  ];
  const text = (address: number, length: number): string =>
    String.fromCharCode(...bytes(address, length));
  const sum = (address: number, length: number): number =>
    bytes(address, length).reduce((total, byte) => (total + byte) & 0xff, 0);
  return { memory, bytes, text, sum };
}
