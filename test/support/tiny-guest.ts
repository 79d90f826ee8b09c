import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildElf, multibootHeader } from "./elf-builder.ts";
import { temporaryFolder } from "./temporary.ts";

/** Where a guest's code is: behind the Multiboot header. */
export const CODE_START = 0x10_0020;

/**
 * An image file with a guest of a few bytes: they run in 32-bit protected mode without paging,
 * flat segments, interrupts off, as Multiboot has it.
 * @param code hand-assembled; pieces are put one after the other
 */
export function tinyGuest(...code: readonly (readonly number[])[]): string {
  const data = new Uint8Array(0x20 + code.flat().length);
  data.set(multibootHeader(0));
  data.set(code.flat(), 0x20);
  const elf = buildElf({
    class: 32,
    entry: CODE_START,
    segments: [{ physicalAddress: CODE_START - 0x20, data, alignment: 0x1000 }],
  });
  const path = join(temporaryFolder(), "tiny.elf");
  writeFileSync(path, elf);
  return path;
}

const low = (value: number): number => value & 0xff;
const high = (value: number): number => (value >> 8) & 0xff;

/** mov dx, port; mov al, value; out dx, al */
export const out8 = (port: number, value: number): number[] => [
  ...[0x66, 0xba, low(port), high(port)],
  ...[0xb0, value],
  0xee,
];

/** mov dx, port; mov ax, value; out dx, ax */
export const out16 = (port: number, value: number): number[] => [
  ...[0x66, 0xba, low(port), high(port)],
  ...[0x66, 0xb8, low(value), high(value)],
  ...[0x66, 0xef],
];

/** To the serial port, whose transmitter is always ready. */
export const print = (text: string): number[] =>
  [...text].flatMap((letter) => out8(0x3f8, letter.charCodeAt(0)));

/** Ends the machine with this status (`src/devices/debug/debug-exit.ts`). */
export const exit = (status: number): number[] => out16(0x501, 0x5300 | status);

/** cli; hlt */
export const haltForever = [0xfa, 0xf4];

/** jmp to itself */
export const spin = [0xeb, 0xfe];
