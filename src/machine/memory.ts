import { assert, HostError } from "../core/errors.ts";
import { GuestMemory } from "../core/guest-memory.ts";
import { MIB } from "../core/units.ts";

const WASM_PAGE = 64 * 1024;

/** Below it nothing boots: real-mode memory, the loader at 1 MiB, a kernel. */
export const MIN_MEMORY_MIB = 2;
/** RAM ends where the PC's hole for devices begins. */
export const MAX_MEMORY_MIB = 3072;

/**
 * Guest RAM as a WebAssembly memory: page-aligned, so that KVM takes it; importable by generated
 * WebAssembly; and allocated by the host only as far as it is touched.
 * @param mebibytes {@link MIN_MEMORY_MIB} to {@link MAX_MEMORY_MIB}
 * @throws HostError when the host has no such address space
 */
export function allocateMemory(mebibytes: number): GuestMemory {
  assert(
    Number.isInteger(mebibytes) && mebibytes >= MIN_MEMORY_MIB && mebibytes <= MAX_MEMORY_MIB,
    `guest memory is ${MIN_MEMORY_MIB} to ${MAX_MEMORY_MIB} MiB, not ${mebibytes}`,
  );
  const pages = (mebibytes * MIB) / WASM_PAGE;
  try {
    return new GuestMemory(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
  } catch (cause) {
    throw new HostError(`no address space for ${mebibytes} MiB of guest memory`, {
      remedy: "give the guest less with --mem, or raise `ulimit -v`",
      cause,
    });
  }
}
