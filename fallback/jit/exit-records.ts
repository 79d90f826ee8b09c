import { EXIT_RECORDS, EXIT_RECORDS_END } from "../state.ts";

/**
 * Where a region leaves in the middle: a record in the WebAssembly memory, by whose offset its code
 * names the place.
 */
export const EXIT_RECORD = {
  /** i64: offset in the code segment of the instruction that has not been executed. */
  RIP: 0,
  /** i32: instructions of its block from there on: they have been paid for already. */
  UNUSED: 8,
  /** i32: how often it has been left by. */
  COUNT: 12,
} as const;
const EXIT_RECORD_SIZE = 16;

/** Room for records, given out from the first to the last; then all are forgotten. */
export class ExitRecords {
  readonly #view: DataView;
  #next = EXIT_RECORDS;

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
  }

  /** Forgets all records. */
  clear(): void {
    this.#next = EXIT_RECORDS;
  }

  /** Whether there is room for as many records. */
  hasRoom(count: number): boolean {
    return this.#next + count * EXIT_RECORD_SIZE <= EXIT_RECORDS_END;
  }

  /** @returns the record's offset, never 0 */
  add(rip: bigint, unused: number): number {
    const at = this.#next;
    if (at + EXIT_RECORD_SIZE > EXIT_RECORDS_END) throw new Error("no room for exit records");
    this.#next += EXIT_RECORD_SIZE;
    this.#view.setBigUint64(at + EXIT_RECORD.RIP, rip, true);
    this.#view.setInt32(at + EXIT_RECORD.UNUSED, unused, true);
    this.#view.setInt32(at + EXIT_RECORD.COUNT, 0, true);
    return at;
  }
}
