import { APIC_BASE_AT_RESET } from "../core/apic-base.ts";
import type { Clock } from "../core/clock.ts";
import {
  type CannotContinue,
  type Cpu,
  type CpuTimes,
  NO_MEMORY_TO_RUN,
  type Registers,
  type VmExit,
} from "../core/cpu.ts";
import type { DebugStops } from "../core/debug.ts";
import { assert, Bug, HostError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import type { ProcessorState } from "../core/processor-state.ts";
import { hex, type Nanos, NEVER } from "../core/units.ts";
import type { KvmAddon, KvmVm } from "./addon.ts";
import { configureCpuid } from "./cpuid.ts";
import { KvmExits } from "./exits.ts";
import {
  EXIT,
  KVM_EXIT_IO_OUT,
  KVM_INTERNAL_ERROR_EMULATION,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
  RUN,
} from "./layout.ts";
import { LinearMemory } from "./linear-memory.ts";
import { mapGuestMemory, unmapGuestMemory } from "./memory-slots.ts";
import { openKvmVm } from "./open.ts";
import { RegisterFile } from "./registers.ts";
import { SingleStep, withTrap } from "./single-step.ts";
import { type KvmState, StateFile } from "./state-file.ts";

const EINTR = -4;
const EAGAIN = -11;
const RFLAGS_IF = 1 << 9;
/** #UD. */
const INVALID_OPCODE = 6;
/** Longest instruction (Intel SDM vol. 2A §2.3.11). */
const MAX_INSTRUCTION_LENGTH = 15;

export interface KvmCpuOptions {
  readonly addon: KvmAddon;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  /** Path of the device node. */
  readonly device: string;
  /** Whether to measure the time spent in the guest. */
  readonly timed: boolean;
}

/**
 * Whether it stands at the reset vector (Intel SDM vol. 3A §10.1.4). AMD's processors leave no state
 * behind when they shut down, and KVM makes it a reset's.
 */
const isReset = ({ rip, cs, cr0 }: Registers): boolean =>
  rip === 0xfff0n && cs.base === 0xffff_0000n && (cr0 & 1n) === 0n;

/** A processor run by KVM, with no interrupt controller in the kernel. */
export class KvmCpu implements Cpu {
  readonly name = "kvm";
  readonly #options: KvmCpuOptions;
  #vm: KvmVm;
  #run: DataView;
  #exits: KvmExits;
  #registers: RegisterFile;
  #state: StateFile;
  #linearMemory: LinearMemory;
  #singleStep: SingleStep;
  /** The deadline that the timer in the addon is set to. */
  #armed: Nanos = NEVER;
  #watching = false;
  /** The last exit left an access that the next KVM_RUN completes. */
  #accessPending = false;
  /** What completing an access led to, and {@link run} has not told yet. */
  #unreported = false;
  #refused = false;
  #stepping = false;
  /** The last exit was for a step, and the guest's own trap after the same instruction is due. */
  #trapDue = false;
  /** Of the machines before the present one: each reset makes a new one. */
  #timesBefore: CpuTimes = { cpu: 0, exits: 0 };

  /** @throws HostError when KVM is missing or refuses */
  constructor(options: KvmCpuOptions) {
    this.#options = options;
    this.#vm = this.#open();
    this.#run = new DataView(this.#vm.runPage);
    this.#exits = new KvmExits(this.#run);
    this.#registers = new RegisterFile(this.#vm);
    this.#state = new StateFile(this.#vm);
    this.#linearMemory = new LinearMemory(this.#vm, this.#options.memory);
    this.#singleStep = this.#makeStep();
  }

  get interruptible(): boolean {
    return (
      this.#run.getUint8(RUN.ready_for_interrupt_injection) !== 0 &&
      this.#run.getUint8(RUN.if_flag) !== 0
    );
  }

  /** Without an irqchip in the kernel, KVM_RUN takes CR8 from here and leaves it here. */
  get cr8(): number {
    return this.#run.getUint8(RUN.cr8);
  }

  set cr8(value: number) {
    this.#run.setUint8(RUN.cr8, value);
  }

  get apicBase(): number {
    const at = RUN.apic_base;
    return this.#run.getUint32(at, true) + this.#run.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  get times(): CpuTimes {
    const { cpu, exits } = this.#vm.times();
    return { cpu: this.#timesBefore.cpu + cpu, exits: this.#timesBefore.exits + exits };
  }

  run(deadline: Nanos): VmExit {
    if (this.#unreported) {
      this.#unreported = false;
      return this.#exit();
    }
    // An earlier setting will do: it fires, and the next run sets the timer anew. Setting it costs
    // more than a spurious kick now and then.
    if (deadline < this.#armed && !this.#setDeadline(deadline)) return this.#exits.kicked;
    if (!this.#watching) {
      this.#vm.watch(true);
      this.#watching = true;
    }
    this.#vm.run();
    return this.#exit();
  }

  /** What KVM_RUN returned for. */
  #exit(): VmExit {
    const reason = this.#run.getInt32(RUN.exit_reason, true);
    this.#refused = false;
    this.#trapDue = false;
    this.#accessPending = reason === EXIT.IO || reason === EXIT.MMIO;
    switch (reason) {
      case EXIT.IO: {
        const out = this.#run.getUint8(RUN["io.direction"]) === KVM_EXIT_IO_OUT;
        const exit = out ? this.#exits.portWrite : this.#exits.portRead;
        exit.load();
        return exit;
      }
      case EXIT.MMIO: {
        const write = this.#run.getUint8(RUN["mmio.is_write"]) !== 0;
        const exit = write ? this.#exits.mmioWrite : this.#exits.mmioRead;
        exit.load();
        return exit;
      }
      case EXIT.HLT:
        return this.#run.getUint8(RUN.if_flag) !== 0 ? this.#exits.halt : this.#exits.haltForever;
      case EXIT.IRQ_WINDOW_OPEN:
        return this.#exits.interruptWindow;
      case EXIT.SET_TPR:
        return this.#exits.priorityLowered;
      case EINTR:
      case EAGAIN:
      case EXIT.INTR:
        this.#kickTaken();
        return this.#exits.kicked;
      case EXIT.SHUTDOWN:
        return isReset(this.readRegisters()) ? this.#exits.shutdownAndReset : this.#exits.shutdown;
      case EXIT.DEBUG:
        this.#trapDue = this.#singleStep.end(this.#run.getBigUint64(RUN["debug.arch.dr6"], true));
        return this.#exits.stepped;
      default:
        return this.#explain(reason);
    }
  }

  /** It may have been the timer's or the watcher's. These fire once: both have to be set anew. */
  #kickTaken(): void {
    this.#armed = NEVER;
    this.#watching = false;
  }

  /** Whether the last exit is there because KVM's emulator does not know an instruction. */
  get refused(): boolean {
    return this.#refused;
  }

  interrupt(vector: number): void {
    this.#vm.interrupt(vector);
  }

  nmi(): void {
    this.#vm.nmi();
  }

  requestInterruptWindow(wanted: boolean): void {
    this.#run.setUint8(RUN.request_interrupt_window, wanted ? 1 : 0);
  }

  kick(): void {
    this.#vm.kick();
  }

  rest(): void {
    if (this.#watching) this.#vm.watch(false);
    this.#watching = false;
  }

  /** KVM steps, and that is all: the processor around this one sees to the rest. */
  stopAt({ breakpoints, watchpoints, step }: DebugStops): void {
    assert(breakpoints.size + watchpoints.length === 0, "KVM's processor alone only steps");
    if (step === this.#stepping) return;
    this.#stepping = step;
    if (step) this.#singleStep.arm();
    else this.#singleStep.disarm();
  }

  /**
   * Completes the access that devices have answered.
   * @returns whether its instruction is done; if not, it makes another one, which {@link run} tells
   */
  settle(): boolean {
    this.#completeAccess();
    return !this.#unreported;
  }

  readRegisters(): Registers {
    this.#completeAccess();
    const registers = this.#registers.read();
    registers.cr8 = BigInt(this.cr8);
    return registers;
  }

  writeRegisters(registers: Registers): void {
    this.#completeAccess();
    this.#registers.write(registers);
    this.cr8 = Number(registers.cr8 & 0xfn);
  }

  /** Everything that another processor needs to go on from here, and the time stamp counter. */
  readState(): KvmState {
    this.#completeAccess();
    // Of a fault that is pending, KVM puts CR2 and DR6 into place when it is asked for the fault.
    this.#state.fetchEvents();
    const registers = this.readRegisters();
    const state = this.#state.read(registers, this.#registers.apicBase);
    if (this.#trapDue) return withTrap(state);
    if (!this.#refused || state.pending.exception?.vector !== INVALID_OPCODE) return state;
    // What KVM's emulator does not know it makes a fault, and tells of it all the same.
    return { ...state, pending: { ...state.pending, exception: undefined } };
  }

  /** Goes on where another processor stopped, which began with what {@link readState} told it. */
  writeState(state: ProcessorState): void {
    this.writeRegisters(state.registers);
    if (state.apicBase !== this.#registers.apicBase) {
      this.#registers.writeApicBase(state.apicBase);
      this.#run.setBigUint64(RUN.apic_base, BigInt(state.apicBase), true);
    }
    this.#state.write(state);
    // KVM_RUN keeps these up to date, but it may be that none comes before somebody asks.
    const { shadow, pending, registers } = state;
    const enabled = (Number(registers.rflags) & RFLAGS_IF) !== 0;
    const free = !shadow.sti && !shadow.movSs && pending.interrupt === undefined;
    this.#run.setUint8(RUN.if_flag, enabled ? 1 : 0);
    this.#run.setUint8(RUN.ready_for_interrupt_injection, enabled && free ? 1 : 0);
  }

  /**
   * Makes KVM forget what it derived from the guest's page tables. Where it shadows them it does not
   * see writes from outside the guest, and dropping memory is the one way to tell it.
   */
  forgetMappings(): void {
    const { memory } = this.#options;
    unmapGuestMemory(this.#vm, memory);
    mapGuestMemory(this.#vm, memory);
  }

  /** Ticks of the time stamp counter in a millisecond. */
  get tscKhz(): number {
    return this.#vm.tscKhz();
  }

  /** A new virtual machine: the one way to have every register of KVM's at its power-on value. */
  reset(): void {
    this.#timesBefore = this.times;
    this.#vm.close();
    this.#vm = this.#open();
    this.#run = new DataView(this.#vm.runPage);
    this.#exits = new KvmExits(this.#run);
    this.#registers = new RegisterFile(this.#vm);
    this.#state = new StateFile(this.#vm);
    this.#linearMemory = new LinearMemory(this.#vm, this.#options.memory);
    this.#singleStep = this.#makeStep();
    this.#armed = NEVER;
    this.#watching = false;
    this.#accessPending = false;
    this.#unreported = false;
    this.#stepping = false;
  }

  close(): void {
    this.#vm.close();
  }

  #makeStep(): SingleStep {
    return new SingleStep(this.#vm, this.#linearMemory, this.#registers, this.#state);
  }

  #open(): KvmVm {
    const { addon, device, memory, timed } = this.#options;
    const vm = openKvmVm(addon, device, timed);
    try {
      mapGuestMemory(vm, memory);
      configureCpuid(vm);
      // KVM has no power-on value for it where it has no local APIC, and tells it with exits only.
      new RegisterFile(vm).writeApicBase(APIC_BASE_AT_RESET);
      new DataView(vm.runPage).setBigUint64(RUN.apic_base, BigInt(APIC_BASE_AT_RESET), true);
    } catch (cause) {
      vm.close();
      throw new HostError("KVM does not accept this machine", {
        errno: (cause as NodeJS.ErrnoException).code,
        cause,
      });
    }
    return vm;
  }

  /** False when the deadline has passed already. */
  #setDeadline(deadline: Nanos): boolean {
    const nanoseconds = Math.floor(deadline - this.#options.clock.now());
    if (nanoseconds <= 0) return false;
    this.#vm.setDeadline(nanoseconds);
    this.#armed = deadline;
    return true;
  }

  /**
   * KVM finishes an `in` or a memory access at the next KVM_RUN only; before that, registers are
   * those of the middle of the instruction. It may find a further access there: that of an
   * instruction that reads and writes memory, or the second half of a wide one.
   */
  #completeAccess(): void {
    if (!this.#accessPending) return;
    this.#vm.kick();
    this.#vm.run();
    this.#accessPending = false;
    this.#unreported = this.#run.getInt32(RUN.exit_reason, true) !== EINTR;
    // One from elsewhere may be lost in that from here.
    if (!this.#unreported) this.#kickTaken();
  }

  #explain(reason: number): CannotContinue {
    if (reason === EXIT.INTERNAL_ERROR) {
      const suberror = this.#run.getUint32(RUN["internal.suberror"], true);
      this.#refused = suberror === KVM_INTERNAL_ERROR_EMULATION;
      const instruction = this.#instruction(suberror);
      let what = `KVM internal error ${suberror}`;
      if (this.#refused) {
        const isThere = instruction.length > 0;
        what = isThere ? "KVM cannot execute this instruction here" : NO_MEMORY_TO_RUN;
      }
      return this.#exits.cannotContinue(what, instruction);
    }
    if (reason === EXIT.FAIL_ENTRY) {
      const why = this.#run.getBigUint64(RUN["fail_entry.hardware_entry_failure_reason"], true);
      return this.#exits.cannotContinue(
        `the processor refuses this guest state (reason ${hex(why)})`,
        this.#instruction(0),
      );
    }
    if (reason < 0) throw new Bug(`KVM_RUN failed with errno ${-reason}`);
    return this.#exits.cannotContinue(`unexpected KVM exit ${reason}`, this.#instruction(0));
  }

  /** The bytes at RIP: KVM's own copy where it gives one, else read from guest memory. */
  #instruction(suberror: number): Uint8Array {
    const run = this.#run;
    if (
      suberror === KVM_INTERNAL_ERROR_EMULATION &&
      run.getUint32(RUN["internal.ndata"], true) >= 3 &&
      run.getUint32(RUN["emulation_failure.flags"], true) &
        KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES
    ) {
      const size = run.getUint8(RUN["emulation_failure.insn_size"]);
      return new Uint8Array(
        run.buffer.slice(
          RUN["emulation_failure.insn_bytes"],
          RUN["emulation_failure.insn_bytes"] + Math.min(size, MAX_INSTRUCTION_LENGTH),
        ),
      );
    }
    const { rip, cs } = this.readRegisters();
    return this.#linearMemory.read(cs.base + rip, MAX_INSTRUCTION_LENGTH);
  }
}
