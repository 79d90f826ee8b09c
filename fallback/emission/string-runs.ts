import { RFLAGS } from "../bits.ts";
import { MAX_ELEMENTS } from "../isa/string-operation.ts";
import { RAM_BASE, STATE, windowOffset } from "../state.ts";
import { type I32, type I64, i32, i64, select } from "../wasm/expression.ts";
import {
  type Callee,
  callResult,
  FunctionBuilder,
  type Label,
  type Local,
} from "../wasm/function-builder.ts";
import type { ModuleBuilder, Signature } from "../wasm/module-builder.ts";
import { throughTlb } from "./page-lookup.ts";

const PAGE_SIZE = 4096;

/**
 * Functions for MOVS and STOS with a repeat prefix, in 64-bit mode. They do as much as goes in
 * plain memory at once, upwards or downwards, and return how many elements that is. The rest, and whatever
 * needs a closer look, is the procedure's: faults, devices, translated code, overlapping operands, more
 * elements than one execution does.
 */
export interface StringRuns<Function extends Callee = Callee> {
  /** (to: i64, from: i64, count: i64, shift: i32) → i64. The shift is that of an element's size. */
  readonly move: Function;
  /** (to: i64, value: i64, count: i64, shift: i32) → i64: of values whose bytes are all alike. */
  readonly fill: Function;
}

export const RUN_SIGNATURE: Signature = {
  parameters: ["i64", "i64", "i64", "i32"],
  results: ["i64"],
};

/** All ones if string instructions go downwards, else zero. */
export const whereDown = (): I64 => {
  const flag = i32.and(i32.load(i32.const(0), STATE.RFLAGS), i32.const(RFLAGS.DF));
  return i64.sub(i64.const(0), i64.extendU(i32.ne(flag, i32.const(0))));
};

/** @param mask of {@link whereDown} */
export const negatedWhere = (mask: Local<"i64">, value: I64): I64 =>
  i64.sub(i64.xor(value, mask), mask);

/**
 * Of what {@link buildStringRuns} imports: (low, high, forWrite) → i32, of the halves of an address. Lets the
 * TLB have the page of an access that is about to be made, if it is permitted and to plain memory;
 * else returns zero.
 */
export const TOUCH: Signature = { parameters: ["i32", "i32", "i32"], results: ["i32"] };

/** One of the functions under construction. */
class Run {
  readonly #touch: number;
  readonly fn = new FunctionBuilder(RUN_SIGNATURE.parameters);
  readonly to = this.fn.parameter(0, "i64");
  readonly count = this.fn.parameter(2, "i64");
  readonly shift = this.fn.parameter(3, "i32");
  /** Bytes. */
  readonly #done = this.fn.local("i64");
  readonly #left = this.fn.local("i64");
  readonly #size = this.fn.local("i64");
  /** All ones where DF is set. */
  readonly #down = this.fn.local("i64");

