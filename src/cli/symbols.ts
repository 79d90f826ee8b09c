import type { ByteSource } from "../boot/byte-source.ts";
import { HostError } from "../core/errors.ts";
import { programsOf, SymbolTable } from "../debug/symbols.ts";
import { ImageFile } from "../host/image-file.ts";
import type { Closers } from "./closers.ts";

/** The names of a guest's addresses, for reports, traces and profiles. */
export interface GuestSymbols {
  /** What `--symbols` names: an ELF file with the symbols that the image has not. */
  readonly file: ImageFile | undefined;
  /** Read when they are asked for first. */
  readonly table: () => SymbolTable;
}

/** @throws HostError when there are no symbols in the file that is to have them */
export function openSymbols(
  path: string | undefined,
  image: ByteSource,
  closers: Closers,
): GuestSymbols {
  const file =
    path === undefined ? undefined : closers.opened(new ImageFile(path, "file with symbols"));
  if (file !== undefined && new SymbolTable([file]).size === 0) {
    throw new HostError(`there are no symbols in ${path}`, {
      remedy: "name an ELF file that has not been stripped",
    });
  }
  let table: SymbolTable | undefined;
  return {
    file,
    table: () => {
      table ??= new SymbolTable([...(file === undefined ? [] : [file]), ...programsOf(image)]);
      return table;
    },
  };
}
