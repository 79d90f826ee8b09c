import { type ByteSource, checkRange } from "../../src/boot/byte-source.ts";
import { HostError } from "../../src/core/errors.ts";

/** Bytes that are read at once: images are read in small pieces that lie together. */
const BLOCK = 256 * 1024;
/** 16 MiB. */
const MAX_BLOCKS = 64;

/** A file that the user chose, of which only what is asked for is read. */
export class BlobSource implements ByteSource {
  readonly size: number;
  readonly #blob: Blob;
  readonly #reader = new FileReaderSync();
  /** By number, the one used last at the end. */
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
  }

  /** @throws HostError when the browser does not give the file, as when it has changed */
  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    this.readInto(offset, bytes);
    return bytes;
  }

  readInto(offset: number, into: Uint8Array): void {
    checkRange(this, offset, into.length);
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const block = this.#block(Math.floor(at / BLOCK));
      const part = block.subarray(at % BLOCK, (at % BLOCK) + into.length - done);
      into.set(part, done);
      done += part.length;
    }
  }

  #block(index: number): Uint8Array {
    const block = this.#blocks.get(index) ?? this.#load(index);
    this.#blocks.delete(index);
    this.#blocks.set(index, block);
    const [oldest] = this.#blocks.keys();
    if (this.#blocks.size > MAX_BLOCKS && oldest !== undefined) this.#blocks.delete(oldest);
    return block;
  }

  #load(index: number): Uint8Array {
    const slice = this.#blob.slice(index * BLOCK, (index + 1) * BLOCK);
    try {
      return new Uint8Array(this.#reader.readAsArrayBuffer(slice));
    } catch (cause) {
      throw new HostError("the browser cannot read the file any more", {
        remedy: "choose it once more",
        cause,
      });
    }
  }
}
