import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/**
 * Looks whether {@link writeSparseFile} can write there, and makes nothing yet: what is to be written at
 * the end of a long run is not to fail only then. Neither folders nor pipes have places to write at.
 * @throws HostError
 */
export function checkSparseFile(path: string, what: string): void {
  let errno: string | undefined;
  try {
    const old = statSync(path, { throwIfNoEntry: false });
    accessSync(old === undefined ? dirname(path) : path, constants.W_OK);
    if (old?.isDirectory()) errno = "EISDIR";
    if (old?.isFIFO() || old?.isSocket()) errno = "ESPIPE";
    if (path === "") errno = "ENOENT";
  } catch (cause) {
    throw refused(path, what, cause);
  }
  if (errno !== undefined) throw refused(path, what, undefined, errno);
}

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

function refused(
  path: string,
  what: string,
  cause: unknown,
  errno: string | undefined = errnoOf(cause),
): HostError {
  const remedy =
    errno === "ENOSPC"
      ? "make room, or name a file on another disk"
      : "name a file that you may write, in a folder that exists";
  return new HostError(`cannot write the ${what} ${path}`, { errno, remedy, cause });
}
