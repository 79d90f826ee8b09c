/**
 * Boots an image without firmware: finds the kernel and its modules, puts them into guest memory
 * as a Multiboot 1 boot loader does, and says with which registers the guest starts.
 */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, hex, PAGE_SIZE } from "../core/units.ts";
import type { ByteSource } from "./byte-source.ts";
import { alignUp } from "./data-view.ts";
import { type ElfFile, EM_X86_64, ET_EXEC, isElf, PT_LOAD, parseElf } from "./elf.ts";
import { flatGdt, multibootEntryState } from "./entry-state.ts";
import { identify, refuse } from "./image.ts";
import { defaultEntry, MENU_PATHS, readIsoMenu } from "./iso-menu.ts";
import { IsoVolume, truncationOf } from "./iso9660.ts";
import { loadLinux } from "./linux.ts";
import { copyFile, placeLow, writeSegments } from "./loading.ts";
import { EXTENDED_START, memoryMap } from "./memory-map.ts";
import type { MenuFile } from "./menu.ts";
import { findMultibootHeader, type KernelLayout, kernelLayout } from "./multiboot.ts";
import { buildInformation, informationSize, type ModuleInfo } from "./multiboot-info.ts";
import { layoutSymbols, type SymbolLayout } from "./multiboot-symbols.ts";
import { Placement } from "./placement.ts";
import { loadPvh } from "./pvh.ts";
import { printable } from "./text.ts";

export interface LoadRequest {
  readonly source: ByteSource;
  /** Written only inside RAM, and only when everything fits. */
  readonly memory: GuestMemory;
  /** Arguments for the guest, put after those that the image's menu gives. */
  readonly commandLine: readonly string[];
  /** The first files of a Linux kernel. */
  readonly initrd?: ByteSource | undefined;
  /**
   * Nobody has written to the memory yet: it is all zero. Looking whether it is takes the host a
   * page fault a page, which for a large bss is longer than all the rest.
   */
  readonly fresh?: boolean;
}

export interface LoadedImage {
  /** State in which the guest starts. */
  readonly registers: Registers;
  /** One line: what was loaded and where. */
  readonly description: string;
}

interface BootFile {
  /** The first word of its command line. */
  readonly name: string;
  readonly source: ByteSource;
  readonly arguments: string;
}

interface BootFiles {
  readonly kernel: BootFile;
  readonly modules: readonly BootFile[];
}

interface PlacedModule extends BootFile {
  readonly address: number;
}

const MAX_MODULES = 256;

/**
 * @throws GuestError `image` with one line for whatever is wrong with the image; guest memory is
 *   then as it was, unless the source itself fails between two reads
 */
export function loadImage(request: LoadRequest): LoadedImage {
  const { source, memory, commandLine, initrd } = request;
  const { kind } = identify(source);
  const parts = { source, memory, commandLine: commandLine.join(" "), initrd };
  if (kind === "linux") return loadLinux(parts);
  if (kind === "pvh") return loadPvh(parts);
  if (initrd !== undefined) {
    throw new GuestError(
      "image",
      "an initrd is for a Linux kernel (bzImage, or ELF with PVH) only",
    );
  }
  return loadMultiboot(request);
}

function loadMultiboot({ source, memory, commandLine, fresh }: LoadRequest): LoadedImage {
  const { kernel, modules } = findBootFiles(source);
  const layout = layoutKernel(kernel);
  const placement = new Placement();
  for (const segment of layout.segments) {
    placement.claim(segment.address, segment.memorySize, `${printable(kernel.name)}'s segment`);
  }
  placement.requireRam(memory.size);
  const kernelEnd = placement.top;
  const inPlace = modules.map((module) => placeInPlace(module, placement));
  const symbols = placeSymbols(kernel, layout, kernelEnd, placement, memory.size);
  const placed = modules.map((module, index): PlacedModule => {
    const address = inPlace[index] ?? placeAfter(symbols?.end ?? kernelEnd, module, placement);
    return { ...module, address };
  });

  const kernelCommandLine = [kernel.name, kernel.arguments, ...commandLine]
    .filter((part) => part !== "")
    .join(" ");
  const gdt = flatGdt();
  const gdtAddress = placeLow(placement, gdt.length, "descriptor table");
  const map = memoryMap(memory.size);
  const length = informationSize(kernelCommandLine, placed.map(commandLineOf), map.length);
  const informationAddress = placeLow(placement, length, "boot information");
  placement.requireRam(memory.size);

  const information = buildInformation(informationAddress, {
    memorySize: memory.size,
    memoryMap: map,
    commandLine: kernelCommandLine,
    modules: placed.map(toModuleInfo),
    symbols,
  });
  writeSegments(memory, kernel.source, layout.segments, fresh === true);
  if (symbols !== undefined) writeSymbols(memory, kernel.source, symbols);
  for (const module of placed)
    copyFile(memory, module.address, module.source, 0, module.source.size);
  memory.write(gpa(gdtAddress), gdt);
  memory.write(gpa(informationAddress), information);
  return {
    registers: multibootEntryState(layout.entry, informationAddress, gdtAddress),
    description: describe(kernel, layout, placed),
  };
}

/** The kernel and its modules, in the order in which they are loaded. */
export function bootFiles(source: ByteSource): readonly ByteSource[] {
  const { kernel, modules } = findBootFiles(source);
  return [kernel.source, ...modules.map((module) => module.source)];
}

