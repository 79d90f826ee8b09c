import type { Registers } from "../core/cpu.ts";
import {
  FX_IMAGE_SIZE,
  FX_MXCSR_MASK,
  type ProcessorState,
  STATE_MSRS,
  type StateMsr,
  YMM_UPPERS_SIZE,
} from "../core/processor-state.ts";
import type { KvmVm } from "./addon.ts";
import {
  DEBUGREGS,
  EVENTS,
  KVM_X86_SHADOW_INT_MOV_SS,
  KVM_X86_SHADOW_INT_STI,
  MSRS,
  SIZE,
  STATE,
  XCRS,
  XSAVE_AVX,
  XSAVE_HEADER,
} from "./layout.ts";

const MSR_NAMES = Object.keys(STATE_MSRS) as StateMsr[];
const IA32_TIME_STAMP_COUNTER = 0x10;
const XSTATE_X87_AND_SSE = 3;
const XSTATE_AVX = 4;
/** DR6: a trap after a single step. */
export const DR6_BS = 1n << 14n;

type StateName = Exclude<keyof typeof STATE, "regs" | "sregs" | "guestDebug">;

/** A copy of one of KVM's structures. Every ioctl costs much, so what did not change is not set. */
class Copy {
  readonly view: DataView;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #vm: KvmVm;
  readonly #state: (typeof STATE)[StateName];
  readonly #read: Uint8Array<ArrayBuffer>;

  constructor(vm: KvmVm, name: StateName) {
    this.#vm = vm;
    this.#state = STATE[name];
    this.bytes = new Uint8Array(SIZE[name]);
    this.#read = new Uint8Array(SIZE[name]);
    this.view = new DataView(this.bytes.buffer);
  }

  fetch(): number {
    const result = this.#vm.get(this.#state, this.bytes);
    this.#read.set(this.bytes);
    return result;
  }

  get changed(): boolean {
    return this.bytes.some((byte, at) => byte !== this.#read[at]);
  }

  store(): void {
    this.#vm.set(this.#state, this.bytes);
  }
}

/** What of KVM's state only KVM's processor has, and all else. */
export interface KvmState extends ProcessorState {
  /** The time stamp counter. */
  readonly tsc: bigint;
  /** The components of XCR0 that are not in their initial state (Intel SDM vol. 1 §13.6). */
  readonly componentsInUse: bigint;
}

/** What KVM holds of a processor's state besides `struct kvm_regs` and `struct kvm_sregs`. */
export class StateFile {
  readonly #xsave: Copy;
  readonly #xcrs: Copy;
  readonly #debug: Copy;
  readonly #events: Copy;
  readonly #msrs: Copy;
  /** Those that KVM has, and the time stamp counter, which is only read. */
  #msrNumbers: number[];

  constructor(vm: KvmVm) {
    this.#xsave = new Copy(vm, "xsave");
    this.#xcrs = new Copy(vm, "xcrs");
    this.#debug = new Copy(vm, "debugregs");
    this.#events = new Copy(vm, "events");
    this.#msrs = new Copy(vm, "msrs");
    this.#msrNumbers = [...Object.values(STATE_MSRS), IA32_TIME_STAMP_COUNTER];
  }

  /** What is pending. Must come before anything else is read. */
  fetchEvents(): void {
    this.#events.fetch();
  }

