import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  realpathSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/** A file that is open to be written from its beginning. */
export interface OutputFile {
  readonly path: string;
  readonly fd: number;
}

interface Opened extends OutputFile {
  /** Whether there was no such file before. */
  readonly created: boolean;
}

/**
 * Opens files to be written, all of them or none. What is in a file already goes once nothing can
 * be refused any more. Opening a pipe waits for its reader.
 * @param paths by what the file is in messages: `capture`
 * @throws HostError when one cannot be opened; all are then as they were
 */
export function openOutputs<What extends string>(
  paths: Readonly<Record<What, string | undefined>>,
): Partial<Record<What, OutputFile>> {
  const files: Partial<Record<What, OutputFile>> = {};
  const opened: Opened[] = [];
  try {
    for (const what in paths) {
      const path = paths[what];
      if (path === undefined) continue;
      const file = openOutput(path, what);
      opened.push(file);
      files[what] = file;
    }
  } catch (error) {
    for (const file of opened) abandon(file);
    throw error;
  }
  for (const { fd } of opened) if (fstatSync(fd).isFile()) ftruncateSync(fd);
  return files;
}

/**
 * Writes all of a file, and closes it.
 * @throws HostError
 */
export function writeOutput({ path, fd }: OutputFile, what: string, text: string): void {
  try {
    writeFileSync(fd, text);
  } catch (cause) {
    throw new HostError(`cannot write the ${what} ${path}`, { errno: errnoOf(cause), cause });
  } finally {
    closeSync(fd);
  }
}

function openOutput(path: string, what: string): Opened {
  try {
    return openExisting(path) ?? { path, fd: openSync(path, "w"), created: true };
  } catch (cause) {
    throw new HostError(`cannot write the ${what} ${path}`, {
      errno: errnoOf(cause),
      remedy: "name a file that you may write, in a folder that exists",
      cause,
    });
  }
}

function openExisting(path: string): Opened | undefined {
  try {
    return { path, fd: openSync(path, constants.O_WRONLY), created: false };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function abandon({ path, fd, created }: Opened): void {
  closeSync(fd);
  // A link that led nowhere stays.
  if (created) unlinkSync(realpathSync(path));
}
