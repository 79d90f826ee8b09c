import type { CpuException } from "../exceptions.ts";
import type { OpcodeMap } from "../isa/opcode-map.ts";
import { SEGMENT, SEGMENT_SIZE, STATE } from "../state.ts";
import { type Block, BlockCache } from "./block.ts";
import type { DecodedInstruction } from "./decoder.ts";
import { HANDLERS_SECTION, HandlerIndex } from "./handlers.ts";
import { ACCESSES_SECTION } from "./memory-access.ts";
import { LEFT, OUTCOME } from "./module.ts";
import { RECORD } from "./record.ts";
import { type CodePlace, type CodeSource, Translator } from "./translator.ts";

/** What the interpreter needs of the processor around it. Faults are thrown as CpuException. */
export interface EngineHost extends CodeSource {
  /** Where STATE.RIP is. */
  place(): CodePlace;
  /** Puts what is loaded into STATE.SCRATCH. */
  load(low: number, high: number, bytes: number, forWrite: boolean): void;
  /** Stores what is in STATE.SCRATCH. */
  store(low: number, high: number, bytes: number): void;
  /**
   * An access through a segment, outside 64-bit mode, that is not plainly permitted.
   * @param index of the segment register
   */
  checkSegment(index: number, offset: number, bytes: number, write: boolean): void;
  /** Executes an instruction that has no code. STATE.RIP is behind it. */
  procedure(instruction: DecodedInstruction): void;
  /** Turns what was thrown by any of the above into a fault; rethrows what is none. */
  asFault(thrown: unknown): CpuException | Leave | NonCanonical;
  /** #SS(0) or #GP(0). */
  nonCanonical(instruction: DecodedInstruction): CpuException;
}

/** Thrown for an address that is not canonical: the fault depends on the instruction. */
export class NonCanonical {}

/** Thrown to leave the guest at the instruction under way, which will be executed again. */
export class Leave {}

/** Why {@link Engine.run} came back. */
export type Stop =
  | { readonly kind: "budget" }
  /** STATE.RIP is at the instruction. */
  | { readonly kind: "fault"; readonly exception: CpuException }
  /** {@link Leave} was thrown: the host knows why. STATE.RIP is at the instruction. */
  | { readonly kind: "leave" }
  /** After an instruction that ends a block: anything may have changed. */
  | { readonly kind: "changed" };

const NO_FAULT = -1;
const WITH_CODE = 0x100;
/** What FAULT holds while the fault itself is an object here. */
const THROWN = 0x200;

interface Instance {
  readonly exports: { run(): number };
}

/** Runs blocks of decoded instructions in the WebAssembly interpreter. */
export class Engine {
  readonly blocks: BlockCache;
  readonly #view: DataView;
  readonly #host: EngineHost;
  readonly #translator: Translator;
  readonly #imports: Readonly<Record<string, unknown>>;
  #run: () => number;
  readonly #makeException: (vector: number, errorCode?: number) => CpuException;
  #thrown: CpuException | Leave | NonCanonical | undefined;
  #changed = false;
  /** What a step does not get of the budget. */
  #heldBack = 0;
  /** Instructions of the block that begin with the procedure under way. */
  #ahead = 0;
  /** While stepping: the block of the one instruction. */
  #single: Block | undefined;
  #stepping = false;

