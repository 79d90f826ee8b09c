/** The graphics adapter, as firmware programs it: by Bochs's registers. */

import type { BusDevice } from "../../core/device.ts";
import type { GraphicsMode } from "./vbe-modes.ts";

const INDEX_PORT = 0x1ce;
const DATA_PORT = 0x1cf;

export const REGISTER = {
  XRES: 1,
  YRES: 2,
  BPP: 3,
  ENABLE: 4,
  BANK: 5,
  VIRT_WIDTH: 6,
  VIRT_HEIGHT: 7,
  X_OFFSET: 8,
  Y_OFFSET: 9,
} as const;

const ENABLED = 0x01;
export const WIDE_DAC = 0x20;
const LFB_ENABLED = 0x40;
const NOCLEARMEM = 0x80;

export function readDisplay(ports: BusDevice, register: number): number {
  ports.write(INDEX_PORT, 2, register);
  return ports.read(DATA_PORT, 2);
}

export function writeDisplay(ports: BusDevice, register: number, value: number): void {
  ports.write(INDEX_PORT, 2, register);
  ports.write(DATA_PORT, 2, value);
}

/** Shows video memory: all of it is in its place then, or a bank of it in the VGA's window. */
export function showGraphics(
  ports: BusDevice,
  { width, height, depth }: GraphicsMode,
  { linear = true, keep = false } = {},
): void {
  hideGraphics(ports);
  writeDisplay(ports, REGISTER.XRES, width);
  writeDisplay(ports, REGISTER.YRES, height);
  writeDisplay(ports, REGISTER.BPP, depth);
  const flags = (linear ? LFB_ENABLED : 0) | (keep ? NOCLEARMEM : 0);
  writeDisplay(ports, REGISTER.ENABLE, ENABLED | flags);
}

/** What the VGA shows is shown again. */
export const hideGraphics = (ports: BusDevice): void => writeDisplay(ports, REGISTER.ENABLE, 0);
