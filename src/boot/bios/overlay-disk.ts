import type { BlockBackend } from "../../core/backends.ts";
import type { ByteSource } from "../byte-source.ts";

const SECTOR_SIZE = 512;

/**
 * An image as a disk that can be written: what is written is kept in memory, until the end of the
 * run, and the image stays as it is. What the image does not fill reads as zeros.
 */
export class OverlayDisk implements BlockBackend {
  readonly capacity: number;
  readonly readOnly = false;
  readonly #source: ByteSource;
  readonly #written = new Map<number, Uint8Array>();

  /** @param size bytes of the disk, of which the image need not have all */
  constructor(source: ByteSource, size = source.size) {
    this.#source = source;
    this.capacity = Math.ceil(size / SECTOR_SIZE) * SECTOR_SIZE;
  }

  read(offset: number, into: Uint8Array): void {
    const there = Math.max(0, Math.min(into.length, this.#source.size - offset));
    if (there > 0) into.set(this.#source.read(offset, there));
    into.fill(0, there);
    if (this.#written.size === 0) return;
    for (const { sector, start, end, within } of sectorsOf(offset, into.length)) {
      const written = this.#written.get(sector);
      if (written !== undefined) into.set(written.subarray(within, within + end - start), start);
    }
  }

  write(offset: number, from: Uint8Array): void {
    for (const { sector, start, end, within } of sectorsOf(offset, from.length)) {
      let bytes = this.#written.get(sector);
      if (bytes === undefined) {
        bytes = new Uint8Array(SECTOR_SIZE);
        this.read(sector * SECTOR_SIZE, bytes);
        this.#written.set(sector, bytes);
      }
      bytes.set(from.subarray(start, end), within);
    }
  }

  flush(): void {}

  close(): void {}
}

/** The sectors of a range: which bytes of the range each has, and from where within the sector. */
function* sectorsOf(
  offset: number,
  length: number,
): Generator<{ sector: number; start: number; end: number; within: number }> {
  for (let start = 0; start < length; ) {
    const sector = Math.floor((offset + start) / SECTOR_SIZE);
    const within = (offset + start) % SECTOR_SIZE;
    const end = Math.min(length, start + SECTOR_SIZE - within);
    yield { sector, start, end, within };
    start = end;
  }
}
