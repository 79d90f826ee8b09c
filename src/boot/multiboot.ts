/**
 * The OS image's side of the Multiboot Specification 0.6.96 (GNU, version 1 of the protocol): the
 * header (§3.1) and where the image wants its parts (§3.1.3).
 */

import { GuestError } from "../core/errors.ts";
import { hex } from "../core/units.ts";
import { type ByteSource, checkRange, readHead } from "./byte-source.ts";
import { viewOf } from "./data-view.ts";
import {
  checkSegment,
  type ElfFile,
  EM_386,
  EM_X86_64,
  ET_EXEC,
  PT_LOAD,
  parseElf,
} from "./elf.ts";
import type { GraphicsRequest } from "./framebuffer.ts";

const HEADER_MAGIC = 0x1bad_b002;
const HEADER_SEARCH = 8192;
const HEADER_ALIGN = 4;
const HEADER_SIZE = 12;
const ADDRESS_HEADER_SIZE = 32;
const VIDEO_HEADER_SIZE = 48;
const LINEAR_GRAPHICS = 0;

/** Modules are page-aligned (§3.1.2, bit 0): always done. */
const MULTIBOOT_PAGE_ALIGN = 1 << 0;
/** The memory fields are filled in (bit 1): always done. */
const MULTIBOOT_MEMORY_INFO = 1 << 1;
/** A video mode is asked for (bit 2). Kernels that get none fall back to text, as with QEMU. */
const MULTIBOOT_VIDEO_MODE = 1 << 2;
/** The address fields of the header are valid (bit 16). */
export const MULTIBOOT_AOUT_KLUDGE = 1 << 16;
/** Bits 0 to 15 are demands: an unknown one must be refused. */
const DEMANDS = 0xffff;
const KNOWN_DEMANDS = MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO | MULTIBOOT_VIDEO_MODE;

/** More loadable segments than any kernel has. */
const MAX_SEGMENTS = 256;

export interface MultibootHeader {
  /** Where in the file. */
  readonly offset: number;
  readonly flags: number;
  /** With {@link MULTIBOOT_AOUT_KLUDGE}: they overrule the ELF headers. */
  readonly addresses: AddressFields | undefined;
  readonly video: VideoRequest | undefined;
}

/** Whether a kernel asks for graphics, or only what the screen is. */
export type VideoRequest = GraphicsRequest | "text";

/** Physical addresses (§3.1.3). */
export interface AddressFields {
  /** Where the header itself comes to lie. */
  readonly headerAddress: number;
  readonly loadAddress: number;
  /** 0: the whole rest of the file is loaded. */
  readonly loadEndAddress: number;
  /** 0: no bss. */
  readonly bssEndAddress: number;
  readonly entryAddress: number;
}

/** `fileSize` bytes of the file at `address`, then zeros up to `memorySize`. */
export interface LoadSegment {
  readonly address: number;
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

export interface KernelLayout {
  /** What the header says of the screen. */
  readonly video?: VideoRequest | undefined;
  /** Physical address. */
  readonly entry: number;
  readonly segments: readonly LoadSegment[];
  /** The ELF file, when its program headers gave the layout. */
  readonly elf: ElfFile | undefined;
}

/** @returns `undefined` when there is no header in the first 8192 bytes (§3.1) */
export function findMultibootHeader(source: ByteSource): MultibootHeader | undefined {
  const head = readHead(source, HEADER_SEARCH);
  const view = viewOf(head);
  for (let offset = 0; offset + HEADER_SIZE <= head.length; offset += HEADER_ALIGN) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    const sum = HEADER_MAGIC + flags + view.getUint32(offset + 8, true);
    if (sum % 0x1_0000_0000 !== 0) continue;
    const video = readVideoFields(head, offset, flags);
    if ((flags & MULTIBOOT_AOUT_KLUDGE) === 0) {
      return { offset, flags, addresses: undefined, video };
    }
    if (offset + ADDRESS_HEADER_SIZE > head.length) continue;
    return { offset, flags, addresses: readAddressFields(view, offset + HEADER_SIZE), video };
  }
  return undefined;
}

/**
 * Where the kernel's parts go. Segments may still overlap or lie outside RAM.
 * @throws GuestError `image` when the header and the file contradict each other
 */
export function kernelLayout(source: ByteSource, header: MultibootHeader): KernelLayout {
  const unknown = header.flags & DEMANDS & ~KNOWN_DEMANDS;
  if (unknown !== 0) {
    throw new GuestError(
      "image",
      `Multiboot header demands unknown features (flags ${hex(unknown)})`,
    );
  }
  const layout =
    header.addresses === undefined
      ? elfLayout(source, parseElf(source))
      : flatLayout(source, header.offset, header.addresses);
  return { ...layout, video: header.video };
}