  read(registers: Registers, apicBase: number): KvmState {
    for (const copy of [this.#xsave, this.#xcrs, this.#debug]) copy.fetch();
    this.#fetchMsrs();
    const debug = this.#debug.view;
    const register = (at: number): bigint => debug.getBigUint64(at, true);
    return {
      registers,
      apicBase,
      debugRegisters: [
        ...[0, 1, 2, 3].map((n) => register(DEBUGREGS.db + 8 * n)),
        ...[0n, 0n, register(DEBUGREGS.dr6), register(DEBUGREGS.dr7)],
      ],
      fx: this.#xsave.bytes.slice(0, FX_IMAGE_SIZE),
      ymmUppers: this.#readYmmUppers(),
      xcr0: this.#xcrs.view.getBigUint64(XCRS.value, true),
      msrs: Object.fromEntries(
        MSR_NAMES.map((name) => [name, this.#msr(STATE_MSRS[name])]),
      ) as Record<StateMsr, bigint>,
      tsc: this.#msr(IA32_TIME_STAMP_COUNTER),
      componentsInUse: this.#xsave.view.getBigUint64(XSAVE_HEADER, true),
      ...this.#readEvents(),
    };
  }

  /** Sets what {@link read} has read, changed or not. */
  write(state: ProcessorState): void {
    const { debugRegisters, fx, msrs, ymmUppers } = state;
    const mask = this.#xsave.bytes.slice(FX_MXCSR_MASK, FX_MXCSR_MASK + 4);
    this.#xsave.bytes.set(fx);
    this.#xsave.bytes.set(mask, FX_MXCSR_MASK);
    this.#xsave.bytes.set(ymmUppers, XSAVE_AVX);
    // Components that this bitmap does not name are taken to be in their initial state; KVM refuses to be
    // told of one that its processor does not have.
    const avx = ymmUppers.some((byte) => byte !== 0) ? XSTATE_AVX : 0;
    this.#present |= XSTATE_X87_AND_SSE | avx;
    this.#xcrs.view.setBigUint64(XCRS.value, state.xcr0, true);
    const debug = this.#debug.view;
    debugRegisters.forEach((value, n) => {
      const at = n < 4 ? DEBUGREGS.db + 8 * n : n === 6 ? DEBUGREGS.dr6 : DEBUGREGS.dr7;
      if (n !== 4 && n !== 5) debug.setBigUint64(at, value, true);
    });
    for (const name of MSR_NAMES) this.#setMsr(STATE_MSRS[name], msrs[name]);
    this.#writeEvents(state);
    for (const copy of [this.#xsave, this.#xcrs, this.#debug, this.#events]) {
      if (copy.changed) copy.store();
    }
    if (this.#msrs.changed) this.#storeMsrs();
  }

  /**
   * Sets DR6 as it was written, if it tells of a single step now.
   * @returns whether it did
   */
  takeBackStep(): boolean {
    const before = this.#debug.view.getBigUint64(DEBUGREGS.dr6, true);
    this.#debug.fetch();
    if ((this.#debug.view.getBigUint64(DEBUGREGS.dr6, true) & DR6_BS) === 0n) return false;
    this.#debug.view.setBigUint64(DEBUGREGS.dr6, before, true);
    this.#debug.store();
    return true;
  }

  /** The first byte of the bitmap of components that are not in their initial state. */
  get #present(): number {
    return this.#xsave.bytes[XSAVE_HEADER] ?? 0;
  }
  set #present(value: number) {
    this.#xsave.bytes[XSAVE_HEADER] = value;
  }

  #readYmmUppers(): Uint8Array<ArrayBuffer> {
    if ((this.#present & XSTATE_AVX) === 0) return new Uint8Array(YMM_UPPERS_SIZE);
    return this.#xsave.bytes.slice(XSAVE_AVX, XSAVE_AVX + YMM_UPPERS_SIZE);
  }

  /** KVM stops at the first that it does not have: that one is never asked for again. */
  #fetchMsrs(): void {
    for (;;) {
      const { view } = this.#msrs;
      view.setUint32(0, this.#msrNumbers.length, true);
      this.#msrNumbers.forEach((number, i) => {
        view.setUint32(MSRS.entries + SIZE.msr * i, number, true);
      });
      const count = this.#msrs.fetch();
      if (count === this.#msrNumbers.length) return;
      this.#msrNumbers = this.#msrNumbers.filter((_, i) => i !== count);
    }
  }

  /** All but the last, the time stamp counter: it goes on by itself. */
  #storeMsrs(): void {
    this.#msrs.view.setUint32(0, this.#msrNumbers.length - 1, true);
    this.#msrs.store();
  }

  /** Zero where KVM does not have it. */
  #msr(number: number): bigint {
    const at = this.#msrOffset(number);
    return at === undefined ? 0n : this.#msrs.view.getBigUint64(at, true);
  }

  #setMsr(number: number, value: bigint): void {
    const at = this.#msrOffset(number);
    if (at !== undefined) this.#msrs.view.setBigUint64(at, value, true);
  }

  #msrOffset(number: number): number | undefined {
    const index = this.#msrNumbers.indexOf(number);
    return index < 0 ? undefined : MSRS.entries + SIZE.msr * index + MSRS.data;
  }

  #readEvents(): Pick<ProcessorState, "shadow" | "nmiMasked" | "pending"> {
    const { view } = this.#events;
    const flag = (name: keyof typeof EVENTS): boolean => view.getUint8(EVENTS[name]) !== 0;
    const shadow = view.getUint8(EVENTS["interrupt.shadow"]);
    const errorCode = flag("exception.has_error_code")
      ? view.getUint32(EVENTS["exception.error_code"], true)
      : undefined;
    const vector = view.getUint8(EVENTS["exception.nr"]);
    const sti = (shadow & KVM_X86_SHADOW_INT_STI) !== 0;
    return {
      // AMD's processors do not tell which it is, and KVM says both: STI's is the common one.
      shadow: { sti, movSs: !sti && (shadow & KVM_X86_SHADOW_INT_MOV_SS) !== 0 },
      nmiMasked: flag("nmi.masked"),
      pending: {
        ...((flag("exception.injected") || flag("exception.pending")) && {
          exception: { vector, errorCode },
        }),
        ...(flag("interrupt.injected") && {
          interrupt: view.getUint8(EVENTS["interrupt.nr"]),
        }),
        nmi: flag("nmi.injected") || flag("nmi.pending"),
      },
    };
  }

  #writeEvents({ shadow, nmiMasked, pending }: ProcessorState): void {
    const { view } = this.#events;
    const flag = (name: keyof typeof EVENTS, value: boolean): void => {
      view.setUint8(EVENTS[name], value ? 1 : 0);
    };
    const { exception, interrupt } = pending;
    flag("exception.pending", false);
    flag("exception.injected", exception !== undefined);
    if (exception !== undefined) {
      view.setUint8(EVENTS["exception.nr"], exception.vector);
      flag("exception.has_error_code", exception.errorCode !== undefined);
      view.setUint32(EVENTS["exception.error_code"], exception.errorCode ?? 0, true);
    }
    flag("interrupt.injected", interrupt !== undefined);
    if (interrupt !== undefined) view.setUint8(EVENTS["interrupt.nr"], interrupt);
    view.setUint8(
      EVENTS["interrupt.shadow"],
      (shadow.sti ? KVM_X86_SHADOW_INT_STI : 0) | (shadow.movSs ? KVM_X86_SHADOW_INT_MOV_SS : 0),
    );
    flag("nmi.injected", false);
    flag("nmi.pending", pending.nmi);
    flag("nmi.masked", nmiMasked);
  }
}
