/**
 * The ACPI tables of the small PC (ACPI 6.5 §5.2 and §5.3): what operating systems read to find
 * interrupt controllers, the power switch and the wires of PCI.
 */

import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import { alignUp, viewOf } from "../data-view.ts";
import { encodeUtf8 } from "../text.ts";
import {
  busRange,
  device,
  eisaId,
  integer,
  ioResource,
  irqResource,
  join,
  memoryRange,
  name,
  pack,
  portRange,
  resources,
  scope,
} from "./aml.ts";

/** What the tables are about: where the board has its parts. */
export interface AcpiDescription {
  /** Bytes of RAM. */
  readonly memorySize: number;
  readonly localApic: number;
  readonly ioApic: number;
  /** The pin of the I/O APIC that has the timer, which is ISA interrupt 0. */
  readonly timerPin: number;
  /** First port of the power management registers, in the order of the Intel 82371AB. */
  readonly powerManagement: number;
  readonly sciIrq: number;
  /** The line of all PCI interrupt pins. */
  readonly pciIrq: number;
  readonly sleepTypeS5: number;
  readonly resetPort: number;
}

/** Where the root pointer is; in the range that systems search, at its start. */
export const RSDP_ADDRESS = 0xe_0000;
const TABLES_END = 0xf_0000;

const HEADER_SIZE = 36;
const OEM_ID = "SOLO5 ";
const OEM_TABLE_ID = "SOLO5KVM";
const CREATOR_ID = "S5KV";

/** Puts all tables into memory, the pointer to them first. */
export function writeAcpiTables(memory: GuestMemory, description: AcpiDescription): void {
  memory.fill(gpa(RSDP_ADDRESS), TABLES_END - RSDP_ADDRESS);
  let next = RSDP_ADDRESS + 64;
  const place = (bytes: Uint8Array): number => {
    const address = alignUp(next, 64);
    memory.write(gpa(address), bytes);
    next = address + bytes.length;
    return address;
  };
  const facs = place(firmwareControl());
  const dsdt = place(table("DSDT", 1, Uint8Array.from(differentiatedDescription(description))));
  const fixed = place(table("FACP", 3, fixedDescription(description, facs, dsdt)));
  const madt = place(table("APIC", 3, interruptControllers(description)));
  const entries = [fixed, madt];
  const rsdt = place(table("RSDT", 1, pointers(entries, 4)));
  const xsdt = place(table("XSDT", 1, pointers(entries, 8)));
  memory.write(gpa(RSDP_ADDRESS), rootPointer(rsdt, xsdt));
}

function table(signature: string, revision: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + content.length);
  const view = viewOf(bytes);
  bytes.set(encodeUtf8(signature), 0);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  bytes.set(encodeUtf8(OEM_ID), 10);
  bytes.set(encodeUtf8(OEM_TABLE_ID), 16);
  view.setUint32(24, 1, true);
  bytes.set(encodeUtf8(CREATOR_ID), 28);
  view.setUint32(32, 1, true);
  bytes.set(content, HEADER_SIZE);
  bytes[9] = checksum(bytes);
  return bytes;
}

/** What makes the sum of all bytes zero, for the byte that is zero yet. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += bytes[i] as number;
  return -sum & 0xff;
}

/** §5.2.5.3: revision 2, with both a 32-bit and a 64-bit table of tables. */
function rootPointer(rsdt: number, xsdt: number): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = viewOf(bytes);
  bytes.set(encodeUtf8("RSD PTR "), 0);
  bytes.set(encodeUtf8(OEM_ID), 9);
  bytes[15] = 2;
  view.setUint32(16, rsdt, true);
  view.setUint32(20, bytes.length, true);
  view.setUint32(24, xsdt, true);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** §5.2.7 and §5.2.8. */
function pointers(addresses: readonly number[], size: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(size * addresses.length);
  const view = viewOf(bytes);
  for (const [i, address] of addresses.entries()) view.setUint32(size * i, address, true);
  return bytes;
}

/** §5.2.10: nobody sleeps here, but some systems want the table. */
function firmwareControl(): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(encodeUtf8("FACS"), 0);
  viewOf(bytes).setUint32(4, bytes.length, true);
  bytes[32] = 1;
  return bytes;
}

/** §5.2.9 table 5.10: WBINVD works, C1, no fixed buttons, no RTC wake, reset register. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 6) | (1 << 10);
/** Table 5.11: legacy devices, and an 8042. */
const BOOT_ARCHITECTURE = (1 << 0) | (1 << 1);
const RTC_CENTURY = 0x32;
/** More than that: there is no such state. */
const NO_C2 = 0xfff;
const NO_C3 = 0xfff;
const RESET_VALUE = 6;
const SYSTEM_IO = 1;

