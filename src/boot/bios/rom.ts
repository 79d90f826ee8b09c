/**
 * The read-only part of the BIOS: the segment 0xf000. There is hardly any code in it. Each of the
 * 256 interrupt vectors has an entry that traps to the monitor by writing to a private port; the
 * monitor does the service in between and the entry returns to the caller. So it works alike on
 * every processor that the monitor has.
 */

import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import { encodeUtf8 } from "../text.ts";
import type { Drive } from "./drive.ts";
import { fixedDiskTable, TABLE_SIZE, TABLES } from "./fixed-disk-table.ts";

export const ROM_SEGMENT = 0xf000;
export const ROM_BASE = ROM_SEGMENT << 4;
const ROM_SIZE = 0x1_0000;

/** The port to which entries write; nothing of a PC's is there. */
export const TRAP_PORT = 0xb4;

/** Entries, {@link ENTRY_SIZE} bytes for each vector, at this offset. */
const ENTRIES = 0xd000;
const ENTRY_SIZE = 16;

/** Within an entry: behind its trap; and where it traps again, after an interrupt or right away. */
const TRAP_END = 3;
const WAIT_OFFSET = 4;
const POLL_OFFSET = 8;

/** Offsets that programs know by heart, from the first PC's listing on. */
const POWER_ON_TEST = 0xe05b;
const FIXED_DISK_PARAMETERS = 0xe401;
const CONFIGURATION_TABLE = 0xe6f5;
const DISKETTE_PARAMETERS = 0xefc7;
const TIMER_INTERRUPT = 0xfea5;
const DUMMY_INTERRUPT = 0xff53;
/** CLI and HLT: where there is nothing to boot. */
export const HALT_OFFSET = 0xff54;
const HALT_CODE = [0xfa, 0xf4, 0xeb, 0xfc] as const;
/**
 * What moves VBE's window, for programs that call it themselves:
 *
 *         mov  ax, 0x4f05
 *         int  0x10
 *         retf
 */
const VBE_WINDOW = 0xff60;
const VBE_WINDOW_CODE = [0xb8, 0x05, 0x4f, 0xcd, 0x10, 0xcb] as const;
const RESET_VECTOR = 0xfff0;
const RELEASE_DATE = 0xfff5;
const MODEL = 0xfffe;

const MODEL_AT = 0xfc;
const VECTOR_TIMER = 0x08;
const VECTOR_DISKETTE_PARAMETERS = 0x1e;
/** By disk. */
const VECTORS_FIXED_DISK_PARAMETERS = [0x41, 0x46] as const;
/** The vector whose service is the power-on test: no program can call it by that. */
export const POWER_ON_VECTOR = 0xff;

/**
 * Keyboard and time: those that programs call again and again until something happens, some with
 * interrupts disabled. PCs' BIOSes enable them there.
 */
const INTERRUPTIBLE: readonly number[] = [0x16, 0x1a];
const IRET = 0xcf;
const STI = 0xfb;
const NOP = 0x90;

/**
 * An entry:
 *
 *         nop                     ; or sti
 *         out  TRAP_PORT, al
 *         iret
 *   wait: sti
 *         hlt
 *         jmp  entry
 *   poll: sti
 *         nop                     ; interrupts are taken after the instruction that follows STI
 *         jmp  entry
 */
const ENTRY = Uint8Array.from([
  ...[NOP, 0xe6, TRAP_PORT, IRET],
  ...[STI, 0xf4, 0xeb, 0xf8],
  ...[STI, NOP, 0xeb, 0xf4],
]);

/**
 * Where the entry of IRQ 0 goes on, because programs replace the vector that this calls:
 *
 *         int  0x1c
 *         push ax
 *         mov  al, 0x20           ; end of interrupt
 *         out  0x20, al
 *         pop  ax
 *         iret
 */
const TIMER_CODE = [0xcd, 0x1c, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf] as const;

/** INT 15h AH=C0h: length, model, submodel, revision, features (second 8259, RTC, keyboard). */
const CONFIGURATION = [8, 0, MODEL_AT, 1, 0, 0x74, 0x40, 0, 0, 0] as const;

/** Of a 1.44 MB drive: step rate, motor times, 512-byte sectors, 18 a track, gaps. */
const DISKETTE = [0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b, 0xff, 0x6c, 0xf6, 0x0f, 0x08] as const;

/** Software may use these vectors as it likes, and looks for zeros there. */
const USER_VECTORS = { first: 0x60, last: 0x67 };