function findBootFiles(source: ByteSource): BootFiles {
  const identity = identify(source);
  if (identity.kind === "iso9660") return filesOfIso(new IsoVolume(source));
  if (identity.kind !== "multiboot") throw refuse("image", identity);
  return { kernel: { name: "kernel", source, arguments: "" }, modules: [] };
}

function filesOfIso(volume: IsoVolume): BootFiles {
  if (volume.missingBytes > 0) throw new GuestError("image", truncationOf(volume));
  const menu = readIsoMenu(volume);
  if (menu === undefined) {
    throw new GuestError(
      "image",
      `ISO has no kernel to boot: none of ${MENU_PATHS.join(", ")} is in it`,
    );
  }
  const entry = defaultEntry(menu);
  if (entry.modules.length > MAX_MODULES) {
    throw new GuestError("image", `${menu.path} names ${entry.modules.length} modules`);
  }
  const open = ({ path, arguments: words }: MenuFile): BootFile => {
    const file = volume.find(path);
    if (file === undefined || file.directory) {
      const fault = file === undefined ? "is not in the ISO" : "is a directory";
      throw new GuestError("image", `${menu.path} names ${printable(path)}, which ${fault}`);
    }
    return { name: path, source: volume.open(file, path), arguments: words };
  };
  const kernel = open(entry.kernel);
  const identity = identify(kernel.source);
  if (identity.kind !== "multiboot") throw refuse(`${kernel.name} in the ISO`, identity);
  return { kernel, modules: entry.modules.map(open) };
}

function layoutKernel({ name, source }: BootFile): KernelLayout {
  const header = findMultibootHeader(source);
  if (header === undefined) throw refuse(name, identify(source));
  return kernelLayout(source, header);
}

/** Right after the kernel, or above everything where that place is not free. */
function placeSymbols(
  kernel: BootFile,
  layout: KernelLayout,
  kernelEnd: number,
  placement: Placement,
  limit: number,
): SymbolLayout | undefined {
  if (layout.elf === undefined) return undefined;
  for (const start of [kernelEnd, placement.top]) {
    const address = alignUp(start, PAGE_SIZE);
    const symbols = layoutSymbols(kernel.source, layout.elf, address, limit);
    if (symbols === undefined || !placement.isFree(address, symbols.end - address)) continue;
    placement.claim(address, symbols.end - address, "kernel symbols");
    return symbols;
  }
  return undefined;
}

/** @returns `undefined` when the module is not an executable with a place of its own, or it is taken */
function placeInPlace(module: BootFile, placement: Placement): number | undefined {
  const place = placeOfExecutable(module.source);
  if (place === undefined || !placement.isFree(place.address, place.length)) return undefined;
  placement.claim(place.address, place.length, printable(module.name));
  return place.address;
}

/** Page-aligned, as GRUB does. */
function placeAfter(start: number, module: BootFile, placement: Placement): number {
  const { size } = module.source;
  const address = placement.findFree(start, size, PAGE_SIZE);
  placement.claim(address, size, printable(module.name));
  return address;
}

/**
 * Where an ELF64 executable lies when it is executed in place: so that the file's bytes of its
 * first segment are at that segment's physical address. Loaders that do this read the segments,
 * bss included, where the file already is.
 * @returns `undefined` for any other file
 */
function placeOfExecutable(source: ByteSource): { address: number; length: number } | undefined {
  const elf = isElf(source) ? tryParseElf(source) : undefined;
  if (elf?.class !== 64 || elf.type !== ET_EXEC || elf.machine !== EM_X86_64) return undefined;
  const loadable = elf.segments.filter(({ type }) => type === PT_LOAD);
  const [first] = loadable;
  if (first === undefined) return undefined;
  const address = first.physicalAddress - first.offset;
  if (address < EXTENDED_START || address % PAGE_SIZE !== 0) return undefined;
  const ends = loadable.map(({ physicalAddress, memorySize }) => physicalAddress + memorySize);
  return { address, length: Math.max(address + source.size, ...ends) - address };
}

function tryParseElf(source: ByteSource): ElfFile | undefined {
  try {
    return parseElf(source);
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}

const commandLineOf = ({ name, arguments: words }: BootFile): string =>
  words === "" ? name : `${name} ${words}`;

const toModuleInfo = (module: PlacedModule): ModuleInfo => ({
  start: module.address,
  end: module.address + module.source.size,
  commandLine: commandLineOf(module),
});

function writeSymbols(memory: GuestMemory, source: ByteSource, symbols: SymbolLayout): void {
  memory.write(gpa(symbols.address), symbols.table);
  for (const { address, fileOffset, size } of symbols.sections) {
    copyFile(memory, address, source, fileOffset, size);
  }
}

function describe(
  kernel: BootFile,
  layout: KernelLayout,
  modules: readonly PlacedModule[],
): string {
  const start = Math.min(...layout.segments.map(({ address }) => address));
  const parts = [`${printable(kernel.name)} at ${hex(start)}, entry ${hex(layout.entry)}`];
  for (const { name, address } of modules)
    parts.push(`module ${printable(name)} at ${hex(address)}`);
  return `Multiboot: ${parts.join("; ")}`;
}
