/**
 * The Linux/x86 boot protocol as it began (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode
 * Kernel"): the kernel's own setup code is entered in real mode and asks the BIOS for what it wants to
 * know. Before version 2.10 there was no other way for boot loaders, and other programs that boot
 * loaders start as if they were Linux (iPXE, MEMDISK, memtest86) are written for it, some as it was
 * when there was no header.
 */

import type { Registers } from "../core/cpu.ts";
import { GuestError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, hex } from "../core/units.ts";
import { viewOf } from "./data-view.ts";
import { realModeState } from "./entry-state.ts";
import { CONVENTIONAL_END } from "./memory-map.ts";

/** Where boot loaders have always put the setup code; it is entered 512 bytes behind. */
const SEGMENT = 0x9000;
const ENTRY_SEGMENT = 0x9020;
/** Offsets from there: the heap and the stack end where the command line begins. */
const COMMAND_LINE = 0xe000;
/** Before version 2.02, and for kernels below 1 MiB: those look for it no higher. */
const OLD_COMMAND_LINE = 0x9800;
const HEAP_GAP = 0x200;
const MAX_SETUP_SIZE = 0x8000;

/** Offsets in the boot sector: how to find the command line before version 2.02. */
const OLD_CL_MAGIC = 0x20;
const OLD_CL_MAGIC_VALUE = 0xa33f;
const OLD_CL_OFFSET = 0x22;

/** Offsets in the setup header. */
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const SETUP_MOVE_SIZE = 0x212;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const HEAP_END_PTR = 0x224;
const CMD_LINE_PTR = 0x228;
const CAN_USE_HEAP = 1 << 7;
const UNDEFINED_LOADER = 0xff;

const FIRST_WITH_HEADER = 0x0200;
const FIRST_WITH_HEAP = 0x0201;
const FIRST_WITH_COMMAND_LINE_POINTER = 0x0202;

export interface SetupRequest {
  /** All of the real-mode part. */
  readonly setup: Uint8Array;
  /** Of the boot protocol; 0 if there is no header. */
  readonly version: number;
  /** Whether the kernel is at 1 MiB or above. */
  readonly high: boolean;
  /** Zero-terminated. */
  readonly commandLine: Uint8Array;
  readonly initrd: { readonly address: number; readonly size: number };
}

/** The memory that {@link enterSetup} writes. */
export const SETUP_AREA = {
  start: SEGMENT << 4,
  length: CONVENTIONAL_END - (SEGMENT << 4),
} as const;

/** @throws GuestError `image` when it has no room */
export function checkSetup(request: SetupRequest): void {
  const { setup, commandLine } = request;
  const room = SETUP_AREA.length - commandLineOffset(request);
  if (setup.length > MAX_SETUP_SIZE || commandLine.length > room) {
    throw new GuestError(
      "image",
      `no room below ${hex(CONVENTIONAL_END)} for the kernel's setup code and its command line`,
    );
  }
}

/** Puts the setup code into memory, and returns the state that it starts in. */
export function enterSetup(request: SetupRequest, memory: GuestMemory): Registers {
  const { commandLine } = request;
  const setup = request.setup.slice();
  fillIn(setup, request);
  const offset = commandLineOffset(request);
  memory.write(gpa(SETUP_AREA.start), setup);
  memory.write(gpa(SETUP_AREA.start + offset), commandLine);
  const state = realModeState(ENTRY_SEGMENT, 0);
  const data = { ...state.ds, selector: SEGMENT, base: BigInt(SEGMENT) << 4n };
  const segments = { ds: data, es: data, fs: data, gs: data, ss: data };
  return { ...state, ...segments, rsp: BigInt(offset) };
}

const commandLineOffset = ({ version, high }: SetupRequest): number =>
  high && version >= FIRST_WITH_COMMAND_LINE_POINTER ? COMMAND_LINE : OLD_COMMAND_LINE;

/** What the boot loader tells the setup code, as far as this version of the protocol knows it. */
function fillIn(setup: Uint8Array, request: SetupRequest): void {
  const { version, commandLine, initrd } = request;
  const view = viewOf(setup);
  const offset = commandLineOffset(request);
  if (version < FIRST_WITH_COMMAND_LINE_POINTER) {
    view.setUint16(OLD_CL_MAGIC, OLD_CL_MAGIC_VALUE, true);
    view.setUint16(OLD_CL_OFFSET, offset, true);
  }
  if (version < FIRST_WITH_HEADER) return;
  setup[TYPE_OF_LOADER] = UNDEFINED_LOADER;
  view.setUint32(RAMDISK_IMAGE, initrd.address, true);
  view.setUint32(RAMDISK_SIZE, initrd.size, true);
  if (version >= FIRST_WITH_HEAP) {
    setup[LOADFLAGS] = (setup[LOADFLAGS] ?? 0) | CAN_USE_HEAP;
    view.setUint16(HEAP_END_PTR, offset - HEAP_GAP, true);
  }
  if (version >= FIRST_WITH_COMMAND_LINE_POINTER) {
    view.setUint32(CMD_LINE_PTR, SETUP_AREA.start + offset, true);
  } else {
    view.setUint16(SETUP_MOVE_SIZE, offset + commandLine.length, true);
  }
}
