/**
 * The OS image's side of the Multiboot2 Specification 2.0 (GNU): the header and its tags (§3.1) and
 * where the image wants its parts.
 */

import { GuestError } from "../core/errors.ts";
import { hex } from "../core/units.ts";
import { type ByteSource, readHead } from "./byte-source.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { ET_DYN, ET_EXEC, parseElf } from "./elf.ts";
import type { GraphicsRequest } from "./framebuffer.ts";
import { type AddressFields, elfLayout, flatLayout, type KernelLayout } from "./multiboot.ts";

const HEADER_MAGIC = 0xe852_50d6;
const HEADER_SEARCH = 32_768;
const HEADER_ALIGN = 8;
const HEADER_SIZE = 16;
const ARCHITECTURE_I386 = 0;

/** Header tags (§3.1.3 on). */
const TAG = {
  END: 0,
  INFORMATION_REQUEST: 1,
  ADDRESS: 2,
  ENTRY_ADDRESS: 3,
  CONSOLE_FLAGS: 4,
  FRAMEBUFFER: 5,
  MODULE_ALIGN: 6,
  EFI_BOOT_SERVICES: 7,
  ENTRY_ADDRESS_EFI32: 8,
  ENTRY_ADDRESS_EFI64: 9,
  RELOCATABLE: 10,
} as const;
/**
 * No demands: modules are always page-aligned, the console is what there is, there is no EFI, and
 * without a display there is no graphics mode, without which kernels get on.
 */
const PASSED_OVER: ReadonlySet<number> = new Set([
  ...[TAG.CONSOLE_FLAGS, TAG.FRAMEBUFFER, TAG.MODULE_ALIGN],
  ...[TAG.EFI_BOOT_SERVICES, TAG.ENTRY_ADDRESS_EFI32, TAG.ENTRY_ADDRESS_EFI64],
]);
const FLAG_OPTIONAL = 1;
const TAG_HEADER_SIZE = 8;
/** Bytes that a tag has at least, where they are read. */
const TAG_SIZES: Readonly<Record<number, number>> = {
  [TAG.ADDRESS]: 24,
  [TAG.ENTRY_ADDRESS]: 12,
  [TAG.FRAMEBUFFER]: 20,
  [TAG.RELOCATABLE]: 24,
};
/** The highest type of information that the specification knows (§3.6.20). */
const LAST_INFORMATION_TYPE = 21;

/** The load address that means: where the header's place in the file says. */
const FROM_FILE_START = 0xffff_ffff;

const PREFERENCES = ["none", "lowest", "highest"] as const;

/** Where an image that can run anywhere may be put (§3.1.11); addresses are physical. */
export interface Relocation {
  readonly lowest: number;
  /** Of the image's last byte. */
  readonly highest: number;
  readonly alignment: number;
  readonly preference: (typeof PREFERENCES)[number];
}

export interface Multiboot2Header {
  /** Where in the file. */
  readonly offset: number;
  readonly tags: readonly {
    readonly type: number;
    readonly optional: boolean;
    /** All of it, its header included. */
    readonly bytes: Uint8Array;
  }[];
}

export interface Multiboot2Layout extends KernelLayout {
  readonly relocation: Relocation | undefined;
}

/**
 * @returns `undefined` when there is no header in the first 32768 bytes (§3.1.1)
 * @throws GuestError `image` when its tags are broken
 */
export function readMultiboot2Header(source: ByteSource): Multiboot2Header | undefined {
  const found = locate(source);
  return found && { offset: found.offset, tags: readTags(found.bytes) };
}

/**
 * Whether there is a header.
 * @param flat whether it has to give the addresses, for there is no other format that would
 */
export function hasMultiboot2Header(source: ByteSource, flat: boolean): boolean {
  const found = locate(source);
  if (found === undefined) return false;
  if (!flat) return true;
  try {
    return readTags(found.bytes).some(({ type }) => type === TAG.ADDRESS);
  } catch (error) {
    if (error instanceof GuestError) return false;
    throw error;
  }
}

function locate(source: ByteSource): { offset: number; bytes: Uint8Array } | undefined {
  const head = readHead(source, HEADER_SEARCH);
  const view = viewOf(head);
  for (let offset = 0; offset + HEADER_SIZE <= head.length; offset += HEADER_ALIGN) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const words = [4, 8, 12].map((at) => view.getUint32(offset + at, true));
    const [architecture, length = 0] = words;
    const sum = words.reduce((total, word) => total + word, HEADER_MAGIC);
    if (sum % 0x1_0000_0000 !== 0 || architecture !== ARCHITECTURE_I386) continue;
    if (length < HEADER_SIZE || offset + length > head.length) continue;
    return { offset, bytes: head.subarray(offset, offset + length) };
  }
  return undefined;
}

