import { mnemonicOf } from "./disassembler/mnemonics.ts";
import { CpuException } from "./exceptions.ts";
import {
  type Decoder,
  InstructionTooLong,
  InvalidOpcode,
  MAX_INSTRUCTION_LENGTH,
  NeedMoreBytes,
} from "./interpreter/decoder.ts";
import { linearOf } from "./memory/linear.ts";
import type { Mmu } from "./memory/mmu.ts";
import type { CodeSize } from "./processor.ts";

/** What assemblers call the instruction at a linear address; undefined if there is none we know. */
export function instructionName(
  decoder: Decoder,
  mmu: Mmu,
  linear: bigint,
  codeSize: CodeSize,
): string | undefined {
  try {
    const bytes: number[] = [];
    for (let i = 0; i < MAX_INSTRUCTION_LENGTH; i++) {
      const address = mmu.translate(linearOf(linear + BigInt(i)), "execute");
      if (!mmu.memory.contains(address, 1)) break;
      bytes.push(mmu.memory.bytes[address] as number);
    }
    return mnemonicOf(decoder.decode(Uint8Array.from(bytes), codeSize));
  } catch (error) {
    const unknown =
      error instanceof InvalidOpcode ||
      error instanceof InstructionTooLong ||
      error instanceof NeedMoreBytes;
    if (unknown || error instanceof CpuException) return undefined;
    throw error;
  }
}
