import { type Form, parseForms } from "../../fallback/isa/form.ts";
import type { Family } from "../../fallback/isa/instruction.ts";
import type { Mode } from "./driver.ts";

/** What the generator needs to know of an encoding. */
export interface TestForm {
  /** Instruction and encoding: `ADD 01 Ev,Gv`. Eight opcodes of a form with Zv share it. */
  readonly name: string;
  readonly form: Form;
  readonly modes: readonly Mode[];
}

/**
 * What random comparison cannot judge, by name: results that depend on the machine or on time, and
 * instructions that leave the world of the snippets.
 */
const NOT_COMPARABLE: ReadonlySet<string> = new Set([
  // Machine and time.
  ...["CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDRAND", "RDSEED", "RDPID", "XGETBV"],
  ...["SGDT", "SIDT", "SLDT", "STR", "SMSW", "LAR", "LSL", "VERR", "VERW"],
  // Descriptor tables and gates of the host's making, or none.
  ...["SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "INT", "IRET", "IRETD", "IRETQ"],
  ...["CALLF", "JMPF", "RETF", "CALL far", "JMP far", "RET far", "LDS", "LES", "LFS", "LGS", "LSS"],
  ...["MONITOR", "MWAIT", "SWAPGS", "UD0", "UD1", "VMCALL", "VMMCALL"],
  // Where the host has SMAP.
  ...["CLAC", "STAC"],
  // Where the host has it.
  "SERIALIZE",
]);

/** Loads from descriptor tables of the host's making. */
const LOADS_SEGMENT = /^(MOV to segment|POP [DEFGS]S)$/;

/** Operands that load control registers, or far pointers in the instruction. */
const NOT_COMPARABLE_PLACES: ReadonlySet<string> = new Set(["far-pointer", "control", "debug"]);

function isComparable(form: Form): boolean {
  const { name } = form.instruction;
  if (NOT_COMPARABLE.has(name) || LOADS_SEGMENT.test(name)) return false;
  if (form.operands.some(({ place }) => NOT_COMPARABLE_PLACES.has(place))) return false;
  // MOV and POP to a segment register.
  return form.operands[0]?.place !== "segment" || name === "PUSH";
}

/** The forms of `families` that can be compared. */
export function testForms(families: readonly Family[]): TestForm[] {
  return families
    .flat()
    .flatMap(parseForms)
    .filter(isComparable)
    .map((form) => ({
      name: `${form.instruction.name} ${form.text}`,
      form,
      modes: form.traits.has("64") ? [64] : form.traits.has("no64") ? [32] : [64, 32],
    }));
}
