/** The processor written in TypeScript, put together. */
import { FallbackCpu } from "./cpu.ts";
import { Disassembler } from "./disassembler/disassembler.ts";
import { HandlerTable } from "./interpreter/handlers.ts";
import { buildInterpreter, type InterpreterOptions } from "./interpreter/module.ts";
import { OpcodeMap } from "./isa/opcode-map.ts";
import { FAMILIES } from "./isa/table.ts";
import type { FallbackCpuOptions } from "./options.ts";

export type FallbackDescription = Omit<FallbackCpuOptions, "interpreter" | "map"> &
  InterpreterOptions & {
    /** What {@link interpreterModule} makes for such memory, if somebody kept it. */
    readonly interpreter?: Uint8Array<ArrayBuffer> | undefined;
  };

/** The interpreter as a WebAssembly module: the same for the same table of instructions. */
export function interpreterModule(options: InterpreterOptions = {}): Uint8Array<ArrayBuffer> {
  return buildInterpreter(new HandlerTable(new OpcodeMap(FAMILIES).forms), options);
}

export function createFallbackCpu(description: FallbackDescription): FallbackCpu {
  const map = new OpcodeMap(FAMILIES);
  const bytes =
    description.interpreter ?? buildInterpreter(new HandlerTable(map.forms), description);
  return new FallbackCpu({
    ...description,
    map,
    interpreter: new WebAssembly.Module(bytes),
  });
}

/** For the text of instructions, whichever processor executes them. */
export const createDisassembler = (): Disassembler => new Disassembler(new OpcodeMap(FAMILIES));
