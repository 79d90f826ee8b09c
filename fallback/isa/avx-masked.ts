/**
 * Accesses to memory of those elements that a mask selects (Intel SDM vol. 2C: VPMASKMOV, VGATHERDPS and
 * others): of the others not even a fault is seen.
 */
import { undefinedOpcode } from "../exceptions.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { type I64, i32, i64, type V128 } from "../wasm/expression.ts";
import type { Local } from "../wasm/function-builder.ts";
import { i32x4, i64x2, v128 } from "../wasm/simd.ts";
import type { Emitter, RegionEmitter } from "./emitter.ts";
import type { Family, Instruction } from "./instruction.ts";
import type { Operand } from "./operand.ts";
import { elements, joined } from "./sse-exact.ts";
import { variant } from "./variant.ts";
import { type Meaning, ofBothLengths, range, type Vector } from "./vector.ts";

type ElementBits = 32 | 64;

/** Numbers of the elements whose sign is set. */
const selected = (mask: readonly bigint[], bits: number): number[] =>
  range(0, mask.length).filter((at) => (mask[at] ?? 0n) >> BigInt(bits - 1) === 1n);

/** How wide the vectors are. */
const widthOf = ({ instruction }: ProcedureContext): 128 | 256 =>
  instruction.form.vexL === 1 ? 256 : 128;

const readElements = (context: ProcedureContext, index: number, bits: number): bigint[] =>
  elements(context.readWhole(index), bits, widthOf(context) / bits);

/** Each selected element of two vectors, with its place in its vector and its address. */
function eachSelected(
  e: Emitter,
  bits: ElementBits,
  masks: readonly Vector[],
  addresses: readonly Local<"i64">[],
  action: (half: number, at: number, address: Local<"i64">) => void,
): void {
  const count = 128 / bits;
  for (const [half, mask] of masks.entries()) {
    const signs = e.let(bits === 32 ? i32x4.bitmask(mask) : i64x2.bitmask(mask));
    for (const at of range(0, count)) {
      const address = addresses[half * count + at];
      if (address === undefined) continue;
      e.if(i32.and(signs, i32.const(1 << at)), () => action(half, at, address));
    }
  }
}

/** Of all elements. @param write whether it is going to be written */
function addressesOf(
  e: Emitter,
  operand: Operand,
  bits: ElementBits,
  write: boolean,
): readonly Local<"i64">[] {
  const address = e.address(operand, write);
  return range(0, operand.bits / bits).map((at) =>
    e.let(i64.add(address, i64.const((at * bits) / 8))),
  );
}

/** Loads the selected elements into vectors. */
function loadSelected(
  e: Emitter,
  bits: ElementBits,
  masks: readonly Vector[],
  addresses: readonly Local<"i64">[],
  results: readonly Vector[],
): void {
  eachSelected(e, bits, masks, addresses, (half, at, address) => {
    const value = e.load(address, bits);
    const result = results[half];
    if (result === undefined) return;
    const changed =
      bits === 32
        ? i32x4.replaceLane(result, at, i32.wrap(value))
        : i64x2.replaceLane(result, at, value);
    e.set(result, changed);
  });
}

const load =
  (bits: ElementBits): Meaning =>
  (e, destination: Operand, mask: Operand, source: Operand) => {
    const masks = e.readHalves(mask);
    const addresses = addressesOf(e, source, bits, false);
    const results = masks.map(() => e.variable(i64x2.const(0)));
    loadSelected(e, bits, masks, addresses, results);
    e.writeHalves(destination, results);
  };

const store =
  (bits: ElementBits): Meaning =>
  (e, destination: Operand, mask: Operand, source: Operand) => {
    const values = e.readHalves(source);
    const masks = e.readHalves(mask);
    const addresses = addressesOf(e, destination, bits, true);
    eachSelected(e, bits, masks, addresses, (_half, _at, address) => {
      e.loadForWrite(address, bits);
    });
    eachSelected(e, bits, masks, addresses, (half, at, address) => {
      const value = values[half];
      if (value === undefined) return;
      const element =
        bits === 32 ? i64.extendU(i32x4.extractLane(value, at)) : i64x2.extractLane(value, at);
      e.store(address, bits, element);
    });
  };

const loadExactly =
  (bits: ElementBits) =>
  (context: ProcedureContext): void => {
    const mask = readElements(context, 1, bits);
    const values = mask.map(() => 0n);
    for (const at of selected(mask, bits)) {
      values[at] = context.readMemory(context.address((at * bits) / 8), bits / 8);
    }
    context.writeWhole(0, joined(values, bits));
  };

const storeExactly =
  (bits: ElementBits) =>
  (context: ProcedureContext): void => {
    const mask = readElements(context, 1, bits);
    const values = readElements(context, 2, bits);
    const places = selected(mask, bits);
    const address = (at: number): bigint => context.address((at * bits) / 8);
    for (const at of places) context.check(address(at), bits / 8, "write");
    for (const at of places) context.writeMemory(address(at), bits / 8, values[at] ?? 0n);
  };

const SIB = 4;

/** Number of the register that has indices; undefined, where that is #UD. */
function indexRegister(instruction: DecodedInstruction): number | undefined {
  const { address, addressSize, modRm, rex, vvvv } = instruction;
  if (address === undefined || addressSize === 16 || (modRm & 7) !== SIB) return undefined;
  // What is no index of other addresses is one here.
  const register = address.index < 0 ? SIB : address.index;
  const destination = ((modRm >> 3) & 7) | ((rex & 4) << 1);
  return new Set([destination, vvvv, register]).size < 3 ? undefined : register;
}

