import type { AlarmQueue, Clock } from "../core/clock.ts";
import type { Cpu, MmioRead, MmioWrite, PortAccess, VmExit } from "../core/cpu.ts";
import type { AccessSize, BusDevice } from "../core/device.ts";
import { Bug, unreachable } from "../core/errors.ts";
import type { EventLoop } from "../core/event-loop.ts";
import { MILLISECOND, type Nanos, NEVER, nanos } from "../core/units.ts";
import { Attendance } from "./attendance.ts";
import type { Outcome } from "./outcome.ts";
import { RunControl } from "./run-control.ts";
import { RunStatistics } from "./run-statistics.ts";

/**
 * The longest the guest keeps the thread when nothing asks for it. Host I/O breaks a slice off at
 * once; this bound is for what does not show in the event loop's poll descriptor, such as timers.
 */
const LONGEST_SLICE = 20 * MILLISECOND;

/** How long a guest has to have waited for time to be to spare: not between two packets. */
const SPARE_AFTER = MILLISECOND;

/** The interrupt controllers as the processor sees them. */
export interface InterruptSource {
  /** Whether there are any: without, `hlt` is for ever. */
  readonly connected: boolean;
  /**
   * Whether there is a request at all: cheap to know, and false before most entries into the guest.
   * If so, whether it reaches the processor is a matter of the priorities and masks that
   * {@link synchronise} makes up to date.
   */
  readonly requested: boolean;
  /** INTR. */
  readonly pending: boolean;
  /** INTA: the vector. */
  acknowledge(): number;
  /** An edge at the NMI pin. */
  readonly nmiPending: boolean;
  acknowledgeNmi(): void;
  /** Carries over what changed of the state that processor and local APIC share. */
  synchronise(cpu: Cpu): void;
}

/** Of a machine that has none. */
export const NO_INTERRUPTS: InterruptSource = {
  connected: false,
  requested: false,
  pending: false,
  acknowledge: () => unexpected(),
  nmiPending: false,
  acknowledgeNmi: () => unexpected(),
  synchronise: () => {},
};

const unexpected = (): never => {
  throw new Bug("there are no interrupts here");
};

export interface RunLoopParts {
  readonly cpu: Cpu;
  readonly ports: BusDevice;
  readonly mmio: BusDevice;
  readonly interrupts: InterruptSource;
  readonly clock: Clock;
  readonly alarms: AlarmQueue;
  readonly eventLoop: EventLoop;
  /**
   * Called before the thread is handed to the event loop.
   * @param ran whether the guest has run since the last time
   * @returns what the guest has to wait for, if its output piles up
   */
  readonly flush: (ran: boolean) => Promise<void> | undefined;
  /** See {@link Attendance}. */
  readonly poll: () => boolean;
  /** Whether a device keeps the guest from running, until an event or an alarm ends that. */
  readonly held?: () => boolean;
  /** Takes every device and the guest back to the start. */
  readonly restart: () => void;
  /** Whether the guest goes on where it wants to when its processor shuts down: then it is restarted. */
  readonly resumes?: (() => boolean) | undefined;
}

/**
 * Runs the guest in slices on the event loop's own thread: the CPU runs until something leaves it,
 * the exit goes to a device, and between slices the host's events are handled.
 */
export class RunLoop {
  readonly statistics = new RunStatistics();
  /** A debugger's hold on the guest. */
  readonly control: RunControl;
  readonly #parts: RunLoopParts;
  readonly #attendance: Attendance;
  #outcome: Outcome | undefined;
  #halted = false;
  #windowRequested = false;
  #restartRequested = false;
  /** Undefined while the guest runs. */
  #waitingSince: Nanos | undefined;
  /** Of the guest's present run. */
  #deadline = NEVER;

  constructor(parts: RunLoopParts) {
    this.#parts = parts;
    this.control = new RunControl(parts.cpu, () => parts.eventLoop.wake());
    this.#attendance = new Attendance(parts);
  }

  /** Ends the run after the exit being handled; the first outcome counts. */
  end(outcome: Outcome): void {
    this.#outcome ??= outcome;
    this.#parts.eventLoop.wake();
  }

  /** Restarts the guest after the exit being handled. */
  requestRestart(): void {
    this.#restartRequested = true;
    this.#parts.eventLoop.wake();
  }

  /** Restarts the guest at once. Only while it stands still. */
  restart(): void {
    this.#restartRequested = false;
    this.#halted = false;
    this.#windowRequested = false;
    this.statistics.resets++;
    this.#parts.restart();
  }

  /** Whether the processor waits for an interrupt. */
  get halted(): boolean {
    return this.#halted;
  }

  /** Ends the processor's wait without an interrupt. Only while it stands still. */
  rouse(): void {
    this.#halted = false;
  }

