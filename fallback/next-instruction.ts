import { mnemonicOf } from "./disassembler/mnemonics.ts";
import { CpuException } from "./exceptions.ts";
import {
  type Decoder,
  InstructionTooLong,
  InvalidOpcode,
  NeedMoreBytes,
} from "./interpreter/decoder.ts";
import { MAX_INSTRUCTION_LENGTH } from "./interpreter/decoding.ts";
import { linearOf } from "./memory/linear.ts";
import type { Mmu } from "./memory/mmu.ts";
import type { CodeSize } from "./processor.ts";

/** What stands for bytes that are no instruction of ours, or that cannot be fetched. */
export const NO_INSTRUCTION = "(unknown)";

/**
 * What assemblers call the instruction at a linear address.
 * @returns {@link NO_INSTRUCTION} if executing it raises a fault; undefined where there is no memory
 */
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
    // There is no memory for the bytes that are needed.
    if (error instanceof NeedMoreBytes) return undefined;
    const invalid = error instanceof InvalidOpcode || error instanceof InstructionTooLong;
    if (invalid || error instanceof CpuException) return NO_INSTRUCTION;
    throw error;
  }
}
