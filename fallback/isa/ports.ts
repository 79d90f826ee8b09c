/** Port input and output (Intel SDM vol. 1 §7.3.10). */
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { preparePortAccess } from "../system/io-permission.ts";
import type { Family } from "./instruction.ts";

const RAX = 0;
const RDX = 2;

/** Bytes of the access, by the opcode's low bit and the operand size. */
function width(context: ProcedureContext): number {
  const byte = (context.instruction.form.opcode & 1) === 0;
  return byte ? 1 : Math.min(context.operandSize, 32) / 8;
}

/** The port: an immediate byte, or DX. */
function portOf(context: ProcedureContext): number {
  const [immediate] = context.instruction.immediates;
  return immediate === undefined ? Number(context.getRegister(RDX, 16)) : Number(immediate & 0xffn);
}

export const ports: Family = [
  {
    name: "IN",
    forms: ["E4 AL,Ib", "E5 zAX,Ib", "EC AL,DX", "ED zAX,DX"],
    ends: true,
    procedure(context) {
      const bytes = width(context);
      const port = portOf(context);
      preparePortAccess(context.processor, context.mmu, port, bytes);
      context.outside.portIn(port, bytes, (value) => {
        context.setRegister(RAX, 8 * bytes, BigInt(value >>> 0));
      });
    },
  },
  {
    name: "OUT",
    forms: ["E6 Ib,AL", "E7 Ib,zAX", "EE DX,AL", "EF DX,zAX"],
    ends: true,
    procedure(context) {
      const bytes = width(context);
      const port = portOf(context);
      preparePortAccess(context.processor, context.mmu, port, bytes);
      context.outside.portOut(port, bytes, Number(context.getRegister(RAX, 8 * bytes)));
    },
  },
];
