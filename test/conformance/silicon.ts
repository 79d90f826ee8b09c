import { Bug } from "../../src/core/errors.ts";
import { MILLISECOND, nanos } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import { HostClock } from "../../src/host/clock.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { plainState } from "./backgrounds.ts";
import { CpuState, IMAGE, IMAGE_SIZE, REGISTERS_SIZE } from "./cpu-state.ts";
import {
  BREAKPOINT,
  type Fault,
  FETCH,
  type Judge,
  type Mode,
  PAGE_FAULT,
  PUSHES_ERROR_CODE,
  type Snippet,
  type SnippetCpu,
  type SnippetResult,
} from "./driver.ts";
import {
  CODE,
  CODE_FILL,
  CODE_PAGE,
  CODE_SELECTOR,
  DATA_SELECTOR,
  MARKER,
  PAGE,
  VISIBLE_FLAGS,
} from "./environment.ts";
import { SiliconMachine } from "./silicon-machine.ts";
import { CODE_SLOT, FRAME, NO_FAULT, RECORD } from "./silicon-program.ts";

/** Longer than any batch takes; a snippet that loops for ever ends here. */
const TIME_LIMIT = 2_000 * MILLISECOND;
/** RFLAGS: the bit that is always set, and IF, as level 3 finds it. */
const FIXED_FLAGS = 0x202n;
const REGISTERS_32 = 8;
const XMM_REGISTERS_32 = 8;
const HIGH_HALF = 0xffff_ffff_0000_0000n;

/**
 * The real processor, at privilege level 3 under KVM: it executes the snippets itself, and so is
 * what the others are compared with.
 */
export class Silicon implements SnippetCpu, Judge {
  readonly name = "silicon";
  /** Where KVM emulates 32-bit code, only 64-bit code is the processor's own. */
  readonly modes: readonly Mode[];
  readonly #clock = new HostClock();
  readonly #machine = new SiliconMachine();
  readonly #cpu: KvmCpu;
  #booted = false;

