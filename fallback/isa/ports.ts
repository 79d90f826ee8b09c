/** Port input and output (Intel SDM vol. 1 §7.3.10). */
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { Outside, ProcedureContext } from "../interpreter/procedure-context.ts";
import type { Processor } from "../processor.ts";
import { preparePortAccess } from "../system/io-permission.ts";
import type { Family } from "./instruction.ts";

const RDX = 2;

/** What IN or OUT accesses. */
interface PortAccess {
  /** Undefined: the one in DX. */
  readonly port: number | undefined;
  readonly bytes: 1 | 2 | 4;
}

function accessOf({ form, operandSize, immediates }: DecodedInstruction): PortAccess {
  const wide = operandSize === 16 ? 2 : 4;
  const immediate = immediates[0];
  return {
    port: immediate === undefined ? undefined : Number(immediate & 0xffn),
    bytes: (form.opcode & 1) === 0 ? 1 : wide,
  };
}

const portOf = (processor: Processor, { port }: PortAccess): number =>
  port ?? processor.gpr32(RDX) & 0xffff;

/** For IN and OUT by code that needs neither be checked nor watched. */
export function accessPort(
  instruction: DecodedInstruction,
  processor: Processor,
  outside: Outside,
): void {
  const access = accessOf(instruction);
  const { bytes } = access;
  const port = portOf(processor, access);
  if (instruction.form.instruction.port === "out") {
    outside.portOut(port, bytes, processor.accumulator(bytes));
    return;
  }
  const value = outside.readPort(port, bytes);
  if (value !== undefined) processor.setAccumulator(bytes, value);
  else outside.portIn(port, bytes, (answer) => processor.setAccumulator(bytes, answer));
}

function procedure({ instruction, processor, mmu, outside }: ProcedureContext): void {
  const access = accessOf(instruction);
  preparePortAccess(processor, mmu, portOf(processor, access), access.bytes);
  accessPort(instruction, processor, outside);
}

const common = { ends: true, resumes: true, procedure } as const;

export const ports: Family = [
  { name: "IN", forms: ["E4 AL,Ib", "E5 zAX,Ib", "EC AL,DX", "ED zAX,DX"], port: "in", ...common },
  {
    ...{ name: "OUT", forms: ["E6 Ib,AL", "E7 Ib,zAX", "EE DX,AL", "EF DX,zAX"], port: "out" },
    ...common,
  },
];
