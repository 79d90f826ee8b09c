import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Ends the first line of the file that {@link readOptimisedInterpreter} reads. */
const NEW_LINE = 0x0a;

/**
 * An interpreter's module as the build left it beside the command: making it at every start takes
 * longer than reading it. It is for shared memory. Undefined when run from sources, which may have
 * changed since.
 * @param inline which of the two: see `interpreterModule`
 */
export function readInterpreter(inline: boolean): Uint8Array<ArrayBuffer> | undefined {
  const path = besideCommand(inline ? "interpreter-inline.wasm" : "interpreter.wasm");
  return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
}

/**
 * The one for long runs with the machine code that V8 made of it, in one file (`tools/interpreter-code.cjs`): a line of
 * Node's version, the architecture and the bytes of the module, then both. Undefined if it is another Node's.
 */
export function readOptimisedInterpreter():
  | Record<"bytes" | "code", Uint8Array<ArrayBuffer>>
  | undefined {
  const path = besideCommand("interpreter-inline.code");
  if (!existsSync(path)) return undefined;
  const whole = new Uint8Array(readFileSync(path));
  const start = whole.indexOf(NEW_LINE) + 1;
  const head = Buffer.from(whole.subarray(0, start)).toString();
  const [version, architecture, length] = head.split(" ");
  if (version !== process.version || architecture !== process.arch) return undefined;
  const end = start + Number(length);
  return { bytes: whole.subarray(start, end), code: whole.subarray(end) };
}

const besideCommand = (file: string): string => join(dirname(fileURLToPath(import.meta.url)), file);
