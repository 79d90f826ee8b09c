/** Portable Network Graphics (W3C, third edition). */

import { accessSync, closeSync, constants, openSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { deflateSync } from "node:zlib";
import { HostError } from "../core/errors.ts";
import type { Picture } from "../core/picture.ts";
import { errnoOf } from "./errno.ts";
import { replaceFile } from "./replace-file.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] as const;
const BITS = 8;
const TRUECOLOUR = 2;
/** CRC of ISO 3309, lowest bit first (annex D). */
const POLYNOMIAL = 0xedb8_8320;
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder >>> 1) ^ ((remainder & 1) === 0 ? 0 : POLYNOMIAL);
  }
  return remainder;
});

/**
 * Looks whether {@link writePng} can write there, and makes nothing yet: what is to be written at the end of a long
 * run is not to fail only then.
 * @throws HostError
 */
export function checkPng(path: string): void {
  let errno: string | undefined;
  try {
    const old = statSync(path, { throwIfNoEntry: false });
    if (old !== undefined) accessSync(path, constants.W_OK);
    // A new file takes an old one's place.
    if (old === undefined || old.isFile()) {
      accessSync(dirname(old === undefined ? path : realpathSync(path)), constants.W_OK);
    }
    if (old?.isDirectory()) errno = "EISDIR";
    if (path === "") errno = "ENOENT";
  } catch (cause) {
    throw refused(path, cause);
  }
  if (errno !== undefined) throw refused(path, undefined, errno);
}

const refused = (path: string, cause: unknown, errno = errnoOf(cause)): HostError =>
  new HostError(`cannot write the screen to ${path}`, {
    errno,
    remedy: "name a file that you may write, in a folder that exists",
    cause,
  });

/**
 * Writes a picture, in place of what has its name.
 * @throws HostError
 */
export function writePng(path: string, picture: Picture): void {
  let pipe: number | undefined;
  try {
    // Opening a pipe that nobody reads waits for ever. Kept open: its reader would take a close for the end.
    if (statSync(path, { throwIfNoEntry: false })?.isFIFO()) {
      pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    }
    replaceFile(path, encodePng(picture));
  } catch (cause) {
    throw refused(path, cause);
  } finally {
    if (pipe !== undefined) closeSync(pipe);
  }
}

export function encodePng({ width, height, pixels }: Picture): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([BITS, TRUECOLOUR], 8);
  // Before each line is its filter: none.
  const line = 3 * width;
  const lines = new Uint8Array((line + 1) * height);
  for (let y = 0; y < height; y++) {
    lines.set(pixels.subarray(y * line, (y + 1) * line), y * (line + 1) + 1);
  }
  return Buffer.concat([
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(data.length + 12);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

function crc(bytes: Uint8Array): number {
  let remainder = 0xffff_ffff;
  for (const byte of bytes) {
    remainder = (remainder >>> 8) ^ (REMAINDERS[(remainder ^ byte) & 0xff] as number);
  }
  return ~remainder >>> 0;
}
