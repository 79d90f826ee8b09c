/** What a VEX prefix says (Intel SDM vol. 2A §2.3.5) that is free to choose, and what may be wrong with it. */
import type { Form } from "../../fallback/isa/form.ts";
import type { SeededRandom } from "../support/random.ts";
import type { VexFields } from "../support/vex-prefix.ts";
import type { Mode } from "./driver.ts";

export interface VexShape extends Omit<VexFields, "rxb"> {
  /** Two bytes where that has room. */
  readonly short: boolean;
  /** REX is before it. */
  readonly behindRex: boolean;
  /** REX.B says so too, though 32-bit code has no register that it could name. */
  readonly ignoredB: boolean;
  /** What stands for the map that the form is in. */
  readonly map: number | undefined;
  /** The immediate that names a register. */
  readonly immediate: number;
}

/** What is to be wrong with an encoding. */
export type Fault = "prefix" | "vvvv" | "w" | "l" | "map" | "mod";

const FIRST_VEX_MAP = 4;
export const hasVex = ({ map }: Form): boolean => map >= FIRST_VEX_MAP;

/** Those of prefixes that must not be before VEX; REX is another. */
export const WRONG_PREFIXES = [0x66, 0xf2, 0xf3, 0xf0] as const;

/** Maps that there are none of: 0, and those behind 3. */
const wrongMap = (random: SeededRandom): number =>
  random.chance(30) ? 0 : FIRST_VEX_MAP + random.below(32 - FIRST_VEX_MAP);

/** Other vectors of 256 bits than the judge's table has are executed by processors that are newer. */
const NO_OTHER_LENGTH = /^V(AES|PCLMUL)/;

/** Mostly nothing. */
export function chooseFault(form: Form, random: SeededRandom): Fault | undefined {
  if (!hasVex(form) || !random.chance(4)) return undefined;
  const { traits, vexL, instruction } = form;
  const hasMod = form.hasModRm && form.modRm === undefined;
  const faults: Fault[] = ["prefix", "map"];
  if (!form.hasVvvv) faults.push("vvvv");
  if (traits.has("W") || traits.has("noW")) faults.push("w");
  if (vexL !== undefined && !NO_OTHER_LENGTH.test(instruction.name)) faults.push("l");
  if (hasMod) faults.push("mod");
  return random.pick(faults);
}

export function chooseVex(
  form: Form,
  mode: Mode,
  random: SeededRandom,
  fault: Fault | undefined,
): VexShape {
  const { traits, vexL } = form;
  const long = mode === 64;
  const w = traits.has("W") || (!traits.has("noW") && random.chance(50));
  const l = vexL ?? random.below(2);
  const map = fault === "map" ? wrongMap(random) : undefined;
  // 32-bit code has half as many registers: what says otherwise is ignored, where there is room to say it.
  const ignoring = !long && random.chance(15);
  const register = (): number => random.below(long || ignoring ? 16 : 8);
  const vvvv = fault === "vvvv" ? 1 + random.below(15) : form.hasVvvv ? register() : 0;
  const hasRoom = !ignoring && (long || vvvv < 8);
  return {
    w: w !== (fault === "w"),
    l: fault === "l" ? 1 - l : l,
    vvvv,
    short: hasRoom && map === undefined && random.chance(60),
    behindRex: fault === "prefix" && long && random.chance(30),
    ignoredB: ignoring && random.chance(50),
    map,
    immediate: (random.below(16) << 4) | random.below(16),
  };
}
