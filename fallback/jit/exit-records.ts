import { EXIT_RECORDS, EXIT_RECORDS_END, WINDOW_AREAS, type WindowArea } from "../state.ts";
import type { Range } from "./region.ts";

/**
 * Where a region leaves in the middle: a record in the WebAssembly memory, by whose offset its code
 * names the place.
 */
export const EXIT_RECORD = {
  /** i64: offset in the code segment of the instruction that has not been executed. */
  RIP: 0,
  /** u8: instructions of its block from there on: they have been paid for already. */
  UNUSED: 8,
  /** u8: index into {@link EXIT_REASONS}. */
  REASON: 9,
  /** u8: index into `WINDOW_AREAS`; u8: whether a write missed that window. */
  AREA: 10,
  WRITE: 11,
  /** i32: how often it has been left by. */
  COUNT: 12,
} as const;
const EXIT_RECORD_SIZE = 16;
/** After so many exits by a record the JIT looks into it: a power of two. */
export const LOOK_EVERY = 16;
/** A jump that has led elsewhere so often has too many targets, and is looked into as seldom: a power of two. */
export const LOOK_SELDOM = 4096;

export const EXIT_REASONS = [
  /** An access outside the windows, or to translated code. */
  "memory",
  /** The instruction faults, or its code leaves this case to its procedure. */
  "case",
  /** What was known of the windows is not so any more. */
  "windows",
  /** The budget might not last for all of the region. */
  "budget",
  /** The instruction is not translated. */
  "instruction",
  /** Offset or segment need a closer look. */
  "segment",
  /** A call has not come back to where it was made, or not with the same stack. */
  "stack",
  /** A jump to an address from a register or memory, which the region does not have. */
  "jump",
] as const;
/** The first of the reasons that the JIT does not look into. */
export const FIRST_UNAVOIDABLE = 3;
export type ExitReason = (typeof EXIT_REASONS)[number];

export interface MissedWindow {
  readonly area: WindowArea;
  readonly access: "read" | "write";
}

/** Room for records, given out from the first to the last; then all are forgotten. */
export class ExitRecords {
  readonly #view: DataView;
  #next = EXIT_RECORDS;
  /** Exits by records that have been forgotten, by reason. */
  readonly #before = EXIT_REASONS.map(() => 0);

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
  }

  /** Forgets all records. */
  clear(): void {
    for (const [reason, count] of this.#sums().entries()) this.#before[reason] = count;
    this.#next = EXIT_RECORDS;
  }

  /** Those of a range, as bytes. */
  read([first, behind]: Range): Uint8Array {
    return new Uint8Array(this.#view.buffer, first, behind - first);
  }

  /** Puts records that were {@link read} where they were: nobody has been there before. */
  restore(first: number, records: Uint8Array): void {
    new Uint8Array(this.#view.buffer).set(records, first);
    for (let at = first; at < first + records.length; at += EXIT_RECORD_SIZE) {
      this.#view.setInt32(at + EXIT_RECORD.COUNT, 0, true);
    }
  }

  /** Leaves room for records up to an offset. */
  reserve(behind: number): void {
    this.#next = Math.max(this.#next, behind);
  }

  /** Where the next record will be. */
  get next(): number {
    return this.#next;
  }

  /** Whether as much room is left as has been given out. */
  get isHalfEmpty(): boolean {
    return 2 * (this.#next - EXIT_RECORDS) <= EXIT_RECORDS_END - EXIT_RECORDS;
  }

  /** Whether there is room for as many records. */
  hasRoom(count: number): boolean {
    return this.#next + count * EXIT_RECORD_SIZE <= EXIT_RECORDS_END;
  }

  /** @returns the record's offset, never 0 */
  add(rip: bigint, unused: number, reason: ExitReason, miss?: MissedWindow): number {
    const at = this.#next;
    if (at + EXIT_RECORD_SIZE > EXIT_RECORDS_END) throw new Error("no room for exit records");
    this.#next += EXIT_RECORD_SIZE;
    this.#view.setBigUint64(at + EXIT_RECORD.RIP, rip, true);
    this.#view.setUint8(at + EXIT_RECORD.UNUSED, unused);
    this.#view.setUint8(at + EXIT_RECORD.AREA, miss ? WINDOW_AREAS.indexOf(miss.area) : 0);
    this.#view.setUint8(at + EXIT_RECORD.WRITE, miss?.access === "write" ? 1 : 0);
    this.#view.setUint8(at + EXIT_RECORD.REASON, EXIT_REASONS.indexOf(reason));
    this.#view.setInt32(at + EXIT_RECORD.COUNT, 0, true);
    return at;
  }

  reason(record: number): ExitReason {
    return EXIT_REASONS[this.#view.getUint8(record + EXIT_RECORD.REASON)] ?? "instruction";
  }

  /** How often it has been left by. */
  count(record: number): number {
    return this.#view.getInt32(record + EXIT_RECORD.COUNT, true);
  }

  /** Which window an exit by a record because of memory has missed. */
  missed(record: number): MissedWindow {
    return {
      area: WINDOW_AREAS[this.#view.getUint8(record + EXIT_RECORD.AREA)] ?? "general",
      access: this.#view.getUint8(record + EXIT_RECORD.WRITE) === 0 ? "read" : "write",
    };
  }

  /** How often regions have left so far, by reason. */
  get exits(): readonly (readonly [ExitReason, number])[] {
    const sums = this.#sums();
    return EXIT_REASONS.map((reason, index) => [reason, sums[index] ?? 0] as const);
  }

  #sums(): number[] {
    const sums = [...this.#before];
    for (let at = EXIT_RECORDS; at < this.#next; at += EXIT_RECORD_SIZE) {
      const reason = this.#view.getUint8(at + EXIT_RECORD.REASON);
      sums[reason] = (sums[reason] ?? 0) + this.#view.getInt32(at + EXIT_RECORD.COUNT, true);
    }
    return sums;
  }
}
