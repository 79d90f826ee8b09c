import { formatInstruction } from "../disassembler/disassembler.ts";
import type { Block } from "../interpreter/block.ts";
import { placeName } from "../state-names.ts";
import { moduleText } from "../wasm/text.ts";
import type { MadeRegion } from "./region-maker.ts";

/** A region as text: the guest's instructions, and the WebAssembly that was made of them. */
export function regionListing({ blocks, module }: MadeRegion): string[] {
  // What comes before is alike in all modules.
  const code = moduleText(module, { placeName }).at(-1) ?? [];
  return [...blocks.flatMap(blockListing), "", ...code];
}

function blockListing({ rip, offsets, instructions, codeSize }: Block): string[] {
  return instructions.map((instruction, index) => {
    const address = rip + BigInt(offsets[index] ?? 0);
    const text = formatInstruction(instruction, { address, codeSize });
    return `${address.toString(16)}${index === 0 ? ":" : " "} ${text}`;
  });
}
