/**
 * Operand codes of the opcode maps (Intel SDM vol. 2D §A.2): an addressing method and an operand
 * type, for example `Ev`; or a fixed register.
 */

/** Where an operand is. */
export type OperandPlace =
  /** ModRM.reg, general register (G). */
  | "reg"
  /** ModRM.rm, general register or memory (E); memory only (M); register only (R). */
  | "rm"
  | "memory"
  | "rm-register"
  /** The opcode's low three bits (Z). */
  | "opcode-register"
  /** Immediate (I), relative branch target (J), address without ModRM (O). */
  | "immediate"
  | "relative"
  | "offset"
  /** Far pointer in the instruction (A). */
  | "far-pointer"
  /** Segment, control and debug register by ModRM.reg (S, C, D). */
  | "segment"
  | "control"
  | "debug"
  /** XMM or YMM register by ModRM.reg (V), register or memory (W), register by ModRM.rm (U). */
  | "xmm-reg"
  | "xmm-rm"
  | "xmm-rm-register"
  /** By VEX.vvvv (H), and by bits 7 to 4 of an immediate byte (L). */
  | "xmm-vvvv"
  | "xmm-immediate"
  /** General register by VEX.vvvv (B). */
  | "vvvv"
  /** MMX registers in the same roles (P, Q, N). */
  | "mmx-reg"
  | "mmx-rm"
  | "mmx-rm-register"
  /** A register the instruction names. */
  | "fixed"
  /** The constant 1 of shifts. */
  | "one";

/**
 * Bits; or by the operand size: `v` 16, 32 or 64; `z` 16 or 32 (an immediate, sign-extended to 64);
 * `y` 32 or 64; `p` a far pointer.
 */
export type OperandWidth = 8 | 16 | 32 | 64 | 80 | 128 | 256 | 0 | "v" | "z" | "y" | "p";

/** An operand as the table has it. */
export interface OperandSpec {
  readonly code: string;
  readonly place: OperandPlace;
  readonly width: OperandWidth;
  /** Of a fixed register: its number. */
  readonly register?: number;
  /** A byte immediate is sign-extended to the operand size. */
  readonly signExtended?: true;
}

/** An operand of one variant of a form, as a meaning sees it. */
export interface Operand {
  readonly kind: "register" | "memory" | "immediate" | "xmm" | "mmx";
  /** Width in this variant. */
  readonly bits: number;
  /** Which of a record's register fields names it, counted among the register operands. */
  readonly field: number;
  /** It is named by the immediate instead, and comes last. */
  readonly byImmediate?: true;
}

const METHODS: Readonly<Record<string, OperandPlace>> = {
  A: "far-pointer",
  B: "vvvv",
  C: "control",
  D: "debug",
  E: "rm",
  G: "reg",
  H: "xmm-vvvv",
  I: "immediate",
  J: "relative",
  L: "xmm-immediate",
  M: "memory",
  N: "mmx-rm-register",
  O: "offset",
  P: "mmx-reg",
  Q: "mmx-rm",
  R: "rm-register",
  S: "segment",
  U: "xmm-rm-register",
  V: "xmm-reg",
  W: "xmm-rm",
  Z: "opcode-register",
};

/** Types; those of vectors say only how wide the memory operand is, or the register where VEX has one. */
const WIDTHS: Readonly<Record<string, OperandWidth>> = {
  b: 8,
  bs: 8,
  w: 16,
  d: 32,
  q: 64,
  t: 80,
  dq: 128,
  qq: 256,
  x: 128,
  ps: 128,
  pd: 128,
  ss: 32,
  sd: 64,
  v: "v",
  z: "z",
  y: "y",
  p: "p",
  "": 0,
};

const FIXED: Readonly<Record<string, OperandSpec>> = {
  AL: { code: "AL", place: "fixed", width: 8, register: 0 },
  CL: { code: "CL", place: "fixed", width: 8, register: 1 },
  AX: { code: "AX", place: "fixed", width: 16, register: 0 },
  DX: { code: "DX", place: "fixed", width: 16, register: 2 },
  EAX: { code: "EAX", place: "fixed", width: 32, register: 0 },
  rAX: { code: "rAX", place: "fixed", width: "v", register: 0 },
  zAX: { code: "zAX", place: "fixed", width: "z", register: 0 },
  XMM0: { code: "XMM0", place: "fixed", width: 128, register: 0 },
  "1": { code: "1", place: "one", width: 8 },
};

/** As wide as VEX.L says: here without it. */
const BY_LENGTH = new Set(["x", "ps", "pd"]);

/**
 * @param code for example `Ev`, `Ibs` (a byte, sign-extended) or `AL`
 * @param vectorBits of what is as wide as VEX.L says
 */
export function parseOperand(code: string, vectorBits: 128 | 256 = 128): OperandSpec {
  const fixed = FIXED[code];
  if (fixed !== undefined) return fixed;
  const place = METHODS[code[0] ?? ""];
  const type = code.slice(1);
  const width = BY_LENGTH.has(type) ? vectorBits : WIDTHS[type];
  if (place === undefined || width === undefined) throw new Error(`operand code ${code}`);
  return { code, place, width, ...(code === "Ibs" ? { signExtended: true } : {}) };
}
