/**
 * Modules as text, for people to read: an instruction a line, as in the text format (Core Specification
 * §6), of what our own builder writes and of nothing else.
 */
import { OPERATIONS, type Operation, operationKey } from "./operations.ts";
import { WasmReader } from "./reader.ts";

export interface TextOptions {
  /** What is at a constant offset in memory. */
  readonly placeName?: (offset: number) => string | undefined;
}

const MAGIC_BYTES = 8;
const SECTION = { IMPORT: 2, CODE: 10 } as const;
const KIND = { FUNCTION: 0, TABLE: 1, MEMORY: 2 } as const;
const HAS_MAXIMUM = 1;
const TYPES: Readonly<Record<number, string>> = {
  ...{ 127: "i32", 126: "i64", 125: "f32", 124: "f64", 123: "v128" },
};
const OPENING: Readonly<Record<number, string>> = { 2: "block", 3: "loop", 4: "if" };
const ELSE = 0x05;
const END = 0x0b;
const PREFIXES = 0xfc;
const LARGE_OFFSET = 0x1000;
const VECTOR_BYTES = 16;

/** The functions of a module: the lines of each, without its imports. */
export function moduleText(module: Uint8Array, options: TextOptions = {}): string[][] {
  const reader = new WasmReader(module);
  reader.bytes(MAGIC_BYTES);
  let imported: readonly string[] = [];
  while (!reader.done) {
    const id = reader.byte();
    const content = reader.part();
    if (id === SECTION.IMPORT) imported = importedFunctions(content);
    if (id !== SECTION.CODE) continue;
    return Array.from({ length: content.unsigned() }, () =>
      new FunctionText(content.part(), imported, options).lines(),
    );
  }
  return [];
}

function importedFunctions(content: WasmReader): string[] {
  const names: string[] = [];
  for (let left = content.unsigned(); left > 0; left--) {
    content.name();
    const name = content.name();
    const kind = content.byte();
    if (kind === KIND.FUNCTION) {
      names.push(name);
      content.unsigned();
      continue;
    }
    if (kind === KIND.TABLE) content.byte();
    const flags = content.byte();
    content.unsigned();
    if ((flags & HAS_MAXIMUM) !== 0) content.unsigned();
  }
  return names;
}

class FunctionText {
  readonly #code: WasmReader;
  readonly #imported: readonly string[];
  readonly #options: TextOptions;
  readonly #lines: string[] = [];
  #depth = 0;

  constructor(code: WasmReader, imported: readonly string[], options: TextOptions) {
    this.#code = code;
    this.#imported = imported;
    this.#options = options;
  }

  lines(): string[] {
    const locals: string[] = [];
    for (let left = this.#code.unsigned(); left > 0; left--) {
      const count = this.#code.unsigned();
      const type = TYPES[this.#code.byte()] ?? "?";
      for (let n = 0; n < count; n++) locals.push(type);
    }
    if (locals.length > 0) this.#line(`(local ${locals.join(" ")})`);
    while (!this.#code.done) this.#instruction();
    return this.#lines;
  }

  #line(text: string): void {
    this.#lines.push(`${"  ".repeat(Math.max(0, this.#depth))}${text}`);
  }

  #instruction(): void {
    const opcode = this.#code.byte();
    const opening = OPENING[opcode];
    if (opening !== undefined) this.#open(opening);
    else if (opcode === ELSE) this.#else();
    else if (opcode === END) this.#end();
    else this.#line(this.#plain(opcode));
  }

  #else(): void {
    this.#depth--;
    this.#line("else");
    this.#depth++;
  }

  #end(): void {
    this.#depth--;
    // That of the function is no line.
    if (!this.#code.done) this.#line("end");
  }

  /** One that neither begins nor ends anything. */
  #plain(opcode: number): string {
    const code = this.#code;
    switch (opcode) {
      case 0x00:
        return "unreachable";
      case 0x0c:
        return `br ${code.unsigned()}`;
      case 0x0d:
        return `br_if ${code.unsigned()}`;
      case 0x0e:
        return `br_table ${this.#targets().join(" ")}`;
      case 0x0f:
        return "return";
      case 0x10:
        return `call ${this.#functionName(code.unsigned())}`;
      case 0x11:
        return `call_indirect (type ${code.unsigned()}) ${code.unsigned()}`;
      case 0x13:
        return `return_call_indirect (type ${code.unsigned()}) ${code.unsigned()}`;
      case 0x20:
        return `local.get ${code.unsigned()}`;
      case 0x21:
        return `local.set ${code.unsigned()}`;
      case 0x22:
        return `local.tee ${code.unsigned()}`;
      case 0x41:
        return `i32.const ${code.signed()}`;
      case 0x42:
        return `i64.const ${code.signed()}`;
      default:
        return this.#operation(opcode);
    }
  }

  #open(what: string): void {
    // The type of what it leaves: our builder knows of nothing.
    this.#code.byte();
    this.#line(what);
    this.#depth++;
  }

  #targets(): number[] {
    const count = this.#code.unsigned();
    return Array.from({ length: count + 1 }, () => this.#code.unsigned());
  }

  #functionName(index: number): string {
    const name = this.#imported[index];
    return name === undefined ? String(index) : `$${name}`;
  }

  #operation(first: number): string {
    const second = first >= PREFIXES ? this.#code.unsigned() : undefined;
    const key = operationKey(first, second);
    const operation = OPERATIONS.get(key);
    if (operation === undefined) throw new Error(`no name for the operation ${key}`);
    return `${operation.name}${this.#immediates(operation)}`;
  }

  #immediates({ name, immediates }: Operation): string {
    switch (immediates) {
      case "none":
        return "";
      case "lane":
        return ` ${this.#code.byte()}`;
      case "bytes":
        return ` ${[...this.#code.bytes(VECTOR_BYTES)].join(" ")}`;
      case "memory": {
        this.#code.unsigned();
        return this.#place(this.#code.unsigned(), name.includes("load"));
      }
    }
  }

  #place(offset: number, isLoad: boolean): string {
    // What is relative to something else than the start of memory has a small offset.
    const isConstant = !isLoad || this.#lines.at(-1)?.trim() === "i32.const 0";
    const known = isConstant || offset >= LARGE_OFFSET;
    const name = known ? this.#options.placeName?.(offset) : undefined;
    const comment = name === undefined ? "" : ` ;; ${name}`;
    return offset === 0 ? comment : ` offset=0x${offset.toString(16)}${comment}`;
  }
}
