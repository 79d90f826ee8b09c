import type { FallbackCpu } from "../../fallback/cpu.ts";
import type { CpuException } from "../../fallback/exceptions.ts";
import { readFxImage, writeFxImage } from "../../fallback/fx-image.ts";
import { createFallbackCpu, type KeptInterpreter } from "../../fallback/index.ts";
import type { LoneRegion } from "../../fallback/jit/jit.ts";
import { SEGMENT, SEGMENT_INDEX, STATE, STATE_BYTES, segmentOffset } from "../../fallback/state.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { Segment } from "../../src/core/cpu.ts";
import { RAM_OFFSET } from "../../src/core/guest-memory.ts";
import { type Gpa, gpa } from "../../src/core/units.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { CpuState, IMAGE, IMAGE_SIZE } from "./cpu-state.ts";
import {
  type Mode,
  PAGE_FAULT,
  type Snippet,
  type SnippetCpu,
  type SnippetResult,
} from "./driver.ts";
import {
  CODE,
  CODE_FILL,
  CODE_PAGE,
  CODE_SELECTOR,
  CR0,
  CR4,
  DATA,
  DATA_SELECTOR,
  DATA_SIZE,
  EFER,
  MARKER,
  PAGE,
  READ_ONLY,
  readOnlyContents,
  VISIBLE_FLAGS,
  XCR0,
} from "./environment.ts";
import { PageTables, PTE } from "./page-tables.ts";
import { CODE_SLOT } from "./record.ts";
import { systemPage, systemRegisters } from "./system-page.ts";

const CODE_ATTRIBUTES = { 64: 0xa0fb, 32: 0xc0fb } as const;
const DATA_ATTRIBUTES = 0xc0f3;
const FIXED_FLAGS = 0x202n;
/** A repeated instruction works through its elements a part at a time. */
const MAX_PARTS = 1 << 20;
const GPRS = 16;
const FS_BASE = segmentOffset(SEGMENT_INDEX.fs) + SEGMENT.BASE;
const GS_BASE = segmentOffset(SEGMENT_INDEX.gs) + SEGMENT.BASE;
/** Where a snippet is in its page. */
const SNIPPET = CODE - CODE_PAGE;

const RSP = 4;
/** Linear addresses, where snippets do not reach: tables, the stack of handlers, handlers. */
const SYSTEM_PAGE = 0x5a5a_5a00_0000;
const STACK_PAGE = SYSTEM_PAGE + PAGE;
/** Nothing is there: a handler is entered, but not executed. One byte a vector. */
const HANDLERS = SYSTEM_PAGE + 0x10_0000;
/** Below the top of the stack (Intel SDM vol. 3A figure 6-9). */
const FRAME = { RIP: PAGE - 0x28, RFLAGS: PAGE - 0x18, RSP: PAGE - 0x10 } as const;

/** The processor written in TypeScript, in the snippets' world. */
export class Fallback implements SnippetCpu {
  readonly name: string;
  readonly #by: "interpreter" | "jit";
  readonly #cpu: FallbackCpu;
  readonly #code: Uint8Array;
  readonly #data: Uint8Array;
  readonly #stack: DataView;
  readonly #ymmUppers: Uint8Array;
  readonly #root: Gpa;
  /** Guest physical address of {@link #code}. */
  readonly #codeAddress: Gpa;
  /** Of the processor, but for what snippets have of their own. */
  readonly #images: Readonly<Record<Mode, Uint8Array>>;
  readonly #result = new CpuState();
  /** What was made of those that it has been prepared for. */
  readonly #regions = new Map<Snippet, LoneRegion | undefined>();

