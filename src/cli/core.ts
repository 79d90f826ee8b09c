import { HostError } from "../core/errors.ts";
import { coreFile, SIGNAL } from "../debug/core-file.ts";
import { checkSparseFile, writeSparseFile } from "../host/sparse-file.ts";
import { touchedPages } from "../host/touched-pages.ts";
import type { Machine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { say } from "./messages.ts";

const CORE = "core file";

/** @throws HostError when a core could not be written there */
export const checkCore = (path: string): void => checkSparseFile(path, CORE);

/** Writes a core of the guest, which stands still, and says so; or says why there is none. */
export function writeCore(path: string, { cpu, memory }: Machine, signal: number): void {
  const registers = cpu.readRegisters();
  const vectors = cpu.readState?.();
  const { size, pieces } = coreFile({
    ...{ registers, vectors, memory, signal },
    touched: touchedPages(memory),
  });
  try {
    writeSparseFile(path, CORE, size, pieces);
    say(`the guest's core is in ${path}`);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    say(error.message);
  }
}

/** What a Linux program would have died of. */
export function signalOf({ kind }: Outcome): number {
  if (kind === "triple-fault" || kind === "fault") return SIGNAL.SEGV;
  return kind === "cannot-continue" ? SIGNAL.ILL : SIGNAL.ABRT;
}

/**
 * Has SIGQUIT write a core. The guest stands still when signals are heard.
 * @returns what stops listening
 */
export function onQuit(write: () => void): () => void {
  process.on("SIGQUIT", write);
  return () => process.off("SIGQUIT", write);
}