  /**
   * Does all of it piece by piece: what is in the windows as one, else what is on a page.
   * @param pointers what moves on by what has been done
   * @param act does bytes at places in the WebAssembly memory that correspond to the pointers
   */
  build(
    pointers: readonly { readonly start: I64; readonly access: "read" | "write" }[],
    act: (places: readonly Local<"i32">[], bytes: Local<"i32">) => void,
  ): Uint8Array {
    const { fn, count, shift } = this;
    fn.if(i64.gtU(count, i64.const(MAX_ELEMENTS)), () => fn.return(i64.const(0)));
    fn.set(this.#down, whereDown());
    fn.set(this.#size, i64.shl(i64.const(1), i64.extendU(shift)));
    const total = fn.let(i64.shl(count, i64.extendU(shift)));
    const places = pointers.map(() => fn.local("i32"));
    const bytes = fn.local("i32");
    fn.loop((again) => {
      fn.set(this.#left, i64.sub(total, this.#done));
      fn.if(i64.eqz(this.#left), () => this.#return());
      const moved = fn.let(negatedWhere(this.#down, this.#done));
      const at = pointers.map(({ start }) => fn.let(i64.add(start, moved)));
      fn.block((found) => {
        this.#wholly(pointers, at, places, bytes, found);
        this.#inPage(pointers, at, places, bytes);
      });
      this.#unlessOverlapping(places, bytes);
      act(places, bytes);
      fn.set(this.#done, i64.add(this.#done, i64.extendU(bytes)));
      fn.branch(again);
    });
    fn.unreachable();
    return fn.finish();
  }

  /** @param touch see {@link TOUCH} */
  constructor(touch: number) {
    this.#touch = touch;
  }

  /** Elements that have been done. */
  #return(): void {
    this.fn.return(i64.shrU(this.#done, i64.extendU(this.shift)));
  }

  /** All that is left, if it is in the windows for general accesses. */
  #wholly(
    pointers: readonly { readonly access: "read" | "write" }[],
    at: readonly Local<"i64">[],
    places: readonly Local<"i32">[],
    bytes: Local<"i32">,
    found: Label,
  ): void {
    const { fn } = this;
    const isInside = pointers.map(({ access }, n) => {
      const field = windowOffset("general", access);
      const length = (): I64 => i64.load(i32.const(0), field + 8);
      const low = this.#lowest(at[n] as Local<"i64">, this.#left);
      const first = fn.let(i64.sub(low, i64.load(i32.const(0), field)));
      const behind = i64.add(first, this.#left);
      return i32.and(i64.ltU(first, length()), i64.leU(behind, length()));
    });
    fn.if(
      isInside.reduce((all, one) => i32.and(all, one)),
      () => {
        places.forEach((place, n) => {
          const low = this.#lowest(at[n] as Local<"i64">, this.#left);
          fn.set(place, i32.add(i32.wrap(low), i32.const(RAM_BASE)));
        });
        fn.set(bytes, i32.wrap(this.#left));
        fn.branch(found);
      },
    );
  }

  /** The elements that are on one page for each pointer, if the TLB can have the pages. */
  #inPage(
    pointers: readonly { readonly access: "read" | "write" }[],
    at: readonly Local<"i64">[],
    places: readonly Local<"i32">[],
    bytes: Local<"i32">,
  ): void {
    const { fn } = this;
    fn.set(bytes, i32.wrap(this.#left));
    for (const address of at) {
      const offset = i32.and(i32.wrap(address), i32.const(PAGE_SIZE - 1));
      const upwards = fn.let(i32.sub(i32.const(PAGE_SIZE), offset));
      // Up to the last element's end, which has to be on the page, too.
      const size = i32.wrap(this.#size);
      const isWhole = i32.geU(upwards, size);
      const downwards = select(isWhole, i32.add(offset, size), i32.const(0));
      const rest = fn.let(select(i32.wrap(this.#down), downwards, upwards));
      fn.set(bytes, select(i32.ltU(bytes, rest), bytes, rest));
    }
    const whole = i32.shl(i32.const(-1), this.shift);
    fn.set(bytes, i32.and(bytes, whole));
    fn.if(i32.eqz(bytes), () => this.#return());
    pointers.forEach(({ access }, n) => {
      const place = places[n] as Local<"i32">;
      const low = fn.let(this.#lowest(at[n] as Local<"i64">, i64.extendU(bytes)));
      const isWrite = access === "write";
      const find = (miss: () => void): void =>
        throughTlb(fn, low, 1, isWrite, (host) => fn.set(place, host), miss);
      find(() => {
        const halves = [i32.wrap(low), i32.wrap(i64.shrU(low, i64.const(32)))] as const;
        const touched = callResult("i32", this.#touch, ...halves, i32.const(isWrite ? 1 : 0));
        fn.if(i32.eqz(touched), () => this.#return());
        find(() => this.#return());
      });
    });
  }

  /** Where bytes begin whose first element, on the way that DF says, is at an address. */
  #lowest(at: Local<"i64">, bytes: I64): I64 {
    return i64.add(at, i64.and(i64.sub(this.#size, bytes), this.#down));
  }

  /** Elements that would be read after they were written are done one by one, by the procedure. */
  #unlessOverlapping(places: readonly Local<"i32">[], bytes: Local<"i32">): void {
    const [from, to] = places;
    if (to === undefined || from === undefined) return;
    const ahead = this.fn.let(i32.wrap(negatedWhere(this.#down, i64.extendU(i32.sub(to, from)))));
    // Not at the same place either: there `ahead` is 0.
    const isBetween = i32.ltU(i32.sub(ahead, i32.const(1)), i32.sub(bytes, i32.const(1)));
    this.fn.if(isBetween, () => this.#return());
  }
}

/** @param touch see {@link TOUCH} */
export function buildStringRuns(module: ModuleBuilder, touch: number): StringRuns<number> {
  return { move: buildMove(module, touch), fill: buildFill(module, touch) };
}

function buildMove(module: ModuleBuilder, touch: number): number {
  const index = module.addFunction(RUN_SIGNATURE);
  const run = new Run(touch);
  const { fn, to } = run;
  // In this order they are accessed: what may not be read has nothing written.
  const pointers = [
    { start: fn.parameter(1, "i64"), access: "read" },
    { start: to, access: "write" },
  ] as const;
  const body = run.build(pointers, ([source, target], bytes) =>
    fn.copyMemory(target as I32, source as I32, bytes),
  );
  module.define(index, body);
  return index;
}

function buildFill(module: ModuleBuilder, touch: number): number {
  const index = module.addFunction(RUN_SIGNATURE);
  const run = new Run(touch);
  const { fn, to, shift } = run;
  const byte = fn.let(i64.and(fn.parameter(1, "i64"), i64.const(0xff)));
  const unused = i64.extendU(i32.sub(i32.const(64), i32.shl(i32.const(8), shift)));
  const pattern = i64.mul(byte, i64.const(0x0101_0101_0101_0101n));
  const other = i64.shl(i64.xor(fn.parameter(1, "i64"), pattern), unused);
  fn.if(i64.ne(other, i64.const(0)), () => fn.return(i64.const(0)));
  const body = run.build([{ start: to, access: "write" }], ([target], bytes) =>
    fn.fillMemory(target as I32, i32.wrap(byte), bytes),
  );
  module.define(index, body);
  return index;
}
