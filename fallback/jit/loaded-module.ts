import { countOptimised, machineCodeOf, moduleOfMachineCode } from "../wasm/machine-code.ts";

/** Regions that share a module, or the only one of it, between runs. */
export interface KeptModule {
  /** Of WebAssembly. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What V8 has made of it, as `machineCodeOf` has it; undefined: nothing that is worth keeping. */
  readonly code: Uint8Array<ArrayBuffer> | undefined;
  /** How many functions are optimised there. */
  readonly optimised: number;
  /** How many regions it was made of. Not all of them need to be in use. */
  readonly regions: number;
  readonly usesX87: boolean;
}

/** What modules of regions import. */
export type RegionImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** By `exportName`. */
export type Functions = Readonly<Record<string, unknown>>;

/** A module of regions as V8 has it. */
export class LoadedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #kept: Omit<KeptModule, "bytes">;
  readonly #module: WebAssembly.Module;
  readonly functions: Functions;

  /** @throws WebAssembly.CompileError if it is none */
  constructor({ bytes, ...kept }: KeptModule, imports: RegionImports) {
    this.bytes = bytes;
    this.#kept = kept;
    const { code } = kept;
    const optimised = code && moduleOfMachineCode(bytes, code);
    this.#module = optimised ?? new WebAssembly.Module(bytes);
    this.functions = new WebAssembly.Instance(this.#module, imports).exports;
  }

  /** How many functions were optimised when it was kept, and how many are now. */
  get optimised(): readonly [before: number, now: number] {
    return [this.#kept.optimised, countOptimised(Object.values(this.functions))];
  }

  /** As it is to be kept now. */
  get kept(): KeptModule {
    const functions = Object.values(this.functions);
    return {
      ...this.#kept,
      bytes: this.bytes,
      code: machineCodeOf(this.#module, functions),
      optimised: countOptimised(functions),
    };
  }
}
