import type { FallbackCpu } from "../../fallback/cpu.ts";
import type { Clock } from "../core/clock.ts";
import type { CannotContinue, Cpu, CpuTimes, Registers, VmExit } from "../core/cpu.ts";
import { MICROSECOND, MILLISECOND, type Nanos, nanos } from "../core/units.ts";
import type { KvmCpu } from "../kvm/kvm-cpu.ts";
import { fallbackKnowsMode } from "./leaves.ts";

/**
 * How long the fallback goes on after an instruction that KVM refused, at least: about what the two
 * changes of processor cost where an ioctl is expensive.
 */
const SHORTEST_STAY = 300 * MICROSECOND;
const LONGEST_STAY = 50 * MILLISECOND;

export interface AssistedCpuOptions {
  readonly kvm: KvmCpu;
  /** Makes the other processor, over the same memory, when it is needed first. */
  readonly fallback: (timeStamp: () => bigint) => FallbackCpu;
  readonly clock: Clock;
}

/**
 * KVM's processor, with help: an instruction that KVM gives up is executed by the processor in
 * TypeScript on KVM's state, and those after it for as long as that pays.
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
  /** What the guest's time stamp counter was, and when. */
  #tscAtEntry = { ticks: 0n, at: 0 };
  #tscKhz = 0;

  constructor(options: AssistedCpuOptions) {
    this.#options = options;
    this.#kvm = options.kvm;
    this.#active = options.kvm;
  }

  get notes(): readonly (readonly [string, string])[] {
    if (this.assists.size === 0) return [];
    const counts = [...this.assists].sort((a, b) => b[1] - a[1]);
    const text = counts.map(([name, count]) => `${name} ${count}`).join(", ");
    return [["assisted", `${text} (instructions that KVM gave up)`]];
  }

  run(deadline: Nanos): VmExit {
    for (;;) {
      const exit =
        this.#active === this.#kvm ? this.#runKvm(deadline) : this.#runFallback(deadline);
      if (exit !== undefined) return exit;
    }
  }

  get times(): CpuTimes {
    const kvm = this.#kvm.times;
    const fallback = this.#made?.times ?? { cpu: 0, exits: 0 };
    return { cpu: kvm.cpu + fallback.cpu, exits: kvm.exits + fallback.exits };
  }

  get tscKhz(): number {
    return this.#kvm.tscKhz;
  }

  get interruptible(): boolean {
    return this.#active.interruptible;
  }

  interrupt(vector: number): void {
    this.#active.interrupt(vector);
  }

  nmi(): void {
    this.#active.nmi();
  }

  requestInterruptWindow(wanted: boolean): void {
    this.#kvm.requestInterruptWindow(wanted);
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

  readRegisters(): Registers {
    return this.#active.readRegisters();
  }

  writeRegisters(registers: Registers): void {
    this.#active.writeRegisters(registers);
  }

  reset(): void {
    this.#kvm.reset();
    this.#active = this.#kvm;
  }

  close(): void {
    this.#kvm.close();
  }

  /** Undefined: the other processor goes on. */
  #runKvm(deadline: Nanos): VmExit | undefined {
    const exit = this.#kvm.run(deadline);
    if (exit.kind !== "cannot-continue" || !this.#kvm.refused) return exit;
    return this.#assist(exit);
  }

  #assist(refusal: CannotContinue): CannotContinue | undefined {
    const fallback = this.#fallback();
    const { clock } = this.#options;
    const { tsc, ...state } = this.#kvm.readState();
    this.#tscAtEntry = { ticks: tsc, at: clock.now() };
    fallback.writeState(state);
    const name = fallback.nextInstruction();
    if (name === undefined) return refusal;
    this.assists.set(name, (this.assists.get(name) ?? 0) + 1);
    fallback.executeForced();
    this.#active = fallback;
    const now = clock.now();
    // Refused again soon after the last change: the guest does much of this kind.
    const soon = now - this.#kvmSince < this.#stay;
    this.#stay = soon ? Math.min(2 * this.#stay, LONGEST_STAY) : SHORTEST_STAY;
    this.#stayUntil = fallbackKnowsMode(state) ? now + this.#stay : now;
    return undefined;
  }

  /** Undefined: KVM goes on. */
  #runFallback(deadline: Nanos): VmExit | undefined {
    const fallback = this.#fallback();
    const { clock } = this.#options;
    if (clock.now() >= this.#stayUntil && fallback.settle()) {
      this.#handBack();
      return undefined;
    }
    const exit = fallback.run(nanos(Math.min(deadline, Math.max(this.#stayUntil, clock.now()))));
    if (exit.kind !== "cannot-continue") {
      // Not a kick of the host's, but the end of the stay.
      const over = exit.kind === "kicked" && clock.now() < deadline;
      return over && clock.now() >= this.#stayUntil ? undefined : exit;
    }
    this.#handBack();
    return undefined;
  }

  #handBack(): void {
    const fallback = this.#fallback();
    const { mappingsChanged } = fallback;
    this.#kvm.writeState(fallback.readState());
    if (mappingsChanged) this.#kvm.forgetMappings();
    this.#active = this.#kvm;
    this.#kvmSince = this.#options.clock.now();
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
