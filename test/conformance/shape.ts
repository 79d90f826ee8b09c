import type { Form } from "../../fallback/isa/form.ts";
import type { SeededRandom } from "../support/random.ts";
import type { AddressSize } from "./addressing.ts";
import type { Mode } from "./driver.ts";
import { chooseFault, chooseVex, hasVex, type VexShape, WRONG_PREFIXES } from "./vex-shape.ts";

/** All of an encoding that is free to choose, but for addresses and immediates. */
export interface Shape {
  readonly mode: Mode;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: AddressSize;
  /** Legacy prefixes in their order. */
  readonly prefixes: readonly number[];
  readonly override: "fs" | "gs" | undefined;
  /** A REX prefix without any bit, which makes SPL of AH. */
  readonly plainRex: boolean;
  readonly rexW: number;
  readonly rexR: number;
  readonly rexX: number;
  readonly rexB: number;
  /** Whether ModRM.rm, or an offset in the instruction, addresses memory. */
  readonly memory: boolean;
  /** ModRM fields. */
  readonly reg: number;
  readonly rm: number;
  readonly vex: VexShape | undefined;
}

const PREFIX = {
  OPERAND_SIZE: 0x66,
  ADDRESS_SIZE: 0x67,
  LOCK: 0xf0,
  REPNE: 0xf2,
  REP: 0xf3,
} as const;
const OVERRIDES = { fs: 0x64, gs: 0x65 } as const;
/** ES, CS, SS, DS: flat, or ignored in 64-bit mode. */
const FLAT_OVERRIDES = [0x26, 0x2e, 0x36, 0x3e] as const;
const MANDATORY: Readonly<Record<string, number>> = { "66": 0x66, F3: 0xf3, F2: 0xf2 };
/** Both of REPE and REPNE mean something. */
const COMPARING_STRING = /^(CMPS|SCAS)/;
const SEGMENT_REGISTERS = 6;

const REGISTER_ONLY = new Set(["rm-register", "xmm-rm-register", "mmx-rm-register"]);
const EITHER = new Set(["rm", "xmm-rm", "mmx-rm"]);
const MODRM_MEMORY = new Set(["memory", "rm", "xmm-rm", "mmx-rm"]);
const BYTE_REGISTERS = new Set(["reg", "rm", "opcode-register"]);

/** Whether operands or the stack depend on the operand size. */
function isSized(form: Form): boolean {
  return (
    form.instruction.stack === true ||
    form.traits.has("d64") ||
    form.traits.has("f64") ||
    form.operands.some(({ width }) => width === "v" || width === "z" || width === "y")
  );
}

function chooseMemory(form: Form, random: SeededRandom): boolean {
  const places = form.operands.map(({ place }) => place);
  if (form.modRm !== undefined || form.traits.has("reg")) return false;
  if (places.some((place) => REGISTER_ONLY.has(place))) return false;
  if (form.traits.has("mem") || places.some((p) => p === "memory" || p === "offset")) return true;
  return places.some((place) => EITHER.has(place)) && random.chance(55);
}

export function chooseShape(form: Form, mode: Mode, random: SeededRandom): Shape {
  const { instruction, traits } = form;
  const long = mode === 64;
  const sized = isSized(form);
  const fault = chooseFault(form, random);
  const memory = chooseMemory(form, random) !== (fault === "mod");
  const addresses = memory || instruction.repeat === true;
  const bit = (): number => (long ? random.below(2) : 0);

  const vex = hasVex(form) ? chooseVex(form, mode, random, fault) : undefined;
  const rexW =
    vex !== undefined
      ? Number(vex.w)
      : !long || traits.has("noW")
        ? 0
        : traits.has("W")
          ? 1
          : sized
            ? bit()
            : 0;
  const prefixes: number[] = [];
  const mandatory = vex === undefined ? MANDATORY[form.prefix ?? ""] : undefined;
  if (mandatory !== undefined) prefixes.push(mandatory);
  const mayNarrow =
    vex === undefined &&
    (form.prefix === undefined || (form.prefix !== "NP" && mandatory !== 0x66));
  const narrowed = mayNarrow && random.chance(sized ? 25 : form.prefix === undefined ? 2 : 0);
  if (narrowed) prefixes.push(PREFIX.OPERAND_SIZE);

  const otherAddressSize = addresses && random.chance(long ? 6 : 2);
  if (otherAddressSize) prefixes.push(PREFIX.ADDRESS_SIZE);
  const override = addresses && random.chance(8) ? random.pick(["fs", "gs"] as const) : undefined;
  if (override !== undefined) prefixes.push(OVERRIDES[override]);
  else if (addresses && random.chance(2)) prefixes.push(random.pick(FLAT_OVERRIDES));
  if (instruction.lock && isDestinationMemory(form, memory) && random.chance(15)) {
    prefixes.push(PREFIX.LOCK);
  }
  if (instruction.repeat && random.chance(60)) {
    const either = COMPARING_STRING.test(instruction.name);
    prefixes.push(either && random.chance(50) ? PREFIX.REPNE : PREFIX.REP);
  }

  if (fault === "prefix" && vex?.behindRex === false) prefixes.push(random.pick(WRONG_PREFIXES));

  const hasByteRegister = form.operands.some(
    ({ place, width }) => width === 8 && BYTE_REGISTERS.has(place),
  );
  return {
    mode,
    operandSize: operandSize(form, mode, narrowed || mandatory === 0x66, rexW === 1),
    addressSize: long ? (otherAddressSize ? 32 : 64) : otherAddressSize ? 16 : 32,
    prefixes: shuffled(prefixes, random),
    override,
    plainRex: hasByteRegister && random.chance(30),
    rexW,
    rexR: form.digit === undefined && form.hasModRm ? bit() : 0,
    rexX: 0,
    rexB: traits.has("noB") || form.modRm !== undefined ? 0 : bit(),
    memory,
    reg: chooseReg(form, random),
    rm: random.below(8),
    vex,
  };
}

function chooseReg(form: Form, random: SeededRandom): number {
  if (form.digit !== undefined) return form.digit;
  const isSegment = form.operands.some(({ place }) => place === "segment");
  return random.below(isSegment ? SEGMENT_REGISTERS : 8);
}

function isDestinationMemory(form: Form, memory: boolean): boolean {
  return memory && MODRM_MEMORY.has(form.operands[0]?.place ?? "");
}

function operandSize(form: Form, mode: Mode, prefix66: boolean, rexW: boolean): 16 | 32 | 64 {
  if (mode === 32) return prefix66 ? 16 : 32;
  if (rexW || form.traits.has("f64")) return 64;
  if (form.traits.has("d64") && !prefix66) return 64;
  return prefix66 ? 16 : 32;
}

function shuffled(items: readonly number[], random: SeededRandom): number[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [result[last], result[other]] = [result[other] as number, result[last] as number];
  }
  return result;
}
