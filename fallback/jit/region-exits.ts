import { REGION_LINKS, STATE, USER_CODE } from "../state.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import {
  callResult,
  type FunctionBuilder,
  indirectResult,
  type Label,
  type Local,
} from "../wasm/function-builder.ts";
import { EXIT_RECORD, FIRST_UNAVOIDABLE, LOOK_EVERY, LOOK_SELDOM } from "./exit-records.ts";
import { ANY_FLAGS, IN_STATE } from "./lazy-flags.ts";
import type { Node } from "./node.ts";
import { REGION_LEFT, REGION_TABLE } from "./protocol.ts";
import type { RegionEnvironment } from "./region-environment.ts";
import { lookUpPlace } from "./region-places.ts";
import { ALL_REGISTERS } from "./register-file.ts";
import type { RunningState } from "./running-state.ts";

/** Instead of a record: the region returns where to go on; or the JIT should look at where a jump leads. */
const HOW = { RETURNS: 0, LEARNS: 1 } as const;

/** Where a way out leads to, once the flags are in the state. */
interface WayOut {
  /** For flags in the variables. */
  withFlags: Label;
  withoutFlags: Label;
}

/** The ways out of a region. */
export class RegionExits {
  readonly #fn: FunctionBuilder;
  readonly #env: RegionEnvironment;
  readonly #state: RunningState;
  readonly #entry: Node;
  /** How deep calls may still nest. */
  readonly depth: Local<"i32">;
  /** Where to go on outside. */
  readonly #rip: Local<"i64">;
  /** Where the link of the slot there is. */
  readonly #link: Local<"i32">;
  /** Record of where the region is left in the middle, or {@link HOW}. */
  readonly #record: Local<"i32">;
  /** By a record, or as {@link HOW} says. */
  #leaving!: WayOut;
  /** To another region, if there is one. */
  #chaining!: WayOut;

  constructor(fn: FunctionBuilder, env: RegionEnvironment, state: RunningState, entry: Node) {
    this.#fn = fn;
    this.#env = env;
    this.#state = state;
    this.#entry = entry;
    this.depth = fn.parameter(0, "i32");
    this.#rip = fn.local("i64");
    this.#record = fn.local("i32");
    this.#link = fn.local("i32");
  }

