/** What a file is, and why we do not start it if we do not. */

import { GuestError } from "../core/errors.ts";
import { KIB } from "../core/units.ts";
import { type ByteSource, readHead } from "./byte-source.ts";
import { viewOf } from "./data-view.ts";
import { EM_386, EM_X86_64, ET_EXEC, isElf, parseElf, readInterpreter } from "./elf.ts";
import { isIso9660 } from "./iso9660.ts";
import { isLinux } from "./linux.ts";
import { isLinuxElf } from "./linux-elf.ts";
import { findMultibootHeader, type MultibootHeader } from "./multiboot.ts";
import { hasMultiboot2Header } from "./multiboot2.ts";
import { findPvhEntry } from "./pvh.ts";
import { isForTender, readAbi, targetName } from "./solo5/abi.ts";
import { looksLikeUkvm } from "./solo5/tender-image.ts";
import { decodeAscii, printable } from "./text.ts";

export interface Identification {
  readonly kind: "iso9660" | "multiboot" | "linux" | "linux-elf" | "pvh" | "tender" | "other";
  /** A noun phrase with its article: `an ISO 9660 image`. */
  readonly description: string;
}

const HEAD_SIZE = 4 * KIB;
const SECTOR_SIZE = 512;
const BOOT_SIGNATURE = "\x55\xaa";

const COMPRESSED = "compressed file (decompress it first)";
const CONVERT = "disk image (convert it to a raw one first)";

/** A format that has a signature at a fixed place. */
type Signature = readonly [offset: number, signature: string, description: string];

/** Disk images that are not the disk's sectors one after the other. */
const DISK_FORMATS: readonly Signature[] = [
  [0, "QFI\xfb", `a qcow2 ${CONVERT}`],
  [0, "KDMV", `a VMDK ${CONVERT}`],
  [64, "\x7f\x10\xda\xbe", `a VDI ${CONVERT}`],
  [0, "vhdxfile", `a VHDX ${CONVERT}`],
  [0, "conectix", `a VHD ${CONVERT}`],
  [0, "IMD ", `an ImageDisk ${CONVERT}`],
  [0, "HXCPICFE", `an HFE ${CONVERT}`],
];

/** The first that matches wins. */
const SIGNATURES: readonly Signature[] = [
  ...DISK_FORMATS,
  [0, "\x1f\x8b", `a gzip-${COMPRESSED}`],
  [0, "\xfd7zXZ\0", `an xz-${COMPRESSED}`],
  [0, "\x28\xb5\x2f\xfd", `a zstd-${COMPRESSED}`],
  [0, "BZh", `a bzip2-${COMPRESSED}`],
  [0, "\x5d\0\0", `an LZMA-${COMPRESSED}`],
  [0, "\x04\x22\x4d\x18", `an lz4-${COMPRESSED}`],
  [0, "PK\x03\x04", "a zip archive (unpack it first)"],
  [0, "7z\xbc\xaf\x27\x1c", "a 7z archive (unpack it first)"],
  [0, "Rar!\x1a\x07", "a rar archive (unpack it first)"],
  [257, "ustar", "a tar archive (unpack it first)"],
  [0, "070701", "a cpio archive, as --initrd takes it"],
  [0, "# Disk DescriptorFile", "the description of a VMDK disk image, which is another file"],
  [
    0,
    "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0",
    "a CD with raw sectors (convert it to an ISO image first)",
  ],
  [0, "\xcf\xfa\xed\xfe", "a 64-bit Mach-O file"],
  [0, "\xce\xfa\xed\xfe", "a 32-bit Mach-O file"],
  [0, "\0asm", "a WebAssembly module"],
  [1080, "\x53\xef", "an ext2, ext3 or ext4 file system"],
];

const ELF_MACHINES: Readonly<Record<number, string>> = {
  2: "SPARC",
  [EM_386]: "x86",
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "S/390",
  40: "Arm",
  [EM_X86_64]: "x86-64",
  183: "arm64",
  243: "RISC-V",
  258: "LoongArch",
};

const ELF_TYPES: Readonly<Record<number, string>> = {
  1: "relocatable object",
  [ET_EXEC]: "executable",
  3: "shared object",
  4: "core dump",
};

const PE_MACHINES: Readonly<Record<number, string>> = {
  332: "a 32-bit PE executable for x86",
  452: "a 32-bit PE executable for Arm",
  34404: "a 64-bit PE executable for x86-64",
  43620: "a 64-bit PE executable for arm64",
};

