/** Graphics modes by their VBE numbers, and what VBE says about one. */

import type { VideoMemory } from "../../core/guest-memory.ts";
import { bytesPerPixel, DEPTHS, type Depth } from "../../core/picture.ts";
import { KIB } from "../../core/units.ts";
import { viewOf } from "../data-view.ts";
import { encodeUtf8 } from "../text.ts";

/** Of either block. */
export const INFORMATION_SIZE = 256;

export interface GraphicsMode {
  readonly width: number;
  readonly height: number;
  readonly depth: Depth;
}

export interface VbeMode extends GraphicsMode {
  readonly number: number;
}

/**
 * Sizes, and the numbers of their modes with 8, 15, 16, 24 and 32 bits: VESA's up to 0x11f, then those
 * that Bochs's and QEMU's BIOS have given out, where they have.
 */
const SIZES: readonly (readonly [
  width: number,
  height: number,
  numbers: readonly (number | undefined)[],
])[] = [
  [320, 200, [0x146, 0x10d, 0x10e, 0x10f, 0x140]],
  [640, 400, [0x100, undefined, undefined, undefined, 0x141]],
  [640, 480, [0x101, 0x110, 0x111, 0x112, 0x142]],
  [800, 600, [0x103, 0x113, 0x114, 0x115, 0x143]],
  [1024, 768, [0x105, 0x116, 0x117, 0x118, 0x144]],
  [1152, 864, [0x148, 0x149, 0x14a, 0x14b, 0x14c]],
  [1280, 720, [undefined, undefined, 0x18d, 0x18e, 0x18f]],
  [1280, 768, [undefined, undefined, 0x175, 0x176, 0x177]],
  [1280, 800, [undefined, undefined, 0x178, 0x179, 0x17a]],
  [1280, 1024, [0x107, 0x119, 0x11a, 0x11b, 0x145]],
  [1440, 900, [undefined, undefined, 0x17e, 0x17f, 0x180]],
  [1400, 1050, [undefined, undefined, 0x181, 0x182, 0x183]],
  [1600, 1200, [0x11c, 0x11d, 0x11e, 0x11f, 0x147]],
  [1680, 1050, [undefined, undefined, 0x184, 0x185, 0x186]],
  [1920, 1080, [undefined, undefined, 0x190, 0x191, 0x192]],
  [1920, 1200, [undefined, undefined, 0x187, 0x188, 0x189]],
];
/** Of a mode's number: video memory is wanted in a row, without a window. */
export const LINEAR = 1 << 14;

export const LARGEST_PICTURE = { width: 1920, height: 1200 } as const;

/** In the order of their numbers. */
const VBE_MODES: readonly VbeMode[] = SIZES.flatMap(([width, height, numbers]) =>
  numbers.flatMap((number, i): VbeMode[] => {
    const depth = DEPTHS[i];
    return number === undefined || depth === undefined ? [] : [{ number, width, height, depth }];
  }),
).sort((a, b) => a.number - b.number);

/** Those whose pictures video memory has room for. */
export const modesOf = (video: VideoMemory): readonly VbeMode[] =>
  VBE_MODES.filter(
    ({ width, height, depth }) => width * height * bytesPerPixel(depth) <= video.length,
  );

/** Red, green, blue and nothing: the size of each in bits, and where the lowest is. */
export const COLOUR_FIELDS: Readonly<Record<Depth, readonly number[]>> = {
  8: [0, 0, 0, 0, 0, 0, 0, 0],
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};

const VERSION = 0x0300;
const VESA = 0x4153_4556;
/** The palette can have eight bits a colour. */
const CAPABILITIES = 1;
const END_OF_MODES = 0xffff;
/** Where the block has room for what its pointers lead to. */
const LISTS = 0x22;
const NAME = "solo5-kvm";

/**
 * VbeInfoBlock (VBE 3.0, "Function 00h"), without the second half, for which there is no need.
 * @param at where it will be: its pointers are segments and offsets
 * @param whole whether there is that half, and so what came with VBE 2.0
 */
export function controllerInformation(
  video: VideoMemory,
  at: { readonly segment: number; readonly offset: number },
  whole: boolean,
): Uint8Array {
  const block = new Uint8Array(INFORMATION_SIZE);
  const view = viewOf(block);
  const setPointer = (field: number, offset: number): void => {
    view.setUint16(field, at.offset + offset, true);
    view.setUint16(field + 2, at.segment, true);
  };
  const numbers = [...modesOf(video).map(({ number }) => number), END_OF_MODES];
  const name = LISTS + 2 * numbers.length;
  view.setUint32(0x00, VESA, true);
  view.setUint16(0x04, VERSION, true);
  setPointer(0x06, name);
  view.setUint32(0x0a, CAPABILITIES, true);
  setPointer(0x0e, LISTS);
  view.setUint16(0x12, video.length / (64 * KIB), true);
  // Vendor, product and its revision.
  for (const field of whole ? [0x16, 0x1a, 0x1e] : []) setPointer(field, name);
  numbers.forEach((number, i) => {
    view.setUint16(LISTS + 2 * i, number, true);
  });
  block.set(encodeUtf8(NAME), name);
  return block;
}

/** Supported, with optional information, colour, graphics, no VGA's, linear. */
const ATTRIBUTES = 0x00bb;
/** The window can be moved, read and written. */
const WINDOW_ATTRIBUTES = 0x07;
const WINDOW_SEGMENT = 0xa000;
const WINDOW_KIB = 64;
const PACKED_PIXELS = 4;
const DIRECT_COLOUR = 6;
/** Programs may use what is between the colours. */
const DIRECT_COLOUR_MODE = 2;

/**
 * ModeInfoBlock (VBE 3.0, "Function 01h").
 * @param windowFunction segment and offset of what moves the window
 */
export function modeInformation(
  mode: GraphicsMode,
  video: VideoMemory,
  windowFunction: { readonly segment: number; readonly offset: number },
): Uint8Array {
  const { width, height, depth } = mode;
  const pitch = width * bytesPerPixel(depth);
  const pages = Math.min(255, Math.floor(video.length / (pitch * height)) - 1);
  const bytes = new Uint8Array(INFORMATION_SIZE);
  const view = viewOf(bytes);
  view.setUint16(0x00, ATTRIBUTES, true);
  view.setUint8(0x02, WINDOW_ATTRIBUTES);
  view.setUint16(0x04, WINDOW_KIB, true);
  view.setUint16(0x06, WINDOW_KIB, true);
  view.setUint16(0x08, WINDOW_SEGMENT, true);
  view.setUint16(0x0c, windowFunction.offset, true);
  view.setUint16(0x0e, windowFunction.segment, true);
  view.setUint16(0x10, pitch, true);
  view.setUint16(0x12, width, true);
  view.setUint16(0x14, height, true);
  bytes.set([8, 16, 1, depth, 1, depth === 8 ? PACKED_PIXELS : DIRECT_COLOUR, 0, pages, 1], 0x16);
  bytes.set(COLOUR_FIELDS[depth], 0x1f);
  view.setUint8(0x27, depth === 8 ? 0 : DIRECT_COLOUR_MODE);
  view.setUint32(0x28, video.address, true);
  view.setUint16(0x32, pitch, true);
  bytes.set([pages, pages], 0x34);
  bytes.set(COLOUR_FIELDS[depth], 0x36);
  return bytes;
}
