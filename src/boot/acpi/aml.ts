/**
 * Writer of ACPI Machine Language (ACPI 6.5 §20.2): each function returns the bytes of one term.
 *
 * Every start writes kilobytes of it, with code that runs once. So terms are joined by `concat`: spread
 * elements would go through an iterator's objects byte by byte, on each of many levels.
 */

import { encodeUtf8 } from "../text.ts";

export type Aml = readonly number[];

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXTENDED_PREFIX = 0x5b;
const DEVICE_OP = 0x82;

const bytesOf = (value: number, count: number): number[] => {
  const bytes: number[] = [];
  for (let i = 0; i < count; i++) bytes.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
  return bytes;
};

/** Terms one after the other. */
export const join = (first: Aml, ...terms: Aml[]): Aml => first.concat(...terms);

/** An unsigned number of up to 32 bits. */
export function integer(value: number): Aml {
  if (value === 0) return [ZERO_OP];
  if (value === 1) return [ONE_OP];
  if (value <= 0xff) return [BYTE_PREFIX, value];
  if (value <= 0xffff) return [WORD_PREFIX, ...bytesOf(value, 2)];
  return [DWORD_PREFIX, ...bytesOf(value, 4)];
}

/** A name segment of four characters, maybe with `\` before it. */
const nameString = (name: string): Aml => Array.from(encodeUtf8(name));

/** §20.2.4: it counts itself, and its first byte says how long it is. */
function withLength(content: Aml): Aml {
  const size = content.length;
  if (size + 1 < 0x40) return join([size + 1], content);
  const extra = size + 2 < 0x1000 ? 1 : 2;
  const total = size + 1 + extra;
  return join([(extra << 6) | (total & 0xf)], bytesOf(Math.floor(total / 16), extra), content);
}

export const name = (path: string, value: Aml): Aml => join([NAME_OP], nameString(path), value);
export const scope = (path: string, ...terms: Aml[]): Aml =>
  join([SCOPE_OP], withLength(join(nameString(path), ...terms)));
export const device = (path: string, ...terms: Aml[]): Aml =>
  join([EXTENDED_PREFIX, DEVICE_OP], withLength(join(nameString(path), ...terms)));
export const pack = (...elements: Aml[]): Aml =>
  join([PACKAGE_OP], withLength(join([elements.length], ...elements)));
const buffer = (bytes: Aml): Aml =>
  join([BUFFER_OP], withLength(join(integer(bytes.length), bytes)));

/** §19.3.4: three letters and four hexadecimal digits in a doubleword, most significant bits first. */
export function eisaId(id: string): Aml {
  const letters = [...id.slice(0, 3)].map((letter) => letter.charCodeAt(0) - 0x40);
  const vendor = letters.reduce((all, letter) => (all << 5) | letter, 0);
  const product = Number.parseInt(id.slice(3), 16);
  const value = [vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
  return [DWORD_PREFIX, ...value];
}

/** §6.4.2.1: an interrupt line of the 8259s, edge-triggered and active high. */
export const irqResource = (line: number): Aml => [0x22, ...bytesOf(1 << line, 2)];

/** §6.4.2.5: `length` ports that decode 16 bits. */
export const ioResource = (port: number, length: number): Aml => [
  ...[0x47, 0x01],
  ...[...bytesOf(port, 2), ...bytesOf(port, 2)],
  ...[1, length],
];

const MEMORY_RANGE = 0;
const IO_RANGE = 1;
const BUS_RANGE = 2;
/** The device produces the range, minimum and maximum are fixed. */
const PRODUCER_FIXED = 0x0c;

/** §6.4.3.5.2 and 3: a range that a bridge passes on; words or doublewords. */
function addressSpace(kind: number, flags: number, size: 2 | 4, first: number, last: number): Aml {
  const fields = [0, first, last, 0, last - first + 1];
  const content = [kind, PRODUCER_FIXED, flags, ...fields.flatMap((field) => bytesOf(field, size))];
  return [size === 2 ? 0x88 : 0x87, ...bytesOf(content.length, 2), ...content];
}

export const busRange = (first: number, last: number): Aml =>
  addressSpace(BUS_RANGE, 0, 2, first, last);
/** Both ISA and other ports. */
export const portRange = (first: number, last: number): Aml =>
  addressSpace(IO_RANGE, 3, 2, first, last);
/** Not cacheable, writable. */
export const memoryRange = (first: number, last: number): Aml =>
  addressSpace(MEMORY_RANGE, 1, 4, first, last);

/** §6.4: resources as a buffer, with the end tag. */
export const resources = (...items: Aml[]): Aml => buffer(join([], ...items, [0x79, 0]));