export const CONFIGURATION_POINTER = { segment: ROM_SEGMENT, offset: CONFIGURATION_TABLE } as const;
export const WINDOW_FUNCTION = { segment: ROM_SEGMENT, offset: VBE_WINDOW } as const;
export const DISKETTE_POINTER = { segment: ROM_SEGMENT, offset: DISKETTE_PARAMETERS } as const;

const entryOffset = (vector: number): number => ENTRIES + ENTRY_SIZE * vector;

/** Where the guest has to go on to call the service again, maybe after an interrupt. */
export const againOffset = (vector: number, afterInterrupt: boolean): number =>
  entryOffset(vector) + (afterInterrupt ? WAIT_OFFSET : POLL_OFFSET);

/** Where the processor starts: at the power-on test. */
export const POWER_ON_OFFSET = entryOffset(POWER_ON_VECTOR);

/**
 * Which vector's entry the processor is in.
 * @param ip at the trapping instruction or after it: processors differ
 * @returns `undefined` when it is in none
 */
export function vectorAt(ip: number): number | undefined {
  const offset = ip - ENTRIES;
  const vector = Math.floor(offset / ENTRY_SIZE);
  return vector >= 0 && vector <= 0xff && offset % ENTRY_SIZE <= TRAP_END ? vector : undefined;
}

/**
 * Writes the ROM and the table of interrupt vectors.
 * @param isService whether a vector traps; the others return at once
 * @param drives those whose parameters are in it
 */
export function writeRom(
  memory: GuestMemory,
  isService: (vector: number) => boolean,
  drives: readonly Drive[],
): void {
  const rom = memory.writableSlice(gpa(ROM_BASE), ROM_SIZE);
  // Pages that stay as they are need no memory of the host.
  if (!memory.fresh) rom.fill(0);
  for (let vector = 0; vector <= 0xff; vector++) rom.set(ENTRY, entryOffset(vector));
  for (const vector of INTERRUPTIBLE) rom[entryOffset(vector)] = STI;
  rom.set([0xe9, ...word(POWER_ON_OFFSET - (POWER_ON_TEST + 3))], POWER_ON_TEST);
  rom.set(CONFIGURATION, CONFIGURATION_TABLE);
  rom.set(DISKETTE, DISKETTE_PARAMETERS);
  rom.set([0xea, ...word(POWER_ON_TEST), ...word(ROM_SEGMENT)], RESET_VECTOR);
  rom.set(encodeUtf8("01/01/26"), RELEASE_DATE);
  rom[MODEL] = MODEL_AT;
  rom[DUMMY_INTERRUPT] = IRET;
  rom.set(HALT_CODE, HALT_OFFSET);
  rom.set(VBE_WINDOW_CODE, VBE_WINDOW);
  // The timer's entry goes on to the rest of its code instead of returning.
  rom.set(TIMER_CODE, TIMER_INTERRUPT);
  const timerEntry = entryOffset(VECTOR_TIMER);
  const distance = TIMER_INTERRUPT - (timerEntry + TRAP_END + 3);
  rom.set([0xe9, ...word(distance)], timerEntry + TRAP_END);
  for (let vector = 0; vector <= 0xff; vector++) {
    const user = vector >= USER_VECTORS.first && vector <= USER_VECTORS.last;
    const offset = isService(vector) ? entryOffset(vector) : DUMMY_INTERRUPT;
    setVector(memory, vector, user ? 0 : ROM_SEGMENT, user ? 0 : offset);
  }
  setVector(memory, VECTOR_DISKETTE_PARAMETERS, ROM_SEGMENT, DISKETTE_PARAMETERS);
  const hardDisks = drives.filter(({ kind }) => kind === "disk");
  for (const [i, drive] of hardDisks.slice(0, TABLES).entries()) {
    const offset = FIXED_DISK_PARAMETERS + TABLE_SIZE * i;
    rom.set(fixedDiskTable(drive), offset);
    setVector(memory, VECTORS_FIXED_DISK_PARAMETERS[i] as number, ROM_SEGMENT, offset);
  }
}

function setVector(memory: GuestMemory, vector: number, segment: number, offset: number): void {
  memory.writeU16(gpa(4 * vector), offset);
  memory.writeU16(gpa(4 * vector + 2), segment);
}

const word = (value: number): [number, number] => [value & 0xff, (value >> 8) & 0xff];
