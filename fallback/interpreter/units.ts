/** Whether the floating-point and vector units may be used: Intel SDM vol. 3A §2.5, tables 9-3, 13-1. */
import { CR0, CR4 } from "../bits.ts";
import { VECTOR } from "../exceptions.ts";
import type { Unit } from "../isa/instruction.ts";
import { STATE } from "../state.ts";

const { EM, TS } = CR0;
const { OSFXSR } = CR4;

/** The bits of CR0 and CR4 that decide {@link unitFault}: code is translated for one set of them. */
export const readUnitControls = (view: DataView): number =>
  (view.getUint32(STATE.CR0, true) & (EM | TS)) | (view.getUint32(STATE.CR4, true) & OSFXSR);

/** The exception that an instruction of the unit raises. */
export function unitFault(unit: Unit | undefined, controls: number): number | undefined {
  switch (unit) {
    case undefined:
      return undefined;
    case "x87":
      return controls & (EM | TS) ? VECTOR.NM : undefined;
    case "mmx":
      if (controls & EM) return VECTOR.UD;
      return controls & TS ? VECTOR.NM : undefined;
    case "sse":
      if (controls & EM || !(controls & OSFXSR)) return VECTOR.UD;
      return controls & TS ? VECTOR.NM : undefined;
  }
}
