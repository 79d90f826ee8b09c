/**
 * Branded numbers, so that an offset is not an address and a delta is not a time.
 * All of them are plain numbers at run time: exact up to 2^53.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Guest physical address, in bytes. */
export type Gpa = Branded<"Gpa">;
/** A point in time: nanoseconds since the machine's clock started. */
export type Nanos = Branded<"Nanos">;
/** Input number of the interrupt controllers: 0 to 15 for the ISA lines. */
export type Irq = Branded<"Irq">;

export const gpa = (address: number): Gpa => address as Gpa;
export const nanos = (time: number): Nanos => time as Nanos;
export const irq = (line: number): Irq => line as Irq;

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
export const PAGE_SIZE = 4096;

export const MICROSECOND = 1_000;
export const MILLISECOND = 1_000_000;
export const SECOND = 1_000_000_000;

/** The time that never comes: a deadline nobody set. */
export const NEVER = Number.POSITIVE_INFINITY as Nanos;

export const hex = (value: number | bigint, digits = 1): string =>
  `0x${value.toString(16).padStart(digits, "0")}`;
