import { GuestError } from "../../core/errors.ts";
import { type ByteSource, readPart } from "../byte-source.ts";
import { alignUp, viewOf } from "../data-view.ts";
import { type ElfFile, PT_NOTE } from "../elf.ts";
import { decodeAscii } from "../text.ts";

/** The owner of Solo5's notes, as it stands in the file: with its NUL, padded to four bytes. */
const NAME = "Solo5\0";
const NAME_PADDED = 8;
/** Sizes of name and description, and the type. */
const HEADER_SIZE = 12;

export interface NoteFormat {
  /** Four characters as a little-endian number. */
  readonly type: number;
  /** Of the structure in the note, which the compiler aligned from the note's start. */
  readonly alignment: number;
  /** Bytes of the description at most, padding included. */
  readonly maximum: number;
}

/**
 * The contents of a note of Solo5's. Each has a PT_NOTE segment of its own and stands first in it
 * (Solo5, `elf_abi.h` and the linker scripts); its description begins with the padding that aligns
 * what follows.
 * @returns `undefined` when there is no such note
 * @throws GuestError `image` when it is malformed
 */
export function readSolo5Note(
  source: ByteSource,
  elf: ElfFile,
  { type, alignment, maximum }: NoteFormat,
): Uint8Array | undefined {
  for (const segment of elf.segments) {
    if (segment.type !== PT_NOTE) continue;
    if (segment.fileSize < HEADER_SIZE) throw badSize(`segment of ${segment.fileSize} bytes`);
    const start = HEADER_SIZE + NAME_PADDED;
    if (segment.fileSize < start) continue;
    const header = readPart(source, segment.offset, start, "truncated ELF: note");
    const view = viewOf(header);
    if (view.getUint32(0, true) !== NAME.length || view.getUint32(8, true) !== type) continue;
    if (decodeAscii(header.subarray(HEADER_SIZE, HEADER_SIZE + NAME.length)) !== NAME) continue;
    const length = view.getUint32(4, true);
    const padding = alignUp(start, alignment) - start;
    if (length > maximum || length <= padding || start + length > segment.fileSize) {
      throw badSize(`description of ${length} bytes, segment of ${segment.fileSize}`);
    }
    const offset = segment.offset + start + padding;
    return readPart(source, offset, length - padding, "truncated ELF: note");
  }
  return undefined;
}

const badSize = (what: string): GuestError =>
  new GuestError("image", `Solo5 note does not fall within valid size (${what})`);
