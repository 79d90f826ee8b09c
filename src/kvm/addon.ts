import type { CpuTimes } from "../core/cpu.ts";
import type { STATE } from "./layout.ts";

type State = (typeof STATE)[keyof typeof STATE];

/** One virtual machine with one vCPU (`native/kvm_glue.cc`). Failing calls throw with `code`. */
export interface KvmVm {
  /** `struct kvm_run` and what follows it, shared with the kernel until {@link close}. */
  readonly runPage: ArrayBuffer;
  checkExtension(capability: number): number;
  /** `memory` must be page-aligned. */
  mapMemory(slot: number, gpa: number, memory: Uint8Array, readOnly: boolean): void;
  /** MSRs: `into` names them; returns how many were read, up to the first that KVM does not have. */
  get(state: State, into: Uint8Array): number;
  set(state: State, from: Uint8Array): number;
  /** Ticks of the guest's time stamp counter in a millisecond. */
  tscKhz(): number;
  /** Returns the number of entries. */
  supportedCpuid(into: Uint8Array): number;
  setCpuid(entries: Uint8Array): void;
  /** Guest physical address, or -1. */
  translate(linear: bigint): number;
  interrupt(vector: number): void;
  nmi(): void;
  /** Leaves the exit reason, or a negative errno, in {@link runPage} (`RUN.exit_reason`). */
  run(): void;
  /** Nanoseconds from now; 0 for none. */
  setDeadline(nanoseconds: number): void;
  /** Whether the event loop's readiness kicks the vCPU; firing switches it off. */
  watch(on: boolean): void;
  /** Harmless when closed. */
  kick(): void;
  times(): CpuTimes;
  close(): void;
}

/** What `src/kvm` uses of the addon. */
export interface KvmAddon {
  readonly KvmVm: new (device: string, timed: boolean) => KvmVm;
  readonly kvmLayout: Readonly<Record<string, number>>;
}
