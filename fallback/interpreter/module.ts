import { emitMeaning } from "../emission/code-emitter.ts";
import type { SlowAccess } from "../emission/guest-access.ts";
import { buildSlowAccess } from "../emission/slow-access.ts";
import { type StringRuns, TOUCH } from "../emission/string-runs.ts";
import { FORMS_SECTION, serialiseForms } from "../isa/form-index.ts";
import type { Variant } from "../isa/variant.ts";
import { buildSettleFlags } from "../jit/flag-kinds.ts";
import { MAX_CALL_DEPTH, REGION_LEFT, REGION_SIGNATURE, REGION_TABLE } from "../jit/protocol.ts";
import { SUPPORT_SECTION, X87_SECTION } from "../jit/support-instance.ts";
import { buildSupport, buildX87 } from "../jit/support-module.ts";
import { NO_FAULT, RAM_BASE, RECORDS, STATE } from "../state.ts";
import { type I64, i32, i64 } from "../wasm/expression.ts";
import {
  callResult,
  FunctionBuilder,
  indirectResult,
  type Label,
  type Local,
} from "../wasm/function-builder.ts";
import { ModuleBuilder } from "../wasm/module-builder.ts";
import { addBlockDecoder } from "./block-decoder.ts";
import { DECODING_SECTION, serialiseDecoding } from "./decoding-table.ts";
import {
  defineHandler,
  type Emit,
  type HandlerFunctions,
  importAccesses,
  importProcedure,
} from "./handler-code.ts";
import { HANDLERS_SECTION, type HandlerTable, MICRO_OPERATIONS } from "./handlers.ts";
import { TRANSLATED_SECTION } from "./handlers-beside.ts";
import {
  type HandlerExits,
  type HandlerVariant,
  InterpreterEmitter,
} from "./interpreter-emitter.ts";
import { cachedHeader, leadsTo } from "./jump-lookup.ts";
import { ACCESSES_SECTION, type MemoryAccess, serialiseAccesses } from "./memory-access.ts";
import { LEFT, OUTCOME } from "./outcomes.ts";
import { HEADER, RECORD, RECORD_SIZE } from "./record.ts";
import { buildRepetitions } from "./repetitions.ts";
import { buildSegmentLoads, type SegmentLoads } from "./segment-loads.ts";
import { buildTranslated } from "./translated-module.ts";

const WASM_PAGE = 65536;
/** Of handlers that are no part of the dispatch loop; before it is that of the regions. */
const HANDLER_TABLE = REGION_TABLE + 1;

export interface InterpreterOptions {
  /** Whether the memory it will get is a shared one. */
  readonly shared?: boolean;
}

/**
 * The interpreter as one WebAssembly module: `run` dispatches over records; frequent handlers are inline
 * in its loop, the others are functions in a table.
 */
export function buildInterpreter(
  table: HandlerTable,
  { shared }: InterpreterOptions = {},
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", RAM_BASE / WASM_PAGE, shared === true);
  module.importTable("cpu", "regions");
  const one = ["i32"] as const;
  const imported = {
    ...importAccesses(module),
    procedure: importProcedure(module),
    findBlock: module.importFunction("cpu", "findBlock", { parameters: [], results: one }),
    touch: module.importFunction("cpu", "touch", TOUCH),
    synchronise: module.importFunction("cpu", "synchronise", { parameters: [], results: [] }),
  };
  const slow = buildSlowAccess(module, imported);
  const functions = { ...imported, segments: buildSegmentLoads(module, imported.synchronise) };
  const settleFlags = buildSettleFlags(module);
  const accesses = new Map<Variant, MemoryAccess | undefined>();
  const emit = (emitter: InterpreterEmitter, variant: Variant): void => {
    const { meaning, interpretation } = variant.instruction;
    if (interpretation === undefined) emitMeaning(emitter, meaning, variant.operands);
    else interpretation(emitter, ...variant.operands);
    accesses.set(variant, emitter.accessed);
  };
  const cold = table.variants.slice(table.inlineCount);
  module.setTable(cold.map((variant) => defineHandler(module, variant, slow, functions, emit)));
  const run = module.addFunction({ parameters: [], results: one });
  module.define(
    run,
    new Dispatcher(module, table, slow, { ...functions, settleFlags }, emit).build(),
  );
  module.exportTable("handlers", HANDLER_TABLE);
  module.exportFunction("run", run);
  module.exportFunction("decodeBlock", addBlockDecoder(module));
  module.exportFunction("settleFlags", settleFlags);
  module.addCustomSection(HANDLERS_SECTION, table.serialise());
  module.addCustomSection(DECODING_SECTION, serialiseDecoding(table.forms));
  module.addCustomSection(SUPPORT_SECTION, buildSupport(shared === true));
  module.addCustomSection(X87_SECTION, buildX87(shared === true));
  module.addCustomSection(TRANSLATED_SECTION, buildTranslated(table.forms, shared === true));
  module.addCustomSection(FORMS_SECTION, serialiseForms(table.forms));
  const ordered = table.variants.map((variant) => accesses.get(variant));
  module.addCustomSection(ACCESSES_SECTION, serialiseAccesses(ordered));
  return module.finish();
}

