import type { Registers } from "../core/cpu.ts";
import { instructionAddress } from "../core/debug.ts";
import type { KvmVm } from "./addon.ts";
import {
  GUESTDEBUG,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  SIZE,
  STATE,
} from "./layout.ts";
import type { LinearMemory } from "./linear-memory.ts";
import type { RegisterFile } from "./registers.ts";
import { DR6_BS, type KvmState, type StateFile } from "./state-file.ts";

const CR0_PE = 1n << 0n;
const EFER_LMA = 1n << 10n;
const RFLAGS_TF = 1n << 8n;
/** Breakpoints, by the register that has them. */
const DR6_B = 15n;
const DR7 = 7;
/** The bit that is always set. */
const DR7_FIXED = 1n << 10n;
const PRIVILEGE = 3 << 5;

/** #DB, and the exceptions that are likely: #UD, #GP and #PF. One for each debug register. */
const VECTORS = [1, 6, 13, 14] as const;
const DEBUG_EXCEPTION = 1n << BigInt(VECTORS.indexOf(1));
/** In the attributes of a gate, whether it is present, and its type. */
const PRESENT = 0x80;
const INTERRUPT_GATES: ReadonlySet<number> = new Set([6, 7, 14, 15]);
const WIDE = 8;
/** In the attributes of a stack segment. */
const BIG_STACK = 1 << 14;

/** What entering a handler may have pushed. */
interface Frame {
  /** Bytes of a word. */
  readonly width: number;
  readonly hasErrorCode: boolean;
  readonly rip: bigint;
  readonly cs: bigint;
  /** Where RFLAGS is. */
  readonly at: bigint;
  readonly rflags: bigint;
  /** Where it was pushed. */
  readonly rsp: bigint;
}

/**
 * KVM_GUESTDBG_SINGLESTEP sets TF for one instruction, and hides it from nobody but those who ask KVM: an
 * exception pushes it, and only the handler's IRET, which loads it, is then what ends the step. So there
 * are breakpoints at handlers, and TF is taken out of the frame there.
 */
export class SingleStep {
  readonly #vm: KvmVm;
  readonly #memory: LinearMemory;
  readonly #registers: RegisterFile;
  readonly #state: StateFile;
  #before: Registers | undefined;
  /** It ended at the first instruction of one. */
  #inHandler = false;

  constructor(vm: KvmVm, memory: LinearMemory, registers: RegisterFile, state: StateFile) {
    this.#vm = vm;
    this.#memory = memory;
    this.#registers = registers;
    this.#state = state;
  }

