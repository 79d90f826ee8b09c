import { type Form, MANDATORY_PREFIXES } from "../../fallback/isa/form.ts";
import type { SeededRandom } from "./random.ts";

/** What a VEX prefix has to say; bits of it as they are meant, not as they are stored. */
export interface VexFields {
  readonly w: boolean;
  /** REX.R, REX.X and REX.B, in bits 2 to 0. */
  readonly rxb: number;
  readonly vvvv: number;
  readonly l: number;
}

/** The prefix of three bytes, or the one of two where that has room (Intel SDM vol. 2A §2.3.5). */
export function vexPrefix({ map, prefix }: Form, fields: VexFields, short: boolean): number[] {
  const { w, rxb, vvvv, l } = fields;
  const pp = MANDATORY_PREFIXES.indexOf(prefix ?? "NP");
  const last = ((~vvvv & 0xf) << 3) | (l << 2) | pp;
  const inverted = ~rxb & 7;
  const isShort = short && map === 4 && !w && (rxb & 3) === 0;
  if (isShort) return [0xc5, ((inverted & 4) << 5) | last];
  return [0xc4, (inverted << 5) | (map - 3), (w ? 0x80 : 0) | last];
}

/** What the form may have; outside 64-bit mode without the upper eight registers. */
export function randomVex(form: Form, long: boolean, random: SeededRandom): VexFields {
  const w = form.traits.has("W") || (!form.traits.has("noW") && random.chance(50));
  const vvvv = form.hasVvvv ? random.below(long ? 16 : 8) : 0;
  const l = form.vexL ?? random.below(2);
  return { w, rxb: long ? random.below(8) : 0, vvvv, l };
}

export const randomVexPrefix = (form: Form, long: boolean, random: SeededRandom): number[] =>
  vexPrefix(form, randomVex(form, long, random), random.chance(50));
