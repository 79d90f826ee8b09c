import type { DecodeBlock } from "./decoding.ts";
import { section } from "./sections.ts";

interface Exports {
  run(): number;
  settleFlags(): void;
  readonly decodeBlock: DecodeBlock;
  /** Those of the handlers that are functions. */
  readonly handlers: WebAssembly.Table;
}

/** The interpreter as it runs: exchanged for others now and then, of which each has to have all handlers. */
export class InterpreterInstance {
  readonly #imports: Readonly<Record<string, unknown>>;
  readonly #lateHandlers: unknown[] = [];
  #module: WebAssembly.Module;
  /** Through which it calls the regions of the JIT. */
  #regions = newTable();
  #exports: Exports;
  #run: () => number;
  #handlers: WebAssembly.Table;

  constructor(module: WebAssembly.Module, imports: Readonly<Record<string, unknown>>) {
    this.#module = module;
    this.#imports = imports;
    this.#exports = this.#instantiate();
    this.#run = this.#exports.run;
    this.#handlers = this.#exports.handlers;
  }

  /** @returns why it has left, see `LEFT` */
  get run(): () => number {
    return this.#run;
  }

  get settleFlags(): () => void {
    return this.#exports.settleFlags;
  }

  get decodeBlock(): DecodeBlock {
    return this.#exports.decodeBlock;
  }

  get regions(): WebAssembly.Table {
    return this.#regions;
  }

  section(name: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(section(this.#module, name));
  }

  /** Another module of the same table of instructions: what is warm of the old one stays in use. */
  use(module: WebAssembly.Module): void {
    this.#module = module;
    const { run, handlers } = this.#instantiate();
    this.#run = run;
    this.#handlers = handlers;
  }

  /** With another table of regions nothing may be left of the instance that has the old one. */
  renewRegions(): void {
    this.#regions = newTable();
    this.#exports = this.#instantiate();
    this.#run = this.#exports.run;
    this.#handlers = this.#exports.handlers;
  }

  /** The next one in the table of handlers, of this instance and all that follow. */
  addHandler(handler: unknown): void {
    this.#lateHandlers.push(handler);
    append(this.#handlers, handler);
  }

  #instantiate(): Exports {
    const cpu = { ...this.#imports, regions: this.#regions };
    const { exports } = new WebAssembly.Instance(this.#module, { cpu });
    const instance = exports as unknown as Exports;
    for (const handler of this.#lateHandlers) append(instance.handlers, handler);
    return instance;
  }
}

const append = (table: WebAssembly.Table, value: unknown): void => {
  table.grow(1);
  table.set(table.length - 1, value);
};

const newTable = (): WebAssembly.Table => new WebAssembly.Table({ element: "anyfunc", initial: 1 });
