import {
  closeSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";

/**
 * Writes a whole file or nothing: what is there already stays until the new one is complete.
 * @throws Error as Node's `writeFileSync`
 */
export function replaceFile(path: string, bytes: Uint8Array): void {
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
    writeFileSync(unfinished, bytes, { flag: "wx", mode: modeOf(old) });
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Permissions; for a new file the usual ones. */
const modeOf = (stats: Stats | undefined): number => (stats?.mode ?? 0o666) & 0o777;
