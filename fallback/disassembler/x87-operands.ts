/** Registers of x87 instructions: the table has them in the opcode and the meaning only. */
import type { DecodedInstruction } from "../interpreter/decoder.ts";

/** Those that name one register; ST(0) is understood. */
const ONE_REGISTER: ReadonlySet<string> = new Set([
  ...["FLD", "FST", "FSTP", "FSTPNCE", "FXCH", "FFREE", "FFREEP"],
  ...["FCOM", "FCOMP", "FUCOM", "FUCOMP"],
]);
/** Opcodes of which ST(i), and not ST(0), is the destination. */
const TO_REGISTER: ReadonlySet<number> = new Set([0xdc, 0xde]);

/** @returns `undefined` for what has its operands in the table */
export function x87Operands({ form, modRm }: DecodedInstruction): string[] | undefined {
  if (form.instruction.unit !== "x87") return undefined;
  if (form.instruction.name === "FNSTSW" && form.modRm !== undefined) return ["ax"];
  if (form.digit === undefined || !form.traits.has("reg")) return undefined;
  const register = `st(${modRm & 7})`;
  if (ONE_REGISTER.has(form.instruction.name)) return [register];
  return TO_REGISTER.has(form.opcode) ? [register, "st"] : ["st", register];
}
