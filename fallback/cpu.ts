import type { Clock } from "../src/core/clock.ts";
import type { Cpu, Registers, VmExit } from "../src/core/cpu.ts";
import type { AccessSize } from "../src/core/device.ts";
import type { ProcessorState } from "../src/core/processor-state.ts";
import { MICROSECOND, type Nanos } from "../src/core/units.ts";
import { RFLAGS } from "./bits.ts";
import { CpuException, TripleFault, VECTOR } from "./exceptions.ts";
import { FallbackExits } from "./exits.ts";
import type { DecodedInstruction } from "./interpreter/decoder.ts";
import {
  Decoder,
  InstructionTooLong,
  InvalidOpcode,
  MAX_INSTRUCTION_LENGTH,
  NeedMoreBytes,
} from "./interpreter/decoder.ts";
import { Engine, type EngineHost, Leave, NonCanonical } from "./interpreter/engine.ts";
import { type Outside, ProcedureContext } from "./interpreter/procedure-context.ts";
import { readUnitControls } from "./interpreter/units.ts";
import type { OpcodeMap } from "./isa/opcode-map.ts";
import { isCanonicalLinear, linearOf, linearOfHalves } from "./memory/linear.ts";
import { type MmioAccess, MmioNeeded } from "./memory/mmio.ts";
import { Mmu } from "./memory/mmu.ts";
import { Processor, SHADOW } from "./processor.ts";
import { readState, writeState } from "./processor-state.ts";
import { readRegisters, resetProcessor, writeRegisters } from "./registers.ts";
import { RAM_BASE, SEGMENT_INDEX, STATE } from "./state.ts";
import { breakpointsEnabled, dataBreakpoint, instructionBreakpoint } from "./system/breakpoints.ts";
import { singleStepTrap } from "./system/debug.ts";
import { deliverException, deliverInterrupt, deliverNmi } from "./system/interrupts.ts";
import { checkAccess } from "./system/segment-access.ts";

const PAGE_SIZE = 4096;
/** How long the interpreter runs before it looks at the clock, roughly. */
const SLICE = 250 * MICROSECOND;
const FIRST_SLICE = 20_000;
const MIN_SLICE = 1_000;
const MAX_SLICE = 5_000_000;
const STEPPING_FLAGS = RFLAGS.TF | RFLAGS.RF;
const LAST_ADDRESS = 0xffff_ffff_ffff_ffffn;
const EVENT_SHADOWS = SHADOW.STI | SHADOW.MOV_SS;

export interface FallbackCpuOptions {
  /** Laid out as `state.ts` says: the processor's part, then guest RAM. */
  readonly memory: WebAssembly.Memory;
  /** Bytes of guest RAM. */
  readonly ramSize: number;
  /** The table of instructions, and the interpreter made of it by `buildInterpreter`. */
  readonly map: OpcodeMap;
  readonly interpreter: WebAssembly.Module;
  readonly clock: Clock;
  /** Whether the host's event loop has work: looked at several times a millisecond. */
  readonly hostWaits: () => boolean;
  /** Whether to measure where the time goes. */
  readonly timed?: boolean;
  /** The time stamp counter before the guest writes it; the clock's nanoseconds unless given. */
  readonly timeStamp?: () => bigint;
  /** 64 random bits for the guest; the host's unless given. */
  readonly random?: () => bigint;
  /**
   * Hears how many instructions have been executed, each of which takes a nanosecond: the clock
   * goes by it. Then slices end exactly at their deadlines, and the host does not break them off.
   */
  readonly executed?: (instructions: number) => void;
  /**
   * Which instructions another processor is to execute. At them, and at what is no instruction
   * here, `run` comes back with `cannot-continue`. Without this, what is none raises #UD.
   */
  readonly leaves?: (instruction: DecodedInstruction) => boolean;
}

