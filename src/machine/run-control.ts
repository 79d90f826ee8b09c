import type { Cpu } from "../core/cpu.ts";
import { type DebugExit, type DebugStops, instructionAddress, NO_STOPS } from "../core/debug.ts";
import type { Outcome } from "./outcome.ts";

/** Why the guest stands still. */
export type Stop =
  /** {@link RunControl.stop}. */
  | { readonly kind: "asked" }
  | DebugExit
  /** The guest cannot go on, and somebody wants to look at it before the run ends. */
  | { readonly kind: "crash"; readonly outcome: Outcome };

/** How the guest goes on. */
export interface Resumption {
  readonly stops: DebugStops;
  /** While stepping: addresses `[start, end)` of instructions among which there is no stop. */
  readonly range?: { readonly start: bigint; readonly end: bigint };
  /** While stepping: whether interrupts come in between. */
  readonly interrupts?: boolean;
}

/** A processor that was stepped into `hlt` sleeps: what it is waited for with. */
interface Sleep {
  readonly address: bigint;
  readonly rsp: bigint;
}

/**
 * Holds the guest at a debugger's word. Between {@link stop}, or a stop that the debugger armed, and
 * {@link resume} the guest stands still and its state may be read and written.
 *
 * A step that begins in a sleeping processor (`hlt`) first sleeps to the end, and has the handlers
 * run that end it; then it executes one instruction. By default other interrupts wait while the
 * guest is stepped, so that a step stays in the code that is looked at.
 */
export class RunControl {
  /** The guest has come to stand still. */
  onStop: (stop: Stop) => void = () => {};
  onEnd: (outcome: Outcome) => void = () => {};
  /** Whether somebody wants to look at a guest that crashed before the run ends. */
  attached = false;

  readonly #cpu: Cpu;
  readonly #onRequest: () => void;
  #requested = false;
  #resume: (() => void) | undefined;
  #resumption: Resumption = { stops: NO_STOPS };
  #reason: Stop = { kind: "asked" };
  #sleep: Sleep | undefined;

  /** @param onRequest makes the present slice of the guest come to its end */
  constructor(cpu: Cpu, onRequest: () => void) {
    this.#cpu = cpu;
    this.#onRequest = onRequest;
  }

  /** Stops the guest before its next instruction; {@link onStop} is called then. */
  stop(): void {
    if (this.standing) return;
    this.#reason = { kind: "asked" };
    this.#requested = true;
    this.#onRequest();
  }

  get standing(): boolean {
    return this.#resume !== undefined;
  }

  /** The guest goes on. */
  resume(resumption: Resumption): void {
    this.#resumption = resumption;
    this.#requested = false;
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  /** The guest goes on, or runs on, with nobody who holds it. */
  release(): void {
    this.attached = false;
    this.#sleep = undefined;
    this.#cpu.stopAt(NO_STOPS);
    this.resume({ stops: NO_STOPS });
  }

  /** For the run loop: the guest is not to run before it has stood still. */
  get requested(): boolean {
    return this.#requested;
  }

  /** For the run loop: whether the processor is to run whether or not it sleeps. */
  get stepping(): boolean {
    return this.#resumption.stops.step && this.#sleep === undefined;
  }

  /** For the run loop: whether interrupts wait. */
  get masksInterrupts(): boolean {
    return this.stepping && this.#resumption.interrupts !== true;
  }

  /**
   * For the run loop: an exit that {@link Cpu.stopAt} asked for.
   * @param halted whether the guest sleeps
   */
  noticeExit(exit: DebugExit, halted: boolean): void {
    if (this.#sleep !== undefined && exit.cause === "breakpoint") {
      const { address, rsp } = this.#sleep;
      const registers = this.#cpu.readRegisters();
      if (instructionAddress(registers) === address && registers.rsp === rsp) {
        this.#sleep = undefined;
        this.#cpu.stopAt(this.#resumption.stops);
        return;
      }
    }
    if (exit.cause === "step" && this.#inRange()) {
      this.arm(halted);
      return;
    }
    this.#reason = exit;
    this.#requested = true;
  }

  /** For the run loop: the guest has crashed. @returns whether to stand still before the end */
  noticeCrash(outcome: Outcome): boolean {
    if (!this.attached) return false;
    this.#reason = { kind: "crash", outcome };
    return true;
  }

  /**
   * For the run loop, between two runs of the processor: the guest stands still until the promise is
   * fulfilled.
   */
  stand(): Promise<void> {
    this.#requested = false;
    this.#sleep = undefined;
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.onStop(this.#reason);
    });
  }

  /** For the run loop, before the guest goes on. @param halted whether it sleeps */
  arm(halted: boolean): void {
    const { stops, interrupts } = this.#resumption;
    if (!stops.step || !halted || interrupts === true) {
      this.#cpu.stopAt(stops);
      return;
    }
    const registers = this.#cpu.readRegisters();
    this.#sleep = { address: instructionAddress(registers), rsp: registers.rsp };
    this.#cpu.stopAt({
      ...stops,
      breakpoints: new Set([...stops.breakpoints, this.#sleep.address]),
      step: false,
    });
  }

  #inRange(): boolean {
    const { range, stops } = this.#resumption;
    const address = instructionAddress(this.#cpu.readRegisters());
    return (
      range !== undefined &&
      address >= range.start &&
      address < range.end &&
      !stops.breakpoints.has(address)
    );
  }
}
