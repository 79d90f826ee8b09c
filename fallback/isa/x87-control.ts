/** x87 control instructions (Intel SDM vol. 1 §8.3.12, §8.6). */
import { CR0 } from "../bits.ts";
import { CpuException, VECTOR } from "../exceptions.ts";
import { ALL_EXCEPTIONS } from "../float/context.ts";
import { C1 } from "../float/x87.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Family } from "./instruction.ts";
import { readEnvironment, readState, writeEnvironment, writeState } from "./x87-environment.ts";
import { controlInstruction, stackIndex, x87Instruction } from "./x87-instruction.ts";
import * as translated from "./x87-translation.ts";
import { X87 } from "./x87-unit.ts";

const RAX = 0;
const TASK_SWITCHED = CR0.MP | CR0.TS;

/** Turns the stack, whatever is in it; C1 is cleared. */
const rotating = (name: string, form: string, by: 1 | -1) =>
  x87Instruction(name, [form], (x87) => {
    x87.rotate(by);
    x87.statusWord &= ~C1;
  });

function free(x87: X87, context: ProcedureContext): void {
  x87.free(stackIndex(context));
  x87.statusWord &= ~C1;
}

export const x87Control: Family = [
  controlInstruction(
    "FLDCW",
    ["D9/5 Mw"],
    "waits",
    (x87, context) => {
      x87.controlWord = Number(context.read(0));
    },
    { translation: translated.loadControlWord },
  ),
  controlInstruction(
    "FNSTCW",
    ["D9/7 Mw"],
    "no wait",
    (x87, context) => context.write(0, BigInt(x87.controlWord)),
    { translation: translated.storeControlWord },
  ),
  controlInstruction(
    "FNSTSW",
    ["DD/7 Mw", "DF E0"],
    "no wait",
    (x87, context) => {
      const word = BigInt(x87.statusWord);
      if (context.inMemory) context.write(0, word);
      else context.setRegister(RAX, 16, word);
    },
    { translation: translated.storeStatusWord },
  ),
  controlInstruction("FNCLEX", ["DB E2"], "no wait", (x87) => x87.clearExceptions()),
  controlInstruction("FNINIT", ["DB E3"], "no wait", (x87) => x87.initialize()),
  controlInstruction("FLDENV", ["D9/4 M v"], "waits", readEnvironment),
  controlInstruction("FNSTENV", ["D9/6 M v"], "no wait", (x87, context) => {
    writeEnvironment(x87, context);
    x87.controlWord |= ALL_EXCEPTIONS;
  }),
  controlInstruction("FRSTOR", ["DD/4 M v"], "waits", readState),
  controlInstruction("FNSAVE", ["DD/6 M v"], "no wait", (x87, context) => {
    writeState(x87, context);
    x87.initialize();
  }),
  {
    name: "FWAIT",
    forms: ["9B"],
    procedure({ processor }) {
      // CR0.EM does not concern it, and CR0.TS only together with CR0.MP.
      const isSwitched = (processor.cr0 & TASK_SWITCHED) === TASK_SWITCHED;
      if (isSwitched) throw new CpuException(VECTOR.NM);
      new X87(processor).wait();
    },
  },
  x87Instruction("FNOP", ["D9 D0"], () => {}),
  rotating("FDECSTP", "D9 F6", -1),
  rotating("FINCSTP", "D9 F7", 1),
  x87Instruction("FFREE", ["DD/0 reg"], free),
  // In no manual: as FFREE, and then the stack is popped.
  x87Instruction("FFREEP", ["DF/0 reg"], (x87, context) => {
    free(x87, context);
    x87.pop();
  }),
  // What the 8087 and the 80287 needed (SDM vol. 3B §22.18.9): since then they do nothing.
  controlInstruction("FNENI", ["DB E0"], "no wait", () => {}),
  controlInstruction("FNDISI", ["DB E1"], "no wait", () => {}),
  controlInstruction("FNSETPM", ["DB E4"], "no wait", () => {}),
];
