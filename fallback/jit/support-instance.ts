/** Custom sections of the interpreter's module: the modules that regions call, as `support-module.ts` makes them. */
export const SUPPORT_SECTION = "support";
export const X87_SECTION = "x87";

/** What regions call for accesses that are not plain where they are made. */
export interface JitHost {
  /**
   * As the interpreter's, but for accesses that have to be interpreted: these are not made. Then a
   * fault is recorded, or the result is false.
   */
  load(low: number, high: number, bytes: number, forWrite: boolean): boolean;
  store(low: number, high: number, bytes: number): boolean;
  checkSegment(limit: number, offset: number, length: number): boolean;
  /** Lets the TLB have the page of an access that is about to be made; returns whether it may be made. */
  touch(low: number, high: number, forWrite: boolean): boolean;
}

/** What else the module of {@link instantiateSupport} stands before. */
export interface SupportCalls {
  /** Is called when a load has failed. */
  recordFault(): void;
  /** @returns 0 if the region may go on behind the instruction */
  procedure(number: number): number;
  /** A function of WebAssembly that makes the flags in the state known. */
  readonly settleFlags: unknown;
}

export interface SupportFunctions {
  /** As the table of regions has them. */
  readonly functions: readonly unknown[];
  /** Stands for regions that there are not. */
  readonly unlinked: unknown;
}

/**
 * The functions that regions call, for the table of regions: V8 compiles a way out to JavaScript for
 * each kind of function that a module imports, which took longer than the region itself.
 * @param module of `buildSupport`
 */
export function instantiateSupport(
  module: Uint8Array<ArrayBuffer>,
  memory: WebAssembly.Memory,
  host: JitHost,
  { recordFault, procedure, settleFlags }: SupportCalls,
): SupportFunctions {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), {
    cpu: {
      memory,
      procedure,
      load: (low: number, high: number, bytes: number, forWrite: number) => {
        if (!host.load(low, high, bytes, forWrite !== 0)) recordFault();
      },
      store: (low: number, high: number, bytes: number) => (host.store(low, high, bytes) ? 1 : 0),
      checkSegment: (limit: number, offset: number, length: number) =>
        host.checkSegment(limit, offset, length) ? 1 : 0,
      touch: (low: number, high: number, forWrite: number) =>
        host.touch(low, high, forWrite !== 0) ? 1 : 0,
    },
  });
  const { unlinked, ...functions } = exports;
  return { functions: [...Object.values(functions), settleFlags], unlinked };
}

/** The functions for x87, in the order of tables: most guests never need them. @param module of `buildX87` */
export function instantiateX87(
  module: Uint8Array<ArrayBuffer>,
  memory: WebAssembly.Memory,
): WebAssembly.Instance["exports"] {
  return new WebAssembly.Instance(new WebAssembly.Module(module), { cpu: { memory } }).exports;
}