  constructor(
    memory: WebAssembly.Memory,
    module: WebAssembly.Module,
    map: OpcodeMap,
    host: EngineHost,
    makeException: (vector: number, errorCode?: number) => CpuException,
  ) {
    this.#view = new DataView(memory.buffer);
    this.#host = host;
    this.#makeException = makeException;
    this.blocks = new BlockCache(memory.buffer);
    const handlers = new HandlerIndex(
      section(module, HANDLERS_SECTION),
      section(module, ACCESSES_SECTION),
    );
    this.#translator = new Translator(memory.buffer, map, handlers, this.blocks, host);
    this.#imports = {
      memory,
      load: (low: number, high: number, bytes: number, forWrite: number) => {
        this.#attempt(() => host.load(low, high, bytes, forWrite !== 0));
      },
      store: (low: number, high: number, bytes: number) =>
        this.#attempt(() => host.store(low, high, bytes)) ? 1 : 0,
      findBlock: () => this.#findBlock(),
      procedure: (record: number) => this.#procedure(record),
      checkSegment: (limit: number, offset: number, length: number) =>
        this.#attempt(() => {
          const { index, write } = segmentLimit(limit);
          host.checkSegment(index, offset >>> 0, length + 1, write);
        })
          ? 1
          : 0,
    };
    this.#run = this.#instantiate(module);
    this.#clearFault();
  }

  /**
   * Goes on with another module of the same table of instructions. Not while one is running.
   * All state is in the memory.
   */
  use(module: WebAssembly.Module): void {
    this.#run = this.#instantiate(module);
  }

  #instantiate(module: WebAssembly.Module): () => number {
    const instance = new WebAssembly.Instance(module, { cpu: this.#imports });
    return (instance as unknown as Instance).exports.run;
  }

  /** Instructions that the budget still has. */
  get budget(): number {
    return this.#view.getInt32(STATE.BUDGET, true);
  }

  set budget(instructions: number) {
    this.#view.setInt32(STATE.BUDGET, instructions, true);
  }

  /**
   * As {@link budget}, exact while a procedure runs: the instructions of a block are taken from the
   * budget as it is entered.
   */
  get remaining(): number {
    return this.budget + this.#ahead + this.#heldBack;
  }

  run(): Stop {
    const left = this.#run();
    switch (left) {
      case LEFT.BUDGET:
        return { kind: "budget" };
      case LEFT.NO_BLOCK:
        return this.#stop();
      default:
        return this.#leaveBlock();
    }
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
    const stop = this.run();
    this.#stepping = false;
    this.budget += this.#heldBack;
    this.#heldBack = 0;
    return stop;
  }

  #findBlock(): number {
    // The step is done: any block that the budget has no room for.
    if (this.#stepping && this.#single !== undefined) return this.#single.header;
    let header = 0;
    this.#attempt(() => {
      const place = this.#host.place();
      if (!this.#stepping) header = this.#translator.block(place).header;
      else {
        this.#single = this.#translator.block(place, 1);
        header = this.#single.header;
      }
    });
    return header;
  }

  #procedure(record: number): number {
    const block = this.#currentBlock();
    const index = this.#view.getUint8(record + RECORD.INDEX);
    const instruction = block.instructions[index];
    if (instruction === undefined) throw new Error("a record without its instruction");
    this.#view.setBigUint64(STATE.RIP, ripAfter(block, index), true);
    this.#ahead = block.instructions.length - index;
    const done = this.#attempt(() => this.#host.procedure(instruction));
    this.#ahead = 0;
    if (!done) return OUTCOME.LEAVE;
    if (instruction.form.instruction.ends === undefined) return OUTCOME.NEXT;
    this.#changed = true;
    return OUTCOME.LEAVE;
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
    this.budget += block.instructions.length - index;
    this.#view.setBigUint64(STATE.RIP, ripAt(block, index), true);
    const instruction = block.instructions[index];
    if (this.#thrown instanceof NonCanonical && instruction !== undefined) {
      this.#thrown = this.#host.nonCanonical(instruction);
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

const atOffset = (block: Block, offset: number): bigint =>
  BigInt.asUintN(block.codeSize === 64 ? 64 : 32, block.rip + BigInt(offset));

const ripAt = (block: Block, index: number): bigint => atOffset(block, block.offsets[index] ?? 0);

const ripAfter = (block: Block, index: number): bigint =>
  atOffset(block, (block.offsets[index] ?? 0) + (block.instructions[index]?.length ?? 0));

/** Contents of a custom section. */
export function section(module: WebAssembly.Module, name: string): ArrayBuffer {
  return WebAssembly.Module.customSections(module, name)[0] ?? new ArrayBuffer(0);
}

/** The segment register that a READ_LAST or WRITE_LAST in the state belongs to, and which it is. */
const segmentLimit = (offset: number): { index: number; write: boolean } => ({
  index: Math.floor((offset - STATE.SEGMENTS) / SEGMENT_SIZE),
  write: (offset - STATE.SEGMENTS) % SEGMENT_SIZE === SEGMENT.WRITE_LAST,
});
