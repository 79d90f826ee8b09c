import type { ByteSource } from "../byte-source.ts";
import { viewOf } from "../data-view.ts";
import { type ElfFile, readInterpreter } from "../elf.ts";
import { readSolo5Note } from "./note.ts";

/** Which monitor an image is for, and which version of that one's interface (Solo5, `elf_abi.h`). */
export interface Solo5Abi {
  readonly target: number;
  readonly version: number;
}

/** `enum abi_target`. */
export const ABI_TARGET = { HVT: 1, SPT: 2, VIRTIO: 3, MUEN: 4, GENODE: 5, XEN: 6 } as const;

const TARGET_NAMES = ["hvt", "spt", "virtio", "muen", "genode", "xen"] as const;

/**
 * The versions of the hvt interface that are implemented here: 1 is that of Solo5 0.6 and 0.7. The calls
 * are the same in both; 2 keeps unikernels with thread-local storage from monitors before 0.8.
 */
export const HVT_ABI_VERSIONS: readonly number[] = [1, 2];

/** PT_INTERP of images for a tender: a path where no operating system finds anything. */
const INTERPRETER = "/nonexistent/solo5/";

/** "ABI1": target, version, and two words reserved. */
const ABI1_NOTE = { type: 0x3149_4241, alignment: 4, maximum: 32 } as const;
const ABI1_SIZE = 16;

/** Whether a Solo5 tender is to load the file: nothing on its own and no boot loader can. */
export const isForTender = (source: ByteSource, elf: ElfFile): boolean =>
  readInterpreter(source, elf)?.startsWith(INTERPRETER) === true;

/**
 * @returns `undefined` for an image without the note
 * @throws GuestError `image` when the note is malformed
 */
export function readAbi(source: ByteSource, elf: ElfFile): Solo5Abi | undefined {
  const note = readSolo5Note(source, elf, ABI1_NOTE);
  if (note === undefined || note.length < ABI1_SIZE) return undefined;
  const view = viewOf(note);
  return { target: view.getUint32(0, true), version: view.getUint32(4, true) };
}

/** As its users call it: `hvt`. */
export const targetName = (target: number): string =>
  TARGET_NAMES[target - 1] ?? `target ${target}`;
