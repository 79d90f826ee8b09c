/** Images that Solo5's tenders load: what they are for, what they want, and loading them. */

import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { ByteSource } from "../byte-source.ts";
import { type ElfFile, EM_X86_64, ET_EXEC, isElf, PT_LOAD, parseElf, readNotes } from "../elf.ts";
import { writeSegments } from "../loading.ts";
import { ABI_TARGET, HVT_ABI_VERSIONS, isForTender, readAbi, targetName } from "./abi.ts";
import { type ExecutableLayout, executableLayout, GUEST_MIN_BASE } from "./executable.ts";
import { type Manifest, readManifest } from "./manifest.ts";

export type TenderAbi = "hvt" | "ukvm";

export interface TenderImage {
  readonly abi: TenderAbi;
  readonly source: ByteSource;
  readonly elf: ElfFile;
  /** ukvm has none: one network device and one disk, if any. */
  readonly manifest: Manifest | undefined;
}

/**
 * What loads a file that says nothing of its loader but is linked like ukvm's unikernels: an
 * executable for x86-64 whose first segment is at 1 MiB, where it is also entered.
 */
export function looksLikeUkvm(source: ByteSource, elf: ElfFile): boolean {
  if (elf.class !== 64 || elf.machine !== EM_X86_64 || elf.type !== ET_EXEC) return false;
  const first = elf.segments.find(({ type }) => type === PT_LOAD);
  if (first === undefined || Number(first.virtualAddress) !== GUEST_MIN_BASE) return false;
  const offset = Number(elf.entry) - GUEST_MIN_BASE;
  return offset >= 0 && offset < first.memorySize && readNotes(source, elf).length === 0;
}

/** @throws GuestError `image` when it is for another monitor, or malformed */
export function readTenderImage(source: ByteSource): TenderImage {
  const elf = parseElf(source);
  if (!isForTender(source, elf)) return { abi: "ukvm", source, elf, manifest: undefined };
  const abi = readAbi(source, elf);
  if (abi === undefined) {
    throw new GuestError("image", "no Solo5 ABI information found in executable");
  }
  if (abi.target !== ABI_TARGET.HVT) {
    throw new GuestError(
      "image",
      `unikernel is for Solo5's ${targetName(abi.target)} target; hvt and virtio are run here`,
    );
  }
  if (!HVT_ABI_VERSIONS.includes(abi.version)) {
    const here = HVT_ABI_VERSIONS.join(" and ");
    throw new GuestError(
      "image",
      `unikernel wants version ${abi.version} of Solo5's hvt ABI, here are ${here}`,
    );
  }
  const manifest = readManifest(source, elf);
  if (manifest === undefined) {
    throw new GuestError("image", "no Solo5 manifest found in executable");
  }
  return { abi: "hvt", source, elf, manifest };
}

/** The manifest of any ELF file that has one; `undefined` also when it is malformed. */
export function manifestOf(source: ByteSource): Manifest | undefined {
  if (!isElf(source)) return undefined;
  try {
    return readManifest(source, parseElf(source));
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}

/**
 * Puts the segments into memory, and says there what the guest may do with their pages.
 * @param memorySize bytes that the guest may use
 * @throws GuestError `image`; guest memory is then as it was
 */
export function loadTenderImage(
  { abi, source, elf }: TenderImage,
  memory: GuestMemory,
  memorySize: number,
): ExecutableLayout {
  const layout = executableLayout(source, elf, memorySize, abi === "hvt");
  writeSegments(memory, source, layout.segments);
  memory.protections = layout.protections;
  return layout;
}
