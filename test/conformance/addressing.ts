/**
 * ModRM addressing backwards: chooses registers and displacement so that a given linear address
 * comes out (Intel SDM vol. 2A §2.1.5, §2.2.1).
 */
import type { SeededRandom } from "../support/random.ts";
import type { CpuState } from "./cpu-state.ts";
import type { Mode } from "./driver.ts";
import { integer, unsigned64 } from "./values.ts";

export type AddressSize = 16 | 32 | 64;

export interface AddressRequest {
  readonly mode: Mode;
  readonly addressSize: AddressSize;
  /** Linear address to hit. */
  readonly target: bigint;
  /** Base of the segment that applies. */
  readonly segmentBase: bigint;
  /** Bits of each index where the index register is a vector (Intel SDM vol. 2A §2.3.12). */
  readonly indexBits?: 32 | 64 | undefined;
}

export interface EncodedAddress {
  /** ModRM without its reg field, SIB, displacement. */
  readonly bytes: number[];
  readonly rexX: number;
  readonly rexB: number;
  /** The displacement's last four bytes count from the end of the instruction. */
  readonly ripRelative: boolean;
  /** What it adds up to before the segment's base: not every sum can be had. */
  readonly offset: bigint;
}

/** Linear address that an operand at an offset is found at. */
const linear = ({ mode, addressSize, segmentBase }: AddressRequest, offset: bigint): bigint =>
  BigInt.asUintN(mode, segmentBase + BigInt.asUintN(addressSize, offset));

const NO_INDEX = 4;
const SIB = 4;
const DISPLACEMENT_ONLY = 5;

const littleEndian = (value: bigint, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn));

const signExtend = (value: bigint, bytes: number): bigint => BigInt.asIntN(bytes * 8, value);

function displacement(random: SeededRandom, bytes: number): bigint {
  return bytes === 0 ? 0n : signExtend(integer(random), bytes);
}

/** Sets the register's visible bits; in a 64-bit register with 32-bit addresses the rest is noise. */
function setAddressRegister(
  state: CpuState,
  random: SeededRandom,
  request: AddressRequest,
  register: number,
  value: bigint,
): void {
  const noise = request.mode === 64 && request.addressSize === 32 ? integer(random) : 0n;
  const visible = BigInt.asUintN(request.addressSize, value);
  state.setGpr(
    register,
    request.addressSize === 64 ? visible : unsigned64((noise >> 32n) << 32n) | visible,
  );
}

/**
 * @param state gets the registers that the address is made of
 * @returns the linear address that came out besides
 */
export function encodeAddress(
  state: CpuState,
  random: SeededRandom,
  request: AddressRequest,
): EncodedAddress & { readonly target: bigint } {
  const address = encode(state, random, request);
  return { ...address, target: linear(request, address.offset) };
}

function encode(state: CpuState, random: SeededRandom, request: AddressRequest): EncodedAddress {
  if (request.addressSize === 16) return encode16(state, random);
  if (request.indexBits !== undefined)
    return encodeVectorSib(state, random, request, request.indexBits);
  const long = request.mode === 64;
  const offset = request.target - request.segmentBase;
  const mod = random.below(3);
  const rm = random.below(8);
  const displacementBytes = mod === 0 ? 0 : mod === 1 ? 1 : 4;
  if (rm === SIB) return encodeSib(state, random, request, mod, offset);
  if (mod === 0 && rm === DISPLACEMENT_ONLY) {
    const bytes = [rm, ...littleEndian(offset, 4)];
    return { bytes, rexX: 0, rexB: random.below(long ? 2 : 1), ripRelative: long, offset };
  }
  const rexB = random.below(long ? 2 : 1);
  const shift = displacement(random, displacementBytes);
  setAddressRegister(state, random, request, rm | (rexB << 3), offset - shift);
  const bytes = [(mod << 6) | rm, ...littleEndian(shift, displacementBytes)];
  return { bytes, rexX: 0, rexB, ripRelative: false, offset };
}

