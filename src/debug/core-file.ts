/**
 * ELF core files of a guest, as of a Linux process (System V gABI 4.1 chapters 4 and 5; the notes as
 * in Linux's `elfcore.h` for x86-64). RAM is in the file once, at its physical addresses; the
 * segments say which linear addresses mean which part of it.
 */
import { EM_X86_64, PT_LOAD, PT_NOTE } from "../boot/elf.ts";
import type { GeneralRegister, Registers, SegmentRegister } from "../core/cpu.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { type ProcessorState, YMM_UPPERS_SIZE } from "../core/processor-state.ts";
import { type Gpa, gpa, PAGE_SIZE } from "../core/units.ts";
import { type MappedRange, mappedRanges } from "./mapped-memory.ts";

const ET_CORE = 4;
const NT_PRSTATUS = 1;
const NT_FPREGSET = 2;
const NT_X86_XSTATE = 0x202;
const PF = { X: 1, W: 2, R: 4 } as const;

const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
/** Of a program header table: more segments than it can count are left out. */
const MAX_SEGMENTS = 0xfff0;

/** `struct elf_prstatus`: offsets of the signal and of the registers, and its size. */
const PRSTATUS = { CURSIG: 12, PID: 32, REGISTERS: 112, FP_VALID: 328, SIZE: 336 } as const;
const FP_SIZE = 512;
/** An area of XSAVE (Intel SDM vol. 1 §13.4), with XCR0 where Linux puts it for debuggers. */
const XSTATE = { XCR0: 464, HEADER: 512, AVX: 576, SIZE: 576 + YMM_UPPERS_SIZE } as const;
/** XCR0: x87, SSE and AVX. */
const COMPONENTS = 7n;

/** `struct user_regs_struct`, 8 bytes each. */
const REGISTER_ORDER: readonly (GeneralRegister | SegmentRegister | "rip" | "rflags" | Absent)[] = [
  ...(["r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8"] as const),
  ...(["rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "rflags"] as const),
  ...(["rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"] as const),
];
type Absent = "orig_rax" | "fs_base" | "gs_base";

/** Linux's numbers: what a debugger says that the program died of. */
export const SIGNAL = { QUIT: 3, ILL: 4, ABRT: 6, SEGV: 11 } as const;

export interface CoreContents {
  readonly registers: Registers;
  /** Undefined where they are not known. */
  readonly vectors: Pick<ProcessorState, "fx" | "ymmUppers"> | undefined;
  readonly memory: GuestMemory;
  /** Whether the page at an address may be other than zero. */
  readonly touched: (address: Gpa) => boolean;
  /** One of {@link SIGNAL}. */
  readonly signal: number;
}

/** Where a piece of the file goes; what is between the pieces is zero. */
export interface CorePiece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface CoreFile {
  /** Bytes, holes included. */
  readonly size: number;
  /** The pieces of RAM are views of it. */
  readonly pieces: Iterable<CorePiece>;
}

export function coreFile(contents: CoreContents): CoreFile {
  const { registers, memory, touched } = contents;
  const ranges = mappedRanges(registers, memory).slice(0, MAX_SEGMENTS);
  const notes = noteSegment(contents);
  const notesAt = ELF_HEADER + PROGRAM_HEADER * (1 + ranges.length);
  const ramAt = Math.ceil((notesAt + notes.length) / PAGE_SIZE) * PAGE_SIZE;
  const head = new Uint8Array(notesAt + notes.length);
  const view = new DataView(head.buffer);
  writeHeader(view, 1 + ranges.length);
  writeSegment(view, 0, { type: PT_NOTE, flags: 0, offset: notesAt, size: notes.length });
  for (const [i, range] of ranges.entries()) writeSegment(view, 1 + i, loadSegment(range, ramAt));
  head.set(notes, notesAt);
  return { size: ramAt + memory.extent, pieces: piecesOf(head, ramAt, memory, touched) };
}

function* piecesOf(
  head: Uint8Array,
  ramAt: number,
  memory: GuestMemory,
  touched: (address: Gpa) => boolean,
): Generator<CorePiece> {
  yield { offset: 0, bytes: head };
  let start = 0;
  for (let at = 0; at <= memory.extent; at += PAGE_SIZE) {
    const isLast = at === memory.extent;
    if (!isLast && touched(gpa(at)) && !isZero(memory.slice(gpa(at), PAGE_SIZE))) continue;
    if (at > start) yield { offset: ramAt + start, bytes: memory.slice(gpa(start), at - start) };
    start = at + PAGE_SIZE;
  }
}

function isZero({ buffer, byteOffset, length }: Uint8Array): boolean {
  const words = new Int32Array(buffer, byteOffset, length / 4);
  for (const word of words) if (word !== 0) return false;
  return true;
}

function writeHeader(view: DataView, segments: number): void {
  const ident = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1];
  for (const [i, byte] of ident.entries()) view.setUint8(i, byte);
  view.setUint16(16, ET_CORE, true);
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(ELF_HEADER), true);
  view.setUint16(52, ELF_HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments, true);
}

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly linear?: bigint;
  readonly physical?: number;
}

