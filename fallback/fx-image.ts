/**
 * FXSAVE's image (Intel SDM vol. 1 §10.5.1) between the processor's state and elsewhere: there the
 * registers at ST are in the stack's order, ST(0) first; here in the order of their numbers.
 */
import { FX_IMAGE_SIZE } from "../src/core/processor-state.ts";
import type { Processor } from "./processor.ts";
import { FXSAVE, STATE } from "./state.ts";

export { FX_IMAGE_SIZE };

const REGISTER = 16;
const REGISTERS = 8;
/** A register's bytes: 80 bits. The rest of its sixteen is reserved, and zero. */
const REGISTER_BYTES = 10;

const topOf = (view: DataView): number => (view.getUint16(STATE.X87_STATUS, true) >> 11) & 7;

/** Where ST(n) is. */
const slotOf = (top: number, n: number): number =>
  STATE.X87_REGISTERS + REGISTER * ((top + n) % REGISTERS);

/** @returns FX_IMAGE_SIZE bytes; MXCSR_MASK is zero */
export function readFxImage({ buffer, view }: Processor): Uint8Array<ArrayBuffer> {
  const state = new Uint8Array(buffer);
  const image = state.slice(STATE.FX_AREA, STATE.FX_AREA + FX_IMAGE_SIZE);
  image.fill(0, FXSAVE.ST, FXSAVE.XMM);
  const top = topOf(view);
  for (let n = 0; n < REGISTERS; n++) {
    const slot = slotOf(top, n);
    image.set(state.subarray(slot, slot + REGISTER_BYTES), FXSAVE.ST + REGISTER * n);
  }
  return image;
}

/** @param image at least FX_IMAGE_SIZE bytes; MXCSR is taken as it is */
export function writeFxImage({ buffer, view }: Processor, image: Uint8Array): void {
  const state = new Uint8Array(buffer);
  state.set(image.subarray(0, FX_IMAGE_SIZE), STATE.FX_AREA);
  // What is not in the image: its second half holds the mask of MXCSR.
  view.setUint32(STATE.MXCSR + 4, 0, true);
  const top = topOf(view);
  for (let n = 0; n < REGISTERS; n++) {
    const at = FXSAVE.ST + REGISTER * n;
    state.set(image.subarray(at, at + REGISTER), slotOf(top, n));
  }
}
