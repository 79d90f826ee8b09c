import { APIC_BASE_AT_RESET, apicAddress, apicEnabled } from "../core/apic-base.ts";
import type { Bus } from "../core/bus.ts";
import type { Cpu } from "../core/cpu.ts";
import type { Resettable } from "../core/device.ts";
import type { IoApic } from "../devices/irq/ioapic.ts";
import type { LocalApic } from "../devices/irq/lapic.ts";
import type { PicPair } from "../devices/irq/pic8259.ts";
import type { InterruptSource } from "./run-loop.ts";

/** CR8 is the upper half of the local APIC's task priority. */
const CR8_SHIFT = 4;

export interface InterruptControllers {
  readonly pic: PicPair;
  readonly lapic: LocalApic;
  readonly ioapic: IoApic;
  /** Where the local APIC's registers are, as long as it is enabled. */
  readonly mmio: Bus;
}

/**
 * What the processor's interrupt pins are connected to. With the local APIC enabled
 * (IA32_APIC_BASE), its own vectors come first, then the 8259 pair if a pin in ExtINT mode lets it
 * through (virtual wire mode, Intel MultiProcessor Specification 1.4 §3.6.2.2); without it the pair
 * is wired to the processor (PIC mode).
 */
export class InterruptRouter implements InterruptSource, Resettable {
  readonly connected = true;
  readonly #parts: InterruptControllers;
  /** The processor's two registers that belong to the local APIC, as last seen. */
  #apicBase = 0;
  #cr8 = 0;
  #apicEnabled = false;
  #nmiPending = false;
  #release: () => void = () => {};

  constructor(parts: InterruptControllers) {
    this.#parts = parts;
    this.reset();
  }

  reset(): void {
    this.#nmiPending = false;
    this.#cr8 = 0;
    this.#relocate(APIC_BASE_AT_RESET);
  }

  get requested(): boolean {
    const { pic, lapic } = this.#parts;
    return pic.pending || lapic.requested || this.#nmiPending;
  }

  get pending(): boolean {
    const { pic, lapic, ioapic } = this.#parts;
    if (!this.#apicEnabled) return pic.pending;
    if (lapic.pending) return true;
    return pic.pending && (lapic.extInt || (ioapic.extInt && lapic.enabled));
  }

  acknowledge(): number {
    const { pic, lapic } = this.#parts;
    return this.#apicEnabled && lapic.pending ? lapic.acknowledge() : pic.acknowledge();
  }

  get nmiPending(): boolean {
    return this.#nmiPending;
  }

  acknowledgeNmi(): void {
    this.#nmiPending = false;
  }

  /** The edge of an NMI; another one before the first is taken adds nothing. */
  raiseNmi(): void {
    this.#nmiPending = true;
  }

  synchronise(cpu: Cpu): void {
    const { lapic } = this.#parts;
    const priority = lapic.taskPriority >> CR8_SHIFT;
    if (priority !== this.#cr8) {
      cpu.cr8 = priority;
      this.#cr8 = priority;
    } else if (cpu.cr8 !== priority) {
      this.#cr8 = cpu.cr8;
      lapic.taskPriority = this.#cr8 << CR8_SHIFT;
    }
    if (cpu.apicBase !== this.#apicBase) this.#relocate(cpu.apicBase);
  }

  /**
   * A local APIC that is switched off forgets everything but the priority, which CR8 keeps. Put
   * where something else answers already, it is out of reach.
   */
  #relocate(base: number): void {
    const { lapic, mmio } = this.#parts;
    this.#apicBase = base;
    this.#apicEnabled = apicEnabled(base);
    this.#release();
    this.#release = () => {};
    const address = apicAddress(base);
    if (!this.#apicEnabled) {
      lapic.reset();
      lapic.taskPriority = this.#cr8 << CR8_SHIFT;
    } else if (!mmio.claimed(address, lapic.length)) {
      this.#release = mmio.claim(address, lapic.length, lapic);
    }
  }
}
