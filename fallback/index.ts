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

/** Gives what {@link interpreterModule} made, if somebody kept it. */
export type KeptInterpreter = (inline: boolean) => Uint8Array<ArrayBuffer> | undefined;

export type FallbackDescription = Omit<
  FallbackCpuOptions,
  "interpreter" | "inlineInterpreter" | "map"
> &
  InterpreterOptions & {
    readonly keptInterpreter?: KeptInterpreter;
  };

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
  description: InterpreterOptions & { readonly keptInterpreter?: KeptInterpreter },
): Pick<FallbackCpuOptions, "map" | "interpreter" | "inlineInterpreter"> {
  const compile = (inline: boolean): WebAssembly.Module => {
    const kept = description.keptInterpreter?.(inline);
    return new WebAssembly.Module(kept ?? interpreterModule(inline, description));
  };
  const interpreter = compile(false);
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
    inlineInterpreter: () => compile(true),
  };
}

/** As {@link createFallbackCpu}, and beside it one without the JIT that it is compared with. */
export function createCheckedCpu(
  description: Omit<CheckedOptions, "interpreter" | "inlineInterpreter" | "map"> &
    Pick<FallbackDescription, "keptInterpreter">,
): CheckedCpu {
  return new CheckedCpu({ ...description, ...interpreterFor(description) });
}

/** For the text of instructions, whichever processor executes them. */
export const createDisassembler = (): Disassembler => {
  table ??= new OpcodeMap(FAMILIES);
  return new Disassembler(table);
};
