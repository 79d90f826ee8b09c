import type { MemoryBits } from "./emitter.ts";
import type { Instruction, Unit } from "./instruction.ts";
import { type OperandPlace, type OperandSpec, parseOperand } from "./operand.ts";

/** One of an instruction's encodings, parsed. */
export interface Form {
  readonly instruction: Instruction;
  /** Number among all forms of the table; set by `OpcodeMap`. */
  ordinal: number;
  /** The form as the table has it. */
  readonly text: string;
  /** 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A; those three again behind a VEX prefix: 4 to 6. */
  readonly map: 0 | 1 | 2 | 3 | 4 | 5 | 6;
  /** VEX.L, where it belongs to the opcode. */
  readonly vexL: 0 | 1 | undefined;
  readonly opcode: number;
  /** NP, 66, F3 or F2 if it belongs to the opcode. */
  readonly prefix: MandatoryPrefix | undefined;
  /** ModRM.reg, where it belongs to the opcode. */
  readonly digit: number | undefined;
  /** A whole ModRM byte that belongs to the opcode: `0F 01 D0`. */
  readonly modRm: number | undefined;
  readonly operands: readonly OperandSpec[];
  readonly hasModRm: boolean;
  /** Which control register bits it obeys. */
  readonly unit: Unit | undefined;
  readonly traits: ReadonlySet<string>;
  /** In 64-bit mode: 64 bits whatever the prefixes say (f64), or without a prefix (d64). */
  readonly always64: boolean;
  readonly default64: boolean;
  /** The operand sizes that it comes in; without any that depends on it, one for all. */
  readonly sizes: readonly MemoryBits[];
  /** Those of the operands whose values are part of the instruction. */
  readonly immediates: readonly OperandSpec[];
  /** It has a relative branch target. */
  readonly relative: boolean;
  /** An address without ModRM is part of the instruction. */
  readonly hasOffset: boolean;
  /** ModRM.rm may be in memory: with ModRM.mod other than 3. */
  readonly hasAddress: boolean;
  /** An operand is named by VEX.vvvv, which has to be 1111b otherwise. */
  readonly hasVvvv: boolean;
}

export const MANDATORY_PREFIXES = ["NP", "66", "F3", "F2"] as const;
export type MandatoryPrefix = (typeof MANDATORY_PREFIXES)[number];

const MODRM_PLACES = new Set(
  ["reg", "rm", "memory", "rm-register", "segment", "control", "debug"].concat([
    ...["xmm-reg", "xmm-rm", "xmm-rm-register", "mmx-reg", "mmx-rm", "mmx-rm-register"],
  ]),
);

const IMMEDIATE_PLACES = new Set<OperandPlace>([
  "one",
  "far-pointer",
  "relative",
  "immediate",
  "xmm-immediate",
]);

const TRAITS = new Set(["64", "no64", "d64", "f64", "W", "noW", "noB", "v", "mem", "reg"]);

/** All forms of an instruction; one with an opcode register (Z) stands for eight opcodes. */
export function parseForms(instruction: Instruction): Form[] {
  return instruction.forms.flatMap((text) => {
    const form = parseForm(instruction, text);
    if (!form.operands.some(({ place }) => place === "opcode-register")) return [form];
    return Array.from({ length: 8 }, (_, low) => ({ ...form, opcode: form.opcode + low }));
  });
}

/** The form as it is written: with an opcode register, that of register 0. */
export function parseForm(instruction: Instruction, text: string): Form {
  const words = text.split(" ");
  const traits = new Set<string>();
  while (TRAITS.has(words.at(-1) ?? "")) traits.add(words.pop() ?? "");
  const vex = takeVex(words);
  const prefix = takePrefix(words);
  const map = takeMap(words, vex !== undefined);
  const [hex = "", digit] = (words.shift() ?? "").split("/");
  const second = /^[0-9A-F]{2}$/.test(words[0] ?? "") ? words.shift() : undefined;
  const operands =
    words.length === 0
      ? []
      : (words[0] ?? "").split(",").map((code) => parseOperand(code, vex === 1 ? 256 : 128));
  const hasModRm =
    digit !== undefined ||
    second !== undefined ||
    operands.some(({ place }) => MODRM_PLACES.has(place));
  return {
    instruction,
    ordinal: -1,
    text,
    map,
    vexL: vex === "any" ? undefined : vex,
    opcode: Number.parseInt(hex, 16),
    prefix,
    digit: digit === undefined ? undefined : Number(digit),
    modRm: second === undefined ? undefined : Number.parseInt(second, 16),
    operands,
    hasModRm,
    unit: instruction.unit ?? unitOf(operands, vex !== undefined),
    traits,
    always64: traits.has("f64"),
    default64: traits.has("d64"),
    sizes: sizesOf(instruction, operands, traits),
    immediates: operands.filter(({ place }) => IMMEDIATE_PLACES.has(place)),
    relative: operands.some(({ place }) => place === "relative"),
    hasOffset: operands.some(({ place }) => place === "offset"),
    // MOV to and from control and debug registers take any ModRM.mod for 3.
    hasAddress: hasModRm && !operands.some(({ place }) => place === "control" || place === "debug"),
    hasVvvv: operands.some(({ place }) => place === "vvvv" || place === "xmm-vvvv"),
  };
}

function sizesOf(
  instruction: Instruction,
  operands: readonly OperandSpec[],
  traits: ReadonlySet<string>,
): readonly MemoryBits[] {
  const widths = operands.map(({ width }) => width);
  if (widths.some((width) => width === "v" || width === "z" || width === "p")) return [16, 32, 64];
  const byDefault = ["d64", "f64", "v"].some((trait) => traits.has(trait));
  if (instruction.stack !== undefined || byDefault) return [16, 32, 64];
  return widths.includes("y") ? [32, 64] : [32];
}

function unitOf(operands: readonly OperandSpec[], vex: boolean): Unit | undefined {
  const has = (registers: "xmm" | "mmx") =>
    operands.some(({ place }) => place.startsWith(registers));
  if (vex && has("xmm")) return "avx";
  return has("xmm") ? "sse" : has("mmx") ? "mmx" : undefined;
}

/** Of `VEX.0`, `VEX.1` and `VEX`: VEX.L, or that it does not matter. */
function takeVex(words: string[]): 0 | 1 | "any" | undefined {
  const vex = /^VEX(?:\.([01]))?$/.exec(words[0] ?? "");
  if (vex === null) return undefined;
  words.shift();
  return vex[1] === undefined ? "any" : vex[1] === "0" ? 0 : 1;
}

function takePrefix(words: string[]): MandatoryPrefix | undefined {
  const prefix = MANDATORY_PREFIXES.find((candidate) => candidate === words[0]);
  // F2, F3 and 66 alone are prefixes, never opcodes.
  if (prefix !== undefined) words.shift();
  return prefix;
}

function takeMap(words: string[], vex: boolean): Form["map"] {
  const [first, next] = words;
  if (first !== "0F") return 0;
  words.shift();
  if (next !== "38" && next !== "3A") return vex ? 4 : 1;
  words.shift();
  if (next === "38") return vex ? 5 : 2;
  return vex ? 6 : 3;
}
