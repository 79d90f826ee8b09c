/** The boot loader's side of Multiboot2 2.0: the boot information (§3.4 to §3.6). */

import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, KIB } from "../core/units.ts";
import { RSDP_ADDRESS } from "./acpi/tables.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { describeScreen, type Screen } from "./framebuffer.ts";
import { CONVENTIONAL_END, EXTENDED_START } from "./memory-map.ts";
import { BOOT_LOADER_NAME, type InformationContent } from "./multiboot-info.ts";
import { encodeUtf8 } from "./text.ts";

/** Types of tags (§3.6). */
const TAG = {
  END: 0,
  COMMAND_LINE: 1,
  BOOT_LOADER_NAME: 2,
  MODULE: 3,
  BASIC_MEMORY: 4,
  MEMORY_MAP: 6,
  FRAMEBUFFER: 8,
  ELF_SECTIONS: 9,
  ACPI_OLD: 14,
  ACPI_NEW: 15,
  LOAD_BASE: 21,
} as const;

const HEADER_SIZE = 8;
const TAG_ALIGN = 8;
const MAP_ENTRY_SIZE = 24;
/** Behind the fields of the screen's tag. */
const SCREEN_COLOURS = 24;

/** The root pointer of ACPI 1.0, and of 2.0 on. */
const RSDP_OLD_SIZE = 20;
const RSDP_NEW_SIZE = 36;

export interface Information2Content extends Omit<InformationContent, "symbols"> {
  /** Section headers of the kernel, with the addresses where the sections are. */
  readonly symbols:
    | {
        readonly table: Uint8Array;
        readonly count: number;
        readonly entrySize: number;
        readonly namesIndex: number;
      }
    | undefined;
  /** Physical address of the kernel's first byte, if it could have been another. */
  readonly loadBase: number | undefined;
}

/** The structure, which holds everything and points at nothing of its own. */
export function buildInformation2(content: Information2Content): Uint8Array {
  const tags = [
    text(TAG.COMMAND_LINE, [], content.commandLine),
    text(TAG.BOOT_LOADER_NAME, [], BOOT_LOADER_NAME),
    ...content.modules.map(({ start, end, commandLine }) =>
      text(TAG.MODULE, [start, end], commandLine),
    ),
    words(TAG.BASIC_MEMORY, [
      Math.floor(CONVENTIONAL_END / KIB),
      Math.max(0, Math.floor((content.memorySize - EXTENDED_START) / KIB)),
    ]),
    memoryMapTag(content),
    screenTag(content.screen ?? "text"),
    ...(content.symbols === undefined ? [] : [sections(content.symbols)]),
    // Left empty for {@link copyRootPointer}.
    tag(TAG.ACPI_OLD, new Uint8Array(RSDP_OLD_SIZE)),
    tag(TAG.ACPI_NEW, new Uint8Array(RSDP_NEW_SIZE)),
    ...(content.loadBase === undefined ? [] : [words(TAG.LOAD_BASE, [content.loadBase])]),
    tag(TAG.END, new Uint8Array(0)),
  ];
  let size = HEADER_SIZE;
  const offsets = tags.map((one) => {
    const offset = size;
    size += alignUp(one.length, TAG_ALIGN);
    return offset;
  });
  const bytes = new Uint8Array(size);
  viewOf(bytes).setUint32(0, size, true);
  for (const [i, one] of tags.entries()) bytes.set(one, offsets[i]);
  return bytes;
}

/**
 * Puts ACPI's root pointer into the information, of which the specification wants copies.
 * @param address of the information; the tables are in memory by now
 */
export function copyRootPointer(memory: GuestMemory, address: number): void {
  const size = memory.readU32(gpa(address));
  for (let at = address + HEADER_SIZE; at < address + size; ) {
    const type = memory.readU32(gpa(at));
    const length = memory.readU32(gpa(at + 4));
    if (type === TAG.ACPI_OLD || type === TAG.ACPI_NEW) {
      const copied = memory.slice(gpa(RSDP_ADDRESS), length - HEADER_SIZE);
      memory.write(gpa(at + HEADER_SIZE), copied);
    }
    at += alignUp(length, TAG_ALIGN);
  }
}

function tag(type: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + content.length);
  const view = viewOf(bytes);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  bytes.set(content, HEADER_SIZE);
  return bytes;
}

function words(type: number, values: readonly number[], rest?: Uint8Array): Uint8Array {
  const content = new Uint8Array(4 * values.length + (rest?.length ?? 0));
  const view = viewOf(content);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  if (rest !== undefined) content.set(rest, 4 * values.length);
  return tag(type, content);
}

const text = (type: number, values: readonly number[], value: string): Uint8Array =>
  words(type, values, encodeUtf8(`${value}\0`));

function memoryMapTag({ memoryMap }: Information2Content): Uint8Array {
  const entries = new Uint8Array(memoryMap.length * MAP_ENTRY_SIZE);
  const view = viewOf(entries);
  for (const [i, { address, length, type }] of memoryMap.entries()) {
    const at = i * MAP_ENTRY_SIZE;
    view.setBigUint64(at, BigInt(address), true);
    view.setBigUint64(at + 8, BigInt(length), true);
    view.setUint32(at + 16, type, true);
  }
  return words(TAG.MEMORY_MAP, [MAP_ENTRY_SIZE, 0], entries);
}

function screenTag(screen: Screen): Uint8Array {
  const { fields, colours } = describeScreen(screen);
  const content = new Uint8Array(SCREEN_COLOURS + colours.length);
  content.set(fields);
  content.set(colours, SCREEN_COLOURS);
  return tag(TAG.FRAMEBUFFER, content);
}

const sections = ({
  table,
  count,
  entrySize,
  namesIndex,
}: NonNullable<Information2Content["symbols"]>): Uint8Array =>
  words(TAG.ELF_SECTIONS, [count, entrySize, namesIndex], table);
