/** What Solo5's tenders tell a unikernel at its start, in the two generations that there are. */

import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import { encodeUtf8 } from "../text.ts";
import type { LowMemoryMap } from "./long-mode.ts";

/** Bytes of the command line, NUL included, in both (`HVT_CMDLINE_SIZE`, `UKVM_CMDLINE_SIZE`). */
export const CMDLINE_SIZE = 8192;

export interface BootInfo {
  /** Bytes of RAM that the guest may use. */
  readonly memorySize: number;
  /** End of the executable. */
  readonly kernelEnd: number;
  /** Of the time stamp counter, in Hz. */
  readonly tscFrequency: number;
  readonly commandLine: string;
}

export interface HvtBootInfo extends BootInfo {
  readonly manifest: Uint8Array;
  /** Address of the shared network ring; `undefined` without one. */
  readonly netRing: number | undefined;
}

/** Where the boot information is, and how memory around it is mapped. */
interface BootInfoPlace {
  readonly base: number;
  readonly lowMemory: LowMemoryMap;
}

/** `X86_BOOT_INFO_BASE` of hvt: the zero page and the tender's tables below are not mapped. */
export const HVT_BOOT: BootInfoPlace = {
  base: 0x1_0000,
  lowMemory: { mappedFrom: 0x1_0000, writableFrom: 0x10_0000, writeProtect: true },
};

/** The same of ukvm. */
export const UKVM_BOOT: BootInfoPlace = {
  base: 0x5000,
  lowMemory: { mappedFrom: 0, writableFrom: 0, writeProtect: false },
};
const UKVM_CMDLINE_BASE = 0x6000;

/** `struct hvt_boot_info`; the fields from 40 on came with Solo5 0.12. */
const HVT_LAYOUT = {
  memSize: 0,
  kernelEnd: 8,
  cpuCycleFreq: 16,
  cmdline: 24,
  mft: 32,
  hostFeatures: 40,
  netRing: 48,
  size: 56,
} as const;

/** `HVT_FEATURE_RING_IO`. */
const FEATURE_RING_IO = 1 << 0;

/** `struct ukvm_boot_info`. */
const UKVM_LAYOUT = { memSize: 0, kernelEnd: 8, cmdline: 16, tscFreq: 24 } as const;

export function writeHvtBootInfo(memory: GuestMemory, info: HvtBootInfo): void {
  const { base } = HVT_BOOT;
  const field = (offset: number, value: number): void => memory.writeU64(gpa(base + offset), value);
  const manifestAt = base + HVT_LAYOUT.size;
  const cmdlineAt = manifestAt + info.manifest.length;
  field(HVT_LAYOUT.memSize, info.memorySize);
  field(HVT_LAYOUT.kernelEnd, info.kernelEnd);
  field(HVT_LAYOUT.cpuCycleFreq, info.tscFrequency);
  field(HVT_LAYOUT.cmdline, cmdlineAt);
  field(HVT_LAYOUT.mft, manifestAt);
  field(HVT_LAYOUT.hostFeatures, info.netRing === undefined ? 0 : FEATURE_RING_IO);
  field(HVT_LAYOUT.netRing, info.netRing ?? 0);
  memory.write(gpa(manifestAt), info.manifest);
  writeCommandLine(memory, cmdlineAt, info.commandLine);
}

export function writeUkvmBootInfo(memory: GuestMemory, info: BootInfo): void {
  const field = (offset: number, value: number): void =>
    memory.writeU64(gpa(UKVM_BOOT.base + offset), value);
  field(UKVM_LAYOUT.memSize, info.memorySize);
  field(UKVM_LAYOUT.kernelEnd, info.kernelEnd);
  field(UKVM_LAYOUT.cmdline, UKVM_CMDLINE_BASE);
  field(UKVM_LAYOUT.tscFreq, info.tscFrequency);
  writeCommandLine(memory, UKVM_CMDLINE_BASE, info.commandLine);
}

/** @throws GuestError `image` when there is no room for it */
export function encodeCommandLine(text: string): Uint8Array {
  const bytes = encodeUtf8(text);
  if (bytes.length >= CMDLINE_SIZE) {
    throw new GuestError(
      "image",
      `guest command line too long (${bytes.length} bytes, at most ${CMDLINE_SIZE - 1})`,
    );
  }
  return bytes;
}

function writeCommandLine(memory: GuestMemory, address: number, text: string): void {
  const bytes = encodeCommandLine(text);
  memory.write(gpa(address), bytes);
  memory.writeU8(gpa(address + bytes.length), 0);
}
