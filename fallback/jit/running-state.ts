import { STATE } from "../state.ts";
import { ByteSink } from "../wasm/encoding.ts";
import { i32 } from "../wasm/expression.ts";
import type { FunctionBuilder, Local } from "../wasm/function-builder.ts";
import { IN_STATE, type LazyFlags } from "./lazy-flags.ts";
import type { RegisterFile } from "./register-file.ts";

/** Code that is only known when all of the region's has been made: which registers it uses. */
interface Gap {
  readonly at: number;
  readonly depth: number;
  fill(): void;
}

/** The part of the processor's state that a region has in variables while it runs. */
export class RunningState {
  readonly registers: RegisterFile;
  readonly flags: LazyFlags;
  /** Instructions that may still be executed. */
  readonly budget: Local<"i32">;
  readonly #fn: FunctionBuilder;
  readonly #gaps: Gap[] = [];

  constructor(fn: FunctionBuilder, registers: RegisterFile, flags: LazyFlags) {
    this.#fn = fn;
    this.registers = registers;
    this.flags = flags;
    this.budget = fn.local("i32");
  }

  /** Takes the registers from the state. */
  loadRegisters(): void {
    this.later(() => this.registers.load());
  }

  /** Takes all of it from the state. */
  load(): void {
    this.loadRegisters();
    this.registers.loaded();
    this.flags.state = IN_STATE;
    this.#fn.set(this.budget, i32.load(i32.const(0), STATE.BUDGET));
  }

  /**
   * Puts what may have changed into the state.
   * @param dirty registers, as `RegisterFacts.dirty`
   */
  save(dirty = this.registers.facts.dirty): void {
    this.later(() => this.registers.save(dirty));
    this.flags.save();
    this.#fn.store(i32.const(0), this.budget, STATE.BUDGET);
  }

  /** Before control comes together, the flags are in the variables. */
  loadFlags(): void {
    this.flags.fetch();
    this.flags.tell();
  }

  /** Has code made for this place once all other code has been. */
  later(fill: () => void): void {
    this.#gaps.push({ at: this.#fn.code.length, depth: this.#fn.depth, fill });
  }

  /** All code has been made but for what was left for {@link later}. */
  complete(): void {
    const fn = this.#fn;
    const made = fn.code.bytes;
    fn.code = new ByteSink(2 * made.length);
    let from = 0;
    for (const { at, depth, fill } of this.#gaps) {
      fn.code.append(made.subarray(from, at));
      fn.at(depth, fill);
      from = at;
    }
    fn.code.append(made.subarray(from));
  }
}
