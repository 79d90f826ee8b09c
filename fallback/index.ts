/** The processor written in TypeScript, put together. */
import { FallbackCpu } from "./cpu.ts";
import { CheckedCpu, type CheckedOptions } from "./cross-check/checked-cpu.ts";
import { Disassembler } from "./disassembler/disassembler.ts";
import { HandlerTable } from "./interpreter/handlers.ts";
import { buildInterpreter, type InterpreterOptions } from "./interpreter/module.ts";
import { section } from "./interpreter/sections.ts";
import { COMMON_FAMILIES } from "./isa/common.ts";
import { FORMS_SECTION, FormIndex } from "./isa/form-index.ts";
import { LATE_FAMILIES } from "./isa/late.ts";
import { OpcodeMap } from "./isa/opcode-map.ts";
import { RARE_FAMILIES } from "./isa/rare.ts";
import { FAMILIES } from "./isa/table.ts";
import type { FallbackCpuOptions } from "./options.ts";
import { moduleOfMachineCode, takesMachineCode } from "./wasm/machine-code.ts";

/** Gives what {@link interpreterModule} made, if somebody kept it. */
export type KeptInterpreter = (inline: boolean) => Uint8Array<ArrayBuffer> | undefined;

/** The interpreter for long runs, and the machine code that V8 has made of it: see `moduleOfMachineCode`. */
export interface OptimisedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly code: Uint8Array<ArrayBuffer>;
}

/** Interpreters that somebody kept. */
export interface KeptInterpreters {
  readonly keptInterpreter?: KeptInterpreter;
  readonly optimisedInterpreter?: () => OptimisedInterpreter | undefined;
}

export type FallbackDescription = Omit<
  FallbackCpuOptions,
  "interpreter" | "inlineInterpreter" | "map"
> &
  InterpreterOptions &
  KeptInterpreters;

/**
 * The interpreter as a WebAssembly module: the same for the same table of instructions.
 * @param inline whether frequent handlers are inline: for long runs (see `Promotion`)
 */
export function interpreterModule(
  inline: boolean,
  options: InterpreterOptions = {},
): Uint8Array<ArrayBuffer> {
  return buildInterpreter(new HandlerTable(new OpcodeMap(FAMILIES).forms, inline), options);
}

export function createFallbackCpu(description: FallbackDescription): FallbackCpu {
  return new FallbackCpu({ ...description, ...interpreterFor(description) });
}

/** The table of instructions, once somebody has it: parsed as far as it has been needed. */
let table: OpcodeMap | undefined;

/** The table of instructions, and the interpreter made of it. */
function interpreterFor(
  description: InterpreterOptions & KeptInterpreters,
): Pick<FallbackCpuOptions, "map" | "interpreter" | "inlineInterpreter"> {
  const compile = (inline: boolean): WebAssembly.Module => {
    const kept = description.keptInterpreter?.(inline);
    return new WebAssembly.Module(kept ?? interpreterModule(inline, description));
  };
  const optimised = takesMachineCode() ? description.optimisedInterpreter?.() : undefined;
  const ready = optimised && moduleOfMachineCode(optimised.bytes, optimised.code);
  const interpreter = ready ?? compile(false);
  table ??= new OpcodeMap(
    new FormIndex(
      section(interpreter, FORMS_SECTION),
      COMMON_FAMILIES,
      () => RARE_FAMILIES,
      () => LATE_FAMILIES,
    ),
  );
  return {
    map: table,
    interpreter,
    inlineInterpreter: ready === undefined ? () => compile(true) : undefined,
  };
}

/** As {@link createFallbackCpu}, and beside it one without the JIT that it is compared with. */
export function createCheckedCpu(
  description: Omit<CheckedOptions, "interpreter" | "inlineInterpreter" | "map"> & KeptInterpreters,
): CheckedCpu {
  return new CheckedCpu({ ...description, ...interpreterFor(description) });
}

/** For the text of instructions, whichever processor executes them. */
export const createDisassembler = (): Disassembler => {
  table ??= new OpcodeMap(FAMILIES);
  return new Disassembler(table);
};