function encodeSib(
  state: CpuState,
  random: SeededRandom,
  request: AddressRequest,
  mod: number,
  offset: bigint,
): EncodedAddress {
  const rexLimit = request.mode === 64 ? 2 : 1;
  const [rexX, rexB] = [random.below(rexLimit), random.below(rexLimit)];
  const [scale, low, base] = [random.below(4), random.below(8), random.below(8)];
  const index = low | (rexX << 3);
  const hasIndex = index !== NO_INDEX;
  const hasBase = !(mod === 0 && base === DISPLACEMENT_ONLY);
  const displacementBytes = mod === 1 ? 1 : mod === 2 || !hasBase ? 4 : 0;
  const baseRegister = base | (rexB << 3);
  let shift = displacement(random, displacementBytes);
  let missed = 0n;
  if (hasBase && hasIndex && baseRegister === index) {
    const factor = 1n + (1n << BigInt(scale));
    setAddressRegister(state, random, request, index, (offset - shift) / factor);
    missed = (offset - shift) % factor;
  } else {
    let indexed = 0n;
    if (hasIndex) {
      // Without a base the displacement has to make up for it.
      const value = hasBase ? integer(random) : BigInt(random.below(0x1000));
      setAddressRegister(state, random, request, index, value);
      indexed = state.gpr(index) << BigInt(scale);
    }
    if (hasBase) {
      setAddressRegister(state, random, request, baseRegister, offset - shift - indexed);
    } else {
      shift = offset - indexed;
    }
  }
  const sib = (scale << 6) | (low << 3) | base;
  const bytes = [(mod << 6) | SIB, sib, ...littleEndian(shift, displacementBytes)];
  return { bytes, rexX, rexB, ripRelative: false, offset: offset - missed };
}

/** Elements lie around the target, now and then anywhere; where there is no base, too. */
function encodeVectorSib(
  state: CpuState,
  random: SeededRandom,
  request: AddressRequest,
  indexBits: 32 | 64,
): EncodedAddress {
  const rexLimit = request.mode === 64 ? 2 : 1;
  const [rexX, rexB] = [random.below(rexLimit), random.below(rexLimit)];
  const [mod, scale, low, base] = [
    random.below(3),
    random.below(4),
    random.below(8),
    random.below(8),
  ];
  const offset = request.target - request.segmentBase;
  const hasBase = !(mod === 0 && base === DISPLACEMENT_ONLY);
  const displacementBytes = mod === 1 ? 1 : mod === 2 || !hasBase ? 4 : 0;
  const shift = hasBase ? displacement(random, displacementBytes) : offset;
  if (hasBase) {
    setAddressRegister(state, random, request, base | (rexB << 3), offset - shift);
  }
  const index = low | (rexX << 3);
  for (const half of [state.xmm(index), state.ymmUpper(index)]) {
    const view = new DataView(half.buffer, half.byteOffset, half.byteLength);
    for (let at = 0; at < half.length; at += indexBits / 8) {
      const element = random.chance(2) ? integer(random) : BigInt(random.below(64) - 32);
      if (indexBits === 32) view.setInt32(at, Number(BigInt.asIntN(32, element)), true);
      else view.setBigInt64(at, element, true);
    }
  }
  const sib = (scale << 6) | (low << 3) | base;
  const bytes = [(mod << 6) | SIB, sib, ...littleEndian(shift, displacementBytes)];
  return { bytes, rexX, rexB, ripRelative: false, offset };
}

/** By ModRM.rm; with ModRM.mod 0 and ModRM.rm 6 a displacement stands for BP (vol. 2A table 2-1). */
const REGISTERS_16 = [[3, 6], [3, 7], [5, 6], [5, 7], [6], [7], [5], [3]] as const;

/** Sixteen bits do not reach the data without FS or GS: what is tested is the address in CR2. */
function encode16(state: CpuState, random: SeededRandom): EncodedAddress {
  const mod = random.below(3);
  const rm = random.below(8);
  const isAbsolute = mod === 0 && rm === 6;
  const size = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
  const shift = integer(random);
  const registers = isAbsolute ? [] : (REGISTERS_16[rm] ?? []);
  const sum = registers.reduce((total, register) => total + state.gpr(register), 0n);
  const bytes = [(mod << 6) | rm, ...littleEndian(shift, size)];
  const offset = sum + signExtend(size === 0 ? 0n : shift, size);
  return { bytes, rexX: 0, rexB: 0, ripRelative: false, offset };
}
