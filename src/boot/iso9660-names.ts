/** Names of ISO 9660 level 1: eight and three characters of `A` to `Z`, `0` to `9` and `_`. */

const NAME_LENGTH = 8;
const EXTENSION_LENGTH = 3;

/**
 * Gives each name of one directory a level 1 name: upper case, other characters replaced, cut to
 * length, and numbered where two would be the same.
 * @returns in the order of `names`, without versions
 */
export function levelOneNames(
  names: readonly { readonly name: string; readonly directory: boolean }[],
): string[] {
  const taken = new Set<string>();
  return names.map(({ name, directory }) => {
    const { stem, extension } = split(name, directory);
    let candidate = join(stem, extension);
    for (let number = 1; taken.has(candidate); number++) {
      const suffix = String(number);
      candidate = join(stem.slice(0, NAME_LENGTH - suffix.length) + suffix, extension);
    }
    taken.add(candidate);
    return candidate;
  });
}

const join = (stem: string, extension: string): string =>
  extension === "" ? stem : `${stem}.${extension}`;

/** A directory has no extension; a leading dot starts none. */
function split(name: string, directory: boolean): { stem: string; extension: string } {
  const dot = directory ? -1 : name.lastIndexOf(".");
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const extension = dot > 0 ? name.slice(dot + 1) : "";
  return {
    stem: toDCharacters(stem).slice(0, NAME_LENGTH),
    extension: toDCharacters(extension).slice(0, EXTENSION_LENGTH),
  };
}

/** d-characters, ECMA-119 §7.4.1. */
export const toDCharacters = (text: string): string =>
  text.toUpperCase().replace(/[^A-Z0-9_]/g, "_");
