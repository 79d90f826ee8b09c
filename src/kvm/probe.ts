import type { Registers } from "../core/cpu.ts";
import { MICROSECOND, MILLISECOND } from "../core/units.ts";
import type { KvmAddon, KvmVm } from "./addon.ts";
import { EXIT, RUN } from "./layout.ts";
import { openKvmVm } from "./open.ts";
import { RegisterFile } from "./registers.ts";

/** Of the two loops that are timed: what they differ by is free of the price of entering the guest. */
const SHORT_LOOP = 500;
const LONG_LOOP = 4500;
const CODE_GPA = 0x1000;
/** A processor does several instructions a nanosecond; KVM's emulator, one or two a microsecond. */
const SLOWEST_NATIVE = 0.05 * MICROSECOND;
/** A host that is busy elsewhere for a moment must not be taken for a slow one. */
const ATTEMPTS = 3;
const WASM_PAGE = 64 * 1024;

// again: dec ecx; jnz again; hlt (16-bit code, 32-bit operands)
const CODE = Uint8Array.of(0x66, 0x49, 0x75, 0xfc, 0xf4);
const INSTRUCTIONS_A_ROUND = 2;

export interface KvmProbe {
  /** Nanoseconds for one simple instruction at privilege level 0. */
  readonly nanosecondsPerInstruction: number;
  /** Whether the processor itself runs privileged code, and not an emulator in KVM. */
  readonly native: boolean;
}

/** Nanoseconds; infinity if KVM does not come to the end of the loop. */
function timeLoop(vm: KvmVm, instructions: number, now: () => number): number {
  const registers = new RegisterFile(vm);
  const state: Registers = registers.read();
  state.cs = { ...state.cs, selector: 0, base: 0n };
  state.rip = BigInt(CODE_GPA);
  state.rcx = BigInt(instructions / INSTRUCTIONS_A_ROUND);
  registers.write(state);
  const start = now();
  vm.run();
  const elapsed = (now() - start) * MILLISECOND;
  const reason = new DataView(vm.runPage).getInt32(RUN.exit_reason, true);
  return reason === EXIT.HLT ? elapsed : Number.POSITIVE_INFINITY;
}

function timeInstruction(vm: KvmVm, now: () => number): number {
  let short = Number.POSITIVE_INFINITY;
  let long = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ATTEMPTS; i++) {
    short = Math.min(short, timeLoop(vm, SHORT_LOOP, now));
    long = Math.min(long, timeLoop(vm, LONG_LOOP, now));
  }
  const each = (long - short) / (LONG_LOOP - SHORT_LOOP);
  // Not finite where a loop does not come to its end.
  return Number.isFinite(each) ? Math.max(0, each) : Number.POSITIVE_INFINITY;
}

/**
 * Finds out how this host's KVM runs privileged code: some (a paravirtual KVM in a virtual machine)
 * have it emulated, instruction by instruction.
 * @param now milliseconds, monotonic
 * @throws HostError when KVM is missing or refuses
 */
export function probeKvm(addon: KvmAddon, device: string, now: () => number): KvmProbe {
  const vm = openKvmVm(addon, device, false);
  try {
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 1, maximum: 1 }).buffer);
    memory.set(CODE, CODE_GPA);
    vm.mapMemory(0, 0, memory.subarray(0, WASM_PAGE), false);
    const best = timeInstruction(vm, now);
    return { nanosecondsPerInstruction: best, native: best < SLOWEST_NATIVE };
  } finally {
    vm.close();
  }
}
