import type { OperandSpec } from "../isa/operand.ts";
import { STATE, segmentOffset } from "../state.ts";
import type { DecodedInstruction } from "./decoder.ts";

/** REX says nothing about MMX registers. */
const mmxSlot = (register: number): number => STATE.X87_REGISTERS + 16 * (register & 7);

/** In the upper four bits of the last immediate byte. */
export const immediateRegister = (immediates: readonly bigint[]): number =>
  Number((immediates.at(-1) ?? 0n) >> 4n) & 0xf;

/**
 * Offset in the state of an operand that is a register, and plainly is a field there; undefined for
 * others. Segment registers 6 and 7 do not exist: theirs are LDTR's and TR's. Of the
 * control registers only CR0 has its own.
 */
export function registerSlot(
  spec: OperandSpec,
  instruction: Pick<DecodedInstruction, "modRm" | "rex" | "form" | "vvvv" | "immediates">,
): number | undefined {
  const { modRm, rex, form, vvvv } = instruction;
  const reg = ((modRm >> 3) & 7) | ((rex & 4) << 1);
  const rm = (modRm & 7) | ((rex & 1) << 3);
  const byteWide = spec.width === 8;
  const general = (n: number) => {
    // Without REX, byte registers 4 to 7 are AH, CH, DH and BH.
    if (byteWide && rex === 0 && n >= 4) return STATE.GPR + 8 * (n - 4) + 1;
    return STATE.GPR + 8 * n;
  };
  switch (spec.place) {
    case "reg":
      return general(reg);
    case "rm":
      return modRm >= 0xc0 ? general(rm) : undefined;
    case "rm-register":
      return general(rm);
    case "opcode-register":
      return general((form.opcode & 7) | ((rex & 1) << 3));
    case "fixed":
      return spec.width === 128 ? STATE.XMM : general(spec.register ?? 0);
    case "xmm-reg":
      return STATE.XMM + 16 * reg;
    case "xmm-rm":
      return modRm >= 0xc0 ? STATE.XMM + 16 * rm : undefined;
    case "xmm-rm-register":
      return STATE.XMM + 16 * rm;
    case "xmm-vvvv":
      return STATE.XMM + 16 * vvvv;
    case "xmm-immediate":
      return STATE.XMM + 16 * immediateRegister(instruction.immediates);
    case "vvvv":
      return general(vvvv);
    case "mmx-reg":
      return mmxSlot(reg);
    case "mmx-rm":
      return modRm >= 0xc0 ? mmxSlot(rm) : undefined;
    case "mmx-rm-register":
      return mmxSlot(rm);
    case "segment":
      return segmentOffset((modRm >> 3) & 7);
    case "control":
      return reg === 0 ? STATE.CR0 : STATE.ZERO;
    default:
      return undefined;
  }
}