  /**
   * @param keptInterpreter the interpreter to use; that of a start unless given
   * @param by what executes: the JIT makes a region of each instruction of 64-bit code
   */
  constructor(
    keptInterpreter: KeptInterpreter = () => undefined,
    by: "interpreter" | "jit" = "interpreter",
  ) {
    this.#by = by;
    this.name = by === "jit" ? "jit" : "fallback";
    const { whole, ram } = allocateMemory(2);
    this.#cpu = createFallbackCpu({
      memory: whole,
      ramSize: ram.size,
      clock: new VirtualClock(),
      hostWaits: () => false,
      keptInterpreter,
      jit: by === "jit" ? { threshold: 1 } : undefined,
    });
    const state = new Uint8Array(this.#cpu.processor.buffer);
    this.#ymmUppers = state.subarray(
      STATE.YMM_UPPER,
      STATE.YMM_UPPER + IMAGE_SIZE - IMAGE.YMM_UPPER,
    );
    const tables = new PageTables(ram, PAGE);
    const place = (linear: number, size: number, flags: bigint): Uint8Array => {
      const address = tables.allocate(size / PAGE);
      tables.map(linear, address, flags, size / PAGE);
      return ram.slice(gpa(address), size);
    };
    this.#code = place(CODE_PAGE, PAGE, PTE.USER).fill(CODE_FILL);
    this.#codeAddress = gpa(this.#code.byteOffset - RAM_OFFSET);
    this.#data = place(DATA, DATA_SIZE, PTE.USER | PTE.WRITABLE | PTE.NO_EXECUTE);
    place(READ_ONLY, PAGE, PTE.USER | PTE.NO_EXECUTE).set(readOnlyContents());
    const handler = (vector: number): number => HANDLERS + vector;
    const stack = STACK_PAGE + PAGE;
    const system = systemPage({ address: SYSTEM_PAGE, stack, handler });
    place(SYSTEM_PAGE, PAGE, PTE.WRITABLE).set(system);
    const stackBytes = place(STACK_PAGE, PAGE, PTE.WRITABLE);
    this.#stack = new DataView(stackBytes.buffer, stackBytes.byteOffset, PAGE);
    this.#root = tables.root;
    this.#images = { 64: this.#image(64), 32: this.#image(32) };
  }

  prepare(snippets: readonly Snippet[]): void {
    this.#regions.clear();
    this.#cpu.reset();
    for (const snippet of snippets) {
      if (this.#by === "jit") this.#loadCode(snippet);
      this.#regions.set(
        snippet,
        this.#by === "jit" ? this.#cpu.liveCode.translateOne() : undefined,
      );
    }
  }

  run(snippet: Snippet): SnippetResult {
    if (!this.#regions.has(snippet)) this.prepare([snippet]);
    const region = this.#regions.get(snippet);
    this.#load(snippet);
    const start = this.#cpu.processor.rip;
    let fault: CpuException | undefined;
    for (let part = 0; part < MAX_PARTS; part++) {
      fault = this.#cpu.executeOne(region);
      const repeats = this.#cpu.processor.rip === start && isString(snippet.code);
      if (fault !== undefined || !repeats) break;
    }
    return this.#finish(fault);
  }

  #image(mode: Mode): Uint8Array {
    const cpu = this.#cpu;
    cpu.reset();
    const data = segment(DATA_SELECTOR, DATA_ATTRIBUTES);
    cpu.writeRegisters({
      ...cpu.readRegisters(),
      ...{ cr0: CR0, cr3: BigInt(this.#root), cr4: CR4, efer: EFER },
      ...systemRegisters(SYSTEM_PAGE),
      ...{ ss: data, ds: data, es: data, fs: data, gs: data },
      cs: segment(CODE_SELECTOR[mode], CODE_ATTRIBUTES[mode]),
      rip: BigInt(CODE),
    });
    cpu.processor.setField(STATE.XCR0, XCR0);
    const image = new Uint8Array(STATE_BYTES);
    cpu.copyState(image);
    return image;
  }

  #loadCode({ mode, code }: Snippet): void {
    this.#cpu.mmu.noticeWrite(this.#codeAddress + SNIPPET, CODE_SLOT);
    this.#code.fill(CODE_FILL, SNIPPET, SNIPPET + CODE_SLOT);
    this.#code.set(code, SNIPPET);
    this.#code.set(MARKER, SNIPPET + code.length);
    this.#cpu.replaceState(this.#images[mode]);
  }

  #load(snippet: Snippet): void {
    const { state } = snippet;
    this.#loadCode(snippet);
    this.#data.set(state.data);
    const { processor: p } = this.#cpu;
    for (let index = 0; index < GPRS; index++) p.setGpr(index, state.gpr(index));
    p.rip = state.rip;
    p.rflags = Number((state.rflags & VISIBLE_FLAGS) | FIXED_FLAGS);
    p.setField(FS_BASE, state.fsBase);
    p.setField(GS_BASE, state.gsBase);
    writeFxImage(p, state.fx);
    this.#ymmUppers.set(state.ymmUppers);
  }

  #finish(fault: CpuException | undefined): SnippetResult {
    const { processor: p } = this.#cpu;
    const state = this.#result;
    for (let index = 0; index < GPRS; index++) state.setGpr(index, p.gpr(index));
    state.rip = p.rip;
    state.rflags = BigInt(p.rflags) & VISIBLE_FLAGS;
    state.fsBase = p.field(FS_BASE);
    state.gsBase = p.field(GS_BASE);
    state.fx.set(readFxImage(p));
    state.ymmUppers.set(this.#ymmUppers);
    state.data.set(this.#data);
    if (fault === undefined) return p.cpl === 0 ? this.#inHandler(state) : { state };
    const { vector, errorCode } = fault;
    return {
      state,
      fault: {
        vector,
        ...(errorCode === undefined ? {} : { errorCode }),
        ...(vector === PAGE_FAULT ? { cr2: p.cr2 } : {}),
      },
    };
  }

  /** INT3 and INTO have entered the handler: RIP says whose, the frame where they came from. */
  #inHandler(state: CpuState): SnippetResult {
    const vector = Number(state.rip) - HANDLERS;
    state.rip = this.#stack.getBigUint64(FRAME.RIP, true);
    state.rflags = this.#stack.getBigUint64(FRAME.RFLAGS, true) & VISIBLE_FLAGS;
    state.setGpr(RSP, this.#stack.getBigUint64(FRAME.RSP, true));
    return { state, fault: { vector } };
  }
}

const segment = (selector: number, attributes: number): Segment => ({
  selector,
  base: 0n,
  limit: 0xffff_ffff,
  attributes,
});

/** Whether the bytes are a string instruction with a repeat prefix, as far as it matters here. */
const isString = (code: Uint8Array): boolean => code.includes(0xf2) || code.includes(0xf3);
