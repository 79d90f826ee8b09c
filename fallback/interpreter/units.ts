/** Whether the floating-point and vector units may be used: Intel SDM vol. 3A §2.5, tables 9-3, 13-1. */
import { CR0, CR4 } from "../bits.ts";
import { VECTOR } from "../exceptions.ts";
import type { Unit } from "../isa/instruction.ts";
import { STATE } from "../state.ts";
import { UNIT_SHIFT } from "./decoding-table.ts";

const { EM, TS } = CR0;
const { OSFXSR, OSXSAVE } = CR4;
/** The components of XCR0 that AVX needs: SSE's and its own. */
const XCR0_AVX = 0b110;
const XCR0_SHIFT = 24;

/** The bits of CR0, CR4 and XCR0 that decide {@link unitFault}: code is translated for one set of them. */
export const readUnitControls = (view: DataView): number =>
  (view.getUint32(STATE.CR0, true) & (EM | TS)) |
  (view.getUint32(STATE.CR4, true) & (OSFXSR | OSXSAVE)) |
  ((view.getUint32(STATE.XCR0, true) & XCR0_AVX) << XCR0_SHIFT);

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
    case "avx":
      if (!(controls & OSXSAVE) || ~controls & (XCR0_AVX << XCR0_SHIFT)) return VECTOR.UD;
      return controls & TS ? VECTOR.NM : undefined;
  }
}

/** {@link unitFault} of all units: each vector, or 0, shifted by `UNIT_SHIFT`. */
export const unitFaults = (controls: number): number =>
  ((unitFault("x87", controls) ?? 0) << UNIT_SHIFT.x87) |
  ((unitFault("mmx", controls) ?? 0) << UNIT_SHIFT.mmx) |
  ((unitFault("sse", controls) ?? 0) << UNIT_SHIFT.sse) |
  ((unitFault("avx", controls) ?? 0) << UNIT_SHIFT.avx);
