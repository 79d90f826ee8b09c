import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { Registers, Segment } from "../../../src/core/cpu.ts";
import { gpa } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
const FLAT = 0xffff_ffff;
const PE = 1n;

export const segment = (attributes: number, base = 0, limit = FLAT, selector = 8): Segment => ({
  ...{ selector, attributes, base: BigInt(base), limit },
});

/** Attributes of segments of level 0. */
export const RIGHTS = {
  CODE_32: 0xc09b,
  CODE_16: 0x009b,
  EXECUTE_ONLY: 0xc099,
  DATA: 0xc093,
  DATA_16: 0x0093,
  READ_ONLY: 0xc091,
  DOWN: 0xc097,
  DOWN_16: 0x0097,
  NULL: 0,
} as const;

const memory = allocateMemory(2);
const cpu: FallbackCpu = createFallbackCpu({
  memory: memory.whole,
  ramSize: memory.ram.size,
  clock: new VirtualClock(),
  hostWaits: () => false,
});

/** RAM of the guest: zeros before each instruction, but for the instruction. */
export const ram = memory.ram.slice(gpa(0), memory.ram.size);

export interface Outcome {
  /** `vector:error code` of the fault. */
  readonly fault: string | undefined;
  readonly registers: Registers;
}

/**
 * Executes one instruction, which lies at offset 0x1000 of CS unless `change` says otherwise, in
 * 32-bit protected mode with flat segments or in real mode with all segments at 0.
 */
export function execute(
  mode: "protected" | "real",
  code: string,
  change: Partial<Registers> = {},
  prepare: () => void = () => {},
): Outcome {
  cpu.reset();
  ram.fill(0);
  const real = mode === "real";
  const data = real ? segment(RIGHTS.DATA_16, 0, 0xffff) : segment(RIGHTS.DATA);
  const registers: Registers = {
    ...cpu.readRegisters(),
    ...{ es: data, ss: data, ds: data, fs: data, gs: data },
    cs: real ? segment(RIGHTS.CODE_16, 0, 0xffff) : segment(RIGHTS.CODE_32),
    cr0: real ? 0n : PE,
    rip: BigInt(CODE),
    rsp: 0x8000n,
    ...change,
  };
  const bytes = Uint8Array.from(code.split(" "), (byte) => Number.parseInt(byte, 16));
  const width = real ? 0xf_ffffn : 0xffff_ffffn;
  ram.set(bytes, Number((registers.cs.base + registers.rip) & width));
  prepare();
  cpu.writeRegisters(registers);
  const fault = cpu.executeOne();
  const text = fault && `${fault.vector}:${fault.errorCode ?? "-"}`;
  return { fault: text, registers: cpu.readRegisters() };
}