  /**
   * For a processor that accesses ports without leaving the guest.
   * @param leaves see {@link PortAccess}
   */
  portAccess(leaves: (port: number) => boolean): PortAccess {
    const { ports } = this.#parts;
    const { exits } = this.statistics;
    const isSettled = (): boolean => this.#isSettled();
    return {
      leaves,
      read(port, size) {
        exits["port-read"]++;
        return ports.read(port, size);
      },
      write(port, size, value) {
        exits["port-write"]++;
        ports.write(port, size, value);
      },
      get settled() {
        return isSettled();
      },
    };
  }

  /** Whether what comes between two runs of the guest would change nothing. */
  #isSettled(): boolean {
    const { interrupts, alarms, held } = this.#parts;
    if (this.#outcome !== undefined || this.#restartRequested || this.control.requested)
      return false;
    if (interrupts.requested || this.#windowRequested) return false;
    return alarms.deadline >= this.#deadline && held?.() !== true;
  }

  async run(): Promise<Outcome> {
    const outcome = await this.#run();
    this.control.onEnd(outcome);
    return outcome;
  }

  async #run(): Promise<Outcome> {
    const { cpu, clock, alarms, eventLoop, flush } = this.#parts;
    // Watchers made by the caller reach the poll descriptor in the event loop's next turn.
    await eventLoop.yield();
    let mark = clock.now();
    for (;;) {
      const ran = this.#slice(nanos(mark + LONGEST_SLICE));
      const sliceEnd = clock.now();
      this.statistics.busy += sliceEnd - mark;
      const drained = flush(ran);
      if (this.#outcome !== undefined) break;
      if (this.#waiting()) this.#waitingSince ??= sliceEnd;
      const until = this.#waiting() && !this.#isSpare(sliceEnd) ? alarms.deadline : sliceEnd;
      const kept = drained !== undefined || this.control.requested;
      if (kept || !this.#attendance.attend(until)) {
        cpu.rest();
        await this.#turn(drained);
        this.#attendance.turned();
      }
      mark = clock.now();
      this.statistics.idle += mark - sliceEnd;
      alarms.fireDue(mark);
    }
    cpu.rest();
    return await this.#holdCrash(this.#outcome);
  }

  /** The event loop's turn, as long as the guest does not run. */
  async #turn(drained: Promise<void> | undefined): Promise<void> {
    const { eventLoop } = this.#parts;
    if (this.control.requested) await this.#standStill();
    else if (drained !== undefined) await this.#waitFor(drained);
    else if (this.#waiting()) await this.#wait();
    else await eventLoop.yield();
  }

  async #wait(): Promise<void> {
    const { cpu, clock, alarms, eventLoop } = this.#parts;
    const now = clock.now();
    if (this.#isSpare(now)) {
      cpu.doSpareWork?.();
      await eventLoop.yield();
    } else {
      const spareAt = cpu.hasSpareWork === true ? now + SPARE_AFTER : NEVER;
      await eventLoop.sleep(nanos(Math.min(alarms.deadline, spareAt)));
    }
  }

  /** Whether time is to spare, and something can be done with it. */
  #isSpare(now: Nanos): boolean {
    const since = this.#waitingSince ?? now;
    return now >= since + SPARE_AFTER && this.#parts.cpu.hasSpareWork === true;
  }