interface Functions extends HandlerFunctions {
  readonly findBlock: number;
  readonly touch: number;
  readonly checkSegment: number;
  readonly segments: SegmentLoads;
}

/** A function without parameters that makes pending flags known. */
interface Settling {
  readonly settleFlags: number;
}

/** How control came to the block that is to be entered: 0 by way of the interpreter. */
const CAME = {
  /** The flags may be pending. */
  OUT_OF_REGION: 1,
  /** The same in the middle of a block: this one is to be interpreted, whether or not there is a region. */
  FROM_INSIDE: 2,
} as const;

/** The function `run`. */
class Dispatcher {
  readonly #fn = new FunctionBuilder([]);
  readonly #module: ModuleBuilder;
  readonly #table: HandlerTable;
  readonly #slow: SlowAccess;
  readonly #functions: Functions & Settling;
  readonly #emit: Emit;
  readonly #repetitions: StringRuns<number>;
  readonly #record: Local<"i32">;
  /** Of the block to be entered, as HEADER.KEY; and where it is noted if control comes the same way again. */
  readonly #key: Local<"i64">;
  readonly #link: Local<"i32">;
  readonly #result: Local<"i32">;
  /** {@link CAME} */
  readonly #came: Local<"i32">;

  constructor(
    module: ModuleBuilder,
    table: HandlerTable,
    slow: SlowAccess,
    functions: Functions & Settling,
    emit: Emit,
  ) {
    this.#emit = emit;
    this.#repetitions = buildRepetitions(module, functions.touch);
    this.#module = module;
    this.#table = table;
    this.#slow = slow;
    this.#functions = functions;
    this.#record = this.#fn.local("i32");
    this.#key = this.#fn.local("i64");
    this.#link = this.#fn.local("i32");
    this.#result = this.#fn.local("i32");
    this.#came = this.#fn.local("i32");
  }

