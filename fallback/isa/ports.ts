/** Port input and output (Intel SDM vol. 1 §7.3.10). */
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { preparePortAccess } from "../system/io-permission.ts";
import type { Family } from "./instruction.ts";

const RDX = 2;

/** Bytes of the access, by the opcode's low bit and the operand size. */
function width(context: ProcedureContext): 1 | 2 | 4 {
  if ((context.instruction.form.opcode & 1) === 0) return 1;
  return context.operandSize === 16 ? 2 : 4;
}

/** The port: an immediate byte, or DX. */
function portOf(context: ProcedureContext): number {
  const [immediate] = context.instruction.immediates;
  if (immediate !== undefined) return Number(immediate & 0xffn);
  return context.processor.gpr32(RDX) & 0xffff;
}

export const ports: Family = [
  {
    name: "IN",
    forms: ["E4 AL,Ib", "E5 zAX,Ib", "EC AL,DX", "ED zAX,DX"],
    ends: true,
    resumes: true,
    procedure(context) {
      const { processor, mmu, outside } = context;
      const bytes = width(context);
      const port = portOf(context);
      preparePortAccess(processor, mmu, port, bytes);
      const value = outside.readPort(port, bytes);
      if (value !== undefined) processor.setAccumulator(bytes, value);
      else {
        outside.portIn(port, bytes, (answer) => processor.setAccumulator(bytes, answer));
      }
    },
  },
  {
    name: "OUT",
    forms: ["E6 Ib,AL", "E7 Ib,zAX", "EE DX,AL", "EF DX,zAX"],
    ends: true,
    resumes: true,
    procedure(context) {
      const { processor, mmu, outside } = context;
      const bytes = width(context);
      const port = portOf(context);
      preparePortAccess(processor, mmu, port, bytes);
      outside.portOut(port, bytes, processor.accumulator(bytes));
    },
  },
];
