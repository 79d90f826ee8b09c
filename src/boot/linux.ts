/**
 * The Linux/x86 boot protocol (Linux, Documentation/arch/x86/boot.rst), entered behind the real-mode
 * part: in 64-bit mode where the kernel has such an entry, else in 32-bit protected mode; old ones by
 * their real-mode part.
 */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, hex, KIB, MIB, PAGE_SIZE } from "../core/units.ts";
import { RSDP_ADDRESS } from "./acpi/tables.ts";
import { type ByteSource, readHead } from "./byte-source.ts";
import { getUint64, viewOf } from "./data-view.ts";
import { linuxEntryState, linuxGdt } from "./entry-state.ts";
import { identityPageTables, PAGE_TABLES_SIZE } from "./identity-page-tables.ts";
import { checkSetup, enterSetup, SETUP_AREA } from "./linux-setup.ts";
import { copyFile, placeLow } from "./loading.ts";
import { EXTENDED_START, memoryMap } from "./memory-map.ts";
import { Placement } from "./placement.ts";
import { encodeUtf8 } from "./text.ts";

/** Offsets in the file, and in the boot parameters. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const JUMP = 0x200;
const HEADER = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;

/** Fields of the boot parameters that are not in the header ("The Zero Page"). */
export const PARAMETERS_SIZE = 4096;
const SCREEN_INFO = 0x00;
const ACPI_RSDP_ADDR = 0x70;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;
const E820_ENTRY_SIZE = 20;

const SECTOR_SIZE = 512;
const DEFAULT_SETUP_SECTS = 4;
const PARAGRAPH_SIZE = 16;
const HEAD_SIZE = 0x268;
const BOOT_FLAG_VALUE = 0xaa55;
/** "HdrS" */
const HEADER_MAGIC = 0x5372_6448;
/** The first that says how much memory the kernel takes: without that it has to ask the BIOS. */
const FIRST_WITHOUT_SETUP = 0x020a;
/** Without a header: "old". */
const OLD_PROTOCOL = 0;
const FIRST_WITH_INITRD = 0x0200;
const FIRST_WITH_64_BIT_ENTRY = 0x020c;
const LOADED_HIGH = 1 << 0;
/** A kernel that is not: between these two. */
const LOW_START = 0x1_0000;
const LOW_END = SETUP_AREA.start;
const XLF_KERNEL_64 = 1 << 0;
const ENTRY_64 = 0x200;
/** A boot loader without a number of its own. */
const UNDEFINED_LOADER = 0xff;
const DEFAULT_CMDLINE_SIZE = 255;
const DEFAULT_INITRD_MAX = 0x37ff_ffff;

/** An 80×25 colour text screen of a VGA, the cursor at its top (Linux, screen_info.h). */
const TEXT_SCREEN: readonly (readonly [offset: number, value: number])[] = [
  [0x06, 3], // mode
  [0x07, 80], // columns
  [0x0e, 25], // lines
  [0x0f, 1], // VGA
  [0x10, 16], // points
];

export interface LinuxRequest {
  readonly source: ByteSource;
  readonly memory: GuestMemory;
  readonly commandLine: string;
  readonly initrd: ByteSource | undefined;
}

interface Header {
  readonly setup: Uint8Array;
  readonly version: number;
  readonly high: boolean;
  readonly kernelOffset: number;
  readonly long: boolean;
  /** Entered in real mode, at its setup code. */
  readonly bySetup: boolean;
  readonly loadAddress: number;
  /** Memory that it needs there before it has looked at the map. */
  readonly initSize: number;
  readonly commandLineSize: number;
  readonly initrdMax: number;
}

/** Whether there is a setup header, or a kernel of the time before there was one. */
export const isLinux = (head: Uint8Array, fileSize: number): boolean =>
  head.length >= HEAD_SIZE &&
  viewOf(head).getUint16(BOOT_FLAG, true) === BOOT_FLAG_VALUE &&
  (hasHeader(head) || isOldLinux(head, fileSize));

const hasHeader = (head: Uint8Array): boolean =>
  viewOf(head).getUint32(HEADER, true) === HEADER_MAGIC;

