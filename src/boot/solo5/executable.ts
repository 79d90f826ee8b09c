/**
 * Executables for Solo5's tenders: ELF files that the monitor itself puts into memory, with nothing
 * of a boot loader between.
 */

import { GuestError } from "../../core/errors.ts";
import type { MemoryProtection } from "../../core/guest-memory.ts";
import { hex, MIB, PAGE_SIZE } from "../../core/units.ts";
import type { ByteSource } from "../byte-source.ts";
import { alignUp } from "../data-view.ts";
import {
  checkSegment,
  type ElfFile,
  type ElfSegment,
  EM_X86_64,
  ET_EXEC,
  PT_LOAD,
} from "../elf.ts";
import type { LoadSegment } from "../multiboot.ts";

/** Lowest address of the guest's own: below is the monitor's (`HVT_GUEST_MIN_BASE`). */
export const GUEST_MIN_BASE = 0x10_0000;

const PF = { X: 1, W: 2, R: 4 } as const;

export interface ExecutableLayout {
  readonly entry: number;
  /** First address after all segments, aligned as the last one is. */
  readonly end: number;
  readonly segments: readonly LoadSegment[];
  /** What the segments' flags say of their pages. */
  readonly protections: readonly MemoryProtection[];
}

/**
 * @param strict refuses pages that can be written and executed; the older ukvm only warned of them
 * @throws GuestError `image`
 */
export function executableLayout(
  source: ByteSource,
  elf: ElfFile,
  memorySize: number,
  strict: boolean,
): ExecutableLayout {
  if (elf.class !== 64 || elf.machine !== EM_X86_64 || elf.type !== ET_EXEC) {
    throw new GuestError("image", "a Solo5 unikernel is an ELF64 executable for x86-64");
  }
  const loadable = elf.segments.filter(
    ({ type, memorySize: size }) => type === PT_LOAD && size > 0,
  );
  const segments: LoadSegment[] = [];
  const protections: MemoryProtection[] = [];
  let end = 0;
  for (const segment of loadable) {
    const address = addressOf(segment);
    const { start, end: next } = pagesOf(segment, address);
    if (start < Math.max(GUEST_MIN_BASE, end)) {
      const where = start < GUEST_MIN_BASE ? `below ${hex(GUEST_MIN_BASE)}` : "over another";
      throw new GuestError("image", `ELF segment at ${hex(start)} lies ${where}`);
    }
    checkSegment(source, segment);
    end = next;
    segments.push({
      address,
      fileOffset: segment.offset,
      fileSize: segment.fileSize,
      memorySize: segment.memorySize,
    });
    protections.push(protectionOf(segment, start, next, strict));
  }
  if (end > memorySize) throw doesNotFit(end, memorySize);
  const entry = Number(elf.entry);
  const inside = segments.some((s) => entry >= s.address && entry < s.address + s.memorySize);
  if (!inside) throw new GuestError("image", `entry point ${hex(elf.entry)} is in no segment`);
  return { entry, end, segments, protections };
}

/** Virtual and physical addresses are the same in such files. */
function addressOf({ virtualAddress, fileSize, memorySize }: ElfSegment): number {
  const address = Number(virtualAddress);
  if (fileSize > memorySize) {
    throw new GuestError(
      "image",
      `ELF segment at ${hex(virtualAddress)} has more bytes in the file than in memory`,
    );
  }
  if (!Number.isSafeInteger(address + memorySize)) {
    throw new GuestError("image", `ELF segment at ${hex(virtualAddress)} is outside of memory`);
  }
  return address;
}

function pagesOf(
  { alignment, memorySize }: ElfSegment,
  address: number,
): { start: number; end: number } {
  const exponent = Math.log2(alignment);
  if (!Number.isInteger(exponent) || alignment < PAGE_SIZE) {
    throw new GuestError(
      "image",
      `ELF segment at ${hex(address)} is aligned to ${alignment} bytes, not to pages`,
    );
  }
  return { start: address - (address % alignment), end: alignUp(address + memorySize, alignment) };
}

function protectionOf(
  { flags }: ElfSegment,
  start: number,
  end: number,
  strict: boolean,
): MemoryProtection {
  const write = (flags & PF.W) !== 0;
  const execute = (flags & PF.X) !== 0;
  if (strict && write && execute) {
    throw new GuestError("image", `ELF segment at ${hex(start)} is both writable and executable`);
  }
  return { start, end, read: (flags & PF.R) !== 0, write, execute };
}

const doesNotFit = (end: number, size: number): GuestError =>
  new GuestError(
    "image",
    `image does not fit: needs ${Math.ceil(end / MIB)} MiB, has ${Math.floor(size / MIB)}; raise --mem`,
  );
