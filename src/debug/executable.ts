/** Which file debuggers are offered as the one that runs: the program with its symbols. */
import type { ByteSource } from "../boot/byte-source.ts";
import { bootFiles } from "../boot/direct-boot.ts";
import { type ElfFile, type ElfSegment, PT_LOAD, parseElf } from "../boot/elf.ts";
import { GuestError } from "../core/errors.ts";
import type { OfferedFile } from "./gdb/target.ts";

interface Program {
  readonly source: ByteSource;
  readonly elf: ElfFile;
}

/**
 * An image usually has a program without its debugging information, and who built it has another
 * file with: of those that are given, the one that is the same program is offered. Without any, it
 * is what the image has.
 * @param beside files that may be it
 * @returns undefined for an image with no program that we see
 */
export function chooseExecutable(
  image: OfferedFile,
  beside: readonly OfferedFile[],
): OfferedFile | undefined {
  const program = programOf(image.bytes);
  if (program === undefined) return undefined;
  const same = beside.find((file) => attempt(() => isSame(program, parse(file.bytes))));
  if (same !== undefined) return same;
  const itself = program.source === image.bytes;
  return itself ? image : { path: `${image.path}/kernel`, bytes: program.source };
}

/** The last 64-bit program: a kernel comes after its loader. Else whatever program there is. */
function programOf(image: ByteSource): Program | undefined {
  const programs = filesOf(image)
    .map(parse)
    .filter((one) => one !== undefined);
  return programs.findLast(({ elf }) => elf.class === 64) ?? programs.at(-1);
}

/** An image that boots otherwise may be a program itself. */
const filesOf = (image: ByteSource): readonly ByteSource[] =>
  attempt(() => bootFiles(image)) ?? [image];

const parse = (source: ByteSource): Program | undefined =>
  attempt(() => ({ source, elf: parseElf(source) }));

/** Undefined where a file is not what it should be. */
function attempt<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}

const loaded = ({ elf }: Program): readonly ElfSegment[] =>
  elf.segments.filter(({ type, fileSize }) => type === PT_LOAD && fileSize > 0);

/** Whether two files load the same bytes to the same addresses. */
function isSame(one: Program, other: Program | undefined): boolean {
  if (other === undefined || one.elf.entry !== other.elf.entry) return false;
  const theirs = loaded(other);
  return (
    loaded(one).length === theirs.length &&
    loaded(one).every((segment, i) => {
      const twin = theirs[i];
      return (
        twin?.virtualAddress === segment.virtualAddress &&
        twin.fileSize === segment.fileSize &&
        sameBytes(contents(one, segment), contents(other, twin))
      );
    })
  );
}

const contents = ({ source }: Program, { offset, fileSize }: ElfSegment): Uint8Array =>
  source.read(offset, fileSize);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);
