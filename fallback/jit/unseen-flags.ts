import type { DecodedInstruction } from "../interpreter/decoder.ts";

const ALL = "OSZAPC";

/** Whether code cannot leave the region at the instruction, nor look at the flags. */
function isOpaque({ form, address }: DecodedInstruction): boolean {
  const { meaning, procedure, ends, stack, flags } = form.instruction;
  const leaves = meaning === undefined || procedure !== undefined || ends || stack || address;
  return !leaves && flags?.read === undefined && form.unit === undefined;
}

/** Whether all flags are new after the instruction, whatever they were. */
function replacesAll({ form, immediates }: DecodedInstruction): boolean {
  const { flags, name } = form.instruction;
  const written = flags?.written ?? "";
  // Where these two are not written (BSF, DIV), we keep flags that the manual calls undefined.
  if (!written.includes("O") || !written.includes("C")) return false;
  const changed = written + (flags?.undefined ?? "");
  for (const letter of ALL) if (!changed.includes(letter)) return false;
  // A shift by nothing changes nothing.
  if (!SHIFTS.has(name)) return true;
  return immediates.length > 0 && (Number(immediates[0]) & 31) !== 0;
}

const SHIFTS = new Set(["SHL", "SHR", "SAR", "SHLD", "SHRD"]);

/**
 * Of each instruction of a block, whether the flags that it sets are replaced before anything could
 * see them.
 */
export function unseenFlags(instructions: readonly DecodedInstruction[]): boolean[] {
  const unseen: boolean[] = [];
  let replaced = false;
  for (let index = instructions.length - 1; index >= 0; index--) {
    const instruction = instructions[index] as DecodedInstruction;
    unseen[index] = replaced;
    if (!isOpaque(instruction)) {
      replaced = false;
      continue;
    }
    replaced ||= replacesAll(instruction);
  }
  return unseen;
}
