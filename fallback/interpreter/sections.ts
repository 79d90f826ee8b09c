/** What the interpreter's module says of itself in custom sections. */
import { ACCESSES, DECODING, HANDLERS } from "./decoding.ts";
import { DECODING_SECTION } from "./decoding-table.ts";
import { HANDLERS_SECTION, HandlerIndex } from "./handlers.ts";
import { ACCESSES_SECTION } from "./memory-access.ts";

/** Puts what the decoder reads in its place. */
export function layDownTables(module: WebAssembly.Module, buffer: ArrayBuffer): HandlerIndex {
  const handlers = section(module, HANDLERS_SECTION);
  const accesses = section(module, ACCESSES_SECTION);
  const bytes = new Uint8Array(buffer);
  bytes.set(new Uint8Array(handlers), HANDLERS);
  bytes.set(new Uint8Array(accesses), ACCESSES);
  bytes.set(new Uint8Array(section(module, DECODING_SECTION)), DECODING);
  return new HandlerIndex(
    new Uint16Array(buffer, HANDLERS, (ACCESSES - HANDLERS) / 2),
    bytes.subarray(ACCESSES, DECODING),
    accesses.byteLength,
  );
}

/** Contents of a custom section. */
export function section(module: WebAssembly.Module, name: string): ArrayBuffer {
  return WebAssembly.Module.customSections(module, name)[0] ?? new ArrayBuffer(0);
}
