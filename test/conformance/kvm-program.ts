/**
 * The program around the snippets, in the guest: everything but the fault handlers runs at
 * privilege level 3, where even a KVM that emulates level 0 lets the processor run natively.
 *
 * For each record the runner copies registers, code and data into place and enters the snippet with
 * IRETQ, which also serialises, as code written through another address needs (Intel SDM vol. 3A
 * §8.1.3). The marker behind the snippet jumps into a slide of NOPs in {@link LANDING_PAGE}, and from
 * there a far jump that has the same encoding in both modes leads to the saver. A fault's frame is
 * pushed right into the current record; its handler then goes to the saver too.
 */
import { IMAGE } from "./cpu-state.ts";
import {
  CODE,
  CODE_PAGE,
  CODE_SELECTOR,
  DATA,
  DATA_SELECTOR,
  DATA_SIZE,
  LANDING,
  LANDING_PAGE,
  LONGEST_INSTRUCTION,
  PAGE,
  XCR0,
  XCR0_AVX,
} from "./environment.ts";
import { CODE_SLOT, NO_FAULT, RECORD } from "./record.ts";

/** Where the harness lies: 64-bit snippets hit it by accident only, 32-bit ones never. */
const HIGH = 0x5a5a_5a00_0000;

/** Linear addresses of the harness's pages. */
export const HARNESS = {
  PROGRAM: HIGH,
  CURRENT: HIGH + 0x1000,
  /** The page at CODE_PAGE again, writable. */
  CODE_ALIAS: HIGH + 0x2000,
  CONTROL: HIGH + 0x3000,
  /** Not backed by memory: touching it leaves the guest. */
  EXIT: HIGH + 0x4000,
  SYSTEM: HIGH + 0x5000,
  RECORDS: HIGH + 0x10_0000,
} as const;

/** In the control page. */
export const CONTROL = {
  /** Address of the record under way. */
  CURSOR: 0x00,
  /** Records to go. */
  COUNT: 0x08,
  /** A register's place while a handler needs it. */
  SAVED_RAX: 0x10,
  START_FRAME: 0x40,
  SAVER_FRAME: 0x80,
} as const;

/** In the system page, behind its tables. */
export const SYSTEM = {
  BOOT: 0x400,
  HANDLERS: 0x480,
  HANDLER_SIZE: 0x40,
} as const;

const RSP = 4;
const REX_W = 0x48;

/** Machine code at a linear address that is known. */
class Program {
  readonly bytes: number[] = [];
  readonly #origin: number;

  constructor(origin: number) {
    this.#origin = origin;
  }

  get here(): number {
    return this.#origin + this.bytes.length;
  }

  emit(...bytes: readonly number[]): void {
    this.bytes.push(...bytes);
  }

  emit32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.emit((value >> shift) & 0xff);
  }

  emit64(value: number): void {
    this.emit32((value % 2 ** 32) | 0);
    this.emit32(Math.floor(value / 2 ** 32));
  }

  /** An opcode whose last byte, a ModRM with this reg field, addresses `target` from RIP. */
  relative(opcode: readonly number[], reg: number, target: number, immediateSize = 0): void {
    this.emit(...opcode, ((reg & 7) << 3) | 5);
    this.emit32(target - (this.here + 4 + immediateSize));
  }

  /** MOV or LEA with a 64-bit register. */
  register(opcode: number, register: number, target: number): void {
    this.relative([REX_W | ((register >> 3) << 2), opcode], register, target);
  }

  load(register: number, target: number): void {
    this.register(0x8b, register, target);
  }

  store(register: number, target: number): void {
    this.register(0x89, register, target);
  }

  address(register: number, target: number): void {
    this.register(0x8d, register, target);
  }

  /** REP MOVSQ from RSI to RDI. */
  copy(bytes: number): void {
    this.emit(0xb9); // mov ecx, imm32
    this.emit32(bytes / 8);
    this.emit(0xf3, REX_W, 0xa5);
  }
}

