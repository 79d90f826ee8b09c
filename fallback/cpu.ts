import type { Cpu, CpuTimes, GuestTime, PortAccess, Registers, VmExit } from "../src/core/cpu.ts";
import type { DebugStops } from "../src/core/debug.ts";
import type { ProcessorState } from "../src/core/processor-state.ts";
import type { Nanos } from "../src/core/units.ts";
import { CodeState } from "./code-state.ts";
import { Debugging } from "./debugging.ts";
import { Departure } from "./departure.ts";
import { engineHost } from "./engine-host.ts";
import { Events } from "./events.ts";
import { CpuException, TripleFault } from "./exceptions.ts";
import { executionNotes } from "./execution-notes.ts";
import { Decoder } from "./interpreter/decoder.ts";
import { Engine } from "./interpreter/engine.ts";
import type { LiveCode } from "./interpreter/live-code.ts";
import { Promotion } from "./interpreter/promotion.ts";
import type { LoneRegion } from "./jit/jit.ts";
import { MadeCode } from "./made-code.ts";
import { Mmu } from "./memory/mmu.ts";
import { instructionName } from "./next-instruction.ts";
import type { FallbackCpuOptions } from "./options.ts";
import { outsideOf } from "./outside.ts";
import { Ports } from "./ports.ts";
import { Processor } from "./processor.ts";
import { readState, writeState } from "./processor-state.ts";
import { DirectRegisters } from "./register-access.ts";
import { readRegisters, resetProcessor, writeRegisters } from "./registers.ts";
import { Slices } from "./slices.ts";
import { STATE, STATE_BYTES } from "./state.ts";
import { Stepper } from "./stepping.ts";
import { Timing } from "./timing.ts";

/** A processor written in TypeScript, which needs nothing of the host but WebAssembly. */
export class FallbackCpu implements Cpu {
  readonly name = "emu";
  /** The counter counts nanoseconds. */
  readonly tscKhz = 1_000_000;
  readonly processor: Processor;
  readonly mmu: Mmu;
  readonly registerAccess: DirectRegisters;
  readonly #options: FallbackCpuOptions;
  readonly #departure = new Departure();
  readonly #ports: Ports;
  readonly #code: CodeState;
  readonly #engine: Engine;
  readonly #made: MadeCode;
  readonly #events: Events;
  readonly #stepper: Stepper;
  readonly #debugging: Debugging;
  readonly #slices: Slices;
  readonly #promotion: Promotion | undefined;
  readonly #decoder: Decoder;
  #kicked = false;
  /** The instruction under way is executed whoever should do it. */
  #forced = false;
  #mappingsChanged = false;
  readonly #timing: Timing;

