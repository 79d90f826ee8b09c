import type { FallbackCpu } from "../../fallback/cpu.ts";
import type { Clock } from "../core/clock.ts";
import type { CannotContinue, Cpu, CpuTimes, Registers, VmExit } from "../core/cpu.ts";
import { type DebugStops, instructionAddress, NO_STOPS, stopsAnywhere } from "../core/debug.ts";
import type { ProcessorState } from "../core/processor-state.ts";
import { MICROSECOND, MILLISECOND, type Nanos, nanos } from "../core/units.ts";
import type { KvmCpu } from "../kvm/kvm-cpu.ts";
import {
  fallbackKnowsMode,
  hasRegistersOf,
  isLegacyPaging,
  isPaged,
  isPrivileged,
  isUnpaged,
} from "./leaves.ts";

/**
 * How long the fallback goes on after an instruction that KVM refused, at least: about what the two
 * changes of processor cost where an ioctl is expensive.
 */
const SHORTEST_STAY = 300 * MICROSECOND;
const LONGEST_STAY = 50 * MILLISECOND;

/** How often the fallback looks whether the guest's mode is still one that KVM cannot execute. */
const LOOK_AGAIN = MILLISECOND;
/**
 * A KVM that emulates privileged code gets as much time for it, altogether, before the fallback takes
 * over: more than short guests need.
 */
const PATIENCE = 20 * MILLISECOND;

const STEPPED: VmExit = { kind: "debug", cause: "step", watchpoint: undefined };

export interface AssistedCpuOptions {
  readonly kvm: KvmCpu;
  /** Makes the other processor, over the same memory, when it is needed first. */
  readonly fallback: (timeStamp: () => bigint) => FallbackCpu;
  readonly clock: Clock;
  /** Whether KVM emulates privileged code: slowly, and with mistakes where there is no paging. */
  readonly emulates: boolean;
}

/**
 * KVM's processor, with help: an instruction that KVM gives up is executed by the processor in
 * TypeScript on KVM's state, and those after it for as long as that pays. Where KVM emulates
 * privileged code, that processor has what is unpaged too, and soon all of a guest that computes.
 *
 * While a debugger has anything to stop at, that processor executes everything but what it leaves to
 * KVM: it stops exactly, anywhere, at as many places as there are, and the guest's debug registers
 * stay the guest's. KVM then steps through its instructions one by one.
 */
export class AssistedCpu implements Cpu {
  readonly name = "kvm";
  /** How often KVM gave up an instruction, by its name. */
  readonly assists = new Map<string, number>();
  readonly #options: AssistedCpuOptions;
  readonly #kvm: KvmCpu;
  #made: FallbackCpu | undefined;
  #active: KvmCpu | FallbackCpu;
  #stay = SHORTEST_STAY;
  #stayUntil = 0;
  /** When KVM took over last. */
  #kvmSince: number = Number.NEGATIVE_INFINITY;
  #stops: DebugStops = NO_STOPS;
  /** How long KVM has been executing since it took over. */
  #kvmTime = 0;
  /** Nobody has executed anything yet. */
  #fresh = true;
  /** KVM is executing an instruction that is its own, for a guest with stops. */
  #kvmSteps = false;
  /** One that came meanwhile. */
  #heldNmi = false;
  /** Whether the fallback is KVM's processor in all that can be noticed. */
  #knowsMode = true;
  /** Of KVM's state when the fallback took over. */
  #componentsInUse = 0n;
  /** What the guest's time stamp counter was, and when. */
  #tscAtEntry = { ticks: 0n, at: 0 };
  #tscKhz = 0;

  constructor(options: AssistedCpuOptions) {
    this.#options = options;
    this.#kvm = options.kvm;
    this.#active = options.kvm;
  }

  get notes(): readonly (readonly [string, string])[] {
    const notes: [string, string][] = [];
    if (this.assists.size > 0) {
      const counts = [...this.assists].sort((a, b) => b[1] - a[1]);
      const text = counts.map(([name, count]) => `${name} ${count}`).join(", ");
      notes.push(["assisted", `${text} (instructions that KVM gave up)`]);
    }
    const instructions = this.#made?.instructions ?? 0;
    if (this.#options.emulates && instructions > 0) {
      notes.push(["stood in", `the processor in TypeScript, for ${instructions} instructions`]);
    }
    return notes;
  }

  run(deadline: Nanos): VmExit {
    for (;;) {
      const exit = this.#runOne(deadline);
      if (exit !== undefined) return exit;
    }
  }

