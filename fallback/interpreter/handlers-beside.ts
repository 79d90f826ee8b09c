import type { Form } from "../isa/form.ts";
import type { Variant } from "../isa/variant.ts";
import { instantiateX87, SUPPORT_SECTION, X87_SECTION } from "../jit/support-instance.ts";
import { translatedName } from "./handlers.ts";
import { type LateHandler, LateHandlers } from "./late-handlers.ts";

/** Custom section of the interpreter's module: the module of `buildTranslated`. */
export const TRANSLATED_SECTION = "translated";

/** Gets handlers that the interpreter's module has no code of, from modules beside it. */
export class HandlersBeside {
  readonly #section: (name: string) => Uint8Array<ArrayBuffer>;
  readonly #cpu: Readonly<Record<string, unknown>>;
  readonly #shared: boolean;
  #support: WebAssembly.Instance["exports"] | undefined;
  #late: LateHandlers | undefined;
  #translated: WebAssembly.Instance["exports"] | undefined;

  /**
   * @param section contents of a custom section of the interpreter's module
   * @param cpu what it imports
   */
  constructor(
    section: (name: string) => Uint8Array<ArrayBuffer>,
    cpu: Readonly<Record<string, unknown>>,
    shared: boolean,
  ) {
    this.#section = section;
    this.#cpu = cpu;
    this.#shared = shared;
  }

  get(variant: Variant, form: Form): LateHandler {
    this.#support ??= this.#instantiate(SUPPORT_SECTION, { cpu: this.#cpu });
    if (variant.instruction.byVariant !== undefined) {
      this.#translated ??= this.#instantiateTranslated(this.#support);
      const handler = this.#translated[translatedName(form, variant.bits)];
      // Only in 64-bit mode, where segments permit everything.
      return { handler, access: undefined };
    }
    this.#late ??= new LateHandlers(this.#support, this.#cpu.memory, this.#shared);
    return this.#late.make(variant);
  }

  #instantiateTranslated(support: WebAssembly.Instance["exports"]) {
    const memory = this.#cpu.memory as WebAssembly.Memory;
    const x87 = instantiateX87(this.#section(X87_SECTION), memory);
    return this.#instantiate(TRANSLATED_SECTION, { cpu: { memory }, support, x87 });
  }

  #instantiate(name: string, imports: Record<string, Record<string, unknown>>) {
    const module = new WebAssembly.Module(this.#section(name));
    return new WebAssembly.Instance(module, imports).exports;
  }
}