  /** With all state where it belongs. */
  arm(): void {
    const before = this.#registers.read();
    this.#before = before;
    const debug = new DataView(new ArrayBuffer(SIZE.guestdebug));
    const register = (n: number, value: bigint): void =>
      debug.setBigUint64(GUESTDEBUG["arch.debugreg"] + 8 * n, value, true);
    let dr7 = DR7_FIXED;
    this.#handlers(before).forEach((entry, n) => {
      // What begins at a handler is to get past it.
      if (entry === undefined || entry === instructionAddress(before)) return;
      register(n, entry);
      dr7 |= 1n << BigInt(2 * n);
    });
    register(DR7, dr7);
    const control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP;
    debug.setUint32(GUESTDEBUG.control, control, true);
    this.#set(debug);
  }

  disarm(): void {
    this.#set(new DataView(new ArrayBuffer(SIZE.guestdebug)));
    // KVM clears it, whosever it is.
    if (this.#guestSteps && !this.#inHandler) {
      const registers = this.#registers.read();
      this.#registers.write({ ...registers, rflags: registers.rflags | RFLAGS_TF });
    }
    this.#before = undefined;
    this.#inHandler = false;
  }

  /**
   * @param dr6 what KVM says why it stopped
   * @returns whether the guest itself steps, and its trap is due, which KVM took for ours
   */
  end(dr6: bigint): boolean {
    if ((dr6 & DR6_BS) !== 0n) return this.#guestSteps;
    this.#inHandler = (dr6 & DR6_B) !== 0n;
    const before = this.#before;
    if (before !== undefined && this.#inHandler && !this.#guestSteps) this.#mend(before, dr6);
    return false;
  }

  get #guestSteps(): boolean {
    return this.#before !== undefined && (this.#before.rflags & RFLAGS_TF) !== 0n;
  }

  #mend(before: Registers, dr6: bigint): void {
    const { cs, ss, rip } = before;
    const after = this.#registers.read();
    const frames = [...this.#frames(after)].filter((frame) => frame.cs === BigInt(cs.selector));
    const user = (ss.attributes & PRIVILEGE) === PRIVILEGE;
    // Where KVM emulates privileged code, it gives the trap of a step at level 3 to the guest.
    if (user && (dr6 & DEBUG_EXCEPTION) !== 0n && this.#state.takeBackStep()) {
      const frame = frames.find(({ hasErrorCode, width }) => !hasErrorCode && width > 2);
      if (frame === undefined) return;
      const rflags = frame.rflags & ~RFLAGS_TF;
      this.#registers.write({ ...after, cs, ss, rip: frame.rip, rsp: frame.rsp, rflags });
      return;
    }
    const frame = frames.find((candidate) => candidate.rip === rip);
    if (frame === undefined) return;
    // TF is the lowest bit of the second byte.
    this.#memory.writeU8(frame.at + 1n, Number((frame.rflags & ~RFLAGS_TF) >> 8n) & 0xff);
  }

  /** Linear addresses of the first instructions. Undefined where there is no handler, but maybe a task. */
  #handlers(registers: Registers): readonly (bigint | undefined)[] {
    const { cr0, efer, idtr } = registers;
    const real = (cr0 & CR0_PE) === 0n;
    const long = (efer & EFER_LMA) !== 0n;
    const size = real ? 4 : long ? 16 : 8;
    const length = Math.min(idtr.limit + 1, size * (Math.max(...VECTORS) + 1));
    const table = new DataView(this.#memory.read(idtr.base, length).buffer);
    return VECTORS.map((vector) => {
      const at = size * vector;
      if (at + size > table.byteLength) return undefined;
      const low = table.getUint16(at, true);
      const selector = table.getUint16(at + 2, true);
      if (real) return BigInt(16 * selector + low);
      const attributes = table.getUint8(at + 5);
      const type = attributes & 15;
      if ((attributes & PRESENT) === 0 || !INTERRUPT_GATES.has(type)) return undefined;
      const high = (type & WIDE) === 0 ? 0 : table.getUint16(at + 6, true);
      const offset = BigInt(high * 0x1_0000 + low);
      if (long) return offset | (BigInt(table.getUint32(at + 8, true)) << 32n);
      return BigInt.asUintN(32, this.#segmentBase(registers, selector) + offset);
    });
  }

  #segmentBase({ gdtr, ldtr }: Registers, selector: number): bigint {
    const table = (selector & 4) === 0 ? gdtr.base : ldtr.base;
    const descriptor = this.#memory.read(table + BigInt(selector & ~7), 8);
    const [, , low = 0, middle = 0, high = 0, , , highest = 0] = descriptor;
    return BigInt(low | (middle << 8) | (high << 16)) | (BigInt(highest) << 24n);
  }

  /** What lies at the handler's stack, as frames: it depends on the gate and the vector which of them it is. */
  *#frames({ efer, rsp, ss }: Registers): Generator<Frame> {
    const long = (efer & EFER_LMA) !== 0n;
    // 64-bit code has no other stack, and no base.
    const bits = (ss.attributes & BIG_STACK) === 0 ? 16 : 32;
    const stack = long ? rsp : ss.base + BigInt.asUintN(bits, rsp);
    for (const width of long ? [8] : [4, 2]) {
      const bytes = new DataView(this.#memory.read(stack, 5 * width).buffer);
      const word = (n: number): bigint => {
        if (width === 8) return bytes.getBigUint64(8 * n, true);
        return BigInt(width === 4 ? bytes.getUint32(4 * n, true) : bytes.getUint16(2 * n, true));
      };
      for (const hasErrorCode of [false, true]) {
        const first = hasErrorCode ? 1 : 0;
        if (bytes.byteLength < (first + 4) * width) continue;
        yield {
          width,
          hasErrorCode,
          rip: word(first),
          cs: word(first + 1) & 0xffffn,
          at: stack + BigInt((first + 2) * width),
          rflags: word(first + 2),
          rsp: word(first + 3),
        };
      }
    }
  }

  #set(debug: DataView<ArrayBuffer>): void {
    this.#vm.set(STATE.guestDebug, new Uint8Array(debug.buffer));
  }
}

/** The state in which the guest's own trap after the instruction is to be delivered. */
export const withTrap = (state: KvmState): KvmState => ({
  ...state,
  debugRegisters: state.debugRegisters.with(6, (state.debugRegisters[6] ?? 0n) | DR6_BS),
  pending: { ...state.pending, exception: { vector: 1, errorCode: undefined } },
});
