import { DATA_SIZE } from "./environment.ts";

/** The part of FXSAVE's image that holds registers (Intel SDM vol. 1 §10.5.1, 64-bit form). */
const FXSAVE_SIZE = 0x1a0;

/** Offsets in {@link CpuState.bytes}; 64-bit little endian where nothing else is said. */
export const IMAGE = {
  GPR: 0x00,
  RIP: 0x80,
  RFLAGS: 0x88,
  FS_BASE: 0x90,
  GS_BASE: 0x98,
  /** FXSAVE's image, up to the last XMM register. */
  FX: 0xa0,
  CONTROL_WORD: 0xa0,
  STATUS_WORD: 0xa2,
  TAG_WORD: 0xa4,
  OPCODE: 0xa6,
  INSTRUCTION_POINTER: 0xa8,
  DATA_POINTER: 0xb0,
  MXCSR: 0xb8,
  MXCSR_MASK: 0xbc,
  ST: 0xc0,
  XMM: 0x140,
  DATA: 0xa0 + FXSAVE_SIZE,
  /** Bits 128 to 255 of the YMM registers. */
  YMM_UPPER: 0xa0 + FXSAVE_SIZE + DATA_SIZE,
} as const;

const VECTOR_REGISTERS = 16;
/** Half a YMM register. */
const VECTOR_SIZE = 16;

/** Everything before the data pages. */
export const REGISTERS_SIZE = IMAGE.DATA;
export const IMAGE_SIZE = IMAGE.YMM_UPPER + VECTOR_REGISTERS * VECTOR_SIZE;

/** ST registers are 16 bytes apart in FXSAVE's image, of which ten are used. */
const ST_STRIDE = 16;
const ST_SIZE = 10;

const spare: CpuState[] = [];

/**
 * What user code can see: registers and the two data pages, in one flat image, so that states can
 * be copied, compared and recorded as bytes.
 *
 * Bits that are not visible (reserved bytes of FXSAVE's image, RFLAGS outside VISIBLE_FLAGS) are
 * zero in every state.
 */
export class CpuState {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The pages at DATA, not a copy. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  /** @param bytes IMAGE_SIZE bytes that become the state's own; zeros without it */
  constructor(bytes: Uint8Array<ArrayBuffer> = new Uint8Array(IMAGE_SIZE)) {
    this.bytes = bytes;
    this.data = bytes.subarray(IMAGE.DATA, IMAGE.YMM_UPPER);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  clone(): CpuState {
    const copy = CpuState.ofAnything();
    copy.bytes.set(this.bytes);
    return copy;
  }

  /** One whose bytes have yet to be set, all of them. */
  static ofAnything(): CpuState {
    return spare.pop() ?? new CpuState();
  }

  /** Nobody looks at it any more: {@link ofAnything} may return it, since making one takes long. */
  giveUp(): void {
    spare.push(this);
  }

  /** @param register 0 to 15 in encoding order */
  gpr(register: number): bigint {
    return this.#view.getBigUint64(IMAGE.GPR + register * 8, true);
  }
  setGpr(register: number, value: bigint): void {
    this.#view.setBigUint64(IMAGE.GPR + register * 8, value, true);
  }

  /** Offset in the code segment: CODE before a snippet runs. */
  get rip(): bigint {
    return this.#view.getBigUint64(IMAGE.RIP, true);
  }
  set rip(value: bigint) {
    this.#view.setBigUint64(IMAGE.RIP, value, true);
  }

  get rflags(): bigint {
    return this.#view.getBigUint64(IMAGE.RFLAGS, true);
  }
  set rflags(value: bigint) {
    this.#view.setBigUint64(IMAGE.RFLAGS, value, true);
  }

  get fsBase(): bigint {
    return this.#view.getBigUint64(IMAGE.FS_BASE, true);
  }
  set fsBase(value: bigint) {
    this.#view.setBigUint64(IMAGE.FS_BASE, value, true);
  }

  get gsBase(): bigint {
    return this.#view.getBigUint64(IMAGE.GS_BASE, true);
  }
  set gsBase(value: bigint) {
    this.#view.setBigUint64(IMAGE.GS_BASE, value, true);
  }

  get controlWord(): number {
    return this.#view.getUint16(IMAGE.CONTROL_WORD, true);
  }
  set controlWord(value: number) {
    this.#view.setUint16(IMAGE.CONTROL_WORD, value, true);
  }

  get statusWord(): number {
    return this.#view.getUint16(IMAGE.STATUS_WORD, true);
  }
  set statusWord(value: number) {
    this.#view.setUint16(IMAGE.STATUS_WORD, value, true);
  }

  /** Abridged, as FXSAVE writes it: bit n is set when physical register n is not empty. */
  get tagWord(): number {
    return this.#view.getUint8(IMAGE.TAG_WORD);
  }
  set tagWord(value: number) {
    this.#view.setUint8(IMAGE.TAG_WORD, value);
  }

  get mxcsr(): number {
    return this.#view.getUint32(IMAGE.MXCSR, true);
  }
  set mxcsr(value: number) {
    this.#view.setUint32(IMAGE.MXCSR, value, true);
  }

  /** The ten bytes of ST(n), not a copy. */
  st(register: number): Uint8Array {
    const at = IMAGE.ST + register * ST_STRIDE;
    return this.bytes.subarray(at, at + ST_SIZE);
  }

  /** The sixteen bytes of an XMM register, not a copy. */
  xmm(register: number): Uint8Array {
    const at = IMAGE.XMM + register * VECTOR_SIZE;
    return this.bytes.subarray(at, at + VECTOR_SIZE);
  }

  /** The sixteen bytes of a YMM register that are not the XMM register's, not a copy. */
  ymmUpper(register: number): Uint8Array {
    const at = IMAGE.YMM_UPPER + register * VECTOR_SIZE;
    return this.bytes.subarray(at, at + VECTOR_SIZE);
  }

  /** All of those, not a copy. */
  get ymmUppers(): Uint8Array {
    return this.bytes.subarray(IMAGE.YMM_UPPER);
  }

  /** FXSAVE's image up to the last XMM register, not a copy. */
  get fx(): Uint8Array {
    return this.bytes.subarray(IMAGE.FX, IMAGE.DATA);
  }
}
