/**
 * The BIOS data area, 256 bytes at 0040:0000, and the extended one below 640 KiB: variables of the
 * BIOS that programs have read ever since (IBM PC AT Technical Reference, "ROM BIOS Data Area";
 * IBM PS/2 and PC BIOS Interface Technical Reference).
 */

import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa, KIB } from "../../core/units.ts";
import { CONVENTIONAL_END } from "../memory-map.ts";

const BASE = 0x400;

/** Offsets from 0040:0000. */
export const BDA = {
  SERIAL_PORTS: 0x00,
  EBDA_SEGMENT: 0x0e,
  EQUIPMENT: 0x10,
  MEMORY_KIB: 0x13,
  KEYBOARD_FLAGS: 0x17,
  KEYBOARD_FLAGS_2: 0x18,
  KEYBOARD_HEAD: 0x1a,
  KEYBOARD_TAIL: 0x1c,
  KEYBOARD_BUFFER: 0x1e,
  DISK_STATUS_FLOPPY: 0x41,
  VIDEO_MODE: 0x49,
  COLUMNS: 0x4a,
  PAGE_SIZE: 0x4c,
  PAGE_START: 0x4e,
  CURSOR_POSITIONS: 0x50,
  CURSOR_SHAPE: 0x60,
  ACTIVE_PAGE: 0x62,
  CRTC_PORT: 0x63,
  CRT_MODE: 0x65,
  CRT_PALETTE: 0x66,
  TICKS: 0x6c,
  MIDNIGHT: 0x70,
  RESET_FLAG: 0x72,
  DISK_STATUS: 0x74,
  HARD_DISKS: 0x75,
  SERIAL_TIMEOUTS: 0x7c,
  KEYBOARD_START: 0x80,
  KEYBOARD_END: 0x82,
  LAST_ROW: 0x84,
  CHARACTER_HEIGHT: 0x85,
  VIDEO_CONTROL: 0x87,
  VIDEO_SWITCHES: 0x88,
  VIDEO_FLAGS: 0x89,
  DISPLAY_COMBINATION: 0x8a,
  KEYBOARD_STATUS: 0x96,
} as const;

const KEYBOARD_BUFFER_END = 0x3e;

export const EBDA_SEGMENT = CONVENTIONAL_END >> 4;

/** Equipment word: coprocessor, mouse, 80×25 colour text, and how many serial ports and floppies. */
const HAS_FLOPPY = 1 << 0;
const HAS_FPU = 1 << 1;
const HAS_POINTING_DEVICE = 1 << 2;
const COLOUR_80 = 2 << 4;
const FLOPPIES_SHIFT = 6;
const SERIAL_PORTS_SHIFT = 9;

const COM1 = 0x3f8;
const CRTC = 0x3d4;

/** The variables, by the offsets of {@link BDA}. */
export class BiosDataArea {
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  u8(offset: number): number {
    return this.#memory.readU8(gpa(BASE + offset));
  }

  u16(offset: number): number {
    return this.#memory.readU16(gpa(BASE + offset));
  }

  u32(offset: number): number {
    return this.#memory.readU32(gpa(BASE + offset));
  }

  setU8(offset: number, value: number): void {
    this.#memory.writeU8(gpa(BASE + offset), value);
  }

  setU16(offset: number, value: number): void {
    this.#memory.writeU16(gpa(BASE + offset), value);
  }

  setU32(offset: number, value: number): void {
    this.#memory.writeU32(gpa(BASE + offset), value);
  }

  /** What the power-on test leaves; the video variables are the video service's. */
  initialise(machine: { floppies: number; hardDisks: number; ticks: number }): void {
    this.#memory.fill(gpa(BASE), 0x100);
    this.#memory.fill(gpa(CONVENTIONAL_END), KIB);
    this.#memory.writeU8(gpa(CONVENTIONAL_END), 1); // The EBDA's own size, KiB.
    const { floppies } = machine;
    const equipment =
      HAS_FPU |
      HAS_POINTING_DEVICE |
      COLOUR_80 |
      (1 << SERIAL_PORTS_SHIFT) |
      (floppies > 0 ? HAS_FLOPPY | ((floppies - 1) << FLOPPIES_SHIFT) : 0);
    this.setU16(BDA.SERIAL_PORTS, COM1);
    this.setU16(BDA.EBDA_SEGMENT, EBDA_SEGMENT);
    this.setU16(BDA.EQUIPMENT, equipment);
    this.setU16(BDA.MEMORY_KIB, CONVENTIONAL_END / KIB);
    this.setU16(BDA.KEYBOARD_HEAD, BDA.KEYBOARD_BUFFER);
    this.setU16(BDA.KEYBOARD_TAIL, BDA.KEYBOARD_BUFFER);
    this.setU16(BDA.KEYBOARD_START, BDA.KEYBOARD_BUFFER);
    this.setU16(BDA.KEYBOARD_END, KEYBOARD_BUFFER_END);
    this.setU8(BDA.KEYBOARD_STATUS, 1 << 4); // 101 keys or more.
    this.setU32(BDA.TICKS, machine.ticks);
    this.setU8(BDA.HARD_DISKS, machine.hardDisks);
    this.setU8(BDA.SERIAL_TIMEOUTS, 10);
    this.setU16(BDA.CRTC_PORT, CRTC);
  }
}
