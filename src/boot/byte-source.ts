import { GuestError } from "../core/errors.ts";

/**
 * Random access to the bytes of an image: a file on a disk, or bytes in memory. An image may be
 * far larger than what is read of it, so nobody loads it whole.
 */
export interface ByteSource {
  /** Bytes in all. */
  readonly size: number;

  /**
   * Exactly `length` bytes from `offset`. The caller does not write to them; they may be a view of
   * the source's own memory.
   * @throws GuestError `image` when they are not all inside the source
   */
  read(offset: number, length: number): Uint8Array;

  /** The same, of `into`'s length, written there. */
  readInto(offset: number, into: Uint8Array): void;
}

/**
 * The check every {@link ByteSource} makes before it reads.
 * @param what names the part in the message: `program header table`
 * @throws GuestError `image` when `length` bytes at `offset` are not all inside the source
 */
export function checkRange(
  source: { readonly size: number },
  offset: number,
  length: number,
  what = "data",
): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new GuestError(
    "image",
    `${what} at byte ${offset}, ${length} bytes long, reaches past the end of the file (${source.size} bytes)`,
  );
}

/** As {@link ByteSource.read}, with the part's name in the message. */
export function readPart(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
): Uint8Array {
  checkRange(source, offset, length, what);
  return source.read(offset, length);
}

/** The first bytes of a source, at most `length`. */
export const readHead = (source: ByteSource, length: number): Uint8Array =>
  source.read(0, Math.min(length, source.size));

export class MemorySource implements ByteSource {
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  readInto(offset: number, into: Uint8Array): void {
    into.set(this.read(offset, into.length));
  }
}

/** Part of another source, as a file inside an ISO image is. */
export class WindowSource implements ByteSource {
  readonly size: number;
  readonly #source: ByteSource;
  readonly #offset: number;

  /**
   * @param what names the part in the message
   * @throws GuestError `image` when the window is not inside `source`
   */
  constructor(source: ByteSource, offset: number, size: number, what: string) {
    checkRange(source, offset, size, what);
    this.#source = source;
    this.#offset = offset;
    this.size = size;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#source.read(this.#offset + offset, length);
  }

  readInto(offset: number, into: Uint8Array): void {
    checkRange(this, offset, into.length);
    this.#source.readInto(this.#offset + offset, into);
  }
}
