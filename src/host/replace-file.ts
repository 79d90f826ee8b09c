import {
  closeSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";

/** Permissions of a new file, less what the user's mask takes. */
const USUAL = 0o666;

/**
 * Writes a whole file or nothing: what is there already stays until the new one is complete.
 * @param mode permissions if it is new
 * @throws Error as Node's `writeFileSync`
 */
export function replaceFile(path: string, bytes: Uint8Array, mode = USUAL): void {
  const old = statSync(path, { throwIfNoEntry: false });
  if (old !== undefined && !old.isFile()) {
    // A pipe or a device keeps nothing that could be lost.
    writeFileSync(path, bytes);
    return;
  }
  const target = old === undefined ? path : realpathSync(path);
  // A file that may not be written must not be replaced either.
  if (old !== undefined) closeSync(openSync(target, "r+"));
  const unfinished = `${target}.${process.pid}`;
  try {
    writeFileSync(unfinished, bytes, {
      flag: "wx",
      mode: old === undefined ? mode : old.mode & 0o777,
    });
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}
