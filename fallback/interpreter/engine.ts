import type { CpuException } from "../exceptions.ts";
import type { OpcodeMap } from "../isa/opcode-map.ts";
import { Jit, type JitOptions, type LoneRegion } from "../jit/jit.ts";
import { REGION_LEFT } from "../jit/protocol.ts";
import type { RegionTies } from "../jit/surroundings.ts";
import type { CodePage } from "../memory/code-tlb.ts";
import { NO_FAULT, SEGMENT, SEGMENT_SIZE, STATE } from "../state.ts";
import { type Block, BlockCache } from "./block.ts";
import { placeWith } from "./code-place.ts";
import type { DecodedInstruction } from "./decoder.ts";
import { HandlersBeside } from "./handlers-beside.ts";
import { type EngineHost, Leave, NonCanonical } from "./host.ts";
import { InterpreterInstance } from "./interpreter-instance.ts";
import { LEFT, OUTCOME } from "./outcomes.ts";
import { RECORD } from "./record.ts";
import { layDownTables } from "./sections.ts";
import { Translator } from "./translator.ts";

/** Why {@link Engine.run} came back. */
export type Stop =
  | { readonly kind: "budget" }
  /** STATE.RIP is at the instruction. */
  | { readonly kind: "fault"; readonly exception: CpuException }
  /** {@link Leave} was thrown: the host knows why. STATE.RIP is at the instruction. */
  | { readonly kind: "leave" }
  /** After an instruction that ends a block: anything may have changed. */
  | { readonly kind: "changed" };

const WORD = 0x1_0000_0000;
const WITH_CODE = 0x100;
/** What FAULT holds while the fault itself is an object here. */
const THROWN = 0x200;

export interface EngineOptions {
  readonly memory: WebAssembly.Memory;
  /** Whether the memory is a shared one. */
  readonly shared: boolean;
  readonly interpreter: WebAssembly.Module;
  readonly map: OpcodeMap;
  /** Undefined: everything is interpreted. */
  readonly jit: JitOptions | undefined;
  /** A clock for what the JIT takes. */
  now(): number;
  /** Instructions that have been executed so far, by which the JIT takes its share. */
  executed(): number;
}

/** Runs blocks of decoded instructions in the WebAssembly interpreter. */
export class Engine {
  readonly blocks: BlockCache;
  readonly #view: DataView;
  readonly #host: EngineHost;
  readonly #translator: Translator;
  readonly jit: Jit | undefined;
  readonly #interpreter: InterpreterInstance;
  readonly #makeException: (vector: number, errorCode?: number) => CpuException;
  #thrown: CpuException | Leave | NonCanonical | undefined;
  #changed = false;
  /** The instruction whose procedure has faulted in a region. */
  #faulting: DecodedInstruction | undefined;
  /** What a step does not get of the budget. */
  #heldBack = 0;
  /** Instructions of the block that begin with the procedure under way. */
  #ahead = 0;
  /** While stepping: the block of the one instruction. */
  #single: Block | undefined;
  #stepping = false;

