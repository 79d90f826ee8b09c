/** Processors of several modes with a program in front of them. */
import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { createFallbackCpu, interpreterModule } from "../../../fallback/index.ts";
import type { JitOptions } from "../../../fallback/jit/jit.ts";
import { CountedClock } from "../../../src/core/clock.ts";
import type { Cpu, Registers, Segment } from "../../../src/core/cpu.ts";
import { GuestMemory, RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { gpa, MIB, nanos } from "../../../src/core/units.ts";

const WASM_PAGE = 64 * 1024;
const RAM_SIZE = 4 * MIB;
export const TABLES = 0x10_0000;
export const CODE = 0x20_0000;
export const DATA = 0x30_0000;
const DATA_SIZE = 0x1000;
const STACK = 0x38_0000;
const PRESENT_WRITABLE = 3n;
const LARGE = 0x80n;
const PAGE_SIZE = 0x1000;
const LARGE_PAGE_32 = 0x40_0000;
/** Present, writable, for everybody. */
const PAGE_32 = 7;
/** VM, IOPL 3. */
const VIRTUAL_8086 = 0x2_3002n;
export const interpreter = interpreterModule(false);
/** Where branches remember where they led. */
const inlineInterpreter = interpreterModule(true);

export interface Machine {
  readonly cpu: FallbackCpu;
  readonly clock: CountedClock;
  readonly ram: GuestMemory;
}

/** In which mode a program runs. */
export interface Mode {
  readonly name: string;
  readonly bits: 64 | 32 | 16;
  /** Whether segments do not begin at 0. */
  readonly segmented: boolean;
  /** Whether code and data are used by their second linear addresses. */
  readonly elsewhere?: boolean;
  /** 32 bits with paging, or virtual-8086 mode. */
  readonly system?: "paging" | "virtual-8086";
}

/** From where on RAM is mapped once more. */
export const AGAIN = 0x4000_0000;
const LONG: Mode = { name: "64-bit mode", bits: 64, segmented: false };
const PROTECTED: Mode = { name: "32-bit mode", bits: 32, segmented: false };
const PAGED: Mode = { ...PROTECTED, name: "32-bit mode with paging", system: "paging" };
const REAL: Mode = { name: "real mode", bits: 16, segmented: true };
export const MODES: readonly Mode[] = [
  LONG,
  { ...LONG, name: "64-bit mode, mapped elsewhere", elsewhere: true },
  PROTECTED,
  { ...PROTECTED, name: "32-bit mode with segments", segmented: true },
  PAGED,
  { ...PAGED, name: "32-bit mode, mapped elsewhere", elsewhere: true },
  REAL,
  { ...REAL, name: "virtual-8086 mode", system: "virtual-8086" },
];

/**
 * A processor whose time is the count of instructions. With paging RAM is mapped onto itself, and once
 * more from 1 GiB on. Where HLT is forbidden, programs end in a triple fault.
 * @param threshold of the JIT; without it everything is interpreted
 * @param others options of it
 */
export function machine(
  code: readonly number[],
  threshold: number | undefined,
  mode: Mode = LONG,
  others: Omit<JitOptions, "threshold"> = {},
): Machine {
  const pages = (RAM_OFFSET + RAM_SIZE) / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const ram = new GuestMemory(memory.buffer, RAM_OFFSET);
  const clock = new CountedClock(0);
  const cpu = createFallbackCpu({
    memory,
    ramSize: RAM_SIZE,
    clock,
    keptInterpreter: () => (threshold === undefined ? interpreter : inlineInterpreter),
    hostWaits: () => false,
    executed: (instructions) => clock.pass(instructions),
    jit: threshold === undefined ? undefined : { threshold, ...others },
  });
  begin({ cpu, ram }, code, mode);
  return { cpu, clock, ram };
}

/** Puts a program into memory, with page tables, and a processor in front of it. */
export function begin(
  { cpu, ram }: { readonly cpu: Cpu; readonly ram: GuestMemory },
  code: readonly number[],
  mode: Mode = LONG,
): void {
  const view = new DataView(ram.buffer, RAM_OFFSET);
  const entry = (at: number, value: bigint): void => view.setBigUint64(at, value, true);
  entry(TABLES, BigInt(TABLES + 0x1000) | PRESENT_WRITABLE);
  for (const gibibyte of [0, 1]) {
    entry(TABLES + 0x1000 + 8 * gibibyte, BigInt(TABLES + 0x2000) | PRESENT_WRITABLE);
  }
  for (const half of [0, 1]) {
    entry(TABLES + 0x2000 + 8 * half, BigInt(half * 0x20_0000) | PRESENT_WRITABLE | LARGE);
  }
  if (mode.system !== undefined) mapPages32(view);
  ram.write(gpa(CODE), Uint8Array.from(code));
  cpu.writeRegisters({ ...cpu.readRegisters(), rflags: 2n, ...registersOf(mode) });
}

/** RAM by pages of 4 KiB, and once more by one of 4 MiB. */
function mapPages32(view: DataView): void {
  const table = TABLES + PAGE_SIZE;
  view.setUint32(TABLES, table | PAGE_32, true);
  view.setUint32(TABLES + 4 * (AGAIN / LARGE_PAGE_32), PAGE_32 | Number(LARGE), true);
  for (let n = 0; n < 1024; n++) view.setUint32(table + 4 * n, (n * PAGE_SIZE) | PAGE_32, true);
}

function registersOf({ bits, segmented, elsewhere, system }: Mode): Partial<Registers> {
  const base = (address: number): number => (segmented ? address : 0);
  const segment = (attributes: number, address: number): Segment => ({
    ...{ selector: 8, base: BigInt(base(address)), attributes },
    limit: segmented ? 0xffff : 0xffff_ffff,
  });
  const wide = bits === 16 ? 0 : 0xc000;
  const data = segment(0x93 | wide, DATA);
  // Its top is DATA_SIZE above the base.
  const stack = segment(0x93 | wide, STACK - DATA_SIZE);
  const from = elsewhere ? AGAIN : 0;
  const offsets = {
    rip: BigInt(from + CODE - base(CODE)),
    rsp: BigInt(from + STACK - base(STACK - DATA_SIZE)),
    rbx: BigInt(from + DATA - base(DATA)),
  };
  const paging = { cr3: BigInt(TABLES), cr4: 0x620n, efer: 0x500n };
  return {
    ...{ ...offsets, ss: stack, ds: data, es: data },
    cs: segment(0x9b | (bits === 64 ? 0xa000 : wide), CODE),
    ...(bits === 64 ? { cr0: 0x8001_0033n, ...paging } : { cr0: bits === 32 ? 1n : 0n }),
    ...(system === undefined ? {} : { cr0: 0x8001_0033n, cr3: BigInt(TABLES), cr4: 0x610n }),
    ...(system === "virtual-8086" ? { rflags: VIRTUAL_8086 } : {}),
  };
}

/** Runs for some instructions. @returns whether the guest has halted */
export function runFor({ cpu, clock }: Machine, instructions: number): boolean {
  const exit = cpu.run(nanos(clock.now() + instructions));
  return exit.kind === "halt" || exit.kind === "shutdown";
}

/** All that a program can see. */
export function stateOf({ cpu, ram }: Machine): {
  registers: Registers;
  data: string;
  instructions: number;
} {
  const data = Buffer.from(ram.slice(gpa(DATA), DATA_SIZE)).toString("base64");
  return { registers: cpu.readRegisters(), data, instructions: cpu.instructions };
}
