/** Names of the guest's addresses, from ELF symbol tables (System V gABI 4.1, chapter 4). */
import type { ByteSource } from "../boot/byte-source.ts";
import { getUint64, viewOf } from "../boot/data-view.ts";
import { bootFiles } from "../boot/direct-boot.ts";
import { type ElfFile, type ElfSection, parseElf, readSections } from "../boot/elf.ts";
import { decodeAscii, printable, untilNul } from "../boot/text.ts";
import { GuestError } from "../core/errors.ts";

const SHT_SYMTAB = 2;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;
const STT_NOTYPE = 0;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STB_LOCAL = 0;

/** Keeps hostile files cheap: no kernel has so many. */
const MAX_SYMBOLS = 1_000_000;
const MAX_NAME = 512;
const UNDERSCORE = 0x5f;

export interface Symbol {
  readonly name: string;
  readonly address: bigint;
}

/** A symbol of a file. */
class FileSymbol implements Symbol {
  readonly address: bigint;
  /** The address after it, as far as nothing else begins before that. */
  readonly end: bigint;
  /** Of two at the same address the lower one's name is the better. */
  readonly rank: number;
  readonly #names: Uint8Array;
  readonly #nameOffset: number;

  /** @param names all of the file's, ended by NULs */
  constructor(
    names: Uint8Array,
    nameOffset: number,
    { address, end, info }: { address: bigint; end: bigint; info: number },
  ) {
    this.#names = names;
    this.#nameOffset = nameOffset;
    this.address = address;
    this.end = end;
    const isReserved = names[nameOffset] === UNDERSCORE && names[nameOffset + 1] === UNDERSCORE;
    this.rank =
      ((info & 0xf) === STT_FUNC ? 0 : 4) +
      (info >> 4 === STB_LOCAL ? 2 : 0) +
      (isReserved ? 1 : 0);
  }

  /** Made when somebody asks: of a kernel's thousands a report tells a few. */
  get name(): string {
    const bytes = this.#names.subarray(this.#nameOffset, this.#nameOffset + MAX_NAME);
    return printable(decodeAscii(untilNul(bytes)));
  }
}

/** The symbols of one file or several. */
export class SymbolTable {
  readonly #symbols: readonly FileSymbol[];
  /** Where files begin to run: nobody calls these. */
  readonly entries: ReadonlySet<bigint>;

  /** @param files ELF files; what is none, or has no symbols, adds nothing */
  constructor(files: readonly ByteSource[]) {
    const entries = new Set<bigint>();
    const found = files.flatMap((source) => {
      try {
        const elf = parseElf(source);
        entries.add(elf.entry);
        return readSymbols(source, elf);
      } catch (error) {
        if (error instanceof GuestError) return [];
        throw error;
      }
    });
    this.#symbols = arrange(found);
    this.entries = entries;
  }

  get size(): number {
    return this.#symbols.length;
  }

  /** The symbol that `address` is in. */
  find(address: bigint): Symbol | undefined {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#symbols[middle] as FileSymbol).address <= address) low = middle + 1;
      else high = middle;
    }
    const symbol = this.#symbols[low - 1];
    return symbol === undefined || address >= symbol.end ? undefined : symbol;
  }

  byName(name: string): Symbol | undefined {
    return this.#symbols.find((symbol) => symbol.name === name);
  }

  /** `name`, or `name+0x12`; undefined for an address in no symbol. */
  describe(address: bigint): string | undefined {
    const symbol = this.find(address);
    if (symbol === undefined) return undefined;
    const offset = address - symbol.address;
    return offset === 0n ? symbol.name : `${symbol.name}+0x${offset.toString(16)}`;
  }
}

function readSymbols(source: ByteSource, elf: ElfFile): FileSymbol[] {
  const sections = readSections(source, elf);
  return sections
    .filter(({ type }) => type === SHT_SYMTAB)
    .flatMap((table) => symbolsOf(source, elf, table, sections));
}

function symbolsOf(
  source: ByteSource,
  elf: ElfFile,
  table: ElfSection,
  sections: readonly ElfSection[],
): FileSymbol[] {
  const entrySize = elf.class === 64 ? 24 : 16;
  const strings = sections[table.link];
  if (strings === undefined || table.size > MAX_SYMBOLS * entrySize) return [];
  const names = source.read(strings.offset, strings.size);
  const view = viewOf(source.read(table.offset, table.size));
  const found: FileSymbol[] = [];
  for (let at = 0; at + entrySize <= view.byteLength; at += entrySize) {
    const { nameOffset, info, section, address, size } =
      elf.class === 64 ? symbol64(view, at) : symbol32(view, at);
    const type = info & 0xf;
    if (section === SHN_UNDEF || section >= SHN_LORESERVE) continue;
    if (type !== STT_FUNC && type !== STT_OBJECT && type !== STT_NOTYPE) continue;
    if ((names[nameOffset] ?? 0) === 0) continue;
    // A label is as long as it is to the next one, or to the end of its section.
    const home = sections[section];
    const homeEnd = home === undefined ? address : home.address + BigInt(home.size);
    const end = size > 0n ? address + size : homeEnd;
    found.push(new FileSymbol(names, nameOffset, { address, end, info }));
  }
  return found;
}

const symbol64 = (view: DataView, at: number) => ({
  nameOffset: view.getUint32(at, true),
  info: view.getUint8(at + 4),
  section: view.getUint16(at + 6, true),
  address: view.getBigUint64(at + 8, true),
  size: BigInt(getUint64(view, at + 16)),
});

const symbol32 = (view: DataView, at: number) => ({
  nameOffset: view.getUint32(at, true),
  address: BigInt(view.getUint32(at + 4, true)),
  size: BigInt(view.getUint32(at + 8, true)),
  info: view.getUint8(at + 12),
  section: view.getUint16(at + 14, true),
});

/** By address, one each. */
function arrange(symbols: readonly FileSymbol[]): FileSymbol[] {
  const sorted = symbols.toSorted((a, b) => {
    if (a.address !== b.address) return a.address < b.address ? -1 : 1;
    return a.rank - b.rank;
  });
  return sorted.filter(({ address }, i) => address !== sorted[i - 1]?.address);
}

/** The files of an image that may have symbols: those that it boots; of one that boots otherwise, itself. */
export function programsOf(image: ByteSource): readonly ByteSource[] {
  try {
    return bootFiles(image);
  } catch (error) {
    if (error instanceof GuestError) return [image];
    throw error;
  }
}
