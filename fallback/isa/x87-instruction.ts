/** What the families of x87 instructions are put together from. */
import { BINARY32, BINARY64, defaultNan, EXTENDED, type Operand, unpack } from "../float/format.ts";
import { integerOperand } from "../float/integer.ts";
import { C1 } from "../float/x87.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Instruction } from "./instruction.ts";
import { type Translation, waiting } from "./x87-translation.ts";
import { X87 } from "./x87-unit.ts";

/** "Real indefinite", the masked answer to most stack faults. */
export const INDEFINITE = defaultNan(EXTENDED);

type Run = (x87: X87, context: ProcedureContext) => void;

interface More extends Pick<Instruction, "flags"> {
  readonly translation?: Translation;
}

/** In other modes what a segment refuses would come before a pending exception. */
const translatedBy = (
  translation: Translation | undefined,
): Pick<Instruction, "translation" | "byVariant" | "only64"> =>
  translation === undefined ? {} : { translation, byVariant: translation, only64: true };

/**
 * A pending exception comes before everything else that an instruction does, and so before accesses to
 * memory, which mark page tables.
 */
const waitingFirst = (run: Run, { flags, translation }: More) => ({
  ...(flags === undefined ? {} : { flags }),
  ...translatedBy(translation === undefined ? undefined : waiting(translation)),
  procedure(context: ProcedureContext) {
    const x87 = new X87(context.processor);
    x87.wait();
    run(x87, context);
  },
});

/** An instruction that computes: it waits for exceptions, and leaves its pointers behind. */
export const x87Instruction = (
  name: string,
  forms: readonly string[],
  run: Run,
  more: More = {},
): Instruction => ({
  ...waitingFirst((x87, context) => {
    run(x87, context);
    notePointers(x87, context);
  }, more),
  name,
  forms,
  unit: "x87",
});

/**
 * FIP is the last instruction's; FOP and FDP are those of the last that left an unmasked exception
 * (Intel SDM vol. 1 §8.1.8, §8.1.9.1).
 */
function notePointers(x87: X87, context: ProcedureContext): void {
  const { length, form, modRm } = context.instruction;
  const { opcode, data } = x87.pointers;
  const width = context.processor.code64 ? 64 : 32;
  const instruction = BigInt.asUintN(width, context.next - BigInt(length));
  x87.pointers = x87.isPending
    ? {
        opcode: ((form.opcode & 7) << 8) | modRm,
        instruction,
        data: context.inMemory ? context.address() : data,
      }
    : { opcode, instruction, data };
}

/** A control instruction. @param waits whether a pending exception comes first */
export const controlInstruction = (
  name: string,
  forms: readonly string[],
  waits: "waits" | "no wait",
  run: Run,
  more: Pick<More, "translation"> = {},
): Instruction => ({
  ...(waits === "waits"
    ? waitingFirst(run, more)
    : {
        ...translatedBy(more.translation),
        procedure: (context) => run(new X87(context.processor), context),
      }),
  name,
  forms,
  unit: "x87",
});

/** The i of ST(i). */
export const stackIndex = ({ instruction }: ProcedureContext): number => instruction.modRm & 7;

/** Bits of the memory operand. */
export const memoryBits = ({ instruction }: ProcedureContext): number =>
  instruction.form.operands[0]?.width as number;

/** A number of 32 or 64 bits in memory. */
export function realOperand(context: ProcedureContext): Operand {
  return unpack(memoryBits(context) === 32 ? BINARY32 : BINARY64, context.read(0));
}

/** A two's complement integer in memory. */
export const integerInMemory = (context: ProcedureContext): bigint =>
  BigInt.asIntN(memoryBits(context), context.read(0));

export const integerOperandInMemory = (context: ProcedureContext): Operand =>
  integerOperand(integerInMemory(context));

/** Instructions that do not round leave C1 to the others, unless the stack faults. */
export const keepsC1 =
  (x87: X87) =>
  (_result: unknown, usual: number, stackFault: boolean): number =>
    stackFault ? usual : usual | (x87.statusWord & C1);
