/** The screen, as Multiboot's information describes it to a kernel (0.6.96 §3.3; 2.0 §3.6.12). */

import type { VideoMemory } from "../core/guest-memory.ts";
import { bytesPerPixel } from "../core/picture.ts";
import { WINDOW_FUNCTION } from "./bios/rom.ts";
import {
  COLOUR_FIELDS,
  controllerInformation,
  type GraphicsMode,
  INFORMATION_SIZE,
  LARGEST_PICTURE,
  LINEAR,
  modeInformation,
  modesOf,
} from "./bios/vbe-modes.ts";
import { viewOf } from "./data-view.ts";

/** Video memory in a graphics mode, or text. */
export type Screen = { readonly mode: GraphicsMode; readonly video: VideoMemory } | "text";

/** What a header asks for: zeros where it does not care. */
export interface GraphicsRequest {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
}

/** For who does not care. */
const USUAL = { width: 1024, height: 768 } as const;
/** The adapter's lines are of whole eights of pixels. */
const WIDTH_UNIT = 8;

/** Text at 0xb8000: two bytes a character. */
const TEXT_MEMORY = 0xb_8000;
const COLUMNS = 80;
const ROWS = 25;

const TYPE_RGB = 1;
const TYPE_EGA_TEXT = 2;
/** Address, bytes of a row, width, height, bits of a pixel, type. */
const FIELDS_SIZE = 22;

/** The mode that comes nearest. */
export function modeFor({ width, height, depth }: GraphicsRequest): GraphicsMode {
  const possible =
    width >= WIDTH_UNIT &&
    height > 0 &&
    width % WIDTH_UNIT === 0 &&
    width <= LARGEST_PICTURE.width &&
    height <= LARGEST_PICTURE.height;
  const size = possible ? { width, height } : USUAL;
  return { ...size, depth: depth === 15 || depth === 16 || depth === 24 ? depth : 32 };
}

/** The fields that both versions have, and what says where a pixel's colours are. */
export function describeScreen(screen: Screen): { fields: Uint8Array; colours: Uint8Array } {
  const fields = new Uint8Array(FIELDS_SIZE);
  const view = viewOf(fields);
  const set = (
    address: number,
    sizes: readonly [pitch: number, width: number, height: number],
    last: readonly [bits: number, type: number],
  ): void => {
    view.setUint32(0, address, true);
    sizes.forEach((size, i) => {
      view.setUint32(8 + 4 * i, size, true);
    });
    fields.set(last, 20);
  };
  if (screen === "text") {
    set(TEXT_MEMORY, [2 * COLUMNS, COLUMNS, ROWS], [16, TYPE_EGA_TEXT]);
    return { fields, colours: new Uint8Array(0) };
  }
  const { mode, video } = screen;
  const { width, height, depth } = mode;
  set(video.address, [width * bytesPerPixel(depth), width, height], [depth, TYPE_RGB]);
  // Of red, green and blue: where they are, and how large.
  const places = COLOUR_FIELDS[depth];
  const colours = [0, 2, 4].flatMap((i) => [places[i + 1] ?? 0, places[i] ?? 0]);
  return { fields, colours: Uint8Array.from(colours) };
}

interface VbeInformation {
  readonly controller: Uint8Array;
  readonly mode: Uint8Array;
  /** As the mode would have been set by VBE. */
  readonly number: number;
}

/** Bytes of {@link vbeInformation}. */
export const vbeSize = (screen: Screen): number =>
  numberOf(screen) === undefined ? 0 : 2 * INFORMATION_SIZE;

/**
 * What kernels before the frame buffer's fields look for.
 * @param address of it, in conventional memory
 * @returns `undefined` where VBE has no such mode
 */
export function vbeInformation(screen: Screen, address: number): VbeInformation | undefined {
  const number = numberOf(screen);
  if (number === undefined || screen === "text") return undefined;
  const { mode, video } = screen;
  const at = { segment: address >> 4, offset: address & 15 };
  return {
    controller: controllerInformation(video, at, false),
    mode: modeInformation(mode, video, WINDOW_FUNCTION),
    number: number | LINEAR,
  };
}

function numberOf(screen: Screen): number | undefined {
  if (screen === "text") return undefined;
  const { width, height, depth } = screen.mode;
  return modesOf(screen.video).find(
    (mode) => mode.width === width && mode.height === height && mode.depth === depth,
  )?.number;
}
