/**
 * Accesses to memory of those elements that a mask selects (Intel SDM vol. 2C: VPMASKMOV, VGATHERDPS and
 * others): of the others not even a fault is seen.
 */
import { undefinedOpcode } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { STATE } from "../state.ts";
import type { Family, Instruction } from "./instruction.ts";
import { elements, joined } from "./sse-exact.ts";
import { ofBothLengths, range } from "./vector.ts";

/** Bits of an element, by VEX.W. */
const elementBits = ({ instruction }: ProcedureContext): 32 | 64 =>
  instruction.form.traits.has("W") ? 64 : 32;

/** Numbers of the elements whose sign is set. */
const selected = (mask: readonly bigint[], bits: number): number[] =>
  range(0, mask.length).filter((at) => (mask[at] ?? 0n) >> BigInt(bits - 1) === 1n);

/** How wide the vectors are. */
const widthOf = ({ instruction }: ProcedureContext): 128 | 256 =>
  instruction.form.vexL === 1 ? 256 : 128;

const readElements = (context: ProcedureContext, index: number, bits: number): bigint[] =>
  elements(context.readWhole(index), bits, widthOf(context) / bits);

function load(context: ProcedureContext): void {
  const bits = elementBits(context);
  const mask = readElements(context, 1, bits);
  const values = mask.map(() => 0n);
  for (const at of selected(mask, bits)) {
    values[at] = context.readMemory(context.address((at * bits) / 8), bits / 8);
  }
  context.writeWhole(0, joined(values, bits));
}

function store(context: ProcedureContext): void {
  const bits = elementBits(context);
  const mask = readElements(context, 1, bits);
  const values = readElements(context, 2, bits);
  const places = selected(mask, bits);
  const address = (at: number): bigint => context.address((at * bits) / 8);
  for (const at of places) context.check(address(at), bits / 8, "write");
  for (const at of places) context.writeMemory(address(at), bits / 8, values[at] ?? 0n);
}

const SIB = 4;

/** Number of the register that has indices. @throws CpuException #UD without one */
function indexRegister({ instruction, rm }: ProcedureContext): number {
  const { address, addressSize } = instruction;
  if (address === undefined || addressSize === 16 || (rm & 7) !== SIB) throw undefinedOpcode();
  // What is no index of other addresses is one here.
  return address.index < 0 ? SIB : address.index;
}

/** All of a YMM register by number. */
function readRegister({ processor }: ProcedureContext, register: number): bigint {
  const at = (offset: number): bigint => processor.view.getBigUint64(offset + 16 * register, true);
  const [lower, upper] = [STATE.XMM, STATE.YMM_UPPER].map(
    (half) => at(half) | (at(half + 8) << 64n),
  );
  return (lower ?? 0n) | ((upper ?? 0n) << 128n);
}

/** @param indexBits of an index */
function gather(context: ProcedureContext, indexBits: 32 | 64): void {
  const bits = elementBits(context);
  const register = indexRegister(context);
  const { vvvv } = context.instruction;
  if (new Set([context.reg, vvvv, register]).size < 3) throw undefinedOpcode();
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

const gathers = (opcode: string, indexBits: 32 | 64): Instruction[] =>
  (["noW", "W"] as const).map((trait) => {
    const [letter, type] = trait === "W" ? ["Q", "q"] : ["D", "d"];
    // Of indices that are wider than elements there are half as many.
    const narrow = indexBits === 64 && trait === "noW";
    const operands = narrow ? `Vdq,M${type},Hdq` : `Vx,M${type},Hx`;
    return {
      name: `VPGATHER${indexBits === 32 ? "D" : "Q"}${letter}`,
      forms: ofBothLengths(`66 0F 38 ${opcode} ${operands} ${trait}`),
      procedure: (context) => gather(context, indexBits),
    };
  });

const masked = (name: string, trait: "noW" | "W"): Instruction[] => [
  {
    name,
    forms: ofBothLengths(`66 0F 38 8C Vx,Hx,Mx ${trait}`),
    procedure: load,
  },
  {
    name: `${name} store`,
    mnemonic: name,
    forms: ofBothLengths(`66 0F 38 8E Mx,Hx,Vx ${trait}`),
    procedure: store,
  },
];

const instructions: Family = [
  ...masked("VPMASKMOVD", "noW"),
  ...masked("VPMASKMOVQ", "W"),
  ...gathers("90", 32),
  ...gathers("91", 64),
];

export const avxMasked: Family = instructions.map((instruction) => ({
  ...instruction,
  late: true,
}));