  build(): Uint8Array {
    const fn = this.#fn;
    fn.set(this.#link, i32.const(RECORDS + HEADER.LINK));
    fn.set(this.#record, i32.const(RECORDS));
    fn.block((leave) => {
      // One loop for records and blocks: V8 looks at the stack's limit in each round of each loop, and
      // where records had a loop of their own it made the vector constants of all handlers for each block.
      fn.loop((next) => {
        fn.block((enter) => this.#dispatch(leave, enter, next));
        this.#enterBlock(leave, next);
        this.#moveOn(next);
      });
    });
    fn.return(this.#result);
    fn.unreachable();
    return fn.finish();
  }

  /** Finds the block at STATE.RIP, and pays for it: the record becomes its header. */
  #enterBlock(leave: Label, next: Label): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const linear = i64.add(i64.load(zero, STATE.RIP), i64.load(zero, STATE.CODE_BASE));
    fn.set(this.#key, i64.xor(linear, i64.load(zero, STATE.CODE_KEY)));
    fn.set(this.#record, i32.load(this.#link));
    fn.if(i32.eqz(leadsTo(this.#record, this.#key)), () => {
      fn.set(this.#record, cachedHeader(fn, this.#key));
      fn.if(
        leadsTo(this.#record, this.#key),
        () => fn.store(this.#link, this.#record),
        () => {
          fn.set(this.#record, callResult("i32", this.#functions.findBlock));
          fn.if(i32.eqz(this.#record), () => {
            // The fault that follows may come behind a region, and shows the flags to its handler.
            fn.call(this.#functions.settleFlags);
            fn.set(this.#result, i32.const(LEFT.NO_BLOCK));
            fn.branch(leave);
          });
        },
      );
    });
    fn.set(this.#link, i32.add(this.#record, i32.const(HEADER.LINK)));
    this.#enterRegion(leave, next);
    fn.if(this.#came, () => {
      fn.call(this.#functions.settleFlags);
      fn.set(this.#came, zero);
    });
    const heat = fn.let(i32.sub(i32.load(this.#record, HEADER.HEAT), i32.const(1)));
    fn.store(this.#record, heat, HEADER.HEAT);
    fn.if(i32.eqz(heat), () => {
      fn.set(this.#result, i32.const(LEFT.HOT));
      fn.branch(leave);
    });
    const count = i32.load(this.#record, HEADER.COUNT);
    const left = fn.let(i32.sub(i32.load(zero, STATE.BUDGET), count));
    fn.if(i32.ltS(left, zero), () => {
      fn.set(this.#result, i32.const(LEFT.BUDGET));
      fn.branch(leave);
    });
    fn.store(zero, left, STATE.BUDGET);
    fn.store(zero, this.#record, STATE.BLOCK);
  }

  /** Runs the region that stands for the block, if there is one, and goes on where it ended. */
  #enterRegion(leave: Label, next: Label): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const region = fn.let(i32.load(this.#record, HEADER.REGION));
    const enter = (): void => {
      const type = this.#module.typeIndex(REGION_SIGNATURE);
      const depth = i32.const(MAX_CALL_DEPTH);
      const before = fn.let(i32.load(zero, STATE.BUDGET));
      const left = fn.let(indirectResult("i64", REGION_TABLE, type, region, depth));
      const executed = i64.extendS(i32.sub(before, i32.load(zero, STATE.BUDGET)));
      fn.store(zero, i64.add(i64.load(zero, STATE.IN_REGIONS), executed), STATE.IN_REGIONS);
      fn.set(this.#came, i32.const(CAME.OUT_OF_REGION));
      fn.if(i64.eq(left, i64.const(REGION_LEFT.STOP)), () => {
        fn.call(this.#functions.settleFlags);
        fn.set(this.#result, i32.const(LEFT.IN_REGION));
        fn.branch(leave);
      });
      fn.if(i64.eq(left, i64.const(REGION_LEFT.LOOK)), () => {
        fn.call(this.#functions.settleFlags);
        fn.set(this.#result, i32.const(LEFT.LOOK));
        fn.branch(leave);
      });
      fn.if(
        i64.eq(left, i64.const(REGION_LEFT.INTERPRET)),
        () => {
          fn.set(this.#came, i32.const(CAME.FROM_INSIDE));
          // Of an access that the region has failed at: the interpreter makes it again.
          fn.store(zero, i32.const(NO_FAULT), STATE.FAULT);
        },
        () => fn.store(zero, left, STATE.RIP),
      );
      fn.set(this.#record, i32.const(RECORDS));
      fn.branch(next);
    };
    // One after the other: most blocks that are interpreted have none, and look no further.
    fn.if(region, () => {
      fn.if(i32.ne(this.#came, i32.const(CAME.FROM_INSIDE)), enter);
    });
  }

  #dispatch(leave: Label, enter: Label, next: Label): void {
    const fn = this.#fn;
    const inline = this.#table.variants.slice(0, this.#table.inlineCount);
    const exits: HandlerExits = {
      fault: () => this.#leaveInBlock(leave),
      jump: (way) => {
        if (way !== undefined) {
          fn.set(this.#link, i32.add(this.#record, i32.const(RECORD.LINKS[way])));
        }
        fn.branch(enter);
      },
      fallback: () => {
        this.#follow(callResult("i32", this.#functions.procedure, this.#record), leave, enter);
        this.#moveOn(next);
      },
    };
    const cases: (() => void)[] = [
      () => {
        const outcome = callResult("i32", this.#functions.procedure, this.#record);
        this.#follow(outcome, leave, enter);
      },
      () => {
        fn.store(i32.const(STATE.RIP), i64.load(this.#record, RECORD.IMMEDIATE));
        fn.branch(enter);
      },
      () => fn.store(i32.const(STATE.ADDRESS), i64.add(this.#offset(), this.#segmentBase())),
      () => this.#computeSegmentAddress(leave),
      () => {
        const variant = { bits: 32, long: false, operands: [] } as const;
        const emitter = this.#emitter(variant, exits);
        emitter.beginMmx();
        fn.if(i32.load(this.#record, RECORD.IMMEDIATE), () => emitter.resetMmxTop());
      },
      () => this.#leaveInBlock(leave),
      () => {
        const zero = i32.const(0);
        fn.store(zero, i32.load(this.#record, RECORD.IMMEDIATE), STATE.FAULT);
        this.#leaveInBlock(leave);
      },
      () => this.#repeat("move", leave, enter),
      () => this.#repeat("fill", leave, enter),
      () => fn.branch(enter),
      ...inline.map((variant) => () => {
        this.#emit(this.#emitter(variant, exits), variant);
      }),
      () => this.#callHandler(leave, enter),
    ];
    this.#nest(cases, next, []);
  }

  #emitter(variant: HandlerVariant, exits: HandlerExits): InterpreterEmitter {
    const functions = this.#functions;
    return new InterpreterEmitter(this.#fn, this.#record, variant, this.#slow, exits, functions);
  }

  /**
   * Nested blocks, one for each case: a branch to the n-th block's end arrives before the code of
   * case n. After each case the record moves on.
   */
  #nest(cases: readonly (() => void)[], next: Label, targets: Label[]): void {
    const fn = this.#fn;
    const index = cases.length - targets.length - 1;
    if (index < 0) {
      const handler = i32.load16U(this.#record, RECORD.HANDLER);
      const inOrder = [...targets].reverse();
      const last = inOrder.pop() as Label;
      fn.branchTable(handler, inOrder, last);
      return;
    }
    fn.block((end) => this.#nest(cases, next, [...targets, end]));
    fn.scoped(() => {
      cases[index]?.();
      this.#moveOn(next);
    });
  }

  #moveOn(next: Label): void {
    const fn = this.#fn;
    fn.set(this.#record, i32.add(this.#record, i32.const(RECORD_SIZE)));
    fn.branch(next);
  }

  #callHandler(leave: Label, enter: Label): void {
    const first = MICRO_OPERATIONS.length + this.#table.inlineCount;
    const handler = i32.sub(i32.load16U(this.#record, RECORD.HANDLER), i32.const(first));
    const type = this.#module.typeIndex({ parameters: ["i32"], results: ["i32"] });
    const record = this.#record;
    const outcome = indirectResult("i32", HANDLER_TABLE, type, handler, record);
    this.#follow(outcome, leave, enter);
  }

  /** As often as a string instruction's prefix says. */
  #repeat(name: keyof StringRuns, leave: Label, enter: Label): void {
    const fn = this.#fn;
    const isUndone = callResult("i32", this.#repetitions[name], this.#record);
    fn.if(i32.eqz(isUndone), () => {
      fn.store(i32.const(STATE.RIP), i64.load(this.#record, RECORD.IMMEDIATE));
      fn.branch(enter);
    });
    this.#follow(callResult("i32", this.#functions.procedure, this.#record), leave, enter);
  }

  /** Goes where an outcome says; falls through for NEXT. */
  #follow(outcome: ReturnType<typeof callResult<"i32">>, leave: Label, enter: Label): void {
    const fn = this.#fn;
    const result = fn.let(outcome);
    fn.branchIf(i32.eq(result, i32.const(OUTCOME.JUMP)), enter);
    fn.if(i32.eqz(result), () => this.#leaveInBlock(leave));
  }

  #leaveInBlock(leave: Label): void {
    this.#fn.store(i32.const(0), this.#record, STATE.RECORD);
    this.#fn.set(this.#result, i32.const(LEFT.IN_BLOCK));
    this.#fn.branch(leave);
  }

  /** base + index * scale + displacement, cut by the mask in the record's immediate. */
  #offset(): I64 {
    const record = this.#record;
    const register = (field: number) => i64.load(i32.load16U(record, field));
    const shift = i64.extendU(i32.load8U(record, RECORD.SCALE));
    const index = i64.shl(register(RECORD.INDEX_REGISTER), shift);
    const sum = i64.add(
      i64.add(register(RECORD.BASE), index),
      i64.load(record, RECORD.DISPLACEMENT),
    );
    return i64.and(sum, i64.load(record, RECORD.IMMEDIATE));
  }

  #segmentBase(): I64 {
    return i64.load(i32.load16U(this.#record, RECORD.SEGMENT));
  }

  /** What the segment's plain limit does not permit is looked at in TypeScript. */
  #computeSegmentAddress(leave: Label): void {
    const fn = this.#fn;
    const offset = fn.let(this.#offset());
    const last = i64.add(offset, i64.load8U(this.#record, RECORD.ACCESS_LENGTH));
    const limit = i64.load(i32.load16U(this.#record, RECORD.ACCESS_LIMIT));
    fn.if(i64.gtS(last, limit), () => {
      const field = i32.load16U(this.#record, RECORD.ACCESS_LIMIT);
      const length = i32.load8U(this.#record, RECORD.ACCESS_LENGTH);
      const { checkSegment } = this.#functions;
      const permitted = callResult("i32", checkSegment, field, i32.wrap(offset), length);
      fn.if(i32.eqz(permitted), () => this.#leaveInBlock(leave));
    });
    const linear = i64.add(offset, this.#segmentBase());
    fn.store(i32.const(STATE.ADDRESS), i64.and(linear, i64.const(0xffff_ffff)));
  }
}
