import type { DebugExit, DebugStops } from "./debug.ts";
import type { AccessSize } from "./device.ts";
import type { ProcessorState } from "./processor-state.ts";
import type { RegisterAccess } from "./register-access.ts";
import type { Gpa, Nanos } from "./units.ts";

/** `in`: the run loop must call {@link PortRead.complete} once per element, in order. */
export interface PortRead {
  readonly kind: "port-read";
  readonly port: number;
  readonly size: AccessSize;
  /** Elements: more than one for the string forms (`rep insb`). */
  readonly count: number;
  /** @param index of the element, below {@link count} */
  complete(index: number, value: number): void;
}

export interface PortWrite {
  readonly kind: "port-write";
  readonly port: number;
  readonly size: AccessSize;
  readonly count: number;
  /** @param index of the element, below {@link count} */
  value(index: number): number;
}

/** An access to a guest physical address that is not RAM. */
export interface MmioRead {
  readonly kind: "mmio-read";
  readonly address: Gpa;
  /** Bytes, 1 to 8. */
  readonly length: number;
  /** What the guest reads; {@link length} bytes to be filled in. */
  readonly data: Uint8Array;
}

export interface MmioWrite {
  readonly kind: "mmio-write";
  readonly address: Gpa;
  /** Bytes, 1 to 8. */
  readonly length: number;
  readonly data: Uint8Array;
}

/** An access to a port has been made through {@link PortAccess}, after which it was not settled. */
export interface Accessed {
  readonly kind: "accessed";
}

/** `hlt`: the CPU waits for an interrupt. */
export interface Halt {
  readonly kind: "halt";
  /** Whether RFLAGS.IF is set: without it no maskable interrupt ends the wait. */
  readonly interruptible: boolean;
}

/** The deadline passed, {@link Cpu.kick} was called, or the host has work to do. */
export interface Kicked {
  readonly kind: "kicked";
}

/** An interrupt can be taken now, as {@link Cpu.requestInterruptWindow} asked. */
export interface InterruptWindow {
  readonly kind: "interrupt-window";
}

/** CR8 went down: interrupts that it held back may be taken now. */
export interface PriorityLowered {
  readonly kind: "priority-lowered";
}

/** An exception that the guest could not take: its delivery failed. */
export interface FailedException {
  readonly vector: number;
  readonly errorCode: number | undefined;
  /** Of a page fault: the linear address. */
  readonly address: bigint | undefined;
}

/** Triple fault. */
export interface Shutdown {
  readonly kind: "shutdown";
  /** What led to it, in order; none where the processor cannot tell. */
  readonly exceptions: readonly FailedException[];
  /** Whether the processor has forgotten its state over it, and stands as after a reset. */
  readonly stateLost?: boolean;
}

/** A reason of {@link CannotContinue}. */
export const NO_MEMORY_TO_RUN = "there is no memory to run code in";

/** The CPU cannot execute the instruction at RIP, or enter the guest with this state. */
export interface CannotContinue {
  readonly kind: "cannot-continue";
  /** One line: what the CPU said. */
  readonly reason: string;
  /** Bytes at RIP, as many as the CPU could tell. */
  readonly instruction: Uint8Array;
}

/**
 * Why the CPU stopped. Each {@link Cpu} keeps one object per kind and returns it anew: what is
 * read from it is valid until the next `run`.
 */
export type VmExit =
  | PortRead
  | PortWrite
  | MmioRead
  | MmioWrite
  | Accessed
  | Halt
  | Kicked
  | InterruptWindow
  | PriorityLowered
  | Shutdown
  | CannotContinue
  | DebugExit;

/** A segment register with its descriptor cache (Intel SDM vol. 3A §3.4.3). */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  /** In bytes, granularity applied. */
  readonly limit: number;
  /** Descriptor bits 40 to 47 and 52 to 55, as in the second doubleword shifted right by 8. */
  readonly attributes: number;
}

export interface DescriptorTable {
  readonly base: bigint;
  readonly limit: number;
}

