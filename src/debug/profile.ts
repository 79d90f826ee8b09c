/** Where a guest spends its time, by the chains of callers that it is found in. */
import { createDisassembler } from "../../fallback/index.ts";
import type { Registers } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { hex, MICROSECOND, MILLISECOND } from "../core/units.ts";
import { backtrace, type Frame } from "./backtrace.ts";
import { GuestCode } from "./code.ts";
import type { SymbolTable } from "./symbols.ts";

/** The guest's time between two looks at the stack, in nanoseconds, at least. */
const PERIOD = MILLISECOND;
/** And how many times as long as a look takes. */
const PATIENCE = 10;

export class Profile {
  readonly #symbols: SymbolTable;
  readonly #disassembler = createDisassembler();
  /** Nanoseconds by stack. */
  readonly #stacks = new Map<string, number>();
  readonly #now: () => number;
  #since = 0;
  #period = PERIOD;

  /** @param now in nanoseconds */
  constructor(symbols: SymbolTable, now: () => number) {
    this.#symbols = symbols;
    this.#now = now;
  }

  /**
   * The guest has run.
   * @param elapsed nanoseconds since the last call, without what the guest waited
   */
  passed(elapsed: number, registers: () => Registers, memory: GuestMemory): void {
    this.#since += elapsed;
    if (this.#since < this.#period) return;
    const start = this.#now();
    const code = new GuestCode(registers(), memory, this.#disassembler);
    const stack = this.#describe(backtrace(code, this.#symbols));
    this.#stacks.set(stack, (this.#stacks.get(stack) ?? 0) + this.#since);
    this.#since = 0;
    this.#period = Math.max(PERIOD, PATIENCE * (this.#now() - start));
  }

  /**
   * A line for each stack: frames from the outermost to the innermost with `;` between them, a blank,
   * and microseconds. Flame graph programs call this form "collapsed".
   */
  collapsed(): string {
    return [...this.#stacks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([stack, time]) => `${stack} ${Math.round(time / MICROSECOND)}\n`)
      .join("");
  }

  #describe(frames: readonly Frame[]): string {
    const doubtful = frames.findIndex(({ found }) => found === "guess");
    const certain = doubtful < 0 ? frames : frames.slice(0, doubtful);
    return certain
      .map((frame) => this.#name(frame))
      .reverse()
      .join(";");
  }

  #name({ address, found }: Frame): string {
    // A return address may be behind the caller's last instruction.
    const symbol = this.#symbols.find(found === "call" ? address - 1n : address);
    return symbol?.name.replaceAll(/[; ]/g, "_") ?? hex(address);
  }
}
