import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
} from "node:fs";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/** An open file or block device. */
export interface OpenFile {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
}

/** The kernel counts a block device's size in these whatever its own sectors are. */
const SYSFS_SECTOR = 512;

/**
 * Opens a file or block device of a fixed size.
 * @param what names its part in messages: `image`
 * @param remedies what to do, by errno, where it depends on the caller
 * @throws HostError
 */
export function openFile(
  path: string,
  mode: "r" | "r+",
  what: string,
  remedies: Readonly<Record<string, string>> = {},
): OpenFile {
  const refused = (errno?: string, cause?: unknown): HostError =>
    new HostError(`cannot open ${what} ${path}`, {
      errno,
      remedy: remedies[errno ?? ""] ?? openRemedy(errno),
      cause,
    });
  let fd: number;
  try {
    // Without O_CREAT only block devices know O_EXCL: what is mounted is not written (open(2)).
    const access = mode === "r" ? constants.O_RDONLY : constants.O_RDWR | constants.O_EXCL;
    // Without waiting: a pipe would hold us up here, and is refused below.
    fd = openSync(path, access | constants.O_NONBLOCK);
  } catch (cause) {
    throw refused(errnoOf(cause), cause);
  }
  try {
    const stats = fstatSync(fd);
    const size = sizeOf(stats, path, what);
    // Some drivers open read-only devices for writing, and then refuse each write.
    if (mode === "r+" && stats.isBlockDevice() && deviceNumber(stats.rdev, "ro") !== 0) {
      throw refused("EROFS");
    }
    return { fd, size };
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
}

function openRemedy(errno: string | undefined): string | undefined {
  switch (errno) {
    case "ENOENT":
      return "there is no such file";
    case "ENOTDIR":
      return "a part of the path is not a folder";
    case "EISDIR":
      return "it is a folder, not a file";
    case "EBUSY":
      return "it is mounted, or in use otherwise";
    case "EACCES":
    case "EPERM":
      return "no permission: see `ls -l`";
    default:
      return undefined;
  }
}

function sizeOf(stats: Stats, path: string, what: string): number {
  if (stats.isFile()) return stats.size;
  if (stats.isBlockDevice()) return deviceNumber(stats.rdev, "size") * SYSFS_SECTOR;
  const kind = stats.isDirectory() ? "a folder" : "neither a file nor a block device";
  throw new HostError(`${what} ${path} is ${kind}`);
}

/** What the kernel tells of a block device. */
function deviceNumber(device: number, attribute: "size" | "ro"): number {
  // Linux's encoding of device numbers in user space (glibc, sys/sysmacros.h).
  const major = ((device >>> 8) & 0xfff) | (Math.floor(device / 0x1_0000_0000) & ~0xfff);
  const minor = (device & 0xff) | ((device >>> 12) & 0xf_ff00);
  const path = `/sys/dev/block/${major}:${minor}/${attribute}`;
  try {
    return Number(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new HostError(`cannot read ${path}`, {
      errno: errnoOf(cause),
      remedy: "block devices need the host's /sys",
      cause,
    });
  }
}

/** Fills `into` from byte `position`; fewer bytes only at the file's end. Returns how many. */
export function readFully(fd: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = readSync(fd, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