const RAX = 0;
const RSI = 6;
const RDI = 7;
const current = (offset: number): number => HARNESS.CURRENT + offset;
const control = (offset: number): number => HARNESS.CONTROL + offset;

const SEGMENTS_BUT_SS_AND_CS = [0, 3, 4, 5] as const;

export interface HarnessProgram {
  readonly code: Uint8Array;
  /** Linear addresses. */
  readonly start: number;
  readonly saver: number;
}

const VECTOR_REGISTERS = 16;
const HALF_VECTOR = 16;

/** VEX prefix for 256 bits (Intel SDM vol. 2A §2.3.5) and opcode, with a YMM register and memory at RSI or RDI. */
function vectorAt(p: Program, map: number, opcode: number, register: number, base: number): void {
  const notR = register < 8 ? 0x80 : 0;
  const PREFIX_66_LENGTH_256 = 0x7d;
  const displacement = register * HALF_VECTOR;
  p.emit(
    0xc4,
    notR | 0x60 | map,
    PREFIX_66_LENGTH_256,
    opcode,
    0x80 | ((register & 7) << 3) | base,
  );
  p.emit32(displacement);
}

/**
 * The runner and the saver.
 * @param avx whether there are upper halves of YMM registers
 */
export function runnerProgram(avx: boolean): HarnessProgram {
  const p = new Program(HARNESS.PROGRAM);
  const start = p.here;
  p.emit(0xb8); // mov eax, imm32
  p.emit32(DATA_SELECTOR);
  for (const segment of SEGMENTS_BUT_SS_AND_CS) p.emit(0x8e, 0xc0 | (segment << 3));

  p.load(RSI, control(CONTROL.CURSOR));
  p.address(RDI, current(0));
  p.copy(RECORD.DATA);
  p.emit(0xbf); // mov edi, imm32
  p.emit32(DATA);
  p.copy(DATA_SIZE);
  // Into both halves: FXRSTOR loads the lower ones.
  for (let register = 0; avx && register < VECTOR_REGISTERS; register++) {
    vectorAt(p, 2, 0x1a, register, RSI); // vbroadcastf128 ymm, [rsi + 16 * register]
  }
  p.address(RSI, current(RECORD.CODE));
  p.address(RDI, HARNESS.CODE_ALIAS + (CODE - CODE_PAGE));
  p.copy(CODE_SLOT);
  p.relative([0xc7], 0, current(RECORD.VECTOR), 4); // mov dword [VECTOR], imm32
  p.emit32(NO_FAULT | 0);
  p.load(RAX, current(IMAGE.FS_BASE));
  p.emit(0xf3, REX_W, 0x0f, 0xae, 0xd0); // wrfsbase rax
  p.load(RAX, current(IMAGE.GS_BASE));
  p.emit(0xf3, REX_W, 0x0f, 0xae, 0xd8); // wrgsbase rax
  p.relative([REX_W, 0x0f, 0xae], 1, current(IMAGE.FX)); // fxrstor64
  p.address(RSP, current(RECORD.ENTRY_FRAME));
  for (let register = 0; register < 16; register++) {
    if (register !== RSP) p.load(register, current(IMAGE.GPR + 8 * register));
  }
  p.emit(REX_W, 0xcf); // iretq

  const saver = p.here;
  for (let register = 0; register < 16; register++) {
    p.store(register, current(IMAGE.GPR + 8 * register));
  }
  p.address(RSP, current(IMAGE.RFLAGS + 8));
  p.emit(0x9c); // pushfq
  p.address(RSP, current(RECORD.STACK_TOP));
  p.emit(0x6a, 0x02, 0x9d); // push 2; popfq: no DF, NT or AC
  p.relative([REX_W, 0x0f, 0xae], 0, current(IMAGE.FX)); // fxsave64
  p.emit(0xf3, REX_W, 0x0f, 0xae, 0xc0); // rdfsbase rax
  p.store(RAX, current(IMAGE.FS_BASE));
  p.emit(0xf3, REX_W, 0x0f, 0xae, 0xc8); // rdgsbase rax
  p.store(RAX, current(IMAGE.GS_BASE));
  p.address(RSI, current(0));
  p.load(RDI, control(CONTROL.CURSOR));
  p.copy(RECORD.DATA);
  p.emit(0xbe); // mov esi, imm32
  p.emit32(DATA);
  p.copy(DATA_SIZE);
  for (let register = 0; avx && register < VECTOR_REGISTERS; register++) {
    vectorAt(p, 3, 0x19, register, RDI); // vextractf128 [rdi + 16 * register], ymm, 1
    p.emit(1);
  }
  p.emit(REX_W, 0x81, 0xc7); // add rdi, imm32
  p.emit32(RECORD.SIZE - RECORD.YMM_UPPER);
  p.store(RDI, control(CONTROL.CURSOR));
  p.relative([REX_W, 0xff], 1, control(CONTROL.COUNT)); // dec qword
  p.emit(0x0f, 0x85); // jnz start
  p.emit32(start - (p.here + 4));
  p.relative([0x89], RAX, HARNESS.EXIT); // mov [EXIT], eax
  p.emit(0xe9); // jmp start
  p.emit32(start - (p.here + 4));
  return { code: Uint8Array.from(p.bytes), start, saver };
}