export const GENERAL_REGISTERS = [
  ...(["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] as const),
  ...(["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const),
] as const;
export const SEGMENT_REGISTERS = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
export const CONTROL_REGISTERS = ["cr0", "cr2", "cr3", "cr4", "cr8"] as const;

export type GeneralRegister = (typeof GENERAL_REGISTERS)[number];
export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number];
export type ControlRegister = (typeof CONTROL_REGISTERS)[number];

/** The architectural state that boot protocols set and reports show. */
export type Registers = Record<GeneralRegister | ControlRegister, bigint> &
  Record<SegmentRegister | "ldtr" | "tr", Segment> & {
    rip: bigint;
    rflags: bigint;
    efer: bigint;
    gdtr: DescriptorTable;
    idtr: DescriptorTable;
  };

/** Where the time went, in nanoseconds; zero unless the CPU was asked to measure. */
export interface CpuTimes {
  /** In the guest, and on the way in and out. */
  readonly cpu: number;
  /** From an access that leaves the CPU until it runs on: what devices take. */
  readonly exits: number;
}

/** Of a processor that translates the guest's code: what {@link CpuTimes.cpu} went to, nanoseconds. */
export interface GuestTime {
  readonly translated: number;
  readonly interpreted: number;
  readonly translating: number;
}

/** Ports as a processor accesses them that need not leave the guest for it. */
export interface PortAccess {
  /** Whether the guest has to be left for a port all the same: something there changes the processor. */
  leaves(port: number): boolean;
  read(port: number, size: AccessSize): number;
  write(port: number, size: AccessSize, value: number): void;
  /** Whether the guest may go on: an access has not given the run loop anything to see to. */
  readonly settled: boolean;
}

/**
 * One virtual processor. It knows guest memory and nothing of devices: whatever it cannot do alone
 * leaves it as a {@link VmExit}.
 */
export interface Cpu {
  /** For messages: `kvm` or `emu`. */
  readonly name: string;
  readonly times: CpuTimes;
  /** If the CPU was asked to measure, and can tell. */
  readonly guestTime?: GuestTime | undefined;
  /** What else there is to tell of a run: a label and a text each. */
  readonly notes?: readonly (readonly [label: string, text: string])[];

  /**
   * Runs the guest until something leaves it. An exit that asks for data must be completed before
   * the next call.
   * @param deadline when to come back with `kicked` at the latest
   */
  run(deadline: Nanos): VmExit;

  /**
   * From now on the processor may access ports through this, within {@link run}, instead of leaving
   * the guest. Missing where that cannot be done.
   */
  connectPorts?(ports: PortAccess): void;

  /** Whether the guest would take an interrupt right now. Valid after `run`. */
  readonly interruptible: boolean;

  /**
   * Delivers an external interrupt at the next `run`. Only while {@link interruptible}.
   * @param vector 0 to 255
   */
  interrupt(vector: number): void;

  /** Delivers a non-maskable interrupt as soon as the guest can take it. */
  nmi(): void;

  /** Makes `run` come back with `interrupt-window` as soon as an interrupt can be taken. */
  requestInterruptWindow(wanted: boolean): void;

  /**
   * CR8, 0 to 15: the upper half of the local APIC's task priority. Valid after `run`; the run loop
   * sets it when the guest changed the priority by the APIC's register.
   */
  cr8: number;

  /** IA32_APIC_BASE, as the guest left it (see `apic-base.ts`). Valid after `run`. */
  readonly apicBase: number;

  /** Ticks of the time stamp counter in a millisecond. */
  readonly tscKhz: number;

  /** Makes the current or the next `run` come back soon. */
  kick(): void;

  /** Tells the CPU that the host's event loop runs now, and not the guest, until the next `run`. */
  rest(): void;

  /** Whether there is anything that would make the guest quicker later, and can as well be left. */
  readonly hasSpareWork?: boolean;

  /** Does some of that, for a millisecond or so. Only between runs. */
  doSpareWork?(): void;

  /**
   * What a debugger has the guest stop at, from the next `run` on; `NO_STOPS` for nothing. It is
   * invisible to the guest: its memory, its debug registers and its `int3` stay its own.
   */
  stopAt(stops: DebugStops): void;

  readRegisters(): Registers;
  writeRegisters(registers: Registers): void;
  /**
   * The same one by one, and while the guest accesses a port as well. Missing where they are only at hand
   * together, or where somebody watches.
   */
  readonly registerAccess?: RegisterAccess;
  /** All of the state. Between two runs, as the three methods around it. */
  readState(): ProcessorState;
  writeState(state: ProcessorState): void;

  /** Power-on state; general registers zero. Boot protocols set the rest. */
  reset(): void;

  /** Frees what the CPU holds of the host. It cannot run again. */
  close(): void;
}