  /** Keeps the guest from running until then; alarms ring, and the run may be ended. */
  async #waitFor(drained: Promise<void>): Promise<void> {
    const { clock, alarms, eventLoop } = this.#parts;
    let over = false;
    void drained.then(() => {
      over = true;
      eventLoop.wake();
    });
    while (!over && this.#outcome === undefined) {
      await eventLoop.waitForHost(alarms.deadline);
      alarms.fireDue(clock.now());
    }
  }

  /** At a debugger's word. */
  async #standStill(): Promise<void> {
    await this.#waitFor(this.control.stand());
    this.control.arm(this.#halted);
  }

  /** A debugger may look at a guest that crashed; then the run is over all the same. */
  async #holdCrash(outcome: Outcome): Promise<Outcome> {
    if (!CRASHES.has(outcome.kind) || !this.control.noticeCrash(outcome)) return outcome;
    this.#outcome = undefined;
    await this.#waitFor(this.control.stand());
    return this.#outcome ?? outcome;
  }

  #waiting(): boolean {
    const { interrupts, held } = this.#parts;
    if (held?.() === true) return !this.#restartRequested;
    if (!this.#halted || this.#restartRequested || this.control.stepping) return false;
    return !interrupts.pending && !interrupts.nmiPending;
  }

  /**
   * Returns when the guest waits, the run ended, or the event loop should have its turn.
   * @returns whether the guest has run
   */
  #slice(sliceEnd: Nanos): boolean {
    const { cpu, alarms, clock } = this.#parts;
    let ran = false;
    while (this.#outcome === undefined && !this.control.requested) {
      if (this.#restartRequested) this.restart();
      if (this.#waiting()) return ran;
      this.#waitingSince = undefined;
      if (this.control.masksInterrupts) this.#requestWindow(false);
      else this.#offerInterrupt();
      this.#deadline = nanos(Math.min(alarms.deadline, sliceEnd));
      const exit = cpu.run(this.#deadline);
      ran = true;
      if (exit.kind === "kicked") {
        this.statistics.exits.kicked++;
        const now = clock.now();
        const due = alarms.deadline <= now;
        alarms.fireDue(now);
        // A kick without an alarm comes from the host: it wants the thread.
        if (!due || now >= sliceEnd) return ran;
      } else {
        this.#handle(exit);
      }
    }
    return ran;
  }

  #offerInterrupt(): void {
    const { cpu, interrupts } = this.#parts;
    if (!interrupts.requested) {
      this.#requestWindow(false);
      return;
    }
    interrupts.synchronise(cpu);
    const nmi = interrupts.nmiPending;
    if (nmi) {
      interrupts.acknowledgeNmi();
      cpu.nmi();
      this.statistics.interrupts++;
      this.#halted = false;
    }
    const wanted = interrupts.pending;
    // One at a time: an NMI comes before a maskable interrupt.
    if (wanted && !nmi && cpu.interruptible) {
      cpu.interrupt(interrupts.acknowledge());
      this.statistics.interrupts++;
      this.#halted = false;
    }
    // What is still pending waits for the guest to be able to take it.
    this.#requestWindow(wanted && interrupts.pending);
  }

  #requestWindow(wanted: boolean): void {
    if (wanted === this.#windowRequested) return;
    this.#parts.cpu.requestInterruptWindow(wanted);
    this.#windowRequested = wanted;
  }

  #endShutDown({ exceptions, stateLost }: Extract<VmExit, { kind: "shutdown" }>): void {
    const registers = this.#parts.cpu.readRegisters();
    this.end({ kind: "triple-fault", registers, exceptions, stateLost: stateLost === true });
  }

  #handle(exit: Exclude<VmExit, { kind: "kicked" }>): void {
    const { cpu, ports, interrupts } = this.#parts;
    const { exits } = this.statistics;
    // Counted here: a property of a constant name is found at once, one of any name is looked up.
    switch (exit.kind) {
      case "port-write":
        exits["port-write"]++;
        for (let i = 0; i < exit.count; i++) ports.write(exit.port, exit.size, exit.value(i));
        break;
      case "port-read":
        exits["port-read"]++;
        for (let i = 0; i < exit.count; i++) exit.complete(i, ports.read(exit.port, exit.size));
        break;
      case "mmio-write":
        exits["mmio-write"]++;
        interrupts.synchronise(cpu);
        this.#mmioWrite(exit);
        interrupts.synchronise(cpu);
        break;
      case "mmio-read":
        exits["mmio-read"]++;
        interrupts.synchronise(cpu);
        this.#mmioRead(exit);
        break;
      case "accessed":
        break;
      case "halt":
        exits.halt++;
        interrupts.synchronise(cpu);
        if (!interrupts.connected) {
          this.end({ kind: "fault", reason: "it waits for an interrupt, and there are none here" });
        } else if (exit.interruptible) this.#halted = true;
        else this.end({ kind: "halted-forever", registers: cpu.readRegisters() });
        break;
      case "interrupt-window":
        exits["interrupt-window"]++;
        break;
      case "priority-lowered":
        exits["priority-lowered"]++;
        break;
      case "shutdown":
        exits.shutdown++;
        if (this.#parts.resumes?.() === true) this.requestRestart();
        else this.#endShutDown(exit);
        break;
      case "cannot-continue":
        exits["cannot-continue"]++;
        this.end({ kind: "cannot-continue", exit, registers: cpu.readRegisters() });
        break;
      case "debug":
        exits.debug++;
        this.control.noticeExit(exit, this.#halted);
        break;
      default:
        unreachable(exit);
    }
  }

  #mmioRead({ address, length, data }: MmioRead): void {
    for (const [offset, size] of pieces(address, length)) {
      const value = this.#parts.mmio.read(address + offset, size);
      for (let i = 0; i < size; i++) data[offset + i] = value >>> (8 * i);
    }
  }

  #mmioWrite({ address, length, data }: MmioWrite): void {
    for (const [offset, size] of pieces(address, length)) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (data[offset + i] ?? 0) << (8 * i);
      this.#parts.mmio.write(address + offset, size, value >>> 0);
    }
  }
}

/** Ends that nobody asked for. */
const CRASHES: ReadonlySet<Outcome["kind"]> = new Set([
  ...(["halted-forever", "triple-fault", "cannot-continue", "fault"] as const),
]);

/** Cuts `length` bytes at `address` into naturally aligned accesses of at most four bytes. */
function* pieces(address: number, length: number): Generator<[offset: number, size: AccessSize]> {
  let offset = 0;
  while (offset < length) {
    const left = length - offset;
    const at = address + offset;
    const size = left >= 4 && at % 4 === 0 ? 4 : left >= 2 && at % 2 === 0 ? 2 : 1;
    yield [offset, size];
    offset += size;
  }
}
