/** Puts a kernel and its modules into memory as a Multiboot loader does, by either version. */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, hex, PAGE_SIZE } from "../core/units.ts";
import type { GraphicsMode } from "./bios/vbe-modes.ts";
import type { ByteSource } from "./byte-source.ts";
import { alignUp } from "./data-view.ts";
import { type ElfFile, EM_X86_64, ET_EXEC, isElf, PT_LOAD, parseElf } from "./elf.ts";
import { flatGdt, multibootEntryState } from "./entry-state.ts";
import { modeFor, type Screen } from "./framebuffer.ts";
import { identify, refuse } from "./image.ts";
import { copyFile, placeLow, writeSegments } from "./loading.ts";
import { BIOS_START, EXTENDED_START, memoryMap } from "./memory-map.ts";
import { findMultibootHeader, kernelLayout, type LoadSegment } from "./multiboot.ts";
import { buildInformation, informationSize, type ModuleInfo } from "./multiboot-info.ts";
import { layoutSymbols, type SymbolLayout } from "./multiboot-symbols.ts";
import { type Multiboot2Layout, multiboot2Layout, readMultiboot2Header } from "./multiboot2.ts";
import { buildInformation2, copyRootPointer } from "./multiboot2-info.ts";
import { Placement } from "./placement.ts";
import { relocate } from "./relocation.ts";
import { printable } from "./text.ts";

export interface BootFile {
  /** The first word of its command line. */
  readonly name: string;
  readonly source: ByteSource;
  readonly arguments: string;
}

export interface BootFiles {
  readonly kernel: BootFile;
  readonly modules: readonly BootFile[];
  /** Of the protocol that is to be used; undefined: the first that the kernel has. */
  readonly version: 1 | 2 | undefined;
}

export interface MultibootRequest extends BootFiles {
  readonly memory: GuestMemory;
  /** Put after what the menu gives. */
  readonly commandLine: readonly string[];
  readonly fresh: boolean;
}

interface PlacedModule extends BootFile {
  readonly address: number;
}

interface VersionedLayout extends Multiboot2Layout {
  readonly version: 1 | 2;
}

/** What EAX holds at the start. */
const LOADER_MAGIC = { 1: 0x2bad_b002, 2: 0x36d7_6289 } as const;

/** @throws GuestError `image` with one line for whatever is wrong */
export function loadMultiboot(request: MultibootRequest): {
  registers: Registers;
  description: string;
  complete?: () => void;
  graphics: GraphicsMode | undefined;
} {
  const { kernel, modules, memory, commandLine, fresh } = request;
  const placement = new Placement();
  const linked = layoutKernel(kernel, request.version);
  const layout = withoutRom(relocate(linked, placement, memory.size));
  for (const segment of layout.segments) {
    placement.claim(segment.address, segment.memorySize, `${printable(kernel.name)}'s segment`);
  }
  placement.requireRam(memory.size);
  const kernelEnd = placement.top;
  // Executing a module in place is something that loaders of version 1 do.
  const inPlace = modules.map((module) =>
    layout.version === 1 ? placeInPlace(module, placement) : undefined,
  );
  const symbols = placeSymbols(kernel, layout, kernelEnd, placement, memory.size);
  const placed = modules.map((module, index): PlacedModule => {
    const after = symbols?.end ?? kernelEnd;
    const address = inPlace[index] ?? placeAfter(after, module, placement, memory.size);
    return { ...module, address };
  });

  const kernelCommandLine = [
    // The path is a part of it in version 1 only, as GRUB has it.
    ...(layout.version === 1 ? [kernel.name] : []),
    kernel.arguments,
    ...commandLine,
  ]
    .filter((part) => part !== "")
    .join(" ");
  const asked = layout.video;
  const graphics = asked === undefined || asked === "text" ? undefined : modeFor(asked);
  const { videoMemory: video } = memory;
  const screen: Screen =
    graphics !== undefined && video !== undefined ? { mode: graphics, video } : "text";
  const gdt = flatGdt();
  const gdtAddress = placeLow(placement, gdt.length, "descriptor table");
  const content = {
    memorySize: memory.size,
    memoryMap: memoryMap(memory.size),
    commandLine: kernelCommandLine,
    modules: placed.map((module) => toModuleInfo(module, layout.version)),
    symbols,
    screen: asked && screen,
  };
  const { address, bytes } =
    layout.version === 1
      ? placeInformation(content, placement)
      : placeInformation2({ ...content, loadBase: loadBaseOf(layout) }, placement, memory.size);
  placement.requireRam(memory.size);

  writeSegments(memory, kernel.source, layout.segments, fresh);
  if (symbols !== undefined) writeSymbols(memory, kernel.source, symbols);
  for (const module of placed)
    copyFile(memory, module.address, module.source, 0, module.source.size);
  memory.write(gpa(gdtAddress), gdt);
  memory.write(gpa(address), bytes);
  return {
    registers: {
      ...multibootEntryState(layout.entry, address, gdtAddress),
      rax: BigInt(LOADER_MAGIC[layout.version]),
    },
    description: describe(kernel, layout, placed),
    graphics,
    ...(layout.version === 2 && { complete: () => copyRootPointer(memory, address) }),
  };
}