  /** Emits `body`, and behind it the ways that nearly all exits in it share. */
  around(body: () => void): void {
    const fn = this.#fn;
    this.#way(
      (chaining) => {
        this.#chaining = chaining;
        this.#way(
          (leaving) => {
            this.#leaving = leaving;
            body();
          },
          () => this.#leave(),
        );
      },
      () => {
        this.#state.save(ALL_REGISTERS);
        const place = fn.let(i32.load(this.#link));
        fn.if(place, () => this.#goOn(place));
        fn.return(this.#rip);
        fn.unreachable();
      },
    );
  }

  /** @param out does not come back */
  #way(body: (labels: WayOut) => void, out: () => void): void {
    const fn = this.#fn;
    const { flags } = this.#state;
    fn.block((withoutFlags) => {
      fn.block((withFlags) => body({ withFlags, withoutFlags }));
      flags.state = ANY_FLAGS;
      flags.save();
    });
    flags.state = IN_STATE;
    out();
  }

  /** Leaves by an exit record. */
  by(record: number): void {
    this.#fn.set(this.#record, i32.const(record));
    this.#branch(this.#leaving);
  }

  /** Goes on at an offset: in another region if there is one. */
  to(rip: bigint): void {
    const fn = this.#fn;
    fn.set(this.#rip, i64.const(rip));
    fn.set(this.#link, i32.const(this.#linkOf(rip)));
    this.#branch(this.#chaining);
  }

  /** Goes on at an offset, by the dispatch loop. */
  returning(rip: I64): void {
    this.#leaveTo(rip, HOW.RETURNS);
  }

  /** To whoever has called, without the way that all others leave by. */
  asReturn(target: I64): void {
    const to = this.#fn.let(target);
    this.#save();
    this.#fn.return(to);
  }

  /** The jump that ends a node leads to where it has not been seen to lead yet. */
  unknown(to: Local<"i64">, { block }: Node): void {
    const fn = this.#fn;
    const record = i32.const(this.#env.jumpRecord(block));
    const count = fn.let(i32.add(i32.load(record, EXIT_RECORD.COUNT), i32.const(1)));
    fn.store(record, count, EXIT_RECORD.COUNT);
    fn.if(i32.eqz(i32.and(count, i32.const(LOOK_EVERY - 1))), () => {
      const isFew = i32.ltU(count, i32.const(LOOK_SELDOM));
      const isTurn = i32.eqz(i32.and(count, i32.const(LOOK_SELDOM - 1)));
      fn.if(i32.or(isFew, isTurn), () => {
        fn.store(i32.const(0), record, STATE.RECORD);
        this.#leaveTo(to, HOW.LEARNS);
      });
    });
    // Not by way of the others: interpreters leave by this again and again.
    this.#save();
    this.#jumpTo(to);
  }

  /**
   * A call of the guest, whose return address has been pushed. Behind it control has come back to
   * `back`; all of the state is where the region leaves it.
   * @param leadsOn whether nothing of the region is at `back`: so call retpolines, that never come back
   */
  call(target: I64, back: bigint, leadsOn: boolean): void {
    const fn = this.#fn;
    const known = target.constant;
    const result = known === undefined ? this.#callAny(fn.let(target)) : this.#callKnown(known);
    fn.set(this.#rip, result);
    fn.if(i64.ne(this.#rip, i64.const(back)), () => {
      if (leadsOn) this.#jumpTo(this.#rip);
      else fn.return(this.#rip);
    });
  }

  /** The region itself is called directly, others through the table. */
  #callKnown(target: bigint): I64 {
    const rip = BigInt.asUintN(64, target);
    const fn = this.#fn;
    fn.if(i32.eqz(this.depth), () => this.returning(i64.const(rip)));
    this.#save();
    // If there is none, what is called says to interpret what is there.
    fn.store(i32.const(0), i64.const(rip), STATE.RIP);
    if (rip === this.#entry.block.rip) return callResult("i64", this.#env.self, this.#deeper());
    return this.#callAt(i32.load(i32.const(0), this.#linkOf(rip)));
  }

  #callAny(rip: Local<"i64">): I64 {
    const fn = this.#fn;
    fn.if(i32.eqz(this.depth), () => this.returning(rip));
    const { isKnown, place } = lookUpPlace(fn, this.#key(rip));
    fn.if(i32.eqz(isKnown), () => this.returning(rip));
    this.#save();
    return this.#callAt(place);
  }

  /** Puts into the state what this way out has changed. */
  #save(): void {
    this.#state.flags.tell();
    this.#state.save();
  }

  #callAt(place: I32): I64 {
    return indirectResult("i64", REGION_TABLE, this.#env.regionType, place, this.#deeper());
  }

  #deeper(): I32 {
    return i32.sub(this.depth, i32.const(1));
  }

  #branch({ withFlags, withoutFlags }: WayOut): void {
    const { flags } = this.#state;
    flags.tell();
    this.#fn.branch(flags.state === IN_STATE ? withoutFlags : withFlags);
  }

  #leaveTo(rip: I64, how: number): void {
    this.#fn.set(this.#rip, rip);
    this.#fn.set(this.#record, i32.const(how));
    this.#branch(this.#leaving);
  }

  /** Goes on in the region at an offset, if there is one; all of the state has been saved. */
  #jumpTo(rip: Local<"i64">): void {
    const fn = this.#fn;
    const { isKnown, place } = lookUpPlace(fn, this.#key(rip));
    fn.if(isKnown, () => this.#goOn(place));
    fn.return(rip);
  }

  /** Goes on in the region at a place: its result is this one's. */
  #goOn(place: I32): void {
    this.#fn.returnCall(REGION_TABLE, this.#env.regionType, place, this.depth);
  }

  /** Where the link of the slot of an offset is. */
  #linkOf(rip: bigint): number {
    return REGION_LINKS + 4 * this.#env.slotOf(rip);
  }

  /** The key of an offset, as in HEADER.KEY. Modes have other numbers in the next run, which may have this code again. */
  #key(rip: Local<"i64">): Local<"i64"> {
    const fn = this.#fn;
    const { block } = this.#entry;
    const base = BigInt.asUintN(64, block.linear - block.rip);
    const linear = base === 0n ? rip : fn.let(i64.add(rip, i64.const(base)));
    const { codeSize, user } = block;
    if (codeSize !== 64) return fn.let(i64.xor(linear, i64.load(i32.const(0), STATE.CODE_KEY)));
    return user ? fn.let(i64.xor(linear, i64.const(USER_CODE))) : linear;
  }

  #leave(): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const { budget } = this.#state;
    fn.if(i32.gtU(this.#record, i32.const(HOW.LEARNS)), () => {
      const unused = i32.load8U(this.#record, EXIT_RECORD.UNUSED);
      fn.set(budget, i32.add(budget, unused));
      fn.store(zero, i64.load(this.#record, EXIT_RECORD.RIP), STATE.RIP);
      const before = i32.load(this.#record, EXIT_RECORD.COUNT);
      const count = fn.let(i32.add(before, i32.const(1)));
      fn.store(this.#record, count, EXIT_RECORD.COUNT);
      fn.set(this.#rip, i64.const(REGION_LEFT.INTERPRET));
      const isMany = i32.eqz(i32.and(count, i32.const(LOOK_EVERY - 1)));
      const reason = i32.load8U(this.#record, EXIT_RECORD.REASON);
      fn.if(i32.and(isMany, i32.ltU(reason, i32.const(FIRST_UNAVOIDABLE))), () => {
        fn.store(zero, this.#record, STATE.RECORD);
        fn.set(this.#rip, i64.const(REGION_LEFT.LOOK));
      });
    });
    this.#state.save(ALL_REGISTERS);
    fn.if(i32.eq(this.#record, i32.const(HOW.LEARNS)), () => {
      fn.store(zero, this.#rip, STATE.RIP);
      fn.return(i64.const(REGION_LEFT.LOOK));
    });
    fn.return(this.#rip);
    fn.unreachable();
  }
}
