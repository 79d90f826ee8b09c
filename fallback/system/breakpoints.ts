/** Breakpoints in hardware, on instructions, data and ports (Intel SDM vol. 3B §17.2.4, §17.3.1). */
import { CR4, DR6, isCanonical, RFLAGS } from "../bits.ts";
import type { CpuException } from "../exceptions.ts";
import { linearOf } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import type { Watchpoint } from "../memory/watchpoints.ts";
import type { Processor } from "../processor.ts";
import { STATE } from "../state.ts";
import { debugException } from "./debug.ts";

const COUNT = 4;
/** The byte of DR7 with L and G of all four. */
const ENABLES = STATE.DR + 8 * 7;
const ON_EXECUTION = 0;
const ON_WRITE = 1;
/** With CR4.DE. */
const ON_PORT = 2;
const ON_ACCESS = 3;
/** By DR7's LEN. */
const LENGTHS = [1, 2, 8, 4] as const;

interface Breakpoint {
  /** Of DR6. */
  readonly bit: number;
  readonly address: bigint;
  readonly kind: number;
  readonly length: number;
}

/** Whether there is any: the CPU then has to look between all instructions. */
export const breakpointsEnabled = (p: Processor): boolean => p.view.getUint8(ENABLES) !== 0;

/**
 * The fault that precedes an instruction at a breakpoint, unless RF says that it has been taken.
 * DR6 is set.
 * @param linear address of the instruction
 */
export function instructionBreakpoint(p: Processor, linear: bigint): CpuException | undefined {
  if ((p.systemFlags & RFLAGS.RF) !== 0) return undefined;
  const hits = enabled(p).filter((b) => b.kind === ON_EXECUTION && b.address === linear);
  if (hits.length === 0) return undefined;
  return debugException(
    p,
    hits.reduce((bits, hit) => bits | hit.bit, 0),
  );
}

/** Has the MMU look out for data breakpoints. Called when debug registers have changed. */
export function watchData(p: Processor, mmu: Mmu): void {
  const watchpoints = enabled(p)
    .filter(
      ({ kind, address }) => (kind === ON_WRITE || kind === ON_ACCESS) && isCanonical(address),
    )
    .map(({ bit, address, kind, length }): Watchpoint => {
      // The low bits of the address do not count.
      const start = linearOf(address & ~BigInt(length - 1));
      return { bit, start, length, reads: kind === ON_ACCESS, writes: true };
    });
  mmu.watch(watchpoints);
}

/** Takes note of breakpoints at the ports that an instruction accesses. */
export function watchPorts(p: Processor, mmu: Mmu, port: number, bytes: number): void {
  if ((p.cr4 & CR4.DE) === 0 || !breakpointsEnabled(p)) return;
  for (const { bit, kind, address, length } of enabled(p)) {
    const start = Number(address & 0xffffn & ~BigInt(length - 1));
    if (kind === ON_PORT && port < start + length && start < port + bytes) mmu.watchpointHit(bit);
  }
}

/**
 * The trap after an instruction that accessed what is watched, or that began with RFLAGS.TF set.
 * @param stepped whether it did
 */
export function trapAfter(p: Processor, mmu: Mmu, stepped: boolean): CpuException | undefined {
  const conditions = mmu.takeWatchpointHits() | (stepped ? DR6.BS : 0);
  return conditions === 0 ? undefined : debugException(p, conditions);
}

function enabled(p: Processor): Breakpoint[] {
  const control = Number(p.dr(7) & 0xffff_ffffn);
  return Array.from({ length: COUNT }, (_, n) => n)
    .filter((n) => ((control >>> (2 * n)) & 3) !== 0)
    .map((n) => ({
      bit: 1 << n,
      address: p.dr(n),
      kind: (control >>> (16 + 4 * n)) & 3,
      length: LENGTHS[(control >>> (18 + 4 * n)) & 3] as number,
    }));
}
