import { closeSync, writeSync } from "node:fs";
import type { Clock } from "../core/clock.ts";
import { HostError } from "../core/errors.ts";
import type { SymbolTable } from "../debug/symbols.ts";
import { traceDecorations } from "../debug/trace/trace.ts";
import { TraceLog } from "../debug/trace/trace-log.ts";
import type { TraceSpec } from "../debug/trace/trace-spec.ts";
import { errnoOf } from "../host/errno.ts";
import { openOutputs } from "../host/output-files.ts";
import type { Decorations } from "../machine/decorations.ts";
import type { Closers } from "./closers.ts";
import { printError } from "./messages.ts";
import type { GuestSymbols } from "./symbols.ts";

/** Characters that are gathered for a write. */
const BUFFERED = 1 << 16;

export interface OpenTrace {
  readonly log: TraceLog;
  readonly decorations: Decorations;
}

/** Nothing would be told of others, without a word. */
function requireFunctions(functions: readonly string[], table: SymbolTable): void {
  const unknown = functions.find((name) => table.byName(name) === undefined);
  if (unknown === undefined) return;
  throw new HostError(`cannot trace ${unknown}, which is no symbol of the guest's`, {
    remedy:
      table.size === 0
        ? "the image has none: name a file that has them with --symbols"
        : "`nm` tells what there is in an ELF file",
  });
}

/**
 * @param failed hears once that the trace cannot be written any more
 * @throws HostError when the file cannot be opened, or there is no such function
 */
export function openTrace(
  spec: TraceSpec,
  clock: Clock,
  symbols: GuestSymbols,
  closers: Closers,
  failed: (error: HostError) => void,
): OpenTrace {
  const { file, functions } = spec;
  if (functions.length > 0) requireFunctions(functions, symbols.table());
  const traceTo = (write: (line: string) => void): OpenTrace => {
    const log = new TraceLog(spec, clock, write);
    return { log, decorations: traceDecorations({ log, clock, symbols: symbols.table }) };
  };
  if (file === undefined) return traceTo(printError);
  const output = openOutputs({ trace: file }).trace;
  let text = "";
  let broken = false;
  const flush = (): void => {
    if (output === undefined || broken) return;
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(output.fd, bytes, at);
    } catch (cause) {
      broken = true;
      failed(
        new HostError(`writing failed on the trace ${file}`, { errno: errnoOf(cause), cause }),
      );
    }
    text = "";
  };
  closers.add(() => {
    flush();
    if (output !== undefined) closeSync(output.fd);
  });
  return traceTo((line) => {
    text += line;
    if (text.length > BUFFERED) flush();
  });
}
