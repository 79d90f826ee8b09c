import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { TraceSwitch } from "../debug/monitor/monitor.ts";
import { DebugServer } from "../debugger.ts";
import type { DebugAddress } from "../host/debug-listener.ts";
import { ImageFile } from "../host/image-file.ts";
import type { Machine } from "../index.ts";
import type { Closers } from "./closers.ts";
import type { StopReason } from "./exit-status.ts";
import { connectCommand } from "./gdb-option.ts";
import { say } from "./messages.ts";
import type { GuestSymbols } from "./symbols.ts";

/** What `--gdb` and `-S` say. */
export interface DebuggingOptions {
  readonly gdb?: DebugAddress;
  readonly freeze?: true;
}

/** @param trace what `--trace` writes */
type LetDebuggersIn = (
  machine: Machine,
  stop: (reason: StopReason) => void,
  trace: TraceSwitch | undefined,
) => void;

/**
 * Does what they ask for, as far as it can be refused.
 * @returns what lets debuggers in to a machine, before it runs
 * @throws HostError
 */
export async function openDebugging(
  { gdb, freeze }: DebuggingOptions,
  image: ImageFile,
  symbols: GuestSymbols,
  closers: Closers,
): Promise<LetDebuggersIn> {
  if (gdb === undefined) return () => {};
  const server = closers.opened(await DebugServer.listen(gdb));
  const programs = programsBeside(image.path).map((path) => ({
    path,
    bytes: closers.opened(new ImageFile(path)),
  }));
  return (machine, stop, trace) => {
    server.serve({
      machine,
      image: { path: resolve(image.path), bytes: image },
      programs,
      symbols: symbols.file && { path: resolve(symbols.file.path), bytes: symbols.file },
      trace,
      kill: () => stop("terminate"),
    });
    if (freeze) machine.control.stop();
    say(`${freeze ? "frozen; in gdb" : "in gdb"}: ${connectCommand(gdb)}`);
  };
}

/** `NAME.iso` has its program's symbols in `NAME.elf`, as `make` leaves it. */
function programsBeside(image: string): string[] {
  const path = resolve(image.replace(/\.[^./]*$/, "").concat(".elf"));
  return existsSync(path) && path !== resolve(image) ? [path] : [];
}