/** Never fails: a file that is nothing known is described as that. */
export function identify(source: ByteSource): Identification {
  if (source.size === 0) return other("an empty file");
  if (isIso9660(source)) return { kind: "iso9660", description: "an ISO 9660 image" };
  if (isElf(source)) return identifyElf(source);
  const head = readHead(source, HEAD_SIZE);
  if (isLinux(head, source.size)) return { kind: "linux", description: "a Linux kernel" };
  const known = describeSigned(SIGNATURES, head);
  if (known !== undefined) return other(known);
  if (startsWith(head, 0, "MZ")) return other(describePe(source, head));
  const header = findMultibootHeader(source);
  if (header?.addresses !== undefined && !isInDisk(header, head)) {
    return { kind: "multiboot", description: "a flat binary with a Multiboot header" };
  }
  if (hasMultiboot2Header(source, true)) {
    return { kind: "multiboot", description: "a flat binary with a Multiboot 2 header" };
  }
  return other(describeUnknown(source, head));
}

/** What a disk's first sector says that it is, if it is no disk's: `a qcow2 disk image …`. */
export const foreignDisk = (sector: Uint8Array): string | undefined =>
  describeSigned(DISK_FORMATS, sector);

/**
 * @param name what to call the file in the message: a path inside an ISO, or `image`
 * @throws GuestError `image`, one line, when this is nothing that we start
 */
export function refuse(name: string, { description }: Identification): GuestError {
  return new GuestError(
    "image",
    `${printable(name)} is ${description}, not an ISO image or a Multiboot kernel`,
  );
}

/** Whether the kernel lies behind a disk's boot sector, which is there to load it. */
function isInDisk({ offset, addresses }: MultibootHeader, head: Uint8Array): boolean {
  if (addresses === undefined || !hasBootSignature(head)) return false;
  return offset - (addresses.headerAddress - addresses.loadAddress) >= SECTOR_SIZE;
}

const hasBootSignature = (head: Uint8Array): boolean => startsWith(head, 510, BOOT_SIGNATURE);

function identifyElf(source: ByteSource): Identification {
  try {
    const elf = parseElf(source);
    const machine = ELF_MACHINES[elf.machine] ?? `machine ${elf.machine}`;
    const type = ELF_TYPES[elf.type] ?? `file of type ${elf.type}`;
    const description = `an ELF${elf.class} ${type} for ${machine}`;
    if (elf.machine !== EM_386 && elf.machine !== EM_X86_64) return other(description);
    if (findMultibootHeader(source) !== undefined) {
      return { kind: "multiboot", description: `${description} with a Multiboot header` };
    }
    if (hasMultiboot2Header(source, false)) {
      return { kind: "multiboot", description: `${description} with a Multiboot 2 header` };
    }
    if (isForTender(source, elf)) {
      const abi = readAbi(source, elf);
      const tender = abi === undefined ? "a Solo5 tender" : `Solo5's ${targetName(abi.target)}`;
      return { kind: "tender", description: `${description} for ${tender}` };
    }
    if (findPvhEntry(source, elf) !== undefined) {
      return { kind: "pvh", description: `${description} with a PVH entry` };
    }
    if (isLinuxElf(source, elf)) {
      return { kind: "linux-elf", description: `${description} for Linux's boot protocol` };
    }
    if (looksLikeUkvm(source, elf)) {
      return { kind: "tender", description: `${description}, linked like Solo5's for ukvm` };
    }
    if (readInterpreter(source, elf) !== undefined)
      return other(`${description} that an operating system loads`);
    return other(`${description} without a Multiboot header`);
  } catch (error) {
    if (error instanceof GuestError) return other(`a broken ELF file (${error.message})`);
    throw error;
  }
}

/** Microsoft PE format: the signature's offset is at 0x3c, the machine after it. */
function describePe(source: ByteSource, head: Uint8Array): string {
  if (head.length < 0x40) return "a truncated DOS executable";
  const offset = viewOf(head).getUint32(0x3c, true);
  if (offset + 6 > source.size) return "a DOS executable";
  const header = source.read(offset, 6);
  if (!startsWith(header, 0, "PE\0\0")) return "a DOS executable";
  const machine = viewOf(header).getUint16(4, true);
  return PE_MACHINES[machine] ?? `a PE executable for machine ${machine}`;
}

function describeUnknown(source: ByteSource, head: Uint8Array): string {
  if (head.every((byte) => byte === 0)) {
    return `a file that starts with ${head.length} zeros and has no ISO volume descriptor (${source.size} bytes)`;
  }
  if (head.every(isTextByte)) return "a text file";
  if (hasBootSignature(head)) return "a disk image or boot sector";
  return `a file of unknown format (${source.size} bytes)`;
}

/** Blanks, printable ASCII, and everything UTF-8 and the Latin character sets use above it. */
const isTextByte = (byte: number): boolean =>
  byte >= 0x20 ? byte !== 0x7f : byte >= 0x09 && byte <= 0x0d;

const describeSigned = (among: readonly Signature[], head: Uint8Array): string | undefined =>
  among.find(([offset, signature]) => startsWith(head, offset, signature))?.[2];

const startsWith = (bytes: Uint8Array, offset: number, signature: string): boolean =>
  decodeAscii(bytes.subarray(offset, offset + signature.length)) === signature;

const other = (description: string): Identification => ({ kind: "other", description });
