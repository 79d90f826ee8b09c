/**
 * The application manifest: which devices a unikernel wants, by name (Solo5, `mft_abi.h`). It comes
 * in a note of the image, and goes to the guest with what each device turned out to be.
 */

import { GuestError } from "../../core/errors.ts";
import type { ByteSource } from "../byte-source.ts";
import { viewOf } from "../data-view.ts";
import type { ElfFile } from "../elf.ts";
import { decodeAscii, untilNul } from "../text.ts";
import { readSolo5Note } from "./note.ts";

export const MFT_VERSION = 1;
export const MFT_MAX_ENTRIES = 64;
/** Characters of a name, without its NUL. */
export const MFT_NAME_MAX = 67;

/** `mft_type_t`. */
export const MFT_TYPE = { BLOCK_BASIC: 1, NET_BASIC: 2, RESERVED_FIRST: 2 ** 30 } as const;

/** `struct mft` and `struct mft_entry`: byte offsets, the latter's from the entry's start. */
export const MFT_LAYOUT = {
  version: 0,
  entries: 4,
  header: 8,
  entry: 104,
  name: 0,
  type: 68,
  capacity: 72,
  blockSize: 80,
  mac: 72,
  mtu: 78,
  attached: 96,
} as const;

const MFT1_NOTE = {
  type: 0x3154_464d,
  alignment: 8,
  maximum: MFT_LAYOUT.header + MFT_MAX_ENTRIES * MFT_LAYOUT.entry + 8,
} as const;

export type DeviceKind = "block" | "net";

export interface ManifestDevice {
  readonly kind: DeviceKind;
  readonly name: string;
  /** Index in the manifest: the guest's handle of the device. */
  readonly handle: number;
}

export interface Manifest {
  /** As in the note. */
  readonly bytes: Uint8Array;
  readonly devices: readonly ManifestDevice[];
}

/**
 * @returns `undefined` for an image without a manifest
 * @throws GuestError `image` when it is malformed
 */
export function readManifest(source: ByteSource, elf: ElfFile): Manifest | undefined {
  const bytes = readSolo5Note(source, elf, MFT1_NOTE);
  return bytes === undefined ? undefined : parseManifest(bytes);
}

/** @throws GuestError `image` */
export function parseManifest(bytes: Uint8Array): Manifest {
  const view = viewOf(bytes);
  if (bytes.length < MFT_LAYOUT.header) throw invalid(`${bytes.length} bytes`);
  const version = view.getUint32(MFT_LAYOUT.version, true);
  if (version !== MFT_VERSION) throw invalid(`version ${version}, not ${MFT_VERSION}`);
  const count = view.getUint32(MFT_LAYOUT.entries, true);
  if (count < 1 || count > MFT_MAX_ENTRIES) throw invalid(`${count} entries`);
  if (bytes.length !== MFT_LAYOUT.header + count * MFT_LAYOUT.entry) {
    throw invalid(`${count} entries in ${bytes.length} bytes`);
  }
  const devices: ManifestDevice[] = [];
  for (let handle = 0; handle < count; handle++) {
    const entry = bytes.subarray(entryOffset(handle), entryOffset(handle + 1));
    const device = parseEntry(entry, handle);
    if (device === undefined) continue;
    if (devices.some(({ kind, name }) => kind === device.kind && name === device.name)) {
      throw invalid(`two ${device.kind} devices are called "${device.name}"`);
    }
    devices.push(device);
  }
  return { bytes, devices };
}

/** Entry 0 is no device, so that no handle is 0. */
function parseEntry(entry: Uint8Array, handle: number): ManifestDevice | undefined {
  const type = viewOf(entry).getUint32(MFT_LAYOUT.type, true);
  if (entry[MFT_LAYOUT.name + MFT_NAME_MAX] !== 0) throw invalid(`entry ${handle}: its name`);
  if (entry[MFT_LAYOUT.attached] !== 0) throw invalid(`entry ${handle} is attached already`);
  const name = decodeAscii(untilNul(entry.subarray(MFT_LAYOUT.name, MFT_LAYOUT.type)));
  if (handle === 0) {
    if (type !== MFT_TYPE.RESERVED_FIRST || name !== "") throw invalid("its first entry");
    return undefined;
  }
  if (type >= MFT_TYPE.RESERVED_FIRST) return undefined;
  if (type !== MFT_TYPE.BLOCK_BASIC && type !== MFT_TYPE.NET_BASIC) {
    throw invalid(`entry ${handle} has the unknown type ${type}`);
  }
  return { kind: type === MFT_TYPE.BLOCK_BASIC ? "block" : "net", name, handle };
}

export interface BlockProperties {
  /** Bytes. */
  readonly capacity: number;
  /** Bytes, a power of two. */
  readonly blockSize: number;
}

export interface NetProperties {
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number;
}

/** The manifest as the guest gets it: with what is attached to it. */
export function attach(
  { bytes }: Manifest,
  blocks: ReadonlyMap<number, BlockProperties>,
  nets: ReadonlyMap<number, NetProperties>,
): Uint8Array {
  const attached = bytes.slice();
  const view = viewOf(attached);
  for (const [handle, { capacity, blockSize }] of blocks) {
    const entry = entryOffset(handle);
    view.setBigUint64(entry + MFT_LAYOUT.capacity, BigInt(capacity), true);
    view.setUint16(entry + MFT_LAYOUT.blockSize, blockSize, true);
    view.setUint8(entry + MFT_LAYOUT.attached, 1);
  }
  for (const [handle, { mac, mtu }] of nets) {
    const entry = entryOffset(handle);
    attached.set(mac, entry + MFT_LAYOUT.mac);
    view.setUint16(entry + MFT_LAYOUT.mtu, mtu, true);
    view.setUint8(entry + MFT_LAYOUT.attached, 1);
  }
  return attached;
}

const entryOffset = (handle: number): number => MFT_LAYOUT.header + handle * MFT_LAYOUT.entry;

const invalid = (what: string): GuestError =>
  new GuestError("image", `Solo5 manifest is invalid: ${what}`);
