import { closeSync, fdatasyncSync, writeSync } from "node:fs";
import type { BlockBackend } from "../core/backends.ts";
import { HostError } from "../core/errors.ts";
import { loadAddon } from "./addon.ts";
import { errnoOf } from "./errno.ts";
import { type OpenFile, openFile, readFully } from "./open-file.ts";

const SECTOR_SIZE = 512;

/** What this uses of the addon (`native/lock_glue.cc`). */
interface LockAddon {
  lockFile(fd: number, exclusive: boolean): void;
}

/**
 * A disk in a file, or on a block device of the host. It is locked (flock(2)): one writer, or any
 * number of readers.
 */
export class BlockFile implements BlockBackend {
  readonly path: string;
  readonly capacity: number;
  readonly readOnly: boolean;
  readonly #fd: number;
  #open = true;

  /** @throws HostError when it cannot be opened as asked, or its size is no disk's */
  constructor(path: string, options: { readonly readOnly: boolean }) {
    const { fd, size } = options.readOnly ? openFile(path, "r", "disk") : openForWriting(path);
    try {
      checkSize(path, size);
      lock(path, fd, options.readOnly);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.path = path;
    this.capacity = size;
    this.readOnly = options.readOnly;
    this.#fd = fd;
  }

  read(offset: number, into: Uint8Array): void {
    const count = this.#attempt("read", () => readFully(this.#fd, into, offset));
    if (count < into.length) {
      throw new HostError(`cannot read disk ${this.path}: it is shorter than it was at the start`);
    }
  }

  write(offset: number, from: Uint8Array): void {
    this.#attempt("write", () => {
      let done = 0;
      while (done < from.length) {
        done += writeSync(this.#fd, from, done, from.length - done, offset + done);
      }
    });
  }

  flush(): void {
    this.#attempt("flush", () => fdatasyncSync(this.#fd));
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  #attempt<Result>(verb: string, action: () => Result): Result {
    try {
      return action();
    } catch (cause) {
      const errno = errnoOf(cause);
      throw new HostError(`cannot ${verb} disk ${this.path}`, { errno, cause });
    }
  }
}

function openForWriting(path: string): OpenFile {
  const readOnly = `it cannot be written: add ",ro" to use it read-only`;
  return openFile(path, "r+", "disk", {
    EACCES: readOnly,
    EPERM: readOnly,
    EROFS: readOnly,
    ETXTBSY: readOnly,
  });
}

/**
 * Without the addon there are no locks, nor on some file systems: then nothing is refused.
 * @throws HostError when another lock is in the way
 */
function lock(path: string, fd: number, readOnly: boolean): void {
  try {
    loadAddon<LockAddon>().lockFile(fd, !readOnly);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno !== "EAGAIN") return;
    throw new HostError(`disk ${path} is in use`, {
      errno,
      remedy: 'end the run that writes it; several may share it if all use ",ro"',
      cause,
    });
  }
}

function checkSize(path: string, size: number): void {
  if (size === 0) {
    throw new HostError(`disk ${path} is empty`, {
      remedy: `give it a size, for example \`truncate -s 1M ${path}\``,
    });
  }
  if (size % SECTOR_SIZE !== 0) {
    throw new HostError(`disk ${path} has ${size} bytes, not a multiple of ${SECTOR_SIZE}`, {
      remedy: `make it larger with \`truncate -s %${SECTOR_SIZE} ${path}\``,
    });
  }
}
