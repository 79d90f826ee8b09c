import type { Miss } from "../emission/guest-access.ts";
import { STATE } from "../state.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import type { FunctionBuilder } from "../wasm/function-builder.ts";
import { IN_STATE } from "./lazy-flags.ts";
import type { RegionEnvironment } from "./region-environment.ts";
import type { RegionExits } from "./region-exits.ts";
import type { StackFacts } from "./register-file.ts";
import type { RunningState } from "./running-state.ts";
import type { StackFrame } from "./stack-frame.ts";

const RSP = 4;
const RBP = 5;

/** What the code of a region relies on, as far as it has to be looked at while it runs. */
export interface Assumed {
  /** Undefined outside 64-bit mode, and in regions that make accesses by functions. */
  readonly frame: StackFrame | undefined;
  /** Whether MXCSR's modes are the usual ones; undefined if nothing depends on that. */
  readonly modes: (() => I32) | undefined;
}

/** Code that leaves the region where what it relies on is not so. */
export class RegionAssumptions {
  readonly #fn: FunctionBuilder;
  readonly #env: RegionEnvironment;
  readonly #state: RunningState;
  readonly #exits: RegionExits;
  readonly #assumed: Assumed;

  constructor(
    fn: FunctionBuilder,
    env: RegionEnvironment,
    state: RunningState,
    exits: RegionExits,
    assumed: Assumed,
  ) {
    this.#fn = fn;
    this.#env = env;
    this.#state = state;
    this.#exits = exits;
    this.#assumed = assumed;
  }

  /** Memory, before the first access, at `rip`. Once all code is made. */
  begin(rip: bigint): void {
    const { flags, registers } = this.#state;
    flags.state = IN_STATE;
    registers.loaded();
    this.#env.windows?.begin(this.#fn, () => {
      this.#exits.by(this.#env.exitRecord(rip, 0, "windows"));
    });
    this.#assumed.frame?.begin(
      this.#fn,
      () => registers.general(RSP),
      (access, address) => {
        const miss: Miss = { area: "stack", access, address };
        this.#fn.store(i32.const(0), address, STATE.ADDRESS);
        this.#exits.by(this.#env.exitRecord(rip, 0, "memory", miss));
      },
    );
  }

  /** The stack is where it is expected, before what is at `rip`. @param unused instructions of the block */
  checkStack({ top, frame }: StackFacts, rip: bigint, unused: number): void {
    const { registers } = this.#state;
    const { frame: stack } = this.#assumed;
    const check = (register: number, distance: number | undefined): void => {
      if (distance === undefined || stack === undefined) return;
      const wrong = i64.ne(registers.general(register), stack.at(distance));
      this.#fn.if(wrong, () => this.#exits.by(this.#env.exitRecord(rip, unused, "stack")));
    };
    check(RSP, top);
    check(RBP, frame);
    registers.loaded({ top, frame });
  }

  /** Floating point will be right from what is at `rip` on. @param unused instructions of the block */
  checkModes(rip: bigint, unused: number): void {
    const { modes } = this.#assumed;
    if (modes === undefined) return;
    this.#fn.if(i32.eqz(modes()), () => {
      this.#exits.by(this.#env.exitRecord(rip, unused, "case"));
    });
  }
}
