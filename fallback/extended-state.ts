/** The components of the state that XSAVE knows, as XCR0 has them (Intel SDM vol. 1 §13.1 to §13.6). */
import { YMM_UPPERS_SIZE } from "../src/core/processor-state.ts";
import { FX_IMAGE_SIZE, readFxImage } from "./fx-image.ts";
import type { Processor } from "./processor.ts";
import { FXSAVE, STATE } from "./state.ts";

export const COMPONENT = { X87: 1n, SSE: 2n, AVX: 4n } as const;

/** Those that XCR0 may have. */
export const XCR0_SUPPORTED = COMPONENT.X87 | COMPONENT.SSE | COMPONENT.AVX;

/** Offsets in XSAVE's area, of either format: its last component is its first beyond the legacy region. */
export const XSAVE_AREA = { HEADER: 512, AVX: 576 } as const;

/** Bytes of an area for these components. */
export const areaSize = (components: bigint): number =>
  XSAVE_AREA.AVX + (components & COMPONENT.AVX ? YMM_UPPERS_SIZE : 0);

export const INITIAL_MXCSR = 0x1f80;
/**
 * As FNINIT leaves the unit, and as KVM and QEMU begin: guests that compute without having initialised
 * it work there. XRSTOR begins with the same. The manual has 0040 after power-on, all exceptions
 * unmasked and all registers in use, which hardly any guest has ever seen.
 */
export const INITIAL_X87_CONTROL = 0x037f;

/** FXSAVE's image of the components' initial state; MXCSR is part of none. */
export function initialFxImage(): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(FX_IMAGE_SIZE);
  new DataView(image.buffer).setUint16(FXSAVE.CONTROL_WORD, INITIAL_X87_CONTROL, true);
  return image;
}

/** Which bytes of FXSAVE's image belong to x87. */
export const X87_RANGES = [
  [0, FXSAVE.MXCSR],
  [FXSAVE.ST, FXSAVE.XMM],
] as const;

/** The upper halves of the YMM registers, not a copy. */
export const ymmUppers = ({ buffer }: Processor): Uint8Array<ArrayBuffer> =>
  new Uint8Array(buffer, STATE.YMM_UPPER, YMM_UPPERS_SIZE);

/** The components that are not in their initial state. */
export function componentsInUse(p: Processor): bigint {
  const image = readFxImage(p);
  const initial = initialFxImage();
  const differs = (from: number, to?: number): boolean =>
    image.subarray(from, to).some((byte, n) => byte !== initial[from + n]);
  return (
    (X87_RANGES.some(([from, to]) => differs(from, to)) ? COMPONENT.X87 : 0n) |
    (differs(FXSAVE.XMM) ? COMPONENT.SSE : 0n) |
    (ymmUppers(p).some((byte) => byte !== 0) ? COMPONENT.AVX : 0n)
  );
}
