/**
 * The machine code that V8 has made of a module, to be kept for another process: V8 takes it if its version, its
 * flags and the processor's features are the same. Embedders of V8 have that by its interface, Chromium for what pages
 * compile; Node passes none of it on. What is left are functions that V8 has for its own tests, in Node 20 to 24, where
 * `--allow-natives-syntax` is given. Without, there is no machine code, and all goes as it does without this module.
 */

/** V8's functions. They end the process where they get what they do not expect. */
interface Natives {
  /** At least one of the module's functions has to be optimised. */
  serialise(module: WebAssembly.Module): ArrayBuffer;
  /** Undefined: V8 refuses the code. */
  deserialise(code: ArrayBuffer, bytes: Uint8Array): WebAssembly.Module | undefined;
  /** @param fn exported by the module that defines it */
  isOptimised(fn: unknown): boolean;
}

/** V8's own syntax, which is none anywhere else. */
const NATIVES = `return {
  serialise: (module) => %SerializeWasmModule(module),
  deserialise: (code, bytes) => %DeserializeWasmModule(code, bytes),
  isOptimised: (fn) => %IsTurboFanFunction(fn),
}`;

function findNatives(): Natives | undefined {
  try {
    return new Function(NATIVES)();
  } catch {
    // A SyntaxError, or an error of a page that may not make code of text.
    return undefined;
  }
}

let natives: { readonly found: Natives | undefined } | undefined;

function nativesOf(): Natives | undefined {
  natives ??= { found: findNatives() };
  return natives.found;
}

/** Whether there is any machine code here. */
export const takesMachineCode = (): boolean => nativesOf() !== undefined;

/** How many of a module's functions V8 has optimised. @param functions exported by the module that defines them */
export function countOptimised(functions: readonly unknown[]): number {
  const { isOptimised } = nativesOf() ?? {};
  return isOptimised === undefined ? 0 : functions.filter(isOptimised).length;
}

/**
 * What V8 has made of a module so far, if it has optimised anything of it: what it has only compiled is not in it.
 * @param functions as {@link countOptimised}
 */
export function machineCodeOf(
  module: WebAssembly.Module,
  functions: readonly unknown[],
): Uint8Array<ArrayBuffer> | undefined {
  if (countOptimised(functions) === 0) return undefined;
  const code = nativesOf()?.serialise(module);
  return code && new Uint8Array(code);
}

/**
 * A module with the machine code that {@link machineCodeOf} gave of it, which is believed: whoever kept it answers for
 * its being whole and of these bytes. Undefined: V8 does not take it.
 */
export function moduleOfMachineCode(
  bytes: Uint8Array<ArrayBuffer>,
  code: Uint8Array<ArrayBuffer>,
): WebAssembly.Module | undefined {
  // It wants a buffer that is this alone.
  return nativesOf()?.deserialise(code.slice().buffer, bytes);
}
