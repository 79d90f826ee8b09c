/**
 * ELF kernels that are entered as Linux's 64-bit boot protocol has it (Linux,
 * Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). Firecracker starts guests this way: Linux
 * as `vmlinux`, and Unikraft's kernels for it.
 */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import { gpa, hex, PAGE_SIZE } from "../core/units.ts";
import type { ByteSource } from "./byte-source.ts";
import { type ElfFile, EM_X86_64, ET_EXEC, PT_LOAD, parseElf, readSections } from "./elf.ts";
import { linuxEntryState, linuxGdt } from "./entry-state.ts";
import { identityPageTables, PAGE_TABLES_SIZE } from "./identity-page-tables.ts";
import {
  bootParameters,
  type LinuxRequest,
  PARAMETERS_SIZE,
  placeInitrd,
  setupOfElf,
} from "./linux.ts";
import { copyFile, placeLow, writeSegments } from "./loading.ts";
import { EXTENDED_START } from "./memory-map.ts";
import { elfSegments, requireEntry } from "./multiboot.ts";
import { Placement } from "./placement.ts";
import { encodeUtf8 } from "./text.ts";

/** Where 64-bit kernels are linked; they are loaded, and entered, somewhere else. */
const HIGHER_HALF = 1n << 63n;
/** What Unikraft's kernels know themselves by, whoever loads them. */
const UNIKRAFT_SECTION = ".uk_bootinfo";

/** Whether a file with no other boot protocol is one of these. */
export function isLinuxElf(source: ByteSource, elf: ElfFile): boolean {
  if (elf.class !== 64 || elf.machine !== EM_X86_64 || elf.type !== ET_EXEC) return false;
  const entry = Number(elf.entry);
  const entered = elf.segments.find(
    ({ type, physicalAddress, memorySize }) =>
      type === PT_LOAD && entry >= physicalAddress && entry < physicalAddress + memorySize,
  );
  if (entered === undefined || entered.physicalAddress < EXTENDED_START) return false;
  return entered.virtualAddress >= HIGHER_HALF || isUnikraft(source, elf);
}

function isUnikraft(source: ByteSource, elf: ElfFile): boolean {
  try {
    return readSections(source, elf).some(({ name }) => name === UNIKRAFT_SECTION);
  } catch (error) {
    // What starts without sections may have broken ones.
    if (error instanceof GuestError) return false;
    throw error;
  }
}

/** @throws GuestError `image` with one line for whatever is wrong with the kernel */
export function loadLinuxElf(request: LinuxRequest): { registers: Registers; description: string } {
  const { source, memory, initrd } = request;
  const elf = parseElf(source);
  const segments = elfSegments(source, elf);
  const entry = Number(elf.entry);
  requireEntry(entry, segments);
  const placement = new Placement();
  for (const { address, memorySize } of segments) {
    placement.claim(address, memorySize, "the kernel's segment");
  }
  placement.requireRam(memory.size);
  const initrdAddress = initrd === undefined ? 0 : placeInitrd(initrd, placement, memory.size);
  const commandLine = encodeUtf8(`${request.commandLine}\0`);
  const commandLineAddress = placeLow(placement, commandLine.length, "command line");
  const parameters = placeLow(placement, PARAMETERS_SIZE, "boot parameters", PAGE_SIZE);
  const gdt = linuxGdt(true);
  const gdtAddress = placeLow(placement, gdt.length, "descriptor table");
  const pageTables = placeLow(placement, PAGE_TABLES_SIZE, "page tables", PAGE_SIZE);
  placement.requireRam(memory.size);

  writeSegments(memory, source, segments);
  if (initrd !== undefined) copyFile(memory, initrdAddress, initrd, 0, initrd.size);
  memory.write(gpa(commandLineAddress), commandLine);
  memory.write(gpa(gdtAddress), gdt);
  memory.write(gpa(pageTables), identityPageTables(pageTables));
  const pointers = { commandLineAddress, initrdAddress, initrdSize: initrd?.size ?? 0 };
  const header = { setup: setupOfElf(), loadAddress: entry };
  memory.write(gpa(parameters), bootParameters(header, memory.size, pointers));
  return {
    registers: linuxEntryState({ entry, parameters, gdt: gdtAddress, pageTables }),
    description: `Linux's boot protocol: entry ${hex(entry)}`,
  };
}