/** A processor written in TypeScript, which needs nothing of the host but WebAssembly. */
export class FallbackCpu implements Cpu {
  readonly name = "emu";
  readonly times = { cpu: 0, exits: 0 };
  readonly processor: Processor;
  readonly mmu: Mmu;
  readonly #options: FallbackCpuOptions;
  readonly #engine: Engine;
  readonly #exits = new FallbackExits();
  /** What the instruction under way leaves the guest for. */
  #exit: VmExit | undefined;
  #mmio: MmioAccess | undefined;
  #vector: number | undefined;
  #nmi = false;
  #windowWanted = false;
  #kicked = false;
  #slice = FIRST_SLICE;
  /** What the engine's budget was when {@link instructions} was up to date. */
  #counted = 0;
  #instructions = 0;
  /** The priority that the run loop knows. */
  #cr8 = 0;
  /** When the guest left for a device; 0 if it did not. */
  #leftAt = 0;
  /** The instruction under way is executed whoever should do it. */
  #forced = false;
  #mappingsChanged = false;
  readonly #decoder: Decoder;

  constructor(options: FallbackCpuOptions) {
    this.#options = options;
    const { memory, ramSize } = options;
    this.processor = new Processor(memory.buffer);
    this.mmu = new Mmu(this.processor, ramSize);
    this.#engine = new Engine(
      memory,
      options.interpreter,
      options.map,
      this.#host(),
      (vector, errorCode) => new CpuException(vector, errorCode),
    );
    this.#decoder = new Decoder(options.map);
    this.mmu.onFlush = () => {
      this.#mappingsChanged = true;
      this.#engine.blocks.forgetJumps();
    };
    this.mmu.onCodeWrite = (address, length) => this.#dropCode(address, length);
    this.reset();
  }

  get interruptible(): boolean {
    const { systemFlags, shadow } = this.processor;
    return (systemFlags & RFLAGS.IF) !== 0 && (shadow & EVENT_SHADOWS) === 0;
  }

  run(deadline: Nanos): VmExit {
    return this.#options.timed === true ? this.#timedRun(deadline) : this.#shutDown(deadline);
  }

  #timedRun(deadline: Nanos): VmExit {
    const { clock } = this.#options;
    const start = clock.now();
    if (this.#leftAt !== 0) this.times.exits += start - this.#leftAt;
    const exit = this.#shutDown(deadline);
    const end = clock.now();
    this.times.cpu += end - start;
    this.#leftAt = DEVICE_EXITS.has(exit.kind) ? end : 0;
    return exit;
  }

  /** A triple fault shuts the processor down. */
  #shutDown(deadline: Nanos): VmExit {
    try {
      return this.#runUntil(deadline);
    } catch (error) {
      if (error instanceof TripleFault) return this.#exits.shutdown;
      throw error;
    }
  }

  #runUntil(deadline: Nanos): VmExit {
    const { clock, executed, hostWaits } = this.#options;
    this.#completeAccess();
    this.#count();
    for (;;) {
      if (this.#exit !== undefined) return this.#takeExit();
      this.#takeEvents();
      if (this.#windowWanted && this.interruptible) return this.#exits.interruptWindow;
      if (this.#kicked) {
        this.#kicked = false;
        return this.#exits.kicked;
      }
      const start = clock.now();
      if (start >= deadline) return this.#exits.kicked;
      if (executed !== undefined) this.#slice = Math.ceil(Math.min(MAX_SLICE, deadline - start));
      else if (hostWaits()) return this.#exits.kicked;
      this.#runSlice();
      if (executed === undefined) this.#adaptSlice(clock.now() - start);
      this.#count();
    }
  }

  /** How many instructions have been executed; exceptions count as one each. */
  get instructions(): number {
    return this.#instructions + this.#counted - this.#engine.budget;
  }

  get notes(): readonly (readonly [string, string])[] {
    return [["executed", `${this.instructions} instructions`]];
  }

  #count(): void {
    const executed = this.#counted - this.#engine.budget;
    this.#counted = this.#engine.budget;
    this.#instructions += executed;
    this.#options.executed?.(executed);
  }

  interrupt(vector: number): void {
    this.#vector = vector;
  }

  requestInterruptWindow(wanted: boolean): void {
    this.#windowWanted = wanted;
  }

  nmi(): void {
    this.#nmi = true;
  }

  get cr8(): number {
    return this.processor.cr8;
  }

  set cr8(value: number) {
    this.processor.cr8 = value;
    this.#cr8 = value;
  }

  get apicBase(): number {
    return Number(this.processor.field(STATE.APIC_BASE));
  }

  kick(): void {
    this.#kicked = true;
  }

  rest(): void {}

  readRegisters(): Registers {
    this.#completeAccess();
    return readRegisters(this.processor);
  }

  writeRegisters(registers: Registers): void {
    this.#completeAccess();
    writeRegisters(this.processor, registers);
    this.mmu.stateReplaced();
    this.#synchronise();
  }

  /**
   * Executes the instruction at RIP, and neither takes interrupts nor delivers its fault.
   * @returns the fault, and RIP is at the instruction; or undefined, and it has been executed
   */
  executeOne(): CpuException | undefined {
    const stop = this.#engine.step();
    this.#synchronise();
    return stop.kind === "fault" ? stop.exception : undefined;
  }

  /**
   * The instruction at RIP as assemblers call it; undefined if there is none that this processor
   * knows.
   */
  nextInstruction(): string | undefined {
    try {
      const bytes: number[] = [];
      for (let i = 0; i < MAX_INSTRUCTION_LENGTH; i++) {
        const address = this.mmu.translate(linearOf(this.#linearRip + BigInt(i)), "execute");
        if (!this.mmu.memory.contains(address, 1)) break;
        bytes.push(this.mmu.memory.bytes[address] as number);
      }
      const decoded = this.#decoder.decode(Uint8Array.from(bytes), this.#codeSize);
      const { name, mnemonic } = decoded.form.instruction;
      return (mnemonic ?? name).toLowerCase();
    } catch (error) {
      const unknown =
        error instanceof InvalidOpcode ||
        error instanceof InstructionTooLong ||
        error instanceof NeedMoreBytes;
      if (unknown || error instanceof CpuException) return undefined;
      throw error;
    }
  }

  /**
   * Executes the instruction at RIP, whoever should do it, and delivers its fault. What it leaves
   * the guest for is what {@link run} returns next.
   */
  executeForced(): void {
    const { shadow, systemFlags } = this.processor;
    this.#forced = true;
    try {
      this.#step(shadow, systemFlags);
    } catch (error) {
      if (!(error instanceof TripleFault)) throw error;
      this.#exit = this.#exits.shutdown;
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
    return this.#exit === undefined && this.#vector === undefined;
  }

  /** Everything that another processor needs to go on from here. Only if {@link settle} says so. */
  readState(): ProcessorState {
    return readState(this.processor, this.#nmi);
  }

  /**
   * Goes on where another processor stopped. All of memory may have changed: what was translated
   * from it is forgotten.
   */
  writeState(state: ProcessorState): void {
    const { processor, mmu } = this;
    this.#exit = undefined;
    this.#mmio = undefined;
    this.#vector = undefined;
    this.#leftAt = 0;
    mmu.mmio.clear();
    this.#engine.blocks.clear();
    mmu.codePages.clear();
    writeState(processor, mmu, state);
    this.#nmi = state.pending.nmi;
    this.#synchronise();
    const { exception, interrupt } = state.pending;
    if (exception !== undefined) {
      this.#deliver(new CpuException(exception.vector, exception.errorCode));
    } else if (interrupt !== undefined) {
      deliverInterrupt(processor, mmu, interrupt);
      this.#synchronise();
    }
    this.#mappingsChanged = false;
  }

  /** Whether linear addresses may mean something else than when {@link writeState} was called. */
  get mappingsChanged(): boolean {
    return this.#mappingsChanged;
  }

  reset(): void {
    resetProcessor(this.processor);
    this.#exit = undefined;
    this.#mmio = undefined;
    this.#vector = undefined;
    this.#nmi = false;
    this.#windowWanted = false;
    this.#cr8 = 0;
    this.mmu.mmio.clear();
    this.mmu.flush();
    this.#engine.blocks.clear();
    this.#synchronise();
  }

  close(): void {}

  /** Runs until the budget is used up, or something has to be looked at. */
  #runSlice(): void {
    this.#engine.budget = this.#slice;
    this.#counted = this.#slice;
    this.#cr8 = this.processor.cr8;
    while (this.#engine.budget > 0) {
      const { shadow, systemFlags } = this.processor;
      const single = (shadow & EVENT_SHADOWS) !== 0 || (systemFlags & STEPPING_FLAGS) !== 0;
      if (single || breakpointsEnabled(this.processor)) this.#step(shadow, systemFlags);
      else if (!this.#runBlocks()) return;
      if (this.#exit !== undefined) return;
      if (this.#windowWanted && this.interruptible) return;
    }
  }

  /** Returns whether to go on in this slice. */
  #runBlocks(): boolean {
    const stop = this.#engine.run();
    switch (stop.kind) {
      case "budget":
        // It has no room for the next block: to be exact, these are executed one by one.
        if (this.#options.executed === undefined || this.#engine.budget <= 0) return false;
        this.#step(this.processor.shadow, this.processor.systemFlags);
        return true;
      case "fault":
        this.#deliver(stop.exception);
        return true;
      case "leave":
        return false;
      case "changed":
        this.#synchronise();
        this.#noticePriority();
        return true;
    }
  }

  /** CR8 has gone down: interrupts that it held back may be taken. */
  #noticePriority(): void {
    const { cr8 } = this.processor;
    if (cr8 < this.#cr8) this.#exit ??= this.#exits.priorityLowered;
    this.#cr8 = cr8;
  }

  /** One instruction: in the shadow of STI or MOV SS, under TF or RF, or with breakpoints set. */
  #step(shadow: number, systemFlags: number): void {
    const { processor, mmu } = this;
    const breakpoint = instructionBreakpoint(processor, this.#linearRip);
    if (breakpoint !== undefined) {
      this.#deliver(breakpoint);
      return;
    }
    const stop = this.#engine.step();
    if (stop.kind === "leave") return;
    mmu.mmio.clear();
    processor.shadow &= ~(shadow & EVENT_SHADOWS);
    if (stop.kind === "fault") {
      mmu.takeWatchpointHits();
      this.#deliver(stop.exception);
      return;
    }
    // RF holds off breakpoints for one instruction; IRET and POPF may have set it anew.
    if (stop.kind !== "changed") processor.changeSystemFlags(systemFlags & RFLAGS.RF, 0);
    this.#synchronise();
    this.#noticePriority();
    // MOV SS and POP SS hold off their own traps until the next instruction has had its.
    if ((processor.shadow & SHADOW.MOV_SS) !== 0) return;
    const watched = dataBreakpoint(processor, mmu);
    const stepped = (systemFlags & RFLAGS.TF) !== 0 && (processor.shadow & SHADOW.INT) === 0;
    processor.shadow &= ~SHADOW.INT;
    if (stepped) this.#deliver(singleStepTrap(processor));
    else if (watched !== undefined) this.#deliver(watched);
  }

  get #linearRip(): bigint {
    const width = this.#codeSize === 64 ? 64 : 32;
    return BigInt.asUintN(width, this.processor.rip + this.#codeBase);
  }

  /** Takes from the budget: handlers that fault at once must not keep the thread for ever. */
  #deliver(exception: CpuException): void {
    this.#engine.budget -= 1;
    this.mmu.mmio.clear();
    deliverException(this.processor, this.mmu, exception);
    this.#synchronise();
  }

  /** INS has its value; its destination may be a device's memory, which is then to be written. */
  #deliverInput(value: number, deliver: (value: number) => void): void {
    try {
      deliver(value);
    } catch (error) {
      if (!(error instanceof MmioNeeded)) throw error;
      this.#exits.mmioWrite.set(error);
      this.#exit = this.#exits.mmioWrite;
    }
  }

  /** An NMI first, then the interrupt that was promised to be taken. */
  #takeEvents(): void {
    const { processor, mmu } = this;
    const masked = (processor.shadow & (SHADOW.NMI | SHADOW.MOV_SS)) !== 0;
    if (this.#nmi && !masked) {
      this.#nmi = false;
      deliverNmi(processor, mmu);
      this.#synchronise();
    }
    if (this.#vector === undefined || !this.interruptible) return;
    const vector = this.#vector;
    this.#vector = undefined;
    deliverInterrupt(processor, mmu, vector);
    this.#synchronise();
  }

  #takeExit(): VmExit {
    const exit = this.#exit as VmExit;
    this.#exit = undefined;
    return exit;
  }

  /** An access outside RAM has its answer: the instruction is executed again, with it. */
  #completeAccess(): void {
    const access = this.#mmio;
    if (access === undefined) return;
    this.#mmio = undefined;
    const { data } = access.write ? this.#exits.mmioWrite : this.#exits.mmioRead;
    const answer = new DataView(data.buffer).getBigUint64(0, true);
    const value = access.write ? access.value : BigInt.asUintN(8 * access.size, answer);
    this.mmu.mmio.complete(access, value);
    this.mmu.mmio.rewind();
    this.#step(this.processor.shadow, this.processor.systemFlags);
  }

  #adaptSlice(elapsed: number): void {
    const used = this.#slice - this.#engine.budget;
    if (used < this.#slice / 2) return;
    const wanted = (this.#slice * SLICE) / Math.max(elapsed, 1);
    const next = Math.min(wanted, this.#slice * 2);
    this.#slice = Math.floor(Math.max(MIN_SLICE, Math.min(MAX_SLICE, next)));
  }

  /** Brings what generated code reads up to date with mode and segments. */
  #synchronise(): void {
    const { processor: p } = this;
    const { code64, stackSize } = p;
    const { view } = p;
    const codeBase = code64 ? 0n : p.segmentBase(SEGMENT_INDEX.cs);
    const place = code64 ? 64 : p.codeSize;
    const codeLimit = code64 ? LAST_ADDRESS : p.segmentLimit(SEGMENT_INDEX.cs);
    const sameLimit = codeLimit === this.#codeLimit;
    if (place !== this.#codeSize || codeBase !== this.#codeBase || !sameLimit) {
      this.#codeSize = place;
      this.#codeBase = codeBase;
      this.#codeLimit = codeLimit;
      view.setInt32(STATE.CODE64, code64 ? 1 : 0, true);
      view.setBigUint64(STATE.CODE_BASE, codeBase, true);
      this.#engine.blocks.forgetJumps();
    }
    const unitControls = readUnitControls(view);
    if (unitControls !== this.#unitControls) {
      this.#unitControls = unitControls;
      this.#engine.blocks.forgetJumps();
    }
    const mask = stackSize === 64 ? -1n : stackSize === 32 ? 0xffff_ffffn : 0xffffn;
    view.setBigInt64(STATE.STACK_MASK, BigInt.asIntN(64, mask), true);
    view.setBigUint64(STATE.STACK_BASE, code64 ? 0n : p.segmentBase(SEGMENT_INDEX.ss), true);
  }

  #codeSize: 16 | 32 | 64 = 16;
  #codeBase = -1n;
  #codeLimit = 0n;
  #unitControls = 0;

  #dropCode(address: number, length: number): void {
    const first = Math.floor(address / PAGE_SIZE);
    const last = Math.floor((address + length - 1) / PAGE_SIZE);
    for (let page = first; page <= last; page++) {
      this.#engine.blocks.dropPage(page);
      this.mmu.unmarkCode(page);
    }
  }

  #host(): EngineHost {
    const { mmu, processor } = this;
    const scratch = new Uint8Array(processor.buffer, STATE.SCRATCH, 16);
    const linear = (low: number, high: number, bytes: number): number => {
      const at = linearOfHalves(low, high);
      if (!isCanonicalLinear(at) || !isCanonicalLinear(at + bytes - 1)) throw new NonCanonical();
      return at;
    };
    const outside = this.#outside();
    return {
      place: () => ({
        rip: processor.rip,
        base: this.#codeBase,
        codeSize: this.#codeSize,
        limit: this.#codeLimit,
      }),
      translate: (address) => mmu.translate(linearOf(address), "execute"),
      page: (address) => {
        if (!mmu.memory.contains(address, 1)) throw new NoMemory();
        return mmu.memory.pageFrom(address);
      },
      mark: (page) => mmu.markCode(page),
      leaves: (instruction) => !this.#forced && this.#options.leaves?.(instruction) === true,
      load: (low, high, bytes, forWrite) => {
        const at = linear(low, high, bytes);
        if (forWrite) mmu.check(at, bytes, "write");
        mmu.readBytes(at, scratch.subarray(0, bytes));
      },
      store: (low, high, bytes) => {
        mmu.writeBytes(linear(low, high, bytes), scratch.subarray(0, bytes));
      },
      checkSegment: (index, offset, bytes, write) =>
        checkAccess(processor, index, offset, bytes, write ? "write" : "read"),
      procedure: (instruction) => {
        const context = new ProcedureContext(
          { processor, mmu, outside },
          instruction,
          processor.rip,
        );
        checkPrivilege(instruction, processor);
        instruction.form.instruction.procedure?.(context);
      },
      asFault: (thrown) => this.#asFault(thrown),
      nonCanonical: ({ form, address, segment }) => {
        const onStack =
          address === undefined ? form.instruction.stack : segment === SEGMENT_INDEX.ss;
        return new CpuException(onStack ? VECTOR.SS : VECTOR.GP, 0);
      },
    };
  }

  #outside(): Outside {
    const exits = this.#exits;
    return {
      readTsc: this.#options.timeStamp ?? (() => this.#now()),
      random: this.#options.random ?? (() => this.#random()),
      portIn: (port, bytes, deliver) => {
        exits.portRead.port = port;
        exits.portRead.size = bytes as AccessSize;
        exits.portRead.deliver = (value) => this.#deliverInput(value, deliver);
        this.#exit = exits.portRead;
      },
      portOut: (port, bytes, value) => {
        exits.portWrite.port = port;
        exits.portWrite.size = bytes as AccessSize;
        exits.portWrite.written = value;
        this.#exit = exits.portWrite;
      },
      halt: () => {
        const { systemFlags } = this.processor;
        this.#exit = (systemFlags & RFLAGS.IF) !== 0 ? exits.halt : exits.haltForever;
      },
    };
  }

  #now(): bigint {
    const { clock, executed } = this.#options;
    const since = executed === undefined ? 0 : this.#counted - this.#engine.remaining;
    return BigInt(Math.floor(clock.now() + since));
  }

  #random(): bigint {
    let bits = 0n;
    for (let i = 0; i < 4; i++) bits = (bits << 16n) | BigInt(Math.floor(Math.random() * 0x1_0000));
    return bits;
  }

  #unknownInstruction(): CpuException | Leave {
    if (this.#options.leaves === undefined || this.#forced) return new CpuException(VECTOR.UD);
    return this.#cannotContinue("left to another processor");
  }

  #cannotContinue(reason: string): Leave {
    this.#exit = this.#exits.cannotContinue(reason, new Uint8Array(0));
    return new Leave();
  }

  #asFault(thrown: unknown): CpuException | Leave | NonCanonical {
    if (thrown instanceof CpuException || thrown instanceof NonCanonical) return thrown;
    if (thrown instanceof InvalidOpcode) return this.#unknownInstruction();
    if (thrown instanceof NoMemory)
      return this.#cannotContinue("there is no memory to run code in");
    if (thrown instanceof InstructionTooLong) return new CpuException(VECTOR.GP, 0);
    if (!(thrown instanceof MmioNeeded)) throw thrown;
    const exit = thrown.write ? this.#exits.mmioWrite : this.#exits.mmioRead;
    exit.set(thrown);
    this.#exit = exit;
    this.#mmio = thrown;
    return new Leave();
  }
}

/** Thrown where code is to be fetched from an address that is not RAM. */
class NoMemory {}

const DEVICE_EXITS: ReadonlySet<VmExit["kind"]> = new Set([
  ...(["port-read", "port-write", "mmio-read", "mmio-write"] as const),
]);

function checkPrivilege({ form }: DecodedInstruction, processor: Processor): void {
  if (form.instruction.cpl === 0 && processor.cpl !== 0) throw new CpuException(VECTOR.GP, 0);
}

/** Where RAM begins in the memory, for those who look at it from outside. */
export { RAM_BASE };
