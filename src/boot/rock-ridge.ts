/**
 * The System Use Sharing Protocol (IEEE P1281) and the Rock Ridge names in it (IEEE P1282), as
 * far as a boot loader reads them: where the fields start, continuation areas, and NM.
 */

import { type ByteSource, readPart } from "./byte-source.ts";
import { viewOf } from "./data-view.ts";
import { decodeUtf8 } from "./text.ts";

const SECTOR_SIZE = 2048;
/** Signature, length and version of every field. */
const HEADER_SIZE = 4;
const CE_SIZE = 28;
const SP_SIZE = 7;
const NM_HEADER_SIZE = 5;
/** P1282 §4.1.4: the name goes on in the next NM. */
const NM_CONTINUE = 0x01;
/** NM flags for "." and "..", which carry no name. */
const NM_CURRENT_OR_PARENT = 0x06;

/** More areas than a record ever needs: a chain that is longer is a loop. */
const MAX_CONTINUATIONS = 8;

/**
 * P1281 §5.3: the SP field in the root directory's own record says that the protocol is in use.
 * @param area system use area of that record
 * @returns bytes to skip in the system use area of every other record; `undefined` without SP
 */
export function findSystemUse(area: Uint8Array): number | undefined {
  for (const field of fieldsOf(area)) {
    if (field.signature !== "SP" || field.bytes.length < SP_SIZE) continue;
    if (field.bytes[4] === 0xbe && field.bytes[5] === 0xef) return field.bytes[6] ?? 0;
  }
  return undefined;
}

/**
 * @param source the image, for continuation areas
 * @param area system use area of a directory record, the skipped bytes taken off
 * @returns the name that NM fields give, `undefined` when there is none
 * @throws GuestError `image` when a continuation area is outside the image
 */
export function readAlternateName(source: ByteSource, area: Uint8Array): string | undefined {
  const parts: Uint8Array[] = [];
  let next: Uint8Array | undefined = area;
  for (let hops = 0; next !== undefined && hops <= MAX_CONTINUATIONS; hops++) {
    let continuation: Uint8Array | undefined;
    for (const { signature, bytes } of fieldsOf(next)) {
      if (signature === "CE" && bytes.length >= CE_SIZE) {
        continuation = readContinuation(source, bytes);
      } else if (signature === "NM" && bytes.length >= NM_HEADER_SIZE) {
        const flags = bytes[4] ?? 0;
        if ((flags & NM_CURRENT_OR_PARENT) !== 0) continue;
        parts.push(bytes.subarray(NM_HEADER_SIZE));
        if ((flags & NM_CONTINUE) === 0) return joined(parts);
      }
    }
    next = continuation;
  }
  return parts.length === 0 ? undefined : joined(parts);
}

function* fieldsOf(area: Uint8Array): Generator<{ signature: string; bytes: Uint8Array }> {
  let position = 0;
  while (position + HEADER_SIZE <= area.length) {
    const length = area[position + 2] ?? 0;
    if (length < HEADER_SIZE || position + length > area.length) return;
    const signature = String.fromCharCode(area[position] ?? 0, area[position + 1] ?? 0);
    if (signature === "ST") return;
    yield { signature, bytes: area.subarray(position, position + length) };
    position += length;
  }
}

/** P1281 §5.1: block, offset and length, each in both byte orders. */
function readContinuation(source: ByteSource, field: Uint8Array): Uint8Array {
  const view = viewOf(field);
  const start = view.getUint32(4, true) * SECTOR_SIZE + view.getUint32(12, true);
  const length = Math.min(view.getUint32(20, true), SECTOR_SIZE);
  return readPart(source, start, length, "truncated ISO: Rock Ridge continuation area");
}

function joined(parts: readonly Uint8Array[]): string {
  return decodeUtf8(Uint8Array.from(parts.flatMap((part) => [...part])));
}
