import type { AccessSize, BusDevice, Resettable } from "../../core/device.ts";
import type { GuestMemory, VideoMemory } from "../../core/guest-memory.ts";
import { bytesPerPixel, type Depth, type Picture } from "../../core/picture.ts";
import { gpa, KIB } from "../../core/units.ts";
import { isDepth, type Palette, pixelReader } from "./pixel-formats.ts";

/** Registers behind the index port (Bochs, "VBE DISPI"; QEMU's `docs/specs/standard-vga`). */
const ID = 0;
const XRES = 1;
const YRES = 2;
const BPP = 3;
const ENABLE = 4;
const BANK = 5;
const VIRT_WIDTH = 6;
const VIRT_HEIGHT = 7;
const X_OFFSET = 8;
const Y_OFFSET = 9;
const VIDEO_MEMORY_64K = 10;
const REGISTERS = 11;

const ENABLED = 0x01;
const GETCAPS = 0x02;
const WIDE_DAC = 0x20;
const LFB_ENABLED = 0x40;
const NOCLEARMEM = 0x80;

/** The interface's latest version. */
const ID_LATEST = 0xb0c5;
const MAX_WIDTH = 2560;
const MAX_HEIGHT = 1600;

/** Where the video memory's bank is seen, if it is not all of it in a row elsewhere. */
const WINDOW = gpa(0xa_0000);
const WINDOW_SIZE = 64 * KIB;

/** A picture, and where it is in the memory that it is a part of. */
interface Mode {
  readonly width: number;
  readonly height: number;
  readonly depth: Depth;
  /** Bytes from a line to the next. */
  readonly pitch: number;
  readonly start: number;
}

/** Of a VGA: in the window. */
const MODE_13H: Mode = { width: 320, height: 200, depth: 8, pitch: 320, start: 0 };

/** What of a VGA's goes on in graphics modes. */
export interface Vga {
  readonly palette: Palette;
  /** Whether it shows a picture of mode 13h itself. */
  readonly isPicture: boolean;
  /** Whether the guest gives eight bits of a colour instead of six. */
  wideDac: boolean;
}

export interface DispiOptions {
  readonly memory: GuestMemory;
  readonly videoMemory: VideoMemory;
  readonly vga: Vga;
  /** The guest has switched to a graphics mode. */
  readonly onMode: (width: number, height: number, depth: Depth) => void;
}

/**
 * The graphics adapter: Bochs's, whose registers say how large the picture is and which part of video
 * memory it is. Two 16-bit ports in a row: an index, and the register of that index.
 *
 * Video memory is the guest's to write, without us. A bank in the window of old is a copy, which goes
 * back when another takes its place.
 */
export class DispiAdapter implements BusDevice, Resettable {
  /** Ports from 0x1ce: the data port is one that ends behind the index port's. */
  readonly length = 3;
  readonly #options: DispiOptions;
  readonly #registers = new Uint16Array(REGISTERS);
  #index = 0;

  constructor(options: DispiOptions) {
    this.#options = options;
    this.reset();
  }

  reset(): void {
    this.#index = 0;
    this.#registers.fill(0);
    this.#registers[ID] = ID_LATEST;
    this.#registers[VIDEO_MEMORY_64K] = this.#options.videoMemory.length / WINDOW_SIZE;
    this.#options.vga.wideDac = false;
  }

