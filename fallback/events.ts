import { RFLAGS } from "./bits.ts";
import type { CodeState } from "./code-state.ts";
import type { Departure } from "./departure.ts";
import type { CpuException } from "./exceptions.ts";
import type { Mmu } from "./memory/mmu.ts";
import { EVENT_SHADOWS, type Processor, SHADOW } from "./processor.ts";
import { STATE } from "./state.ts";
import { deliverException, deliverInterrupt, deliverNmi } from "./system/interrupts.ts";

/** Interrupts from outside and faults from inside, and what the run loop wants to know of them. */
export class Events {
  /** A non-maskable interrupt is pending. */
  nmi = false;
  /** The interrupt that was promised to be taken. */
  vector: number | undefined;
  /** The run loop wants to hear when an interrupt can be taken. */
  windowWanted = false;
  /** The priority that the run loop knows. */
  #cr8 = 0;
  readonly #processor: Processor;
  readonly #mmu: Mmu;
  readonly #code: CodeState;
  readonly #departure: Departure;

  constructor(processor: Processor, mmu: Mmu, code: CodeState, departure: Departure) {
    this.#processor = processor;
    this.#mmu = mmu;
    this.#code = code;
    this.#departure = departure;
  }

  get interruptible(): boolean {
    const { systemFlags, shadow } = this.#processor;
    return (systemFlags & RFLAGS.IF) !== 0 && (shadow & EVENT_SHADOWS) === 0;
  }

  get windowOpen(): boolean {
    return this.windowWanted && this.interruptible;
  }

  /** An NMI that waited for IRET can be taken: at once, not at the end of a slice. */
  get nmiDue(): boolean {
    return this.nmi && (this.#processor.shadow & (SHADOW.NMI | SHADOW.MOV_SS)) === 0;
  }

  /** Whether anything is held off by a shadow now. */
  get waiting(): boolean {
    return this.windowWanted || this.nmi || this.vector !== undefined;
  }

  /** Lets generated code know of {@link waiting}, which does not change while it runs. */
  show(): void {
    this.#processor.view.setInt32(STATE.EVENTS_WAIT, this.waiting ? 1 : 0, true);
  }

  forget(): void {
    this.nmi = false;
    this.vector = undefined;
    this.windowWanted = false;
    this.#processor.pendingTrap = undefined;
    this.#cr8 = 0;
  }

  /** An NMI first, then the interrupt that was promised to be taken. */
  take(): void {
    if (this.nmiDue) {
      this.nmi = false;
      deliverNmi(this.#processor, this.#mmu);
      this.#code.synchronise();
    }
    if (this.vector === undefined || !this.interruptible) return;
    const { vector } = this;
    this.vector = undefined;
    this.deliverInterrupt(vector);
  }

  deliverInterrupt(vector: number): void {
    deliverInterrupt(this.#processor, this.#mmu, vector);
    this.#code.synchronise();
  }

  deliverException(exception: CpuException): void {
    this.#mmu.mmio.clear();
    deliverException(this.#processor, this.#mmu, exception);
    this.#code.synchronise();
  }

  /**
   * What follows from the last instruction, and comes before the next one.
   * @returns whether there was anything
   */
  takeTrap(): boolean {
    const trap = this.#processor.takePendingTrap();
    if (trap !== undefined) this.deliverException(trap);
    return trap !== undefined;
  }

  /** The run loop knows CR8 as it is now. */
  rememberPriority(): void {
    this.#cr8 = this.#processor.cr8;
  }

  /** CR8 has gone down: interrupts that it held back may be taken. */
  noticePriority(): void {
    const { cr8 } = this.#processor;
    if (cr8 < this.#cr8 && !this.#departure.pending) {
      this.#departure.leaveFor(this.#departure.exits.priorityLowered);
    }
    this.#cr8 = cr8;
  }
}