  constructor(options: FallbackCpuOptions) {
    this.#options = options;
    const { memory, shared = false, ramSize, interpreter, map, jit, clock } = options;
    const processor = new Processor(memory.buffer);
    const mmu = new Mmu(processor, ramSize);
    const departure = this.#departure;
    this.processor = processor;
    this.mmu = mmu;
    this.#code = new CodeState(processor, () => this.#engine.blocks.forgetJumps());
    this.#debugging = new Debugging(mmu, () => this.#made.forget());
    this.registerAccess = new DirectRegisters(processor, departure, (r) => this.writeRegisters(r));
    this.#ports = new Ports(departure, options.timed === true ? () => clock.now() : undefined);
    const outside = outsideOf(
      ...([processor, departure, this.#debugging, this.#ports] as const),
      () => this.#now(),
      options,
    );
    const host = engineHost({
      ...{ processor, mmu, outside, code: this.#code, departure },
      debugging: this.#debugging,
      leavesSome: options.leaves !== undefined,
      leaves: (next) => {
        if (options.leaves === undefined || this.#forced) return false;
        return next === undefined || options.leaves(next, processor.field(STATE.XCR0));
      },
      goesOn: (resumes) => this.#goesOn(resumes),
    });
    this.#engine = new Engine(
      {
        ...{ memory, shared, interpreter, map, jit },
        now: () => clock.now(),
        executed: () => this.instructions,
      },
      host,
      (vector, errorCode) => new CpuException(vector, errorCode),
    );
    this.#made = new MadeCode(this.#engine, mmu);
    this.#slices = new Slices(this.#engine);
    this.#timing = new Timing(this.#engine, this.#ports, () => clock.now());
    const { inlineInterpreter } = options;
    this.#promotion = inlineInterpreter && new Promotion(this.#engine, inlineInterpreter);
    this.#events = new Events(processor, mmu, this.#code, departure);
    this.#stepper = new Stepper(
      ...([processor, mmu, this.#engine, this.#code, this.#events] as const),
      options.leaves === undefined ? () => outside.halt() : undefined,
    );
    this.#decoder = new Decoder(map);
    mmu.onChange = () => {
      this.#mappingsChanged = true;
    };
    mmu.onForgetCode = (page) => this.#engine.forgetPage(page);
    mmu.onReviveCode = (page) => this.#engine.blocks.revivePage(page);
    mmu.onCodeWrite = (address, length) => this.#made.drop(address, length);
    this.reset();
  }

  /** Where instructions are counted, and time by them, all of them have to be before a device is asked. */
  connectPorts(ports: PortAccess): void {
    if (this.#options.executed === undefined) this.#ports.connect(ports);
  }

  get times(): CpuTimes {
    return this.#timing.times;
  }

  get interruptible(): boolean {
    return this.#events.interruptible;
  }

  run(deadline: Nanos): VmExit {
    if (this.#options.timed !== true) return this.#shutDown(deadline);
    return this.#timing.run(() => this.#shutDown(deadline));
  }

  /** A triple fault shuts the processor down. */
  #shutDown(deadline: Nanos): VmExit {
    try {
      return this.#runUntil(deadline);
    } catch (error) {
      if (error instanceof TripleFault) return this.#departure.exits.shutdown(error);
      throw error;
    }
  }

  /** Delivers events outside {@link run}, which then tells of a triple fault. */
  #shutDownLater(deliver: () => void): void {
    try {
      deliver();
    } catch (error) {
      if (!(error instanceof TripleFault)) throw error;
      this.#departure.leaveFor(this.#departure.exits.shutdown(error));
    }
  }

  #runUntil(deadline: Nanos): VmExit {
    const { clock, executed, hostWaits, timed, profile } = this.#options;
    const { exits } = this.#departure;
    this.#completeAccess();
    this.#count();
    for (;;) {
      const exit = this.#departure.take();
      if (exit !== undefined) return exit;
      const stop = this.#debugging.take();
      if (stop !== undefined) return stop;
      this.#events.take();
      this.#debugging.noticeAccesses();
      if (this.#events.windowOpen) return exits.interruptWindow;
      if (this.#kicked) {
        this.#kicked = false;
        return exits.kicked;
      }
      const start = clock.now();
      if (start >= deadline) return exits.kicked;
      if (executed !== undefined) this.#slices.fit(deadline - start);
      else if (hostWaits()) return exits.kicked;
      this.#runSlice();
      const elapsed = clock.now() - start;
      if (executed === undefined) this.#slices.adapt(elapsed);
      const instructions = this.#count();
      if (timed === true) this.#timing.slice(instructions, elapsed);
      const passed = executed === undefined ? elapsed : instructions;
      profile?.(passed, () => readRegisters(this.processor));
    }
  }

  /** How many instructions have been executed; exceptions count as one each. */
  get instructions(): number {
    return this.#slices.instructions;
  }

  get notes(): readonly (readonly [string, string])[] {
    return executionNotes(this.#engine, this.instructions, this.times.cpu);
  }

  get guestTime(): GuestTime | undefined {
    return this.#options.timed === true ? this.#timing.guestTime : undefined;
  }

  /** Returns how many instructions have been executed since the last time. */
  #count(): number {
    const executed = this.#slices.count();
    this.#promotion?.executed(this.#slices.instructions);
    this.#options.executed?.(executed);
    return executed;
  }

  interrupt(vector: number): void {
    this.#events.vector = vector;
  }

  requestInterruptWindow(wanted: boolean): void {
    this.#events.windowWanted = wanted;
  }

  nmi(): void {
    this.#events.nmi = true;
  }

  get cr8(): number {
    return this.processor.cr8;
  }

  set cr8(value: number) {
    this.processor.cr8 = value;
    this.#events.rememberPriority();
  }

  get apicBase(): number {
    return Number(this.processor.field(STATE.APIC_BASE));
  }

  kick(): void {
    this.#kicked = true;
  }

  rest(): void {}

  /** None where time is counted: there waiting takes none. */
  get hasSpareWork(): boolean {
    return this.#options.executed === undefined && this.#engine.jit?.hasSpareWork === true;
  }

  doSpareWork(): void {
    this.#engine.jit?.doSpareWork();
  }

  stopAt(stops: DebugStops): void {
    this.#completeAccess();
    this.#debugging.set(stops);
  }

  readRegisters(): Registers {
    this.#completeAccess();
    return readRegisters(this.processor);
  }

  writeRegisters(registers: Registers): void {
    this.#completeAccess();
    const { processor, mmu } = this;
    const [mapped, user] = [processor.paging, mmu.user];
    writeRegisters(processor, registers);
    // Without paging before and after, as a BIOS's services have it, every mapping stays what it is.
    if (mapped || processor.paging || mmu.user !== user) mmu.stateReplaced();
    this.#code.synchronise();
  }

  /**
   * Executes the instruction at RIP, and neither takes interrupts nor delivers its fault.
   * @param region of it, by `LiveCode.translateOne`; the interpreter does it without
   * @returns the fault, and RIP is at the instruction; or undefined, and it has been executed
   */
  executeOne(region?: LoneRegion): CpuException | undefined {
    this.mmu.checkAlignment(this.processor.checksAlignment);
    const stop = region ? this.#engine.stepTranslated(region) : this.#engine.step();
    this.#code.synchronise();
    return stop.kind === "fault" ? stop.exception : undefined;
  }

  /** What was made of the guest's code: for tests. */
  get liveCode(): LiveCode {
    return this.#made.live;
  }

  /**
   * The instruction at RIP as assemblers call it, `(unknown)` for one that would fault as such;
   * undefined where there is no memory.
   */
  nextInstruction(): string | undefined {
    return instructionName(this.#decoder, this.mmu, this.#code.linearRip, this.#code.size);
  }

  /**
   * Executes the instruction at RIP, whoever should do it, and delivers its fault. What it leaves
   * the guest for is what {@link run} returns next.
   */
  executeForced(): void {
    this.#forced = true;
    try {
      this.#stepOnce();
    } finally {
      this.#forced = false;
    }
  }

  /**
   * Whether another processor may go on from here: no instruction and no interrupt is under way.
   * An access that devices have answered is completed first.
   */
  settle(): boolean {
    this.#completeAccess();
    return !this.#departure.pending && this.#events.vector === undefined;
  }

  /** Everything that another processor needs to go on from here. Only if {@link settle} says so. */
  readState(): ProcessorState {
    this.#completeAccess();
    return readState(this.processor, this.#events.nmi);
  }

  /**
   * Goes on where another processor stopped. All of memory may have changed: what was translated
   * from it is forgotten.
   */
  writeState(state: ProcessorState): void {
    const { processor, mmu } = this;
    this.#departure.forget();
    this.#events.vector = undefined;
    this.#timing.forget();
    mmu.mmio.clear();
    this.#made.forget();
    mmu.codePages.clear();
    writeState(processor, mmu, state);
    this.#events.nmi = state.pending.nmi;
    this.#code.synchronise();
    const { exception, interrupt } = state.pending;
    this.#shutDownLater(() => {
      if (exception !== undefined) {
        this.#stepper.deliver(new CpuException(exception.vector, exception.errorCode));
      } else if (interrupt !== undefined) this.#events.deliverInterrupt(interrupt);
    });
    this.#mappingsChanged = false;
  }

  /** As {@link readState}, but an access that devices have answered is not completed for it. */
  peekState(): ProcessorState {
    return readState(this.processor, this.#events.nmi);
  }

  /** Copies what {@link replaceState} takes. @param target `STATE_BYTES` bytes */
  copyState(target: Uint8Array): void {
    target.set(new Uint8Array(this.processor.buffer, 0, STATE_BYTES));
  }

  /**
   * Goes back to where it was between two slices, or to where another of its kind is, with nothing
   * under way. What was translated stays: memory must be what it was too.
   */
  replaceState(image: Uint8Array): void {
    const { budget } = this.#engine;
    new Uint8Array(this.processor.buffer).set(image);
    this.#engine.budget = budget;
    this.#departure.forget();
    this.mmu.mmio.clear();
    this.mmu.flush();
    this.#code.synchronise();
  }

  /** Whether linear addresses may mean something else than when {@link writeState} was called. */
  get mappingsChanged(): boolean {
    return this.#mappingsChanged;
  }

  reset(): void {
    // What is left of the slice has not been executed, and what regions have executed they have.
    const { budget, inRegions } = this.#engine;
    resetProcessor(this.processor);
    this.#engine.budget = budget;
    this.#engine.inRegions = inRegions;
    this.#departure.forget();
    this.#events.forget();
    this.mmu.mmio.clear();
    this.mmu.flush();
    this.#made.forget();
    this.#code.synchronise();
  }

  close(): void {
    this.#engine.jit?.keep();
  }

  /** Runs until the budget is used up, or something has to be looked at. */
  #runSlice(): void {
    this.#slices.begin();
    this.#events.show();
    this.#events.rememberPriority();
    while (this.#engine.budget > 0 && !this.#debugging.pending) {
      if (this.#stepper.needed || this.#debugging.alone) this.#step();
      else if (!this.#runBlocks()) return;
      if (this.#departure.pending || this.#events.windowOpen || this.#events.nmiDue) return;
    }
  }

  /** As in `EngineHost`. */
  #goesOn(resumes: boolean): boolean {
    if (!resumes) {
      this.#code.synchronise();
      this.#events.noticePriority();
    }
    if (this.#departure.pending || this.#debugging.pending || this.#debugging.alone) return false;
    if (this.#stepper.needed || this.processor.pendingTrap !== undefined) return false;
    return !this.#events.windowOpen && !this.#events.nmiDue && this.#events.vector === undefined;
  }

  /** One instruction, unless a debugger stops before it. */
  #step(): void {
    if (this.#debugging.stopsBefore(this.#code.linearRip)) return;
    if (this.#stepper.step()) this.#debugging.executed();
  }

  /** Returns whether to go on in this slice. */
  #runBlocks(): boolean {
    this.mmu.checkAlignment(false);
    this.mmu.abandonsWatched = true;
    const stop = this.#engine.run();
    this.mmu.abandonsWatched = false;
    switch (stop.kind) {
      case "budget":
        // It has no room for the next block: to be exact, these are executed one by one.
        if (this.#options.executed === undefined || this.#engine.budget <= 0) return false;
        this.#step();
        return true;
      case "fault":
        this.#stepper.deliver(stop.exception);
        return true;
      case "leave":
        return false;
      case "changed":
        this.#code.synchronise();
        this.#events.noticePriority();
        this.#events.takeTrap();
        return true;
    }
  }

  /** An access outside RAM has its answer: the instruction is executed again, with it. */
  #completeAccess(): void {
    if (this.#departure.completeAccess(this.mmu.mmio)) this.#stepOnce();
  }

  #stepOnce(): void {
    this.#shutDownLater(() => {
      if (this.#stepper.step()) this.#debugging.executed();
    });
  }

  #now(): number {
    const { clock, executed } = this.#options;
    return clock.now() + (executed === undefined ? 0 : this.#slices.sinceCount);
  }
}
