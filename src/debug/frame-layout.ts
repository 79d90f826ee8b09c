/**
 * Where a function keeps its return address, found by following its code from the start: what each
 * instruction does to RSP and RBP is known. So frames are found without frame pointers and without
 * tables, which neither unikernels nor boot loaders can be relied on to have.
 */
import { operandRegister } from "../../fallback/disassembler/operands.ts";
import type { DecodedInstruction } from "../../fallback/interpreter/decoder.ts";
import { type GuestCode, relativeTarget } from "./code.ts";

/** A function of more is not followed to the end. */
const MAX_INSTRUCTIONS = 4_000;

const SP = 4;
const BP = 5;

/**
 * The stack at one instruction, against the frame's end: the address after the return address, which
 * is what RSP will be in the caller.
 */
export interface FrameLayout {
  /** The frame's end is at RSP plus this; undefined if RSP is not known. */
  readonly fromSp: number | undefined;
  /** The same from RBP, if that is a frame pointer. */
  readonly fromBp: number | undefined;
  /** The caller's RBP is saved this far below the frame's end; undefined: it is in RBP still. */
  readonly savedBp: number | undefined;
}

/**
 * @param start of the function
 * @param position an instruction of it; or, for a caller, the address after its CALL
 * @returns undefined if the code does not lead there
 */
export function frameLayout(
  code: GuestCode,
  start: bigint,
  position: bigint,
  isCaller: boolean,
): FrameLayout | undefined {
  const word = code.wordSize;
  const seen = new Set<bigint>();
  const work: { at: bigint; layout: FrameLayout }[] = [
    { at: start, layout: { fromSp: word, fromBp: undefined, savedBp: undefined } },
  ];
  /** The layout at a jump to many places, such as a `switch`: where it leads to is not known. */
  let atIndirectJump: FrameLayout | undefined;
  for (let count = 0; ; ) {
    const next = work.pop();
    if (next === undefined) break;
    let { at, layout } = next;
    while (!seen.has(at) && count++ < MAX_INSTRUCTIONS && code.follow()) {
      seen.add(at);
      if (at === position && !isCaller) return layout;
      const instruction = code.decode(at);
      if (instruction === undefined) break;
      const after = at + BigInt(instruction.length);
      const { name } = instruction.form.instruction;
      const target = relativeTarget(instruction, after, code.size);
      if (name === "CALL") {
        if (isCaller && after === position) return layout;
        // `call` to what follows is how 32-bit code learns where it is.
        if (target === after) layout = moveSp(layout, word);
      } else if (name === "JMP") {
        if (target === undefined) atIndirectJump ??= layout;
        else work.push({ at: target, layout });
        break;
      } else if (ENDS.has(name)) {
        break;
      } else if (target !== undefined) {
        work.push({ at: target, layout });
      } else {
        layout = applied(layout, instruction, word);
      }
      at = after;
    }
  }
  return atIndirectJump;
}

const ENDS: ReadonlySet<string> = new Set(["RET", "RETF", "IRET", "UD2", "JMP far", "SYSRET"]);
const WHOLE: ReadonlySet<string> = new Set([
  "reg",
  "rm",
  "rm-register",
  "fixed",
  "opcode-register",
]);
/** They have a first operand, and leave it as it is. */
const READERS: ReadonlySet<string> = new Set(["CMP", "TEST", "BT register", "BT memory", "NOP"]);

const moveSp = (layout: FrameLayout, bytes: number): FrameLayout => ({
  ...layout,
  fromSp: layout.fromSp === undefined ? undefined : layout.fromSp + bytes,
});

/** What an instruction that does not branch makes of the layout. */
function applied(layout: FrameLayout, instruction: DecodedInstruction, word: number): FrameLayout {
  const { form, immediates, address, operandSize } = instruction;
  const { name } = form.instruction;
  const [first, second] = form.operands;
  const destination = first && operandRegister(first, instruction);
  if (name.startsWith("PUSH")) {
    if (name === "PUSHA") return moveSp(layout, operandSize);
    const pushed = moveSp(layout, operandSize / 8);
    const savesBp = destination === BP && layout.savedBp === undefined && word * 8 === operandSize;
    return savesBp ? { ...pushed, savedBp: pushed.fromSp } : pushed;
  }
  if (name.startsWith("POP") && name !== "POPCNT") {
    if (name === "POPA") return moveSp(layout, -operandSize);
    const popped = moveSp(layout, -operandSize / 8);
    return destination === BP ? { ...popped, fromBp: undefined, savedBp: undefined } : popped;
  }
  if (name === "LEAVE") {
    const { fromBp } = layout;
    const fromSp = fromBp === undefined ? undefined : fromBp - word;
    return { fromSp, fromBp: undefined, savedBp: undefined };
  }
  // Registers 4 and 5 of a byte are AH and CH.
  const isGeneral = WHOLE.has(first?.place ?? "") && first?.width !== 8;
  const changes = isGeneral && !READERS.has(name) && (destination === SP || destination === BP);
  if (!changes) return layout;
  const value = (): number | undefined => {
    if (name === "MOV") {
      const source = second && operandRegister(second, instruction);
      return source === SP ? layout.fromSp : source === BP ? layout.fromBp : undefined;
    }
    const base = destination === SP ? layout.fromSp : layout.fromBp;
    const number = Number(immediates[0] ?? 0n);
    if (name === "SUB" && immediates.length > 0) return base === undefined ? base : base + number;
    if (name === "ADD" && immediates.length > 0) return base === undefined ? base : base - number;
    if (name !== "LEA" || address === undefined || address.index >= 0) return undefined;
    const from =
      address.base === SP ? layout.fromSp : address.base === BP ? layout.fromBp : undefined;
    return from === undefined ? undefined : from - Number(address.displacement);
  };
  return destination === SP ? { ...layout, fromSp: value() } : { ...layout, fromBp: value() };
}