/** Revision 3; offsets are the specification's, from the table's start. */
function fixedDescription(board: AcpiDescription, facs: number, dsdt: number): Uint8Array {
  const whole = new Uint8Array(244);
  const view = viewOf(whole);
  const u16 = (offset: number, value: number): void => view.setUint16(offset, value, true);
  const u32 = (offset: number, value: number): void => view.setUint32(offset, value, true);
  /** §5.2.3.2: generic address structure. */
  const port = (offset: number, address: number, bytes: number): void => {
    whole.set([SYSTEM_IO, 8 * bytes, 0, bytes === 4 ? 3 : bytes], offset);
    u32(offset + 4, address);
  };
  const event = board.powerManagement;
  const control = event + 4;
  const timer = event + 8;
  u32(36, facs);
  u32(40, dsdt);
  u16(46, board.sciIrq);
  u32(56, event);
  u32(64, control);
  u32(76, timer);
  whole.set([4, 2, 0, 4], 88);
  u16(96, NO_C2);
  u16(98, NO_C3);
  whole[108] = RTC_CENTURY;
  u16(109, BOOT_ARCHITECTURE);
  u32(112, FADT_FLAGS);
  port(116, board.resetPort, 1);
  whole[128] = RESET_VALUE;
  u32(140, dsdt);
  port(148, event, 4);
  port(172, control, 2);
  port(208, timer, 4);
  return whole.subarray(HEADER_SIZE);
}

/** §5.2.12.5: active high, level-triggered. */
const HIGH_LEVEL = 0x000d;
const AS_THE_BUS = 0;
/** There are 8259s as well. */
const PCAT_COMPATIBLE = 1;
const ENABLED = 1;
const ALL_PROCESSORS = 0xff;
const LINT1 = 1;

/** §5.2.12: one processor, one I/O APIC, and what is not as on an ISA bus. */
function interruptControllers(board: AcpiDescription): Uint8Array {
  const u16 = (value: number): number[] => [value & 0xff, value >> 8];
  const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
  const override = (source: number, pin: number, flags: number): number[] => [
    ...[2, 10, 0, source],
    ...u32(pin),
    ...u16(flags),
  ];
  return Uint8Array.from([
    ...u32(board.localApic),
    ...u32(PCAT_COMPATIBLE),
    ...[0, 8, 0, 0, ...u32(ENABLED)],
    ...[1, 12, 0, 0, ...u32(board.ioApic), ...u32(0)],
    ...override(0, board.timerPin, AS_THE_BUS),
    ...override(board.sciIrq, board.sciIrq, HIGH_LEVEL),
    ...override(board.pciIrq, board.pciIrq, HIGH_LEVEL),
    ...[4, 6, ALL_PROCESSORS, ...u16(AS_THE_BUS), LINT1],
  ]);
}

const PCI_SLOTS = 32;
const PCI_PINS = 4;
const ALL_FUNCTIONS = 0xffff;
const IO_APIC_START = 0xfec0_0000;

/** The DSDT's code: soft off, the PCI bus with its wires, and what is behind its ISA bridge. */
function differentiatedDescription(board: AcpiDescription): readonly number[] {
  const { sleepTypeS5: s5, pciIrq } = board;
  const wires = Array.from({ length: PCI_SLOTS * PCI_PINS }, (_, i) => {
    const slot = ((i >> 2) * 0x1_0000 + ALL_FUNCTIONS) >>> 0;
    return pack(integer(slot), integer(i & 3), integer(0), integer(pciIrq));
  });
  const isa = (path: string, id: string, uid: number, ...items: (readonly number[])[]) =>
    device(
      path,
      name("_HID", eisaId(id)),
      name("_UID", integer(uid)),
      name("_CRS", resources(...items)),
    );
  return join(
    name("_S5_", pack(integer(s5), integer(s5), integer(0), integer(0))),
    scope(
      "\\_SB_",
      device(
        "PCI0",
        name("_HID", eisaId("PNP0A03")),
        name("_UID", integer(0)),
        name(
          "_CRS",
          resources(
            busRange(0, 0xff),
            ioResource(0xcf8, 8),
            portRange(0, 0xcf7),
            portRange(0xd00, 0xffff),
            memoryRange(0xa_0000, 0xb_ffff),
            memoryRange(Math.max(board.memorySize, 0x8000_0000), IO_APIC_START - 1),
          ),
        ),
        name("_PRT", pack(...wires)),
        device(
          "ISA_",
          name("_ADR", integer(0x1_0000)),
          isa("COM1", "PNP0501", 1, ioResource(0x3f8, 8), irqResource(4)),
          isa("KBD_", "PNP0303", 0, ioResource(0x60, 1), ioResource(0x64, 1), irqResource(1)),
          isa("RTC_", "PNP0B00", 0, ioResource(0x70, 2), irqResource(8)),
        ),
      ),
    ),
  );
}
