/** Random programs of 64-bit code: loops over arithmetic, flags, memory and branches. */
import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { createFallbackCpu, interpreterModule } from "../../../fallback/index.ts";
import { CountedClock } from "../../../src/core/clock.ts";
import type { Registers } from "../../../src/core/cpu.ts";
import { GuestMemory, RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { gpa, MIB, nanos } from "../../../src/core/units.ts";

const WASM_PAGE = 64 * 1024;
const RAM_SIZE = 4 * MIB;
const TABLES = 0x10_0000;
export const CODE = 0x20_0000;
export const DATA = 0x30_0000;
const DATA_SIZE = 0x1000;
const STACK = 0x38_0000;
const PRESENT_WRITABLE = 3n;
const LARGE = 0x80n;
const interpreter = interpreterModule(false);

export interface Machine {
  readonly cpu: FallbackCpu;
  readonly clock: CountedClock;
  readonly ram: GuestMemory;
}

/**
 * A processor in 64-bit mode, whose time is the count of instructions: RAM is mapped onto itself, and
 * once more from 1 GiB on.
 * @param threshold of the JIT; without it everything is interpreted
 */
export function machine(code: readonly number[], threshold: number | undefined): Machine {
  const pages = (RAM_OFFSET + RAM_SIZE) / WASM_PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const ram = new GuestMemory(memory.buffer, RAM_OFFSET);
  const clock = new CountedClock(0);
  const cpu = createFallbackCpu({
    memory,
    ramSize: RAM_SIZE,
    clock,
    keptInterpreter: () => interpreter,
    hostWaits: () => false,
    executed: (instructions) => clock.pass(instructions),
    jit: threshold === undefined ? undefined : { threshold },
  });
  const view = new DataView(memory.buffer, RAM_OFFSET);
  const entry = (at: number, value: bigint): void => view.setBigUint64(at, value, true);
  entry(TABLES, BigInt(TABLES + 0x1000) | PRESENT_WRITABLE);
  for (const gibibyte of [0, 1]) {
    entry(TABLES + 0x1000 + 8 * gibibyte, BigInt(TABLES + 0x2000) | PRESENT_WRITABLE);
  }
  for (const half of [0, 1]) {
    entry(TABLES + 0x2000 + 8 * half, BigInt(half * 0x20_0000) | PRESENT_WRITABLE | LARGE);
  }
  ram.write(gpa(CODE), Uint8Array.from(code));
  const segment = (attributes: number) => ({
    ...{ selector: 8, base: 0n, limit: 0xffff_ffff, attributes },
  });
  const data = segment(0xc093);
  cpu.writeRegisters({
    ...cpu.readRegisters(),
    ...{ cs: segment(0xa09b), ss: data, ds: data, es: data },
    ...{ cr0: 0x8001_0033n, cr3: BigInt(TABLES), cr4: 0x620n, efer: 0x500n },
    ...{ rip: BigInt(CODE), rsp: BigInt(STACK), rbx: BigInt(DATA), rflags: 2n },
  });
  return { cpu, clock, ram };
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

/** Registers that programs compute with: RAX, RDX, RSI, RDI, R8 to R11. */
const REGISTERS = [0, 2, 6, 7, 8, 9, 10, 11];

type Random = (below: number) => number;

/** ModRM and REX for two registers, or a register and [rbx + displacement]. */
function operands(random: Random, opcode: readonly number[], reg: number, wide: boolean): number[] {
  const rm = REGISTERS[random(REGISTERS.length)] as number;
  const rex = (base: number) => 0x40 | (wide ? 8 : 0) | (reg >= 8 ? 4 : 0) | (base >= 8 ? 1 : 0);
  if (random(3) > 0) return [rex(rm), ...opcode, 0xc0 | ((reg & 7) << 3) | (rm & 7)];
  return [rex(0), ...opcode, 0x43 | ((reg & 7) << 3), random(64)];
}

/** One instruction. */
export function instruction(random: Random): number[] {
  const register = REGISTERS[random(REGISTERS.length)] as number;
  const wide = random(2) === 1;
  const condition = random(16);
  switch (random(9)) {
    case 0:
    case 1:
      return operands(random, [8 * random(8) + 1], register, wide);
    case 2:
      return operands(random, [8 * random(8) + 3], register, wide);
    case 3:
      return operands(random, [random(2) === 0 ? 0x8b : 0x89], register, wide);
    case 4:
      return [...operands(random, [0xc1], [0, 1, 4, 5, 7][random(5)] as number, wide), random(64)];
    case 5:
      return operands(random, [0xff], random(2), wide);
    case 6:
      return operands(random, [0x0f, 0x40 + condition], register, wide);
    case 7:
      return operands(random, [0x0f, 0x90 + condition], 0, false);
    default:
      return operands(random, [0x0f, 0xaf], register, wide);
  }
}

/** Some instructions, now and then with a branch over some of them. */
function straight(random: Random, count: number): number[] {
  const code: number[] = [];
  for (let i = 0; i < count; i++) {
    if (random(4) > 0) code.push(...instruction(random));
    else {
      const skipped = [...instruction(random), ...instruction(random)];
      code.push(0x70 + random(16), skipped.length, ...skipped);
    }
  }
  return code;
}

const word = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** A loop, with a function that it calls, and HLT. */
export function program(random: Random): number[] {
  const body = [...straight(random, 8), 0xe8, 0, 0, 0, 0, ...straight(random, 4)];
  const rounds = 50 + random(100);
  // mov ecx, rounds; body; dec ecx; jnz body; hlt; the function: …; ret
  const loop = [0xff, 0xc9, 0x0f, 0x85, ...word(-(body.length + 8))];
  const before = [0xb9, ...word(rounds)];
  const callee = [...straight(random, 5), 0xc3];
  const code = [...before, ...body, ...loop, 0xf4, ...callee];
  const call = code.indexOf(0xe8, before.length);
  const target = before.length + body.length + loop.length + 1;
  const at = findCall(code, call, body.length + before.length);
  code.splice(at + 1, 4, ...word(target - (at + 5)));
  return code;
}

/** The call that is still without a target. */
function findCall(code: readonly number[], from: number, end: number): number {
  for (let at = from; at < end; at++) {
    if (code[at] === 0xe8 && [1, 2, 3, 4].every((n) => code[at + n] === 0)) return at;
  }
  throw new Error("no call");
}
