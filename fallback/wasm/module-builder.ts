import { asciiName, ByteSink, unsignedLeb, vector } from "./encoding.ts";
import type { ValueType } from "./expression.ts";
import { VALUE_TYPE_CODE } from "./function-builder.ts";

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  export: 7,
  element: 9,
  code: 10,
};
const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const KIND_FUNCTION = 0;
const KIND_TABLE = 1;
const KIND_MEMORY = 2;
const LIMITS_MINIMUM = 0x00;
/** Has a maximum too (WebAssembly threads proposal, binary format of limits). */
const LIMITS_SHARED = 0x03;
/** All that 32-bit addresses reach. */
const MAX_PAGES = 65_536;
const FUNCREF = 0x70;
/** Of an element segment: it says which table it fills, and with functions. */
const ACTIVE_WITH_TABLE = 2;
const ELEMENT_KIND = 0;
const EMPTY = new Uint8Array();

/** Puts functions, and what they import, into a module (Core Specification §5.5). */
export class ModuleBuilder {
  readonly #types: number[][] = [];
  readonly #imports: number[][] = [];
  readonly #functions: { readonly type: number; body: Uint8Array }[] = [];
  readonly #exports: number[][] = [];
  readonly #custom: number[][] = [];
  #table: readonly number[] = [];
  #importedFunctions = 0;
  #importedTables = 0;

  /** The index of a signature, for indirect calls. */
  typeIndex({ parameters, results }: Signature): number {
    const codes = (types: readonly ValueType[]) => vector(types.map((t) => [VALUE_TYPE_CODE[t]]));
    const type = [0x60, ...codes(parameters), ...codes(results)];
    const known = this.#types.findIndex(
      (other) => other.length === type.length && other.every((byte, at) => byte === type[at]),
    );
    return known >= 0 ? known : this.#types.push(type) - 1;
  }

  /**
   * @param pages of 64 KiB, the least that the memory must have
   * @param shared whether it is a shared one: the two are of different types
   */
  importMemory(module: string, field: string, pages: number, shared: boolean): void {
    const limits = shared
      ? [LIMITS_SHARED, ...unsignedLeb(pages), ...unsignedLeb(MAX_PAGES)]
      : [LIMITS_MINIMUM, ...unsignedLeb(pages)];
    this.#imports.push([...asciiName(module), ...asciiName(field), KIND_MEMORY, ...limits]);
  }

  /** Imported tables come first among the tables: the one of {@link setTable} is behind them. */
  importTable(module: string, field: string): void {
    const type = [FUNCREF, LIMITS_MINIMUM, 0];
    this.#imports.push([...asciiName(module), ...asciiName(field), KIND_TABLE, ...type]);
    this.#importedTables++;
  }

  /** All imports come before the first {@link addFunction}. Returns the function's index. */
  importFunction(module: string, field: string, signature: Signature): number {
    const type = unsignedLeb(this.typeIndex(signature));
    this.#imports.push([...asciiName(module), ...asciiName(field), KIND_FUNCTION, ...type]);
    return this.#importedFunctions++;
  }

  /** Declares a function, whose body is {@link define}d later. Returns its index. */
  addFunction(signature: Signature): number {
    this.#functions.push({ type: this.typeIndex(signature), body: EMPTY });
    return this.#importedFunctions + this.#functions.length - 1;
  }

  /** @param body from `FunctionBuilder.finish` */
  define(index: number, body: Uint8Array): void {
    const entry = this.#functions[index - this.#importedFunctions];
    if (entry !== undefined) entry.body = body;
  }

  exportFunction(field: string, index: number): void {
    this.#exports.push([...asciiName(field), KIND_FUNCTION, ...unsignedLeb(index)]);
  }

  /** @param index that of {@link setTable} comes behind those that are imported */
  exportTable(field: string, index: number): void {
    this.#exports.push([...asciiName(field), KIND_TABLE, ...unsignedLeb(index)]);
  }

  /** The function table, for indirect calls. */
  setTable(functions: readonly number[]): void {
    this.#table = functions;
  }

  /** Data for whoever makes the module's instance. */
  addCustomSection(field: string, content: Uint8Array): void {
    this.#custom.push(section(SECTION.custom, [...asciiName(field), ...content]));
  }

  finish(): Uint8Array<ArrayBuffer> {
    return joined(
      this.head(),
      this.#functions.map(({ body }) => body),
    );
  }

  /**
   * All sections before that of the code.
   * @param without as many functions as were added last
   * @param exported which of the exports: the first, and behind the last
   */
  head(without = 0, exported: readonly [number, number] = [0, this.#exports.length]): Uint8Array {
    const functions = this.#functions.slice(0, this.#functions.length - without);
    const exports = this.#exports.slice(...exported);
    return Uint8Array.from([
      ...MAGIC_AND_VERSION,
      ...this.#custom.flat(),
      ...section(SECTION.type, vector(this.#types)),
      ...section(SECTION.import, vector(this.#imports)),
      ...section(SECTION.function, vector(functions.map(({ type }) => unsignedLeb(type)))),
      ...this.#tableSection(),
      ...section(SECTION.export, vector(exports)),
      ...this.#elementSection(),
    ]);
  }

  #tableSection(): number[] {
    const size = unsignedLeb(this.#table.length);
    return this.#table.length === 0 ? [] : section(SECTION.table, [1, FUNCREF, 0x00, ...size]);
  }

  /** One active segment, from offset 0 of the module's own table. */
  #elementSection(): number[] {
    if (this.#table.length === 0) return [];
    const elements = vector(this.#table.map(unsignedLeb));
    const table = [...unsignedLeb(ACTIVE_WITH_TABLE), ...unsignedLeb(this.#importedTables)];
    return section(SECTION.element, [1, ...table, 0x41, 0, 0x0b, ELEMENT_KIND, ...elements]);
  }
}

const section = (id: number, content: readonly number[]): number[] => [
  id,
  ...unsignedLeb(content.length),
  ...content,
];

/** Bytes of the code section's number and length, at most. */
const MOST_BEFORE_CODE = 6;

/** A module of its {@link ModuleBuilder.head} and the functions' bodies, in order. */
export function joined(head: Uint8Array, bodies: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const count = unsignedLeb(bodies.length);
  const size = bodies.reduce((sum, { length }) => sum + length, count.length);
  const module = new ByteSink(head.length + size + MOST_BEFORE_CODE);
  module.append(head);
  module.push(SECTION.code);
  module.append(unsignedLeb(size));
  module.append(count);
  for (const body of bodies) module.append(body);
  return module.bytes;
}