function placeInformation(
  content: Parameters<typeof buildInformation>[1],
  placement: Placement,
): { address: number; bytes: Uint8Array } {
  const commandLines = content.modules.map(({ commandLine }) => commandLine);
  const { commandLine, memoryMap: map, screen } = content;
  const length = informationSize(commandLine, commandLines, map.length, screen);
  const address = placeLow(placement, length, "boot information");
  return { address, bytes: buildInformation(address, content) };
}

/** With a kernel's section headers in it, it can be too large for conventional memory. */
function placeInformation2(
  content: Parameters<typeof buildInformation2>[0],
  placement: Placement,
  limit: number,
): { address: number; bytes: Uint8Array } {
  const bytes = buildInformation2(content);
  if (bytes.length <= LARGEST_LOW_INFORMATION) {
    return { address: placeLow(placement, bytes.length, "boot information"), bytes };
  }
  const address = placement.findFreeUpTo(limit, placement.top, bytes.length, PAGE_SIZE);
  placement.claim(address, bytes.length, "boot information");
  placement.requireRam(limit);
  return { address, bytes };
}

const LARGEST_LOW_INFORMATION = 0x1_0000;

const loadBaseOf = ({ relocation, segments }: VersionedLayout): number | undefined =>
  relocation && Math.min(...segments.map(({ address }) => address));

function layoutKernel(kernel: BootFile, version: 1 | 2 | undefined): VersionedLayout {
  const { source, name } = kernel;
  const first = version === 2 ? undefined : findMultibootHeader(source);
  if (first !== undefined) {
    return { ...kernelLayout(source, first), relocation: undefined, version: 1 };
  }
  const second = version === 1 ? undefined : readMultiboot2Header(source);
  if (second !== undefined) return { ...multiboot2Layout(source, second), version: 2 };
  const identity = identify(source);
  if (identity.kind !== "multiboot") throw refuse(name, identity);
  throw new GuestError("image", `${printable(name)} has no header for Multiboot ${version}`);
}

/**
 * What a kernel has where the firmware's ROM is gets lost with a loader that writes it there: the ELF
 * headers, for kernels whose linker put these before the code at 1 MiB.
 */
function withoutRom(layout: VersionedLayout): VersionedLayout {
  if (inRom(layout.entry)) return layout;
  const segments = layout.segments.flatMap((segment): LoadSegment[] => {
    const { address, fileOffset, fileSize, memorySize } = segment;
    if (!inRom(address)) return [segment];
    const lost = Math.min(EXTENDED_START - address, memorySize);
    const rest = {
      address: EXTENDED_START,
      fileOffset: fileOffset + lost,
      fileSize: Math.max(0, fileSize - lost),
      memorySize: memorySize - lost,
    };
    return rest.memorySize > 0 ? [rest] : [];
  });
  return { ...layout, segments };
}

const inRom = (address: number): boolean => address >= BIOS_START && address < EXTENDED_START;

/** Right after the kernel, or above everything where that place is not free. */
function placeSymbols(
  kernel: BootFile,
  layout: VersionedLayout,
  kernelEnd: number,
  placement: Placement,
  limit: number,
): SymbolLayout | undefined {
  if (layout.elf === undefined) return undefined;
  for (const start of [kernelEnd, placement.top, EXTENDED_START]) {
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
function placeAfter(start: number, module: BootFile, placement: Placement, limit: number): number {
  const { size } = module.source;
  const address = placement.findFreeUpTo(limit, start, size, PAGE_SIZE);
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

/** The name is a part of the command line in version 1 only. */
const toModuleInfo = (module: PlacedModule, version: 1 | 2): ModuleInfo => ({
  start: module.address,
  end: module.address + module.source.size,
  commandLine: version === 1 ? commandLineOf(module) : module.arguments,
});

function writeSymbols(memory: GuestMemory, source: ByteSource, symbols: SymbolLayout): void {
  memory.write(gpa(symbols.address), symbols.table);
  for (const { address, fileOffset, size } of symbols.sections) {
    copyFile(memory, address, source, fileOffset, size);
  }
}

function describe(
  kernel: BootFile,
  layout: VersionedLayout,
  modules: readonly PlacedModule[],
): string {
  const start = Math.min(...layout.segments.map(({ address }) => address));
  const parts = [`${printable(kernel.name)} at ${hex(start)}, entry ${hex(layout.entry)}`];
  for (const { name, address } of modules)
    parts.push(`module ${printable(name)} at ${hex(address)}`);
  const protocol = layout.version === 1 ? "Multiboot" : "Multiboot 2";
  return `${protocol}: ${parts.join("; ")}`;
}
