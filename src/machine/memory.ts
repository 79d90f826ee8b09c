import { assert, HostError } from "../core/errors.ts";
import { GuestMemory, RAM_OFFSET, type VideoMemory } from "../core/guest-memory.ts";
import { MIB } from "../core/units.ts";

const WASM_PAGE = 64 * 1024;

/** Below it nothing boots: real-mode memory, the loader at 1 MiB, a kernel. */
export const MIN_MEMORY_MIB = 2;
/** All that WebAssembly can address, with what lies before RAM. */
export const MAX_MEMORY_MIB = 4096 - RAM_OFFSET / MIB;
/** RAM ends where the PC's hole for devices begins. */
export const MAX_PC_MEMORY_MIB = 3072;
/** As much as QEMU's VGA has; what is never shown takes none of the host's memory. */
const VIDEO_MEMORY_MIB = 16;

export interface MachineMemory {
  /** With what lies before RAM, for the processor written in TypeScript. */
  readonly whole: WebAssembly.Memory;
  readonly ram: GuestMemory;
  /** Whether it is a shared one, which generated WebAssembly has to know. */
  readonly shared: boolean;
}

/**
 * Guest RAM as a WebAssembly memory: page-aligned, so that KVM takes it; importable by generated
 * WebAssembly; and allocated by the host only as far as it is touched.
 * @param mebibytes {@link MIN_MEMORY_MIB} to {@link MAX_MEMORY_MIB}
 * @param shared a kind that V8 does not count as memory of its heap's objects: hearing of so much
 *   at once, it collects garbage. Not to be had in every browser's page.
 * @param display whether there is video memory, too: behind RAM, aligned to its own size
 * @throws HostError when the host has no such address space
 */
export function allocateMemory(mebibytes: number, shared = false, display = false): MachineMemory {
  assert(
    Number.isInteger(mebibytes) && mebibytes >= MIN_MEMORY_MIB && mebibytes <= MAX_MEMORY_MIB,
    `guest memory is ${MIN_MEMORY_MIB} to ${MAX_MEMORY_MIB} MiB, not ${mebibytes}`,
  );
  const video = display ? videoMemoryBehind(mebibytes) : undefined;
  const end = video === undefined ? mebibytes * MIB : video.address + video.length;
  const pages = (RAM_OFFSET + end) / WASM_PAGE;
  try {
    const whole = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    const ram = new GuestMemory(whole.buffer, RAM_OFFSET, mebibytes * MIB, video);
    return { whole, ram, shared };
  } catch (cause) {
    throw new HostError(`no address space for ${mebibytes} MiB of guest memory`, {
      remedy: "give the guest less with --mem, or raise `ulimit -v`",
      cause,
    });
  }
}

function videoMemoryBehind(mebibytes: number): VideoMemory {
  const length = VIDEO_MEMORY_MIB * MIB;
  return { address: Math.ceil((mebibytes * MIB) / length) * length, length };
}
