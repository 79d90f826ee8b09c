import { closeSync, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from "node:fs";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/**
 * Writes a file that is mostly holes, in place of what has its name.
 * @param what it is, in messages: `core file`
 * @throws HostError when it cannot be written; nothing of it is left then
 */
export function writeSparseFile(
  path: string,
  what: string,
  size: number,
  pieces: Iterable<{ readonly offset: number; readonly bytes: Uint8Array }>,
): void {
  let fd: number;
  try {
    fd = openSync(path, "w");
  } catch (cause) {
    throw refused(path, what, cause);
  }
  try {
    for (const { offset, bytes } of pieces) {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
      }
    }
    if (fstatSync(fd).isFile()) ftruncateSync(fd, size);
  } catch (cause) {
    if (fstatSync(fd).isFile()) unlinkSync(path);
    closeSync(fd);
    throw refused(path, what, cause);
  }
  closeSync(fd);
}

function refused(path: string, what: string, cause: unknown): HostError {
  const errno = errnoOf(cause);
  const remedy =
    errno === "ENOSPC"
      ? "make room, or name a file on another disk"
      : "name a file that you may write, in a folder that exists";
  return new HostError(`cannot write the ${what} ${path}`, { errno, remedy, cause });
}