/** Any boot sector might be one; this one tells the size of what follows, or (memtest86+ 4) of the file. */
function isOldLinux(head: Uint8Array, fileSize: number): boolean {
  const told = viewOf(head).getUint16(SYSSIZE, true) * PARAGRAPH_SIZE;
  const kernelSize = fileSize - kernelOffsetOf(head);
  const tellsKernel = told > kernelSize - SECTOR_SIZE && told < kernelSize + PARAGRAPH_SIZE;
  const tellsFile = told >= fileSize && told < fileSize + PARAGRAPH_SIZE;
  return kernelSize > 0 && told > 0 && (tellsKernel || tellsFile);
}

const kernelOffsetOf = (head: Uint8Array): number =>
  ((head[SETUP_SECTS] || DEFAULT_SETUP_SECTS) + 1) * SECTOR_SIZE;

/** @throws GuestError `image` with one line for whatever is wrong with the kernel */
export function loadLinux(request: LinuxRequest): { registers: Registers; description: string } {
  const { source, memory, initrd } = request;
  const header = readHeader(source);
  const { loadAddress, long } = header;
  const placement = new Placement();
  const kernelSize = source.size - header.kernelOffset;
  placement.claim(loadAddress, Math.max(kernelSize, header.initSize), "Linux");
  placement.requireRam(memory.size);
  const commandLine = encodeUtf8(`${request.commandLine}\0`);
  if (commandLine.length - 1 > header.commandLineSize) {
    throw new GuestError(
      "image",
      `the command line has ${commandLine.length - 1} bytes, and this Linux takes ${header.commandLineSize}`,
    );
  }
  if (initrd !== undefined && header.version < FIRST_WITH_INITRD) {
    throw new GuestError("image", "this Linux is too old to take an initrd");
  }
  const initrdAddress =
    initrd === undefined ? 0 : placeInitrd(initrd, placement, memory.size, header.initrdMax);
  const loadFiles = (): void => {
    copyFile(memory, loadAddress, source, header.kernelOffset, kernelSize);
    if (initrd !== undefined) copyFile(memory, initrdAddress, initrd, 0, initrd.size);
  };
  if (header.bySetup) {
    const setup = {
      setup: source.read(0, header.kernelOffset),
      version: header.version,
      high: header.high,
      commandLine,
      initrd: { address: initrdAddress, size: initrd?.size ?? 0 },
    };
    checkSetup(setup);
    placement.claim(SETUP_AREA.start, SETUP_AREA.length, "setup code");
    loadFiles();
    const registers = enterSetup(setup, memory);
    return { registers, description: `Linux at ${hex(loadAddress)}, entered in real mode` };
  }
  const parameters = placeLow(placement, PARAMETERS_SIZE, "boot parameters", PAGE_SIZE);
  const commandLineAddress = placeLow(placement, commandLine.length, "command line");
  const gdt = linuxGdt(long);
  const gdtAddress = placeLow(placement, gdt.length, "descriptor table");
  const pageTables = long
    ? placeLow(placement, PAGE_TABLES_SIZE, "page tables", PAGE_SIZE)
    : undefined;
  placement.requireRam(memory.size);

  loadFiles();
  memory.write(gpa(commandLineAddress), commandLine);
  memory.write(gpa(gdtAddress), gdt);
  if (pageTables !== undefined) memory.write(gpa(pageTables), identityPageTables(pageTables));
  const pointers = { commandLineAddress, initrdAddress, initrdSize: initrd?.size ?? 0 };
  memory.write(gpa(parameters), bootParameters(header, memory.size, pointers));
  const entry = loadAddress + (long ? ENTRY_64 : 0);
  return {
    registers: linuxEntryState({ entry, parameters, gdt: gdtAddress, pageTables }),
    description: `Linux at ${hex(loadAddress)}, entry ${hex(entry)} in ${long ? 64 : 32} bits`,
  };
}