  /** @throws HostError when KVM or the addon is missing */
  constructor() {
    this.#cpu = new KvmCpu({
      addon: loadAddon<KvmAddon>(),
      memory: this.#machine.memory,
      clock: this.#clock,
      device: "/dev/kvm",
      timed: false,
    });
    this.modes = this.#runsDaa() ? [64, 32] : [64];
  }

  close(): void {
    this.#cpu.close();
  }

  run(snippet: Snippet): SnippetResult {
    return this.runAll([snippet])[0] as SnippetResult;
  }

  runAll(snippets: readonly Snippet[]): SnippetResult[] {
    const results: SnippetResult[] = [];
    for (let first = 0; first < snippets.length; first += this.#machine.capacity) {
      const batch = snippets.slice(first, first + this.#machine.capacity);
      batch.forEach((snippet, index) => {
        writeRecord(this.#record(index), snippet);
      });
      this.#runBatch(batch);
      batch.forEach((snippet, index) => {
        results.push(readRecord(this.#record(index), snippet));
      });
    }
    return results;
  }

  /** KVM's emulator does not know DAA. */
  #runsDaa(): boolean {
    const DAA = 0x27;
    return this.run({ mode: 32, code: Uint8Array.of(DAA), state: plainState() }).fault === undefined;
  }

  #record(index: number): Uint8Array<ArrayBuffer> {
    return this.#machine.records.subarray(index * RECORD.SIZE, (index + 1) * RECORD.SIZE);
  }

  #runBatch(batch: readonly Snippet[]): void {
    this.#machine.arm(batch.length);
    if (!this.#booted) this.#cpu.writeRegisters(this.#machine.boot(this.#cpu.readRegisters()));
    this.#booted = true;
    const deadline = nanos(this.#clock.now() + TIME_LIMIT);
    let exit = this.#cpu.run(deadline);
    while (exit.kind === "kicked" && this.#clock.now() < deadline) exit = this.#cpu.run(deadline);
    if (exit.kind === "mmio-write") return;
    const where = this.#machine.position;
    const { rip } = this.#cpu.readRegisters();
    this.#cpu.reset();
    this.#booted = false;
    const code = Buffer.from(batch[where]?.code ?? []).toString("hex");
    const detail = exit.kind === "cannot-continue" ? ` (${exit.reason})` : "";
    throw new Bug(
      `silicon did not finish snippet ${where}, ${code}: ${exit.kind}${detail} at ${rip.toString(16)}`,
    );
  }
}

function writeRecord(record: Uint8Array<ArrayBuffer>, { mode, code, state }: Snippet): void {
  const view = new DataView(record.buffer, record.byteOffset, RECORD.DATA);
  record.set(state.bytes.subarray(0, REGISTERS_SIZE));
  record.set(state.data, RECORD.DATA);
  const frame = [
    BigInt(CODE),
    BigInt(CODE_SELECTOR[mode]),
    state.rflags | FIXED_FLAGS,
    state.gpr(4),
    BigInt(DATA_SELECTOR),
  ];
  frame.forEach((value, index) => {
    view.setBigUint64(RECORD.ENTRY_FRAME + index * 8, value, true);
  });
  view.setUint32(RECORD.VECTOR, NO_FAULT, true);
  record.fill(CODE_FILL, RECORD.CODE, RECORD.CODE + CODE_SLOT);
  record.set(code, RECORD.CODE);
  record.set(MARKER, RECORD.CODE + code.length);
}

function readRecord(record: Uint8Array<ArrayBuffer>, { mode, code, state }: Snippet): SnippetResult {
  const view = new DataView(record.buffer, record.byteOffset, RECORD.DATA);
  const result = new CpuState(new Uint8Array(IMAGE_SIZE));
  result.bytes.set(record.subarray(0, REGISTERS_SIZE));
  result.bytes.set(record.subarray(RECORD.DATA), IMAGE.DATA);
  hideInvisible(result);
  const vector = view.getUint32(RECORD.VECTOR, true);
  let fault: Fault | undefined;
  if (vector === NO_FAULT) {
    result.rip = BigInt(CODE + code.length);
  } else {
    result.rip = view.getBigUint64(FRAME.RIP, true);
    result.rflags = view.getBigUint64(FRAME.RFLAGS, true);
    result.setGpr(4, view.getBigUint64(FRAME.RSP, true));
    fault = { vector };
    if (PUSHES_ERROR_CODE.has(vector)) {
      fault = { ...fault, errorCode: view.getUint32(FRAME.ERROR_CODE, true) };
    }
    if (vector === PAGE_FAULT) fault = { ...fault, cr2: view.getBigUint64(RECORD.CR2, true) };
  }
  result.rflags &= VISIBLE_FLAGS;
  if (mode === 32) narrow(result, state);
  return withoutNextFault({ state: result, fault }, code.length);
}

/** What FXSAVE stores beside registers: the MXCSR mask and reserved bytes. */
function hideInvisible(state: CpuState): void {
  state.bytes.fill(0, IMAGE.MXCSR_MASK, IMAGE.MXCSR_MASK + 4);
  state.bytes[IMAGE.TAG_WORD + 1] = 0;
  for (let register = 0; register < 8; register++) {
    const end = IMAGE.ST + register * 16 + 16;
    state.bytes.fill(0, end - 6, end);
  }
}

/** 32-bit code cannot see the upper halves, nor the registers beyond the eighth. */
function narrow(result: CpuState, before: CpuState): void {
  for (let register = 0; register < REGISTERS_32; register++) {
    result.setGpr(register, result.gpr(register) & ~HIGH_HALF);
  }
  for (let register = REGISTERS_32; register < 16; register++) {
    result.setGpr(register, before.gpr(register));
  }
  for (let register = XMM_REGISTERS_32; register < 16; register++) {
    result.xmm(register).set(before.xmm(register));
  }
}

/** A branch that succeeded leads to an INT3 of the code page, or to where nothing can be fetched. */
function withoutNextFault({ state, fault }: SnippetResult, length: number): SnippetResult {
  if (fault === undefined) return { state };
  if (fault.vector === BREAKPOINT) {
    const at = Number(state.rip) - 1;
    const own = at >= CODE && at < CODE + length;
    if (own || at < CODE_PAGE || at >= CODE_PAGE + PAGE) return { state, fault };
    state.rip = BigInt(at);
    return { state };
  }
  const fetched = fault.vector === PAGE_FAULT && ((fault.errorCode ?? 0) & FETCH) !== 0;
  return fetched && fault.cr2 === state.rip ? { state } : { state, fault };
}