/** The page that markers lead to. @param saver linear address */
export function landingPage(saver: number): Uint8Array {
  const NOP = 0x90;
  const page = new Uint8Array(PAGE).fill(NOP);
  const p = new Program(LANDING + LONGEST_INSTRUCTION);
  const pointer = p.here + 0x20;
  // ljmp [disp32], encoded so that no mode takes it as relative to RIP
  p.emit(0xff, 0x2c, 0x25);
  p.emit32(pointer);
  const trampoline = p.here;
  p.emit(0xff, 0x25); // jmp [rip + 0]
  p.emit32(0);
  p.emit64(saver);
  while (p.here < pointer) p.emit(0x90);
  p.emit32(trampoline);
  p.emit(CODE_SELECTOR[64], 0);
  page.set(p.bytes, LANDING + LONGEST_INSTRUCTION - LANDING_PAGE);
  return page;
}

/** First code of all, at level 0: enables SSE and AVX state and goes to the runner. */
export function bootProgram(avx: boolean): Uint8Array {
  const p = new Program(HARNESS.SYSTEM + SYSTEM.BOOT);
  p.emit(0x31, 0xc9, 0x31, 0xd2, 0xb8); // xor ecx, ecx; xor edx, edx; mov eax, imm32
  p.emit32(Number(avx ? XCR0 : XCR0 & ~XCR0_AVX));
  p.emit(0x0f, 0x01, 0xd1); // xsetbv
  p.address(RSP, control(CONTROL.START_FRAME));
  p.emit(REX_W, 0xcf); // iretq
  return Uint8Array.from(p.bytes);
}

export const handlerAddress = (vector: number): number =>
  HARNESS.SYSTEM + SYSTEM.HANDLERS + vector * SYSTEM.HANDLER_SIZE;

/** A fault's handler: few instructions, since they may be emulated. */
export function handlerProgram(vector: number): Uint8Array {
  const PAGE_FAULT = 14;
  const p = new Program(handlerAddress(vector));
  p.relative([0xc7], 0, current(RECORD.VECTOR), 4); // mov dword [VECTOR], imm32
  p.emit32(vector);
  if (vector === PAGE_FAULT) {
    p.store(RAX, control(CONTROL.SAVED_RAX));
    p.emit(0x0f, 0x20, 0xd0); // mov rax, cr2
    p.store(RAX, current(RECORD.CR2));
    p.load(RAX, control(CONTROL.SAVED_RAX));
  }
  p.address(RSP, control(CONTROL.SAVER_FRAME));
  p.emit(REX_W, 0xcf); // iretq
  return Uint8Array.from(p.bytes);
}