  constructor(
    options: EngineOptions,
    host: EngineHost,
    makeException: (vector: number, errorCode?: number) => CpuException,
  ) {
    const { memory, interpreter: module, map, shared } = options;
    this.#view = new DataView(memory.buffer);
    this.#host = host;
    this.#makeException = makeException;
    this.blocks = new BlockCache(memory.buffer);
    const imports = {
      memory,
      load: (low: number, high: number, bytes: number, forWrite: number) => {
        this.#attempt(() => host.load(low, high, bytes, forWrite !== 0));
      },
      store: (low: number, high: number, bytes: number) =>
        this.#attempt(() => host.store(low, high, bytes)) ? 1 : 0,
      findBlock: () => this.#findBlock(),
      procedure: (record: number) => this.#procedure(record),
      synchronise: () => host.synchronise(),
      touch: (low: number, high: number, forWrite: number) =>
        host.jit.touch(low, high, forWrite !== 0) ? 1 : 0,
      checkSegment: (limit: number, offset: number, length: number) =>
        this.#attempt(() => {
          const { index, write } = segmentLimit(limit);
          host.checkSegment(index, offset >>> 0, length + 1, write);
        })
          ? 1
          : 0,
    };
    const interpreter = new InterpreterInstance(module, imports);
    this.#interpreter = interpreter;
    const index = layDownTables(module, memory.buffer);
    const beside = new HandlersBeside((name) => interpreter.section(name), imports, shared);
    index.onLate = (variant, form) => {
      const { handler, access } = beside.get(variant, form);
      interpreter.addHandler(handler);
      return access;
    };
    const { buffer } = memory;
    const { decodeBlock } = interpreter;
    this.#translator = new Translator(buffer, map, index, this.blocks, host, decodeBlock);
    this.#translator.onBlock = (block) => this.jit?.added(block);
    this.#clearFault();
    if (options.jit !== undefined) this.jit = this.#makeJit(options, options.jit);
  }

  #makeJit({ memory, shared, now, executed }: EngineOptions, options: JitOptions): Jit {
    const { jit: host } = this.#host;
    return new Jit(options, {
      ...{ memory, shared, host, now, executed, blocks: this.blocks },
      ties: (renewed) => this.#ties(renewed),
      section: (name) => this.#interpreter.section(name),
      place: () => this.#host.place(),
      pageAt: (linear) => this.#host.probePage(linear),
      mayTranslateUnseen: () => !this.#host.breaks && !this.#host.leavesSome,
      bytesOf: (address) => this.#host.page(address),
      mark: (page) => this.#host.mark(page),
      decode: (bytes, codeSize) => this.#translator.decode(bytes, codeSize),
      wordAt: (linear) => host.wordAt(linear),
      moveWindow: (area, access, linear) => host.moveWindow(area, access, linear),
      known: (rip) => this.#translator.known(placeWith(this.#host.place(), rip)),
      recordFault: () => this.#view.setInt32(STATE.FAULT, THROWN, true),
      procedure: (instruction) => this.#regionProcedure(instruction),
    });
  }

  /**
   * Goes on with another module of the same table of instructions. Not while one is running.
   * All state is in the memory.
   */
  use(module: WebAssembly.Module): void {
    this.#interpreter.use(module);
  }

  #ties(renewed: boolean): RegionTies {
    const interpreter = this.#interpreter;
    if (renewed) {
      interpreter.renewRegions();
      this.#translator.decodeBlock = interpreter.decodeBlock;
    }
    return { table: interpreter.regions, settleFlags: interpreter.settleFlags };
  }

  /** Instructions that the budget still has. */
  get budget(): number {
    return this.#view.getInt32(STATE.BUDGET, true);
  }

  set budget(instructions: number) {
    this.#view.setInt32(STATE.BUDGET, instructions, true);
  }

  /** Instructions that regions of the JIT have executed so far. */
  get inRegions(): number {
    return Number(this.#view.getBigInt64(STATE.IN_REGIONS, true));
  }

  set inRegions(instructions: number) {
    this.#view.setBigInt64(STATE.IN_REGIONS, BigInt(instructions), true);
  }

  /**
   * As {@link budget}, exact while a procedure runs: the instructions of a block are taken from the
   * budget as it is entered.
   */
  get remaining(): number {
    return this.budget + this.#ahead + this.#heldBack;
  }

  run(): Stop {
    const stop = this.#runUntilStop();
    this.#host.settleShadow(this.budget);
    return stop;
  }

  /** A budget for another slice. */
  begin(instructions: number): void {
    this.budget = instructions;
    this.#host.keepShadow(instructions);
  }

  #runUntilStop(): Stop {
    for (;;) {
      switch (this.#interpreter.run()) {
        case LEFT.HOT:
          this.#compile();
          break;
        case LEFT.LOOK:
          this.jit?.look(this.#view.getInt32(STATE.RECORD, true));
          break;
        case LEFT.BUDGET:
          return { kind: "budget" };
        case LEFT.NO_BLOCK:
          return this.#stop();
        case LEFT.IN_REGION:
          return this.#leaveRegion();
        default:
          return this.#leaveBlock();
      }
    }
  }

  /** The block at STATE.RIP is hot. */
  #compile(): void {
    const block = this.#translator.known(this.#host.place());
    if (block !== undefined) this.jit?.compile(block);
  }

  /** The linear addresses of a page of code may mean something else from now on. */
  forgetPage(page: CodePage): void {
    this.blocks.forgetPage(page);
    this.jit?.forgetPage(page);
  }

  /** Runs one instruction, whatever the budget. */
  step(): Stop {
    this.#heldBack = this.budget - 1;
    this.budget = 1;
    this.#single = undefined;
    this.#stepping = true;
    // Its block must be asked for, so that it is one of a single instruction.
    const { rip, base } = this.#host.place();
    this.blocks.forgetJump(rip + base);
    const stop = this.#runUntilStop();
    this.#stepping = false;
    // Where its records are, another block's may be soon.
    this.#single = undefined;
    this.budget += this.#heldBack;
    this.#heldBack = 0;
    this.#host.keepShadow(this.budget);
    return stop;
  }

  /** A region of the instruction at RIP, if there is one that the JIT takes: for tests. */
  translateOne(): LoneRegion | undefined {
    const place = this.#host.place();
    let block: Block | undefined;
    this.#attempt(() => {
      block = this.#translator.block(place, true);
    });
    this.#clearFault();
    return block === undefined ? undefined : this.jit?.alone(block);
  }

  /** As {@link step}. @param region of the instruction at RIP */
  stepTranslated(region: LoneRegion): Stop {
    const run = region();
    this.#heldBack = this.budget - 1;
    this.budget = 1;
    const next = run(0);
    this.#interpreter.settleFlags();
    const isDone = this.budget <= 0;
    this.budget += this.#heldBack;
    this.#heldBack = 0;
    if (next === REGION_LEFT.STOP) return this.#leaveRegion();
    if (next === REGION_LEFT.INTERPRET || next === REGION_LEFT.LOOK) {
      if (isDone) return { kind: "budget" };
      this.#clearFault();
      return this.step();
    }
    this.#view.setBigUint64(STATE.RIP, BigInt.asUintN(64, next), true);
    return { kind: "budget" };
  }

  #findBlock(): number {
    // The step is done: any block that the budget has no room for.
    if (this.#stepping && this.#single !== undefined) return this.#single.header;
    let header = 0;
    this.#attempt(() => {
      const place = this.#host.place();
      if (!this.#stepping) {
        const block = this.#translator.block(place);
        this.jit?.found(block);
        header = block.header;
      } else {
        this.#single = this.#translator.block(place, true);
        header = this.#single.header;
      }
    });
    return header;
  }

  #procedure(record: number): number {
    const block = this.#currentBlock();
    const index = this.#view.getUint8(record + RECORD.INDEX);
    const instruction = block.instruction(index);
    this.#setRip(block, block.offsets[index + 1] ?? block.length);
    this.#ahead = block.count - index;
    const { ends, resumes, port } = instruction.form.instruction;
    const done =
      (port !== undefined && this.#host.accessPort(instruction)) ||
      this.#attempt(() => this.#host.procedure(instruction));
    this.#ahead = 0;
    if (!done) return OUTCOME.LEAVE;
    if (ends === undefined) return OUTCOME.NEXT;
    if (!this.#stepping && this.#goesOn(this.budget, resumes === true)) return OUTCOME.JUMP;
    this.#changed = true;
    return OUTCOME.LEAVE;
  }

  /** Returns whether a region may go on behind an instruction that it has called for. */
  #regionProcedure(instruction: DecodedInstruction): boolean {
    const dropped = this.jit?.figures.dropped;
    const losses = this.#host.jit.windowLosses();
    const { port, ends } = instruction.form.instruction;
    if (port !== undefined && this.#host.accessPort(instruction)) {
      if (this.#isAsBefore(dropped, losses) && this.#goesOn(this.budget - 1, true)) return true;
      this.#interpreter.settleFlags();
      return this.#stopRegion();
    }
    const next = this.#view.getBigUint64(STATE.RIP, true);
    this.#interpreter.settleFlags();
    if (!this.#attempt(() => this.#host.procedure(instruction))) {
      const rip = BigInt.asUintN(64, next - BigInt(instruction.length));
      this.#view.setBigUint64(STATE.RIP, rip, true);
      this.#faulting = instruction;
      return false;
    }
    const isDone =
      ends === undefined ||
      (next === this.#view.getBigUint64(STATE.RIP, true) && this.#goesOn(this.budget - 1, true));
    return isDone && this.#isAsBefore(dropped, losses) ? true : this.#stopRegion();
  }

  /** Whether the region under way is still right, and so is what it has found of its stack. */
  #isAsBefore(dropped: number | undefined, losses: number): boolean {
    return dropped === this.jit?.figures.dropped && losses === this.#host.jit.windowLosses();
  }

  /** Behind the instruction. */
  #stopRegion(): false {
    this.budget -= 1;
    this.#changed = true;
    return false;
  }

  /** @param budget behind the instruction */
  #goesOn(budget: number, resumes: boolean): boolean {
    this.#host.settleShadow(budget);
    return this.#host.goesOn(resumes);
  }

  /** A region has stopped in a procedure; RIP and budget are where they should be. */
  #leaveRegion(): Stop {
    if (this.#changed) {
      this.#changed = false;
      return { kind: "changed" };
    }
    const instruction = this.#faulting;
    if (this.#thrown instanceof NonCanonical && instruction !== undefined) {
      this.#thrown = this.#host.nonCanonical(instruction, this.#thrown);
    }
    return this.#stop();
  }

  /** In halves: 64-bit numbers would be made anew for each instruction without code. */
  #setRip({ startLow, startHigh, codeSize }: Block, offset: number): void {
    const low = (startLow >>> 0) + offset;
    const carry = low >= WORD ? 1 : 0;
    this.#view.setUint32(STATE.RIP, low, true);
    this.#view.setInt32(STATE.RIP + 4, codeSize === 64 ? startHigh + carry : 0, true);
  }

  #currentBlock(): Block {
    const header = this.#view.getInt32(STATE.BLOCK, true);
    const block = this.#single?.header === header ? this.#single : this.blocks.byHeader(header);
    if (block === undefined) throw new Error("a record without its block");
    return block;
  }

  /** In the middle of a block: accounts for what was not executed, and finds RIP. */
  #leaveBlock(): Stop {
    const block = this.#currentBlock();
    const record = this.#view.getInt32(STATE.RECORD, true);
    const index = this.#view.getUint8(record + RECORD.INDEX);
    if (this.#changed) {
      this.#changed = false;
      return { kind: "changed" };
    }
    this.budget += block.count - index;
    this.#setRip(block, block.offsets[index] ?? 0);
    if (this.#thrown instanceof NonCanonical) {
      this.#thrown = this.#host.nonCanonical(block.instruction(index), this.#thrown);
    }
    return this.#stop();
  }

  #stop(): Stop {
    const fault = this.#view.getInt32(STATE.FAULT, true);
    const thrown = this.#thrown;
    this.#thrown = undefined;
    this.#clearFault();
    if (fault === NO_FAULT) return { kind: "changed" };
    if (fault !== THROWN) {
      const code = fault & WITH_CODE ? this.#view.getInt32(STATE.FAULT_CODE, true) : undefined;
      return { kind: "fault", exception: this.#makeException(fault & 0xff, code) };
    }
    if (thrown === undefined || thrown instanceof Leave || thrown instanceof NonCanonical) {
      return { kind: "leave" };
    }
    return { kind: "fault", exception: thrown };
  }

  /** Calls out of WebAssembly must not throw through it: the state could not be found again. */
  #attempt(action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#thrown = this.#host.asFault(error);
      this.#view.setInt32(STATE.FAULT, THROWN, true);
      return false;
    }
  }

  #clearFault(): void {
    this.#view.setInt32(STATE.FAULT, NO_FAULT, true);
  }
}

/** The segment register that a READ_LAST or WRITE_LAST in the state belongs to, and which it is. */
export const segmentLimit = (offset: number): { index: number; write: boolean } => ({
  index: Math.floor((offset - STATE.SEGMENTS) / SEGMENT_SIZE),
  write: (offset - STATE.SEGMENTS) % SEGMENT_SIZE === SEGMENT.WRITE_LAST,
});
