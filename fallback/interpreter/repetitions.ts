import { buildStringRuns, type StringRuns } from "../emission/string-runs.ts";
import type { RepetitionEmitter } from "../isa/emitter.ts";
import { RCX, RDI } from "../isa/string-operation.ts";
import { emitRepetition } from "../isa/string-repetition.ts";
import { STATE } from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import { callResult, FunctionBuilder } from "../wasm/function-builder.ts";
import type { ModuleBuilder } from "../wasm/module-builder.ts";
import { RECORD } from "./record.ts";

/**
 * (record) → i32, for string instructions with a repeat prefix: whether anything is left to the procedure.
 * Most move or fill a few bytes, which takes less time than a procedure's beginning.
 */
export function buildRepetitions(module: ModuleBuilder, touch: number): StringRuns<number> {
  const runs = buildStringRuns(module, touch);
  const repetition = (name: keyof StringRuns): number => {
    const index = module.addFunction({ parameters: ["i32"], results: ["i32"] });
    const fn = new FunctionBuilder(["i32"]);
    const shift = fn.let(i32.load8U(fn.parameter(0, "i32"), RECORD.SCALE));
    fn.return(emitRepetition(emitterOf(fn, runs), name, shift));
    fn.unreachable();
    module.define(index, fn.finish());
    return index;
  };
  return { move: repetition("move"), fill: repetition("fill") };
}

function emitterOf(fn: FunctionBuilder, runs: StringRuns<number>): RepetitionEmitter {
  const zero = i32.const(0);
  const getRegister = (register: number) => i64.load(zero, STATE.GPR + 8 * register);
  return {
    let: (value) => fn.let(value),
    getRegister,
    setRegister: (register, _bits, value) => fn.store(zero, value, STATE.GPR + 8 * register),
    run: (name, source, shift) =>
      fn.let(callResult("i64", runs[name], getRegister(RDI), source, getRegister(RCX), shift)),
    spend: (work) => {
      fn.store(zero, i32.sub(i32.load(zero, STATE.BUDGET), i32.wrap(work)), STATE.BUDGET);
    },
  };
}
