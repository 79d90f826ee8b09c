import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * An interpreter's module as the build left it beside the command: making it at every start takes
 * longer than reading it. It is for shared memory. Undefined when run from sources, which may have
 * changed since.
 * @param inline which of the two: see `interpreterModule`
 */
export function readInterpreter(inline: boolean): Uint8Array<ArrayBuffer> | undefined {
  const file = inline ? "interpreter-inline.wasm" : "interpreter.wasm";
  const path = join(dirname(fileURLToPath(import.meta.url)), file);
  return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
}
