/**
 * The little of the WebAssembly JavaScript API that portable code uses: the DOM's types are out of
 * bounds for it (it must compile without them), and Node's come with the DOM's.
 */
declare namespace WebAssembly {
  class Memory {
    /** Sizes in pages of 64 KiB. */
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    /** Or a `SharedArrayBuffer`, of a shared memory: what differs between them is of no use here. */
    readonly buffer: ArrayBuffer;
  }

  class Table {
    constructor(descriptor: { element: "anyfunc"; initial: number });
    readonly length: number;
    grow(by: number): number;
    set(index: number, value: unknown): void;
  }

  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static customSections(module: Module, name: string): ArrayBuffer[];
  }

  class CompileError extends Error {}

  class Instance {
    constructor(
      module: Module,
      imports?: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
    );
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
