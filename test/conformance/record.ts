/**
 * How a snippet and its result are laid out for the programs that run them natively: under KVM
 * (`kvm-program.ts`) and in a process of the host (`native/silicon.c`).
 */
import { CpuState, IMAGE, IMAGE_SIZE, REGISTERS_SIZE } from "./cpu-state.ts";
import {
  BREAKPOINT,
  DEBUG,
  type Fault,
  FETCH,
  PAGE_FAULT,
  PUSHES_ERROR_CODE,
  type Snippet,
  type SnippetResult,
} from "./driver.ts";
import {
  CODE,
  CODE_FILL,
  CODE_PAGE,
  CODE_SELECTOR,
  DATA_SELECTOR,
  DATA_SIZE,
  LANDING,
  MARKER,
  PAGE,
  VISIBLE_FLAGS,
} from "./environment.ts";

/**
 * A record is the registers of a state's image, these fields, and the rest of the image, of which the data
 * pages are the first part.
 */
export const RECORD = {
  /** What IRETQ takes: RIP, CS, RFLAGS, RSP, SS. FXSAVE's image ends before it. */
  ENTRY_FRAME: 0x2c0,
  /** u32: the fault, NO_FAULT, or NOT_RUN. */
  VECTOR: 0x2f0,
  CR2: 0x2f8,
  /** Frames are pushed downwards from here. */
  FRAME_TOP: 0x340,
  /** Code, marker and fill: 32 bytes. */
  CODE: 0x340,
  /** Above a stack of a few entries for the runner. */
  STACK_TOP: 0x400,
  DATA: 0x400,
  YMM_UPPER: 0x400 + DATA_SIZE,
  SIZE: 0x400 + IMAGE_SIZE - IMAGE.DATA,
} as const;
export const NO_FAULT = 0xffff_ffff;
/** What the programs find there, and replace. */
const NOT_RUN = 0xffff_fffe;
export const CODE_SLOT = 32;

/** Fields below FRAME_TOP, as the processor pushes them (Intel SDM vol. 3A figure 6-9). */
export const FRAME = {
  RSP: RECORD.FRAME_TOP - 0x10,
  RFLAGS: RECORD.FRAME_TOP - 0x18,
  RIP: RECORD.FRAME_TOP - 0x28,
  ERROR_CODE: RECORD.FRAME_TOP - 0x30,
} as const;

/** RFLAGS: the bit that is always set, and IF, as level 3 finds it. */
const FIXED_FLAGS = 0x202n;
const REGISTERS_32 = 8;
const VECTOR_REGISTERS_32 = 8;
const HIGH_HALF = 0xffff_ffff_0000_0000n;

export function writeRecord(record: Uint8Array<ArrayBuffer>, { mode, code, state }: Snippet): void {
  const view = new DataView(record.buffer, record.byteOffset, RECORD.DATA);
  record.set(state.bytes.subarray(0, REGISTERS_SIZE));
  record.set(state.bytes.subarray(IMAGE.DATA), RECORD.DATA);
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
  view.setUint32(RECORD.VECTOR, NOT_RUN, true);
  record.fill(CODE_FILL, RECORD.CODE, RECORD.CODE + CODE_SLOT);
  record.set(code, RECORD.CODE);
  record.set(MARKER, RECORD.CODE + code.length);
}

/** Whether the program got to the end of this record. */
export function wasRun(record: Uint8Array): boolean {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return view.getUint32(RECORD.VECTOR, true) !== NOT_RUN;
}

/** The result that a record holds after it was run. */
export function readRecord(
  record: Uint8Array<ArrayBuffer>,
  { mode, code, state }: Snippet,
): SnippetResult {
  const view = new DataView(record.buffer, record.byteOffset, RECORD.DATA);
  const result = CpuState.ofAnything();
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
  for (let register = VECTOR_REGISTERS_32; register < 16; register++) {
    result.xmm(register).set(before.xmm(register));
    result.ymmUpper(register).set(before.ymmUpper(register));
  }
}

/**
 * A branch that succeeded leads to an INT3 of the code page, or to where nothing can be fetched. Where
 * TF was set, the marker behind the snippet is executed and then trapped.
 */
function withoutNextFault({ state, fault }: SnippetResult, length: number): SnippetResult {
  if (fault === undefined) return { state };
  if (fault.vector === DEBUG && state.rip === BigInt(LANDING + length)) {
    state.rip = BigInt(CODE + length);
    return { state };
  }
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