const loadSegment = (range: MappedRange, ramAt: number): Segment => ({
  type: PT_LOAD,
  flags: PF.R | (range.writable ? PF.W : 0) | (range.executable ? PF.X : 0),
  offset: ramAt + range.physical,
  size: range.length,
  linear: range.linear,
  physical: range.physical,
});

function writeSegment(view: DataView, index: number, segment: Segment): void {
  const at = ELF_HEADER + index * PROGRAM_HEADER;
  view.setUint32(at, segment.type, true);
  view.setUint32(at + 4, segment.flags, true);
  view.setBigUint64(at + 8, BigInt(segment.offset), true);
  view.setBigUint64(at + 16, segment.linear ?? 0n, true);
  view.setBigUint64(at + 24, BigInt(segment.physical ?? 0), true);
  view.setBigUint64(at + 32, BigInt(segment.size), true);
  view.setBigUint64(at + 40, segment.type === PT_LOAD ? BigInt(segment.size) : 0n, true);
  view.setBigUint64(at + 48, BigInt(segment.type === PT_LOAD ? PAGE_SIZE : 4), true);
}

function noteSegment({ registers, vectors, signal }: CoreContents): Uint8Array {
  const status = new Uint8Array(PRSTATUS.SIZE);
  const view = new DataView(status.buffer);
  view.setInt32(0, signal, true);
  view.setUint16(PRSTATUS.CURSIG, signal, true);
  view.setInt32(PRSTATUS.PID, 1, true);
  for (const [i, name] of REGISTER_ORDER.entries()) {
    view.setBigUint64(PRSTATUS.REGISTERS + 8 * i, registerValue(registers, name), true);
  }
  if (vectors === undefined) return note("CORE", NT_PRSTATUS, status);
  view.setInt32(PRSTATUS.FP_VALID, 1, true);
  const area = extendedState(vectors);
  return Uint8Array.of(
    ...note("CORE", NT_PRSTATUS, status),
    ...note("CORE", NT_FPREGSET, area.subarray(0, FP_SIZE)),
    ...note("LINUX", NT_X86_XSTATE, area),
  );
}

function extendedState({ fx, ymmUppers }: Pick<ProcessorState, "fx" | "ymmUppers">): Uint8Array {
  const area = new Uint8Array(XSTATE.SIZE);
  const view = new DataView(area.buffer);
  area.set(fx);
  view.setBigUint64(XSTATE.XCR0, COMPONENTS, true);
  view.setBigUint64(XSTATE.HEADER, COMPONENTS, true);
  area.set(ymmUppers, XSTATE.AVX);
  return area;
}

function registerValue(registers: Registers, name: (typeof REGISTER_ORDER)[number]): bigint {
  switch (name) {
    case "orig_rax":
      return BigInt.asUintN(64, -1n);
    case "fs_base":
      return registers.fs.base;
    case "gs_base":
      return registers.gs.base;
    case "cs":
    case "ss":
    case "ds":
    case "es":
    case "fs":
    case "gs":
      return BigInt(registers[name].selector);
    default:
      return registers[name];
  }
}

/** @param name with its terminating zero, up to eight bytes */
function note(name: string, type: number, description: Uint8Array): Uint8Array {
  const NAME_SIZE = 8;
  const bytes = new Uint8Array(12 + NAME_SIZE + description.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, name.length + 1, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  bytes.set(
    [...name].map((letter) => letter.charCodeAt(0)),
    12,
  );
  bytes.set(description, 12 + NAME_SIZE);
  return bytes;
}
