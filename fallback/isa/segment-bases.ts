/** FS's and GS's bases without MSRs (Intel SDM vol. 2B: RDFSBASE and its kin). */
import { CR4, LINEAR_BITS } from "../bits.ts";
import { VECTOR } from "../exceptions.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, segmentOffset } from "../state.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { Emitter } from "./emitter.ts";
import type { Family } from "./instruction.ts";

/** #UD unless the system permits these. */
function checkPermitted(e: Emitter): void {
  const permitted = i32.and(i32.load(i32.const(0), STATE.CR4), i32.const(CR4.FSGSBASE));
  e.faultIf(i32.eqz(permitted), VECTOR.UD);
}

const UNUSED_BITS = 64 - LINEAR_BITS;

export const segmentBases: Family = (["fs", "gs"] as const).flatMap((segment, index) => {
  const field = segmentOffset(SEGMENT_INDEX[segment]) + SEGMENT.BASE;
  const name = `${segment.toUpperCase()}BASE`;
  return [
    {
      name: `RD${name}`,
      forms: [`F3 0F AE/${index} Ry 64`],
      meaning(e: Emitter, destination) {
        if (destination === undefined) return;
        checkPermitted(e);
        e.write(destination, i64.load(i32.const(0), field));
      },
    },
    {
      name: `WR${name}`,
      forms: [`F3 0F AE/${index + 2} Ry 64`],
      meaning(e: Emitter, source) {
        if (source === undefined) return;
        checkPermitted(e);
        const base = e.read(source);
        const unused = i64.const(UNUSED_BITS);
        e.faultIf(i64.ne(i64.shrS(i64.shl(base, unused), unused), base), VECTOR.GP, 0);
        e.setField(field, base);
      },
    },
  ] satisfies Family;
});
