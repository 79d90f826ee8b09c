import { NONE, VectorSet } from "./vector-set.ts";

const CLASS = 0xf0;

/**
 * Which interrupt the processor takes next: a local APIC's request, in-service and trigger mode
 * registers with the priorities between them.
 * Source: Intel SDM vol. 3A, "Interrupt, Task, and Processor Priority", "Interrupt Acceptance for
 * Fixed Interrupts".
 */
export class VectorArbiter {
  /** IRR. */
  readonly requests = new VectorSet();
  /** ISR. */
  readonly inService = new VectorSet();
  /** TMR. */
  readonly levelTriggered = new VectorSet();
  #taskPriority = 0;
  /** Both kept up to date, because they are asked for before every entry into the guest. */
  #next = NONE;
  #requested = false;

  reset(): void {
    this.requests.clear();
    this.inService.clear();
    this.levelTriggered.clear();
    this.#taskPriority = 0;
    this.#next = NONE;
    this.#requested = false;
  }

  /** Whether any vector waits. */
  get requested(): boolean {
    return this.#requested;
  }

  /** The vector that can be taken now, or {@link NONE}. */
  get next(): number {
    return this.#next;
  }

  /** TPR, 8 bits: the upper four hold back all vectors that are not above them. */
  get taskPriority(): number {
    return this.#taskPriority;
  }

  set taskPriority(value: number) {
    this.#taskPriority = value;
    this.#update();
  }

  /** PPR. */
  get processorPriority(): number {
    const served = Math.max(this.inService.highest, 0) & CLASS;
    return (this.#taskPriority & CLASS) >= served ? this.#taskPriority : served;
  }

  request(vector: number, level: boolean): void {
    this.requests.add(vector);
    if (level) this.levelTriggered.add(vector);
    else this.levelTriggered.delete(vector);
    this.#update();
  }

  /** The processor takes {@link next}, which it returns: a vector, or {@link NONE}. */
  acknowledge(): number {
    const vector = this.#next;
    if (vector === NONE) return NONE;
    this.requests.delete(vector);
    this.inService.add(vector);
    this.#update();
    return vector;
  }

  /** The handler of the highest vector in service is done; returns that vector or {@link NONE}. */
  endOfInterrupt(): number {
    const vector = this.inService.highest;
    if (vector === NONE) return NONE;
    this.inService.delete(vector);
    this.#update();
    return vector;
  }

  #update(): void {
    const vector = this.requests.highest;
    this.#requested = vector !== NONE;
    const urgent = this.#requested && (vector & CLASS) > (this.processorPriority & CLASS);
    this.#next = urgent ? vector : NONE;
  }
}