/** They come behind the address fields, whether these are valid or not. */
function readVideoFields(
  head: Uint8Array,
  offset: number,
  flags: number,
): VideoRequest | undefined {
  if ((flags & MULTIBOOT_VIDEO_MODE) === 0) return undefined;
  if (offset + VIDEO_HEADER_SIZE > head.length) return "text";
  const view = viewOf(head);
  const [type, width = 0, height = 0, depth = 0] = [32, 36, 40, 44].map((at) =>
    view.getUint32(offset + at, true),
  );
  return type === LINEAR_GRAPHICS ? { width, height, depth } : "text";
}

function readAddressFields(view: DataView, offset: number): AddressFields {
  return {
    headerAddress: view.getUint32(offset, true),
    loadAddress: view.getUint32(offset + 4, true),
    loadEndAddress: view.getUint32(offset + 8, true),
    bssEndAddress: view.getUint32(offset + 12, true),
    entryAddress: view.getUint32(offset + 16, true),
  };
}

/** @throws GuestError `image` */
export function flatLayout(
  source: ByteSource,
  headerOffset: number,
  fields: AddressFields,
): KernelLayout {
  const { headerAddress, loadAddress, loadEndAddress, bssEndAddress, entryAddress } = fields;
  const fileOffset = headerOffset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || fileOffset < 0) {
    throw new GuestError(
      "image",
      `Multiboot address fields are contradictory: header at ${hex(headerAddress)}, load at ${hex(loadAddress)}`,
    );
  }
  const loadEnd = loadEndAddress === 0 ? loadAddress + source.size - fileOffset : loadEndAddress;
  const fileSize = loadEnd - loadAddress;
  if (fileSize < 0 || (bssEndAddress !== 0 && bssEndAddress < loadEnd)) {
    throw new GuestError(
      "image",
      `Multiboot address fields are contradictory: load ${hex(loadAddress)} to ${hex(loadEnd)}, bss to ${hex(bssEndAddress)}`,
    );
  }
  checkRange(source, fileOffset, fileSize, "truncated kernel: Multiboot load area");
  const memorySize = Math.max(bssEndAddress, loadEnd) - loadAddress;
  const segment = { address: loadAddress, fileOffset, fileSize, memorySize };
  requireEntry(entryAddress, [segment]);
  return { entry: entryAddress, segments: [segment], elf: undefined };
}

/**
 * @param options.entry physical address that overrules the file's
 * @param options.types of ELF files that will do
 * @throws GuestError `image`
 */
export function elfLayout(
  source: ByteSource,
  elf: ElfFile,
  options: { readonly entry?: number | undefined; readonly types?: readonly number[] } = {},
): KernelLayout {
  const segments = elfSegments(source, elf, options.types);
  const entry = options.entry ?? physicalEntry(elf);
  requireEntry(entry, segments);
  return { entry, segments, elf };
}

/**
 * What a kernel's program headers want loaded, by physical addresses.
 * @throws GuestError `image`
 */
export function elfSegments(
  source: ByteSource,
  elf: ElfFile,
  types: readonly number[] = [ET_EXEC],
): LoadSegment[] {
  const machine = elf.class === 64 ? EM_X86_64 : EM_386;
  if (elf.machine !== machine || !types.includes(elf.type)) {
    throw new GuestError(
      "image",
      `kernel is not an x86 executable (ELF type ${elf.type}, machine ${elf.machine})`,
    );
  }
  const loadable = elf.segments.filter(
    ({ type, memorySize }) => type === PT_LOAD && memorySize > 0,
  );
  if (loadable.length === 0 || loadable.length > MAX_SEGMENTS) {
    throw new GuestError("image", `ELF kernel has ${loadable.length} segments to load`);
  }
  return loadable.map((segment): LoadSegment => {
    checkSegment(source, segment);
    if (segment.fileSize > segment.memorySize) {
      throw new GuestError(
        "image",
        `ELF segment at ${hex(segment.physicalAddress)} has more bytes in the file than in memory`,
      );
    }
    return {
      address: segment.physicalAddress,
      fileOffset: segment.offset,
      fileSize: segment.fileSize,
      memorySize: segment.memorySize,
    };
  });
}

/**
 * `e_entry` is a virtual address. Kernels linked high give either that or, knowing that Multiboot
 * enters them without paging, the physical one.
 */
function physicalEntry(elf: ElfFile): number {
  for (const segment of elf.segments) {
    const offset = elf.entry - segment.virtualAddress;
    if (segment.type === PT_LOAD && offset >= 0n && offset < BigInt(segment.memorySize)) {
      return segment.physicalAddress + Number(offset);
    }
  }
  return Number(elf.entry);
}

/** @throws GuestError `image` when it is not in any of them */
export function requireEntry(entry: number, segments: readonly LoadSegment[]): void {
  const inside = segments.some(
    ({ address, memorySize }) => entry >= address && entry < address + memorySize,
  );
  if (!inside) throw new GuestError("image", `entry point ${hex(entry)} is outside the kernel`);
}
