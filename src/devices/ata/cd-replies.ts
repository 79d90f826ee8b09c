/**
 * What a CD drive tells about itself and the disc: data formats of SPC-3 and MMC-3. Numbers in them
 * are big-endian.
 */

import { encodeUtf8 } from "../../core/utf8.ts";

/** Bytes of a data sector (CD-ROM mode 1). */
export const CD_SECTOR_SIZE = 2048;

/** Current profile: a CD-ROM, or what has no room on one. */
const PROFILE_CD_ROM = 0x0008;
const PROFILE_DVD_ROM = 0x0010;
/** 80 minutes at 75 sectors a second. */
const LARGEST_CD_SECTORS = 80 * 60 * 75;

const LEAD_OUT_TRACK = 0xaa;
/** Data track, may not be copied; position is of the ADR format 1. */
const DATA_TRACK = 0x14;
/** In minutes, seconds and frames addresses start at two seconds. */
const LEAD_IN_FRAMES = 150;

const DEVICE_TYPE_CD = 0x05;
const REMOVABLE = 0x80;

const word = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const double = (value: number): number[] => [...word(value >>> 16), ...word(value & 0xffff)];
const bytes = (...parts: readonly number[][]): Uint8Array => Uint8Array.from(parts.flat());
const text = (value: string, length: number): number[] => [...encodeUtf8(value.padEnd(length))];

/** INQUIRY's standard data (SPC-3 §6.4.2). */
export const inquiryData = (): Uint8Array =>
  bytes(
    [DEVICE_TYPE_CD, REMOVABLE, 0, 0x21, 31, 0, 0, 0],
    ...[text("solo5", 8), text("kvm CD-ROM", 16), text("1.0", 4)],
  );

/** READ CAPACITY: the last sector, and bytes a sector (MMC-3 §5.16). */
export const capacityData = (sectors: number): Uint8Array =>
  bytes(double(sectors - 1), double(CD_SECTOR_SIZE));

/** REQUEST SENSE's fixed format (SPC-3 §4.5.3). */
export const senseData = (key: number, code: number, qualifier: number): Uint8Array =>
  bytes([0x70, 0, key, ...double(0), 10, ...double(0), code, qualifier, 0, 0, 0, 0]);

/** An address as READ TOC gives it: a sector, or minutes, seconds and frames. */
function address(sector: number, inMinutes: boolean): number[] {
  if (!inMinutes) return double(sector);
  const frames = sector + LEAD_IN_FRAMES;
  return [0, Math.floor(frames / (60 * 75)) & 0xff, Math.floor(frames / 75) % 60, frames % 75];
}

/** READ TOC format 0: one track of data, and the lead-out (MMC-3 §5.24). */
export function tocData(sectors: number, inMinutes: boolean, firstTrack: number): Uint8Array {
  const descriptor = (track: number, sector: number): number[] => [
    ...[0, DATA_TRACK, track, 0],
    ...address(sector, inMinutes),
  ];
  const descriptors = [
    ...(firstTrack <= 1 ? descriptor(1, 0) : []),
    ...descriptor(LEAD_OUT_TRACK, sectors),
  ];
  return bytes(word(descriptors.length + 2), [1, 1], descriptors);
}

/** READ TOC format 1: the last session is the first. */
export const sessionData = (inMinutes: boolean): Uint8Array =>
  bytes(word(10), [1, 1], [0, DATA_TRACK, 1, 0], address(0, inMinutes));

/** READ DISC INFORMATION: one complete session that cannot be added to (MMC-3 §5.19). */
export function discInformation(): Uint8Array {
  const information = new Uint8Array(34);
  information.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
  information.fill(0xff, 16, 24);
  return information;
}

/** GET CONFIGURATION (MMC-3 §5.5): profiles, and the features that every drive that reads has. */
export function configurationData(sectors: number, from: number, only: boolean): Uint8Array {
  const dvd = sectors > LARGEST_CD_SECTORS;
  const profile = (code: number, current: boolean): number[] => [...word(code), current ? 1 : 0, 0];
  const current = 1;
  const persistent = 2;
  const version = (value: number): number => value << 2;
  const features: readonly (readonly [code: number, data: number[]])[] = [
    [
      0x0000,
      [
        persistent | current,
        8,
        ...profile(PROFILE_DVD_ROM, dvd && sectors > 0),
        ...profile(PROFILE_CD_ROM, !dvd && sectors > 0),
      ],
    ],
    // Core: ATAPI.
    [0x0001, [version(1) | persistent | current, 8, ...double(2), 1, 0, 0, 0]],
    // Morphing: asynchronous events are polled.
    [0x0002, [version(1) | persistent | current, 4, 0, 0, 0, 0]],
    // Removable medium: a tray that can be ejected and locked.
    [0x0003, [persistent | current, 4, 0x29, 0, 0, 0]],
    // Random readable: a sector at a time.
    [0x0010, [current, 8, ...double(CD_SECTOR_SIZE), ...word(1), 0, 0]],
    [dvd ? 0x001f : 0x001e, [current, 4, 0, 0, 0, 0]],
  ];
  const wanted = features.filter(([code]) => (only ? code === from : code >= from));
  const list = wanted.flatMap(([code, data]) => [...word(code), ...data]);
  const now = sectors === 0 ? 0 : dvd ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
  return bytes(double(list.length + 4), [0, 0], word(now), list);
}

/** GET EVENT STATUS NOTIFICATION of the media class (MMC-3 §5.6): nothing has happened. */
export function eventStatus(requested: number, loaded: boolean): Uint8Array {
  const MEDIA = 4;
  if ((requested & (1 << MEDIA)) === 0) return bytes(word(2), [0x80, 1 << MEDIA]);
  return bytes(word(6), [MEDIA, 1 << MEDIA], [0, loaded ? 0x02 : 0x01, 0, 0]);
}

const MODE_PAGES: Readonly<Record<number, readonly number[]>> = {
  // Read error recovery: the drive tries again by itself.
  1: [0x01, 0x06, 0, 5, 0, 0, 0, 0],
  // CD capabilities and mechanical status: a tray that locks; 4 times 176 KB/s.
  42: [
    0x2a,
    0x12,
    0,
    0,
    0x71,
    0x60,
    0x29,
    0,
    ...word(704),
    0,
    0,
    ...word(512),
    ...word(704),
    0,
    0,
    0,
    0,
  ],
};
const ALL_PAGES = 0x3f;

/** @returns `undefined` for a page that there is not */
export function modePages(page: number): Uint8Array | undefined {
  const pages = page === ALL_PAGES ? Object.values(MODE_PAGES) : [MODE_PAGES[page]];
  return pages.includes(undefined) ? undefined : bytes(pages.flatMap((one) => [...(one ?? [])]));
}

/** MODE SENSE's answer with its header (MMC-3 annex A; SPC-3 §7.4.3). */
export const modeData = (pages: Uint8Array, long: boolean): Uint8Array =>
  long
    ? bytes(word(pages.length + 6), [0, 0, 0, 0], word(0), [...pages])
    : bytes([pages.length + 3, 0, 0, 0], [...pages]);

/** MECHANISM STATUS: nothing moves, no changer (MMC-3 §5.11). */
export const mechanismStatus = (): Uint8Array => bytes(double(0), double(0));
