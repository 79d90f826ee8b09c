import type { BlockBackend } from "../../core/backends.ts";
import { HostError } from "../../core/errors.ts";

/** Of a disk whose user does not say. */
export const DEFAULT_BLOCK_SIZE = 512;

/** The manifest has 16 bits for it. */
export const isBlockSize = (bytes: number): boolean =>
  bytes >= 512 && bytes <= 0x8000 && Number.isInteger(Math.log2(bytes));

/**
 * @param name the user's, for messages
 * @throws HostError when a disk does not consist of blocks of a size
 */
export function checkBlockSize(name: string, blockSize: number, capacity: number): void {
  if (capacity % blockSize !== 0) {
    throw new HostError(
      `${name}: Backing storage size must be block aligned (${blockSize} bytes), not ${capacity}`,
    );
  }
}

/** What came of a request. */
export type BlockResult = "done" | "invalid" | "failed";

export interface BlockPortOptions {
  readonly backend: BlockBackend;
  /** Bytes of a block, as the guest is told; requests are not held to it. */
  readonly blockSize: number;
  /** The host failed a request. */
  readonly report: (error: HostError) => void;
}

/**
 * A disk without registers: bytes at an offset go in and out by calls. What is written is with the
 * host when the call returns, and on stable storage when the host pleases: there is no flush.
 */
export class BlockPort {
  readonly capacity: number;
  readonly blockSize: number;
  readonly stats = { requests: 0, bytesRead: 0, bytesWritten: 0, errors: 0 };
  readonly #options: BlockPortOptions;

  constructor(options: BlockPortOptions) {
    this.#options = options;
    this.capacity = options.backend.capacity;
    this.blockSize = options.blockSize;
  }

  get readOnly(): boolean {
    return this.#options.backend.readOnly;
  }

  read(offset: number, into: Uint8Array): BlockResult {
    return this.#serve(this.#onDisk(offset, into.length), () => {
      this.#options.backend.read(offset, into);
      this.stats.bytesRead += into.length;
    });
  }

  write(offset: number, from: Uint8Array): BlockResult {
    return this.#serve(!this.readOnly && this.#onDisk(offset, from.length), () => {
      this.#options.backend.write(offset, from);
      this.stats.bytesWritten += from.length;
    });
  }

  #onDisk(offset: number, length: number): boolean {
    return offset < this.capacity && offset + length <= this.capacity;
  }

  #serve(valid: boolean, access: () => void): BlockResult {
    this.stats.requests++;
    if (!valid) {
      this.stats.errors++;
      return "invalid";
    }
    try {
      access();
      return "done";
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.stats.errors++;
      this.#options.report(error);
      return "failed";
    }
  }
}