function readTags(header: Uint8Array): Multiboot2Header["tags"] {
  const view = viewOf(header);
  const tags = [];
  let offset = HEADER_SIZE;
  while (offset + TAG_HEADER_SIZE <= header.length) {
    const type = view.getUint16(offset, true);
    if (type === TAG.END) return tags;
    const flags = view.getUint16(offset + 2, true);
    const size = view.getUint32(offset + 4, true);
    if (size < (TAG_SIZES[type] ?? TAG_HEADER_SIZE) || offset + size > header.length) {
      throw new GuestError("image", `Multiboot 2 header has a broken tag of type ${type}`);
    }
    const bytes = header.subarray(offset, offset + size);
    tags.push({ type, optional: (flags & FLAG_OPTIONAL) !== 0, bytes });
    offset += alignUp(size, HEADER_ALIGN);
  }
  return tags;
}

/**
 * Where the kernel's parts go, if it is not relocated. Segments may still overlap or lie outside RAM.
 * @throws GuestError `image` when the header and the file contradict each other, or it demands what
 *   there is not
 */
export function multiboot2Layout(source: ByteSource, header: Multiboot2Header): Multiboot2Layout {
  refuseUnknown(header);
  const view = (type: number): DataView | undefined => {
    const tag = header.tags.find((one) => one.type === type);
    return tag && viewOf(tag.bytes);
  };
  const address = view(TAG.ADDRESS);
  const entry = view(TAG.ENTRY_ADDRESS)?.getUint32(8, true);
  if (address !== undefined && entry === undefined) {
    throw new GuestError("image", "Multiboot 2 header has addresses without an entry address");
  }
  const relocatable = view(TAG.RELOCATABLE);
  const relocation = relocatable && readRelocation(relocatable);
  const types = relocation === undefined ? [ET_EXEC] : [ET_EXEC, ET_DYN];
  const layout =
    address === undefined
      ? elfLayout(source, parseElf(source), { entry, types })
      : flatLayout(source, header.offset, addressFields(address, header.offset, entry ?? 0));
  const graphics = view(TAG.FRAMEBUFFER);
  return { ...layout, relocation, video: graphics && readGraphics(graphics) };
}

function refuseUnknown({ tags }: Multiboot2Header): void {
  for (const { type, optional, bytes } of tags) {
    if (optional || PASSED_OVER.has(type)) continue;
    if (type === TAG.INFORMATION_REQUEST) {
      const view = viewOf(bytes);
      for (let at = TAG_HEADER_SIZE; at + 4 <= bytes.length; at += 4) {
        const wanted = view.getUint32(at, true);
        if (wanted > LAST_INFORMATION_TYPE) {
          throw new GuestError(
            "image",
            `Multiboot 2 header demands unknown information (${wanted})`,
          );
        }
      }
    } else if (type > TAG.RELOCATABLE) {
      throw new GuestError("image", `Multiboot 2 header demands unknown features (tag ${type})`);
    }
  }
}

/** The specification's names are those of version 1. */
function addressFields(tag: DataView, offset: number, entryAddress: number): AddressFields {
  const headerAddress = tag.getUint32(8, true);
  const load = tag.getUint32(12, true);
  return {
    headerAddress,
    loadAddress: load === FROM_FILE_START ? headerAddress - offset : load,
    loadEndAddress: tag.getUint32(16, true),
    bssEndAddress: tag.getUint32(20, true),
    entryAddress,
  };
}

const readGraphics = (tag: DataView): GraphicsRequest => ({
  width: tag.getUint32(8, true),
  height: tag.getUint32(12, true),
  depth: tag.getUint32(16, true),
});

function readRelocation(tag: DataView): Relocation {
  const alignment = tag.getUint32(16, true);
  if ((alignment & (alignment - 1)) !== 0) {
    throw new GuestError("image", `Multiboot 2 header asks for an alignment of ${hex(alignment)}`);
  }
  return {
    lowest: tag.getUint32(8, true),
    highest: tag.getUint32(12, true),
    alignment: Math.max(1, alignment),
    preference: PREFERENCES[tag.getUint32(20, true)] ?? "none",
  };
}