  read(offset: number, size: AccessSize): number {
    if (offset === 0) return this.#index;
    const value = this.#read(this.#index);
    return offset === 1 ? value & (size === 1 ? 0xff : 0xffff) : value >> 8;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === 0) this.#index = value & 0xffff;
    else if (offset === 1 && size === 2) this.#write(this.#index, value);
  }

  /** What it shows, or else the VGA does; `undefined` if that is text. */
  picture(): Picture | undefined {
    this.#keepWindow();
    const { vga, memory } = this.#options;
    const mode = this.#mode();
    if (mode !== undefined) return this.#show(mode, this.#pixels());
    return vga.isPicture ? this.#show(MODE_13H, memory.slice(WINDOW, WINDOW_SIZE)) : undefined;
  }

  #show({ width, height, depth, pitch, start }: Mode, memory: Uint8Array): Picture {
    const read = pixelReader(depth, memory, this.#options.vga.palette);
    const bytes = bytesPerPixel(depth);
    const pixels = new Uint8Array(3 * width * height);
    for (let y = 0; y < height; y++) {
      const row = start + y * pitch;
      // What is beyond video memory is black.
      const inside = Math.min(width, Math.floor((memory.length - row) / bytes));
      for (let x = 0; x < inside; x++) read(row + x * bytes, pixels, 3 * (y * width + x));
    }
    return { width, height, pixels };
  }

  #mode(): Mode | undefined {
    const [width, height, depth] = [this.#at(XRES), this.#at(YRES), this.#at(BPP)];
    const on = (this.#at(ENABLE) & ENABLED) !== 0;
    if (!on || width === 0 || height === 0 || !isDepth(depth)) return undefined;
    const bytes = bytesPerPixel(depth);
    const pitch = bytes * Math.max(width, this.#at(VIRT_WIDTH));
    const start = pitch * this.#at(Y_OFFSET) + bytes * this.#at(X_OFFSET);
    return { width, height, depth, pitch, start };
  }

  #read(index: number): number {
    if ((this.#at(ENABLE) & GETCAPS) !== 0) {
      if (index === XRES) return MAX_WIDTH;
      if (index === YRES) return MAX_HEIGHT;
      if (index === BPP) return 32;
    }
    if (index !== VIRT_HEIGHT) return this.#at(index);
    const { pitch = 0 } = this.#mode() ?? {};
    return pitch === 0 ? 0 : Math.min(0xffff, Math.floor(this.#pixels().length / pitch));
  }

  #write(index: number, value: number): void {
    switch (index) {
      case XRES:
        this.#registers[XRES] = Math.min(value, MAX_WIDTH);
        break;
      case YRES:
        this.#registers[YRES] = Math.min(value, MAX_HEIGHT);
        break;
      case ENABLE:
        this.#enable(value);
        break;
      case BANK:
        this.#keepWindow();
        this.#registers[BANK] = value;
        this.#showWindow();
        break;
      case BPP:
      case VIRT_WIDTH:
      case X_OFFSET:
      case Y_OFFSET:
        this.#registers[index] = value;
        break;
      default: // Nothing there, or nothing to be written.
    }
  }

  #enable(value: number): void {
    const { memory, videoMemory, vga, onMode } = this.#options;
    this.#keepWindow();
    const before = this.#at(ENABLE);
    this.#registers[ENABLE] = value;
    vga.wideDac = (value & WIDE_DAC) !== 0;
    if ((value & ~before & ENABLED) === 0) return;
    for (const index of [BANK, X_OFFSET, Y_OFFSET]) this.#registers[index] = 0;
    this.#registers[VIRT_WIDTH] = this.#at(XRES);
    if ((value & NOCLEARMEM) === 0) memory.fill(gpa(videoMemory.address), videoMemory.length);
    this.#showWindow();
    const mode = this.#mode();
    if (mode !== undefined) onMode(mode.width, mode.height, mode.depth);
  }

  #at(index: number): number {
    return this.#registers[index] ?? 0;
  }

  #pixels(): Uint8Array {
    const { memory, videoMemory } = this.#options;
    return memory.slice(gpa(videoMemory.address), videoMemory.length);
  }

  /** Where the window's bank is; `undefined` if there is no window. */
  #bank(): number | undefined {
    const { videoMemory } = this.#options;
    if ((this.#at(ENABLE) & (ENABLED | LFB_ENABLED)) !== ENABLED) return undefined;
    return videoMemory.address + ((this.#at(BANK) * WINDOW_SIZE) % videoMemory.length);
  }

  #keepWindow(): void {
    const bank = this.#bank();
    const { memory } = this.#options;
    if (bank !== undefined) memory.write(gpa(bank), memory.slice(WINDOW, WINDOW_SIZE));
  }

  #showWindow(): void {
    const bank = this.#bank();
    const { memory } = this.#options;
    if (bank !== undefined) memory.write(WINDOW, memory.slice(gpa(bank), WINDOW_SIZE));
  }
}
