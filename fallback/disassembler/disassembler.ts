/** Instructions as text, in the syntax of Intel's manuals. */
import {
  type DecodedInstruction,
  Decoder,
  InstructionTooLong,
  InvalidOpcode,
  NeedMoreBytes,
} from "../interpreter/decoder.ts";
import type { OpcodeMap } from "../isa/opcode-map.ts";
import { mnemonicOf } from "./mnemonics.ts";
import { type OperandContext, operandTexts } from "./operands.ts";

export type CodeSize = 16 | 32 | 64;

/** What a byte is that begins no instruction. */
export const BAD_INSTRUCTION = "(bad)";

export interface FormatOptions {
  /** Of the instruction. Offsets in the code segment, and linear addresses where that is flat. */
  readonly address: bigint;
  readonly codeSize: CodeSize;
  /** What an address is called. */
  readonly symbolAt?: ((address: bigint) => string | undefined) | undefined;
}

/** An instruction's place and what it refers to. */
export interface InstructionLine {
  /** Bytes: 1 if there is no instruction. */
  readonly length: number;
  readonly text: string;
}

/** Made from the same table of instructions as the processor. */
export class Disassembler {
  readonly #decoder: Decoder;

  constructor(map: OpcodeMap) {
    this.#decoder = new Decoder(map);
  }

  /** @returns `undefined` where `bytes` do not begin with a whole instruction that we know */
  decode(bytes: Uint8Array, codeSize: CodeSize): DecodedInstruction | undefined {
    try {
      return this.#decoder.decode(bytes, codeSize);
    } catch (error) {
      const none =
        error instanceof InvalidOpcode ||
        error instanceof InstructionTooLong ||
        error instanceof NeedMoreBytes;
      if (none) return undefined;
      throw error;
    }
  }

  /** The instruction that `bytes` begin with. */
  line(bytes: Uint8Array, options: FormatOptions): InstructionLine {
    const instruction = this.decode(bytes, options.codeSize);
    if (instruction === undefined) return { length: 1, text: BAD_INSTRUCTION };
    return { length: instruction.length, text: formatInstruction(instruction, options) };
  }
}

export function formatInstruction(instruction: DecodedInstruction, options: FormatOptions): string {
  const context: OperandContext = {
    instruction,
    codeSize: options.codeSize,
    next: options.address + BigInt(instruction.length),
  };
  const { texts, target } = operandTexts(context);
  const words = [...prefixesOf(instruction), mnemonicOf(instruction)];
  if (texts.length > 0) words.push(texts.join(", "));
  const text = words.join(" ");
  if (target === undefined) return text;
  const name = options.symbolAt?.(target);
  if (name !== undefined) return `${text} <${name}>`;
  return instruction.address === undefined ? text : `${text} <0x${target.toString(16)}>`;
}

function prefixesOf({ lock, repeat, form }: DecodedInstruction): string[] {
  const words = lock ? ["lock"] : [];
  const { repeat: repeats, name } = form.instruction;
  if (repeat === undefined || repeats !== true) return words;
  if (repeat === 0xf2) return [...words, "repne"];
  return [...words, COMPARING.has(name) ? "repe" : "rep"];
}

const COMPARING: ReadonlySet<string> = new Set(["CMPS", "SCAS"]);
