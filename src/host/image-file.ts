import { closeSync } from "node:fs";
import { GuestError, HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";
import { openFile, readFully } from "./open-file.ts";

/** Random access to an image on the host's disk, without loading it whole. */
export class ImageFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly #fd: number;
  #open = true;

  /**
   * @param what names it in messages
   * @throws HostError when there is no such file, or it cannot be read
   */
  constructor(path: string, what = "image") {
    const { fd, size } = openFile(path, "r", what);
    this.path = path;
    this.size = size;
    this.#fd = fd;
  }

  /**
   * Exactly `length` bytes from `offset`.
   * @throws GuestError `image` when they are not all in the file, HostError when the host fails
   */
  read(offset: number, length: number): Uint8Array {
    // Checked before memory is asked for: an image may name any length.
    if (!this.#has(offset, length)) throw this.#missing(offset, length);
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  /** As {@link read}, with the length of `into`. */
  readInto(offset: number, into: Uint8Array): void {
    const { length } = into;
    if (!this.#has(offset, length)) throw this.#missing(offset, length);
    let count = 0;
    try {
      count = readFully(this.#fd, into, offset);
    } catch (cause) {
      throw new HostError(`cannot read image ${this.path}`, { errno: errnoOf(cause), cause });
    }
    if (count < length) throw this.#missing(offset, length);
  }

  #has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.size;
  }

  #missing(offset: number, length: number): GuestError {
    return new GuestError(
      "image",
      `byte ${offset} and the ${length} bytes from it are not in ${this.path} (${this.size} bytes)`,
    );
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }
}
