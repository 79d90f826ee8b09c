/**
 * The x86/HVM direct boot ABI ("PVH": Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h):
 * a note in the ELF file gives the physical address of a 32-bit entry.
 */

import type { Registers } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, hex, PAGE_SIZE } from "../core/units.ts";
import { RSDP_ADDRESS } from "./acpi/tables.ts";
import type { ByteSource } from "./byte-source.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { type ElfFile, parseElf, readNotes } from "./elf.ts";
import { flatGdt, multibootEntryState } from "./entry-state.ts";
import { copyFile, placeLow, writeSegments } from "./loading.ts";
import { memoryMap } from "./memory-map.ts";
import { elfSegments, requireEntry } from "./multiboot.ts";
import { Placement } from "./placement.ts";
import { encodeUtf8 } from "./text.ts";

const XEN_ELFNOTE_PHYS32_ENTRY = 18;

const START_MAGIC = 0x336e_c578;
const VERSION_WITH_MEMORY_MAP = 1;
const START_INFO_SIZE = 56;
const MODULE_ENTRY_SIZE = 32;
const MAP_ENTRY_SIZE = 24;

export interface PvhRequest {
  readonly source: ByteSource;
  readonly memory: GuestMemory;
  readonly commandLine: string;
  /** The one module. */
  readonly initrd: ByteSource | undefined;
}

/** @returns the physical address of the entry; `undefined` when there is no such note */
export function findPvhEntry(source: ByteSource, elf: ElfFile): number | undefined {
  const note = readNotes(source, elf).find(
    ({ name, type }) => name === "Xen" && type === XEN_ELFNOTE_PHYS32_ENTRY,
  );
  // Four bytes or eight, of which the upper four are zero.
  if (note === undefined || note.description.length < 4) return undefined;
  return viewOf(note.description).getUint32(0, true);
}

/** @throws GuestError `image` with one line for whatever is wrong with the kernel */
export function loadPvh(request: PvhRequest): { registers: Registers; description: string } {
  const { source, memory, initrd } = request;
  const elf = parseElf(source);
  const segments = elfSegments(source, elf);
  const entry = findPvhEntry(source, elf) ?? 0;
  requireEntry(entry, segments);
  const placement = new Placement();
  for (const { address, memorySize } of segments) {
    placement.claim(address, memorySize, "the kernel's segment");
  }
  const initrdAddress = alignUp(placement.top, PAGE_SIZE);
  if (initrd !== undefined) placement.claim(initrdAddress, initrd.size, "the initrd");
  const commandLine = encodeUtf8(`${request.commandLine}\0`);
  const commandLineAddress = placeLow(placement, commandLine.length, "command line");
  const gdt = flatGdt();
  const gdtAddress = placeLow(placement, gdt.length, "descriptor table");
  const module = initrd && { address: initrdAddress, size: initrd.size };
  const size = startInfo(0, { memorySize: memory.size, commandLineAddress, module }).length;
  const infoAddress = placeLow(placement, size, "start information");
  placement.requireRam(memory.size);

  writeSegments(memory, source, segments);
  if (initrd !== undefined) copyFile(memory, initrdAddress, initrd, 0, initrd.size);
  memory.write(gpa(commandLineAddress), commandLine);
  memory.write(gpa(gdtAddress), gdt);
  const content = { memorySize: memory.size, commandLineAddress, module };
  memory.write(gpa(infoAddress), startInfo(infoAddress, content));
  return {
    registers: { ...multibootEntryState(entry, infoAddress, gdtAddress), rax: 0n },
    description: `PVH: entry ${hex(entry)}`,
  };
}

interface StartContent {
  readonly memorySize: number;
  readonly commandLineAddress: number;
  readonly module: { readonly address: number; readonly size: number } | undefined;
}

/** struct hvm_start_info, and the lists that it points to behind it. */
function startInfo(address: number, content: StartContent): Uint8Array {
  const map = memoryMap(content.memorySize);
  const { module } = content;
  const modulesAt = alignUp(START_INFO_SIZE, 8);
  const mapAt = modulesAt + (module === undefined ? 0 : MODULE_ENTRY_SIZE);
  const bytes = new Uint8Array(mapAt + map.length * MAP_ENTRY_SIZE);
  const view = viewOf(bytes);
  const u32 = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const u64 = (offset: number, value: number): void =>
    view.setBigUint64(offset, BigInt(value), true);
  u32(0, START_MAGIC);
  u32(4, VERSION_WITH_MEMORY_MAP);
  u64(24, content.commandLineAddress);
  u64(32, RSDP_ADDRESS);
  u64(40, address + mapAt);
  u32(48, map.length);
  if (module !== undefined) {
    u32(12, 1);
    u64(16, address + modulesAt);
    u64(modulesAt, module.address);
    u64(modulesAt + 8, module.size);
  }
  for (const [i, entry] of map.entries()) {
    const at = mapAt + i * MAP_ENTRY_SIZE;
    u64(at, entry.address);
    u64(at + 8, entry.length);
    u32(at + 16, entry.type);
  }
  return bytes;
}
