import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The interpreter's module as the build left it beside the command: making it at every start takes
 * longer than reading it. It is for shared memory. Undefined when run from sources, which may have changed since.
 */
export function readInterpreter(): Uint8Array<ArrayBuffer> | undefined {
  const path = join(dirname(fileURLToPath(import.meta.url)), "interpreter.wasm");
  return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
}