  /** Undefined: to be called again. */
  #runOne(deadline: Nanos): VmExit | undefined {
    if (this.#fresh) this.#begin();
    if (this.#kvmSteps) return this.#stepKvm(deadline);
    const debugged = stopsAnywhere(this.#stops);
    if (this.#active === this.#kvm) {
      if (!debugged || !this.#kvm.settle()) return this.#runKvm(deadline);
      this.#takeOver();
    }
    return debugged ? this.#runDebugged(deadline) : this.#runFallback(deadline);
  }

  get times(): CpuTimes {
    const kvm = this.#kvm.times;
    const fallback = this.#made?.times ?? { cpu: 0, exits: 0 };
    return { cpu: kvm.cpu + fallback.cpu, exits: kvm.exits + fallback.exits };
  }

  get tscKhz(): number {
    return this.#kvm.tscKhz;
  }

  /** A step's trap flag must not get into an interrupt's frame. */
  get interruptible(): boolean {
    return !this.#kvmSteps && this.#active.interruptible;
  }

  interrupt(vector: number): void {
    this.#active.interrupt(vector);
  }

  nmi(): void {
    if (this.#kvmSteps) this.#heldNmi = true;
    else this.#active.nmi();
  }

  requestInterruptWindow(wanted: boolean): void {
    if (!this.#kvmSteps) this.#kvm.requestInterruptWindow(wanted);
    this.#windowWanted = wanted;
    this.#made?.requestInterruptWindow(wanted);
  }
  #windowWanted = false;

  get cr8(): number {
    return this.#active.cr8;
  }

  set cr8(value: number) {
    this.#active.cr8 = value;
  }

  get apicBase(): number {
    return this.#active.apicBase;
  }

  kick(): void {
    this.#active.kick();
  }

  rest(): void {
    this.#kvm.rest();
  }

  stopAt(stops: DebugStops): void {
    this.#stops = stops;
    this.#made?.stopAt(stops);
  }

  readState(): ProcessorState {
    return this.#active.readState();
  }

  writeState(state: ProcessorState): void {
    this.#active.writeState(state);
  }

  readRegisters(): Registers {
    return this.#active.readRegisters();
  }

  writeRegisters(registers: Registers): void {
    this.#active.writeRegisters(registers);
  }

  reset(): void {
    this.#kvm.reset();
    this.#kvm.requestInterruptWindow(this.#windowWanted);
    this.#active = this.#kvm;
    this.#kvmSteps = false;
    this.#heldNmi = false;
    this.#fresh = true;
    this.#stay = SHORTEST_STAY;
  }

  close(): void {
    this.#kvm.close();
  }

  #begin(): void {
    this.#fresh = false;
    this.#kvmTime = 0;
    if (this.#options.emulates && !isPaged(this.#kvm.readRegisters())) this.#takeOver();
  }

  /** Undefined: the other processor goes on. */
  #runKvm(deadline: Nanos): VmExit | undefined {
    const exit = this.#options.emulates ? this.#runPatiently(deadline) : this.#kvm.run(deadline);
    if (exit.kind === "shutdown" && this.#beginsLegacyPaging()) return undefined;
    if (exit.kind !== "cannot-continue" || !this.#kvm.refused) return exit;
    return this.#assist(exit);
  }

  /** The fallback takes over where KVM has been at privileged code for long. */
  #runPatiently(deadline: Nanos): VmExit {
    const { clock } = this.#options;
    const start = clock.now();
    const exit = this.#kvm.run(deadline);
    this.#kvmTime += clock.now() - start;
    if (this.#kvmTime < PATIENCE || exit.kind !== "kicked") return exit;
    this.#kvmTime = 0;
    if (isPrivileged(this.#kvm.readRegisters())) {
      this.#takeOver();
      this.#stay = Math.max(2 * this.#stay, PATIENCE);
      this.#stayUntil = clock.now() + this.#stay;
    }
    return exit;
  }

  /**
   * Some hosts' KVM shuts down where a guest switches 32-bit paging on, and drops CR0.PG when it is
   * set from outside: then all that runs with such paging runs in the fallback.
   * @returns whether it was that, and the fallback has switched it on
   */
  #beginsLegacyPaging(): boolean {
    if (!isUnpaged(this.#kvm.readRegisters())) return false;
    const fallback = this.#takeOver();
    if (fallback.nextInstruction() === "mov") {
      fallback.executeForced();
      if (isLegacyPaging(fallback.readRegisters())) return true;
    }
    this.#active = this.#kvm;
    return false;
  }

  #assist(refusal: CannotContinue): CannotContinue | undefined {
    if (!this.#executeRefused()) return refusal;
    const now = this.#options.clock.now();
    // Refused again soon after the last change: the guest does much of this kind.
    const soon = now - this.#kvmSince < this.#stay;
    if (this.#options.emulates) this.#stay *= 2;
    else this.#stay = soon ? Math.min(2 * this.#stay, LONGEST_STAY) : SHORTEST_STAY;
    this.#stayUntil = this.#knowsMode ? now + this.#stay : now;
    return undefined;
  }

  /** @returns whether the fallback knows the instruction that KVM refuses, and has executed it */
  #executeRefused(): boolean {
    const fallback = this.#takeOver();
    const name = fallback.nextInstruction();
    if (name === undefined || !hasRegistersOf(name, this.#componentsInUse)) {
      this.#active = this.#kvm;
      return false;
    }
    this.assists.set(name, (this.assists.get(name) ?? 0) + 1);
    fallback.executeForced();
    return true;
  }

  /** The fallback goes on where KVM stopped. */
  #takeOver(): FallbackCpu {
    const fallback = this.#fallback();
    const { tsc, componentsInUse, ...state } = this.#kvm.readState();
    this.#componentsInUse = componentsInUse;
    this.#tscAtEntry = { ticks: tsc, at: this.#options.clock.now() };
    fallback.writeState(state);
    fallback.stopAt(this.#stops);
    this.#knowsMode = fallbackKnowsMode(state, componentsInUse);
    this.#active = fallback;
    return fallback;
  }

  /** For a guest with stops. Undefined: KVM executes the next instruction. */
  #runDebugged(deadline: Nanos): VmExit | undefined {
    const fallback = this.#fallback();
    if (this.#knowsMode) {
      const exit = fallback.run(deadline);
      if (exit.kind !== "cannot-continue") return exit;
      if (isLegacyPaging(fallback.readRegisters())) {
        if (fallback.nextInstruction() === undefined) return exit;
        fallback.executeForced();
        return this.#stops.step ? STEPPED : undefined;
      }
    } else if (!this.#stops.step) {
      const next = instructionAddress(fallback.readRegisters());
      if (this.#stops.breakpoints.has(next)) {
        return { kind: "debug", cause: "breakpoint", watchpoint: undefined };
      }
    }
    this.#handOne();
    return undefined;
  }

  /** An access that leaves KVM in the middle of the instruction comes first, as always. */
  #stepKvm(deadline: Nanos): VmExit | undefined {
    const exit = this.#kvm.run(deadline);
    const refused = exit.kind === "cannot-continue" && this.#kvm.refused;
    if (exit.kind !== "debug" && !refused) return exit;
    this.#kvm.stopAt(NO_STOPS);
    this.#kvmSteps = false;
    this.#kvm.requestInterruptWindow(this.#windowWanted);
    if (!refused) this.#takeOver();
    const stuck = refused && !this.#executeRefused();
    if (this.#heldNmi) this.#active.nmi();
    this.#heldNmi = false;
    // Of a step that the fallback took it tells itself.
    return stuck || (!refused && this.#stops.step) ? exit : undefined;
  }

  /** Undefined: KVM goes on. */
  #runFallback(deadline: Nanos): VmExit | undefined {
    const fallback = this.#fallback();
    const { clock } = this.#options;
    if (clock.now() >= this.#stayUntil && fallback.settle()) {
      if (this.#isKvms(fallback.readRegisters())) {
        this.#handBack();
        return undefined;
      }
      this.#stayUntil = clock.now() + LOOK_AGAIN;
    }
    const exit = fallback.run(nanos(Math.min(deadline, Math.max(this.#stayUntil, clock.now()))));
    if (exit.kind !== "cannot-continue") {
      // Not a kick of the host's, but the end of the stay.
      const over = exit.kind === "kicked" && clock.now() < deadline;
      return over && clock.now() >= this.#stayUntil ? undefined : exit;
    }
    const registers = fallback.readRegisters();
    if (isLegacyPaging(registers)) {
      // Where there is no memory to fetch from, nobody could execute it.
      if (fallback.nextInstruction() === undefined) return exit;
      fallback.executeForced();
    } else {
      // Where the fallback is to go on, KVM executes this one instruction only.
      const stays = this.#options.emulates && this.#knowsMode;
      if (stays && (clock.now() < this.#stayUntil || !this.#isKvms(registers))) this.#handOne();
      else this.#handBack();
    }
    return undefined;
  }

  /** Whether KVM may go on in this mode. */
  #isKvms(registers: Registers): boolean {
    if (isLegacyPaging(registers)) return false;
    return !this.#options.emulates || isPaged(registers);
  }

  /** KVM executes the next instruction. */
  #handOne(): void {
    this.#handBack();
    this.#kvm.stopAt({ ...NO_STOPS, step: true });
    this.#kvm.requestInterruptWindow(false);
    this.#kvmSteps = true;
  }

  #handBack(): void {
    const fallback = this.#fallback();
    const { mappingsChanged } = fallback;
    this.#kvm.writeState(fallback.readState());
    if (mappingsChanged) this.#kvm.forgetMappings();
    this.#active = this.#kvm;
    this.#kvmSince = this.#options.clock.now();
    this.#kvmTime = 0;
  }

  #fallback(): FallbackCpu {
    if (this.#made === undefined) {
      this.#tscKhz = this.#kvm.tscKhz;
      this.#made = this.#options.fallback(() => this.#timeStamp());
      this.#made.requestInterruptWindow(this.#windowWanted);
    }
    return this.#made;
  }

  /** KVM's counter goes on while the fallback runs. */
  #timeStamp(): bigint {
    const elapsed = this.#options.clock.now() - this.#tscAtEntry.at;
    return this.#tscAtEntry.ticks + BigInt(Math.floor((elapsed * this.#tscKhz) / MILLISECOND));
  }
}
