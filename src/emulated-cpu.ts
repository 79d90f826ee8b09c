/** The processor written in TypeScript as machines have it: with their memory, and with the JIT. */
import type { FallbackCpu } from "../fallback/cpu.ts";
import { createFallbackCpu, type FallbackDescription } from "../fallback/index.ts";
import type { JitOptions } from "../fallback/jit/jit.ts";
import type { TranslationStore } from "./core/translations.ts";
import type { MachineMemory } from "./machine/memory.ts";

/** How often a block of the guest's code is interpreted before it is translated. */
export const JIT_THRESHOLD = 300;
/** How many instructions hot code executes before: a few milliseconds, as the first region takes. */
const JIT_PATIENCE = 500_000;

export interface EmulatedCpuDescription
  extends Omit<FallbackDescription, "memory" | "shared" | "ramSize" | "jit"> {
  readonly memory: MachineMemory;
  /** Whether what is hot is translated. */
  readonly jit: boolean;
  /** Where what is translated is kept between runs of a guest; nowhere unless given. */
  readonly translations?: TranslationStore | undefined;
}

export function createEmulatedCpu(description: EmulatedCpuDescription): FallbackCpu {
  const { memory, jit, translations, ...others } = description;
  const { whole, ram, shared } = memory;
  const cpu = createFallbackCpu({
    ...others,
    memory: whole,
    shared,
    ramSize: ram.extent,
    jit: jit
      ? { threshold: JIT_THRESHOLD, patience: JIT_PATIENCE, ...keeping(translations) }
      : undefined,
  });
  cpu.mmu.memory.protect(ram.protections);
  ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
  return cpu;
}

/** Where what the JIT makes comes from and goes to. */
const keeping = (store: TranslationStore | undefined): Pick<JitOptions, "kept" | "keep"> =>
  store === undefined ? {} : { kept: store.read(), keep: (made) => store.replace(made) };

/**
 * For a host that cannot say whether its event loop has work: it gets its turn regularly.
 * @param now milliseconds
 */
export function everyMillisecond(now: () => number): () => boolean {
  let last = now();
  return () => {
    const time = now();
    if (time - last < 1) return false;
    last = time;
    return true;
  };
}
