/** Rock Ridge fields (IEEE P1281, IEEE P1282 version 1.10) of one directory record. */

import { both32, setBoth32, shortDate } from "./iso9660-fields.ts";
import { encodeUtf8 } from "./text.ts";

const VERSION = 1;
const NM_CONTINUE = 0x01;
const MAX_FIELD = 255;
export const CE_SIZE = 28;

/** POSIX modes: everybody may read, and enter directories. */
const MODE_FILE = 0o100_444;
const MODE_DIRECTORY = 0o040_555;

/** RR flags (P1282 1.09): PX, NM and TF are recorded. */
const RR_FLAGS = 0x89;
/** TF flags: modification, access and attribute change times, seven bytes each. */
const TF_FLAGS = 0x0e;

const ER_ID = "RRIP_1991A";
const ER_DESCRIPTION =
  "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
const ER_SOURCE =
  "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.";

export interface RecordAttributes {
  /** `undefined` for "." and "..". */
  readonly name: string | undefined;
  readonly directory: boolean;
  /** Directory entries that name it: for a directory 2 and one for each directory in it. */
  readonly links: number;
  readonly date: Date;
  /** Whether this is "." of the root, which announces the protocols. */
  readonly announces: boolean;
}

/** Fields for the record itself and, where they do not fit, for a continuation area. */
export interface SystemUse {
  readonly inRecord: Uint8Array;
  /** Put {@link continuationField} after `inRecord` when this is not empty. */
  readonly continued: Uint8Array;
}

/** @param room bytes in the record for all of it */
export function systemUse(attributes: RecordAttributes, room: number): SystemUse {
  const fields = fieldsOf(attributes);
  const total = fields.reduce((sum, { length }) => sum + length, 0);
  if (total <= room) return { inRecord: concat(fields), continued: new Uint8Array(0) };
  let count = 0;
  let used = CE_SIZE;
  for (const field of fields) {
    if (used + field.length > room) break;
    used += field.length;
    count++;
  }
  return { inRecord: concat(fields.slice(0, count)), continued: concat(fields.slice(count)) };
}

/** P1281 §5.1. The area must not cross a sector. */
export function continuationField(sector: number, offset: number, length: number): Uint8Array {
  const data = new Uint8Array(CE_SIZE - 4);
  setBoth32(data, 0, sector);
  setBoth32(data, 8, offset);
  setBoth32(data, 16, length);
  return field("CE", data);
}

function fieldsOf({ name, directory, links, date, announces }: RecordAttributes): Uint8Array[] {
  const mode = directory ? MODE_DIRECTORY : MODE_FILE;
  const stamp = shortDate(date);
  const fields = [
    field("RR", Uint8Array.of(RR_FLAGS)),
    field("PX", concat([both32(mode), both32(links), both32(0), both32(0)])),
    field("TF", concat([Uint8Array.of(TF_FLAGS), stamp, stamp, stamp])),
  ];
  if (name !== undefined) fields.push(...nameFields(name));
  if (announces) {
    fields.unshift(field("SP", Uint8Array.of(0xbe, 0xef, 0)));
    fields.push(extensionField());
  }
  return fields;
}

/** A name of more than 250 bytes is spread over several fields (P1282 §4.1.4). */
function nameFields(name: string): Uint8Array[] {
  const bytes = encodeUtf8(name);
  const piece = MAX_FIELD - 5;
  const fields: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += piece) {
    const flags = start + piece < bytes.length ? NM_CONTINUE : 0;
    const part = bytes.subarray(start, start + piece);
    fields.push(field("NM", concat([Uint8Array.of(flags), part])));
  }
  return fields;
}

/** P1281 §5.5, with the texts that P1282 §4.3 fixes. */
function extensionField(): Uint8Array {
  const texts = [ER_ID, ER_DESCRIPTION, ER_SOURCE].map(encodeUtf8);
  const lengths = Uint8Array.from([...texts.map(({ length }) => length), 1]);
  return field("ER", concat([lengths, ...texts]));
}

function field(signature: string, data: Uint8Array): Uint8Array {
  const header = [...encodeUtf8(signature), data.length + 4, VERSION];
  return concat([Uint8Array.from(header), data]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