function readHeader(source: ByteSource): Header {
  const head = readHead(source, HEAD_SIZE);
  if (!isLinux(head, source.size)) {
    throw new GuestError("image", "Linux kernel without a setup header");
  }
  const view = viewOf(head);
  const version = hasHeader(head) ? view.getUint16(VERSION, true) : OLD_PROTOCOL;
  const high = version !== OLD_PROTOCOL && ((head[LOADFLAGS] ?? 0) & LOADED_HIGH) !== 0;
  const kernelOffset = kernelOffsetOf(head);
  if (kernelOffset >= source.size) {
    throw new GuestError("image", `truncated Linux kernel: ${source.size} bytes`);
  }
  const long =
    version >= FIRST_WITH_64_BIT_ENTRY && (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0;
  const preferred = version >= 0x020a ? getUint64(view, PREF_ADDRESS) : 0;
  const loadAddress = high ? Math.max(preferred, EXTENDED_START) : LOW_START;
  if (!high && loadAddress + source.size - kernelOffset > LOW_END) {
    throw new GuestError(
      "image",
      `Linux kernel of ${source.size} bytes has no room below ${hex(LOW_END)}`,
    );
  }
  return {
    setup: head,
    kernelOffset,
    long,
    version,
    high,
    bySetup: !high || version < FIRST_WITHOUT_SETUP,
    loadAddress,
    initSize: version >= 0x020a ? view.getUint32(INIT_SIZE, true) : 0,
    commandLineSize: version >= 0x0206 ? view.getUint32(CMDLINE_SIZE, true) : DEFAULT_CMDLINE_SIZE,
    initrdMax: version >= 0x0203 ? view.getUint32(INITRD_ADDR_MAX, true) : DEFAULT_INITRD_MAX,
  };
}

/** A setup header for a kernel that comes without one: it says who wrote it, and how the kernel is entered. */
export function setupOfElf(): Uint8Array {
  const setup = new Uint8Array(HEAD_SIZE);
  const view = viewOf(setup);
  view.setUint16(BOOT_FLAG, BOOT_FLAG_VALUE, true);
  setup[JUMP + 1] = HEAD_SIZE - HEADER;
  view.setUint32(HEADER, HEADER_MAGIC, true);
  view.setUint16(VERSION, FIRST_WITH_64_BIT_ENTRY, true);
  view.setUint16(XLOADFLAGS, XLF_KERNEL_64, true);
  return setup;
}

/** As high as the kernel allows, so that it has room to unpack itself. */
export function placeInitrd(
  initrd: ByteSource,
  placement: Placement,
  memorySize: number,
  initrdMax = DEFAULT_INITRD_MAX,
): number {
  const end = Math.min(memorySize, initrdMax + 1);
  const address = Math.floor((end - initrd.size) / PAGE_SIZE) * PAGE_SIZE;
  if (address < EXTENDED_START || !placement.isFree(address, initrd.size)) {
    throw new GuestError(
      "image",
      `no room for the initrd (${Math.ceil(initrd.size / MIB)} MiB) beside the kernel; raise --mem`,
    );
  }
  placement.claim(address, initrd.size, "the initrd");
  return address;
}

export function bootParameters(
  { setup, loadAddress }: Pick<Header, "setup" | "loadAddress">,
  memorySize: number,
  pointers: { commandLineAddress: number; initrdAddress: number; initrdSize: number },
): Uint8Array {
  const bytes = new Uint8Array(PARAMETERS_SIZE);
  const view = viewOf(bytes);
  // The byte after the jump says where the header ends.
  const end = Math.min(HEADER + (setup[JUMP + 1] ?? 0), setup.length);
  bytes.set(setup.subarray(SETUP_SECTS, end), SETUP_SECTS);
  for (const [offset, value] of TEXT_SCREEN) bytes[SCREEN_INFO + offset] = value;
  bytes[TYPE_OF_LOADER] = UNDEFINED_LOADER;
  view.setUint32(CODE32_START, loadAddress, true);
  view.setUint32(RAMDISK_IMAGE, pointers.initrdAddress, true);
  view.setUint32(RAMDISK_SIZE, pointers.initrdSize, true);
  view.setUint32(CMD_LINE_PTR, pointers.commandLineAddress, true);
  view.setUint32(ACPI_RSDP_ADDR, RSDP_ADDRESS, true);
  view.setUint32(0x1e0, Math.max(0, memorySize - EXTENDED_START) / KIB, true); // alt_mem_k
  const map = memoryMap(memorySize);
  bytes[E820_ENTRIES] = map.length;
  for (const [i, { address, length, type }] of map.entries()) {
    const at = E820_TABLE + i * E820_ENTRY_SIZE;
    view.setBigUint64(at, BigInt(address), true);
    view.setBigUint64(at + 8, BigInt(length), true);
    view.setUint32(at + 16, type, true);
  }
  return bytes;
}