/** All of a YMM register by number. */
function readRegister({ processor }: ProcedureContext, register: number): bigint {
  const at = (offset: number): bigint => processor.view.getBigUint64(offset + 16 * register, true);
  const [lower, upper] = [STATE.XMM, STATE.YMM_UPPER].map(
    (half) => at(half) | (at(half + 8) << 64n),
  );
  return (lower ?? 0n) | ((upper ?? 0n) << 128n);
}

function gather(context: ProcedureContext, bits: ElementBits, indexBits: ElementBits): void {
  const register = indexRegister(context.instruction);
  if (register === undefined) throw undefinedOpcode();
  const count = widthOf(context) / Math.max(bits, indexBits);
  const indices = elements(readRegister(context, register), indexBits, count);
  const all = 256 / bits;
  const mask = elements(context.readWhole(2), bits, all);
  const values = elements(context.readWhole(0), bits, all);
  const loadAt = (index: bigint): bigint =>
    context.readMemory(context.addressBy(BigInt.asIntN(indexBits, index)), bits / 8);
  const write = (): void => {
    context.writeWhole(0, joined(values, bits));
    context.writeWhole(2, joined(mask, bits));
  };
  const places = selected(mask, bits);
  for (const at of range(0, count)) {
    try {
      if (places.includes(at)) values[at] = loadAt(indices[at] ?? 0n);
    } catch (fault) {
      // What has been loaded stays, and is not loaded again.
      write();
      throw fault;
    }
    mask[at] = 0n;
  }
  values.fill(0n, count);
  mask.fill(0n);
  write();
}

const laneOf = (vector: V128, at: number, bits: ElementBits): I64 =>
  bits === 32 ? i64.extendS(i32x4.extractLane(vector, at)) : i64x2.extractLane(vector, at);

/** Where addresses are plain: in 64-bit mode, and not by the base of a segment. */
const translateGather =
  (bits: ElementBits, indexBits: ElementBits) =>
  (e: RegionEmitter, instruction: DecodedInstruction): void => {
    const { form, address, addressSize, segment, operandSize } = instruction;
    const register = indexRegister(instruction);
    const isPlain = e.long && addressSize === 64 && segment < SEGMENT_INDEX.fs;
    const [destination, , mask] = variant(form, operandSize, true, true).operands;
    if (!isPlain || register === undefined || address === undefined || !destination || !mask) {
      e.fallbackUnless(i32.const(0));
      return;
    }
    const { base, scale, displacement } = address;
    const start = base < 0 ? i64.const(0) : e.getRegister(base, 64);
    const from = e.let(i64.add(start, i64.const(BigInt.asIntN(64, displacement))));
    const indices = e.wholeVector(register);
    const masks = e.readHalves(mask);
    const results = e.readHalves(destination).map((value) => e.variable(value));
    const perIndex = 128 / indexBits;
    const count = (form.vexL === 1 ? 256 : 128) / Math.max(bits, indexBits);
    const addresses = range(0, count).map((at) => {
      const index = laneOf(indices[at < perIndex ? 0 : 1], at % perIndex, indexBits);
      return e.let(i64.add(from, i64.shl(index, i64.const(scale))));
    });
    loadSelected(e, bits, masks, addresses, results);
    const lower = count * bits < 128 ? i64x2.const(-1, 0) : i64x2.const(-1);
    e.writeHalves(
      destination,
      results.map((result) => v128.and(result, lower)),
    );
    e.writeHalves(mask, []);
  };

/** @param names for elements of 32 and of 64 bits */
const gathers = (
  names: readonly [string, string],
  opcode: string,
  indexBits: ElementBits,
): Instruction[] =>
  ([32, 64] as const).map((bits, n) => {
    // Of indices that are wider than elements there are half as many.
    const [type, vector] = [bits === 32 ? "d" : "q", indexBits > bits ? "dq" : "x"];
    const operands = `V${vector},M${type},H${vector} ${bits === 32 ? "noW" : "W"}`;
    return {
      name: names[n] ?? "",
      forms: ofBothLengths(`66 0F 38 ${opcode} ${operands}`),
      translation: translateGather(bits, indexBits),
      procedure: (context) => gather(context, bits, indexBits),
    };
  });

const masked = (
  name: string,
  bits: ElementBits,
  [loading, storing]: readonly [string, string],
  trait: "noW" | "W",
): Instruction[] => [
  {
    name,
    forms: ofBothLengths(`66 0F 38 ${loading} Vx,Hx,Mx ${trait}`),
    // The limit of a segment counts for what is selected alone.
    only64: true,
    meaning: load(bits),
    procedure: loadExactly(bits),
  },
  {
    name: `${name} store`,
    mnemonic: name,
    forms: ofBothLengths(`66 0F 38 ${storing} Mx,Hx,Vx ${trait}`),
    only64: true,
    meaning: store(bits),
    procedure: storeExactly(bits),
  },
];

const instructions: Family = [
  ...masked("VPMASKMOVD", 32, ["8C", "8E"], "noW"),
  ...masked("VPMASKMOVQ", 64, ["8C", "8E"], "W"),
  ...masked("VMASKMOVPS", 32, ["2C", "2E"], "noW"),
  ...masked("VMASKMOVPD", 64, ["2D", "2F"], "noW"),
  ...gathers(["VPGATHERDD", "VPGATHERDQ"], "90", 32),
  ...gathers(["VPGATHERQD", "VPGATHERQQ"], "91", 64),
  ...gathers(["VGATHERDPS", "VGATHERDPD"], "92", 32),
  ...gathers(["VGATHERQPS", "VGATHERQPD"], "93", 64),
];

export const avxMasked: Family = instructions.map((instruction) => ({
  ...instruction,
  late: true,
}));
