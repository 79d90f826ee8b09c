/**
 * The tables of the Intel MultiProcessor Specification (version 1.4): what systems read that are
 * older than ACPI, or do not care for it, to find the local and the I/O APIC.
 */

import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa } from "../core/units.ts";
import { type AcpiDescription, checksum } from "./acpi/tables.ts";
import { viewOf } from "./data-view.ts";
import { encodeUtf8 } from "./text.ts";

/** Where the floating pointer is: at the start of the BIOS's read-only memory, which is searched. */
export const MP_POINTER_ADDRESS = 0xf_0000;
const POINTER_SIZE = 16;
const TABLE_ADDRESS = MP_POINTER_ADDRESS + POINTER_SIZE;

const SPECIFICATION_REVISION = 4;
const HEADER_SIZE = 44;
const OEM_ID = "SOLO5   ";
const PRODUCT_ID = "SOLO5KVM    ";

/** Entry types (table 4-3). */
const PROCESSOR = 0;
const BUS = 1;
const IO_APIC = 2;
const IO_INTERRUPT = 3;
const LOCAL_INTERRUPT = 4;

const ENABLED = 1 << 0;
const BOOTSTRAP_PROCESSOR = 1 << 1;
const LOCAL_APIC_VERSION = 0x14;
const IO_APIC_VERSION = 0x11;
/** A processor of the sixth family that has an FPU and a local APIC; CPUID says the rest. */
const SIGNATURE = 0x600;
const FEATURES = (1 << 0) | (1 << 9);

const PCI_BUS = 0;
const ISA_BUS = 1;
const PCI_SLOTS = 32;
const PCI_PINS = 4;
const ISA_LINES = 16;
/** The 8259s' own wire: no device has this line. */
const CASCADE = 2;

/** Interrupt types (table 4-11). */
const INT = 0;
const NMI = 1;
const EXTINT = 3;
/** Flags: as the bus has it, or active high and level-triggered. */
const AS_THE_BUS = 0;
const HIGH_LEVEL = 0b1101;
const ALL_LOCAL_APICS = 0xff;

/** Puts both structures into memory. */
export function writeMpTables(memory: GuestMemory, board: AcpiDescription): void {
  const table = configuration(board);
  memory.write(gpa(TABLE_ADDRESS), table);
  memory.write(gpa(MP_POINTER_ADDRESS), floatingPointer());
}

/** §4.1. Without an IMCR: the 8259s' output goes to the local APIC as it is. */
function floatingPointer(): Uint8Array {
  const bytes = new Uint8Array(POINTER_SIZE);
  bytes.set(encodeUtf8("_MP_"), 0);
  viewOf(bytes).setUint32(4, TABLE_ADDRESS, true);
  bytes[8] = POINTER_SIZE / 16;
  bytes[9] = SPECIFICATION_REVISION;
  bytes[10] = checksum(bytes);
  return bytes;
}

/** §4.2. */
function configuration(board: AcpiDescription): Uint8Array {
  const list = entries(board);
  const content = list.flat();
  const bytes = new Uint8Array(HEADER_SIZE + content.length);
  const view = viewOf(bytes);
  bytes.set(encodeUtf8("PCMP"), 0);
  view.setUint16(4, bytes.length, true);
  bytes[6] = SPECIFICATION_REVISION;
  bytes.set(encodeUtf8(OEM_ID), 8);
  bytes.set(encodeUtf8(PRODUCT_ID), 16);
  view.setUint16(34, list.length, true);
  view.setUint32(36, board.localApic, true);
  bytes.set(content, HEADER_SIZE);
  bytes[7] = checksum(bytes);
  return bytes;
}

/** §4.3: processor, buses, I/O APIC, and where interrupts come from and go to. */
function entries(board: AcpiDescription): number[][] {
  const bus = (id: number, type: string): number[] => [BUS, id, ...encodeUtf8(type)];
  const isa = Array.from({ length: ISA_LINES }, (_, line) => line)
    .filter((line) => line !== CASCADE)
    .map((line) => {
      const level = line === board.sciIrq || line === board.pciIrq;
      const pin = line === 0 ? board.timerPin : line;
      return [IO_INTERRUPT, INT, level ? HIGH_LEVEL : AS_THE_BUS, 0, ISA_BUS, line, 0, pin];
    });
  const pci = Array.from({ length: PCI_SLOTS * PCI_PINS }, (_, wire) => [
    ...[IO_INTERRUPT, INT, HIGH_LEVEL, 0, PCI_BUS, wire, 0, board.pciIrq],
  ]);
  return [
    [
      ...[PROCESSOR, 0, LOCAL_APIC_VERSION, ENABLED | BOOTSTRAP_PROCESSOR],
      ...u32(SIGNATURE),
      ...u32(FEATURES),
      ...u32(0),
      ...u32(0),
    ],
    bus(PCI_BUS, "PCI   "),
    bus(ISA_BUS, "ISA   "),
    [IO_APIC, 0, IO_APIC_VERSION, ENABLED, ...u32(board.ioApic)],
    ...isa,
    ...pci,
    [LOCAL_INTERRUPT, EXTINT, AS_THE_BUS, 0, ISA_BUS, 0, ALL_LOCAL_APICS, 0],
    [LOCAL_INTERRUPT, NMI, AS_THE_BUS, 0, ISA_BUS, 0, ALL_LOCAL_APICS, 1],
  ];
}

const u32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
