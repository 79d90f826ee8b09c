/** Handlers after which programs go on: what kept an instruction from being executed is mended, or it is skipped. */
import type { GuestMemory } from "../../../../src/core/guest-memory.ts";
import { gpa } from "../../../../src/core/units.ts";
import * as at from "./layout.ts";
import type { SystemMode } from "./machine.ts";

const WITH_CODE: readonly number[] = [8, 10, 11, 12, 13, 14, 17];
const HANDLER_SIZE = 160;
const PRESENT = 0x80;
const INTERRUPT_GATE = 0xe;
const ANYBODY = 0x60;
const [DB, NMI, BP, OF, NM, DF, PF, MF] = [1, 2, 3, 4, 7, 8, 14, 16];

type Word = (value: number) => number[];
const word: Word = (value) => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** Writes them, and the IDT. */
export function writeHandlers(ram: GuestMemory, mode: SystemMode): void {
  const long = mode.bits === 64;
  const size = long ? 16 : 8;
  for (let vector = 0; vector < at.FIRST_INTERRUPT + at.INTERRUPTS; vector++) {
    const handler = at.HANDLERS + HANDLER_SIZE * (vector % 24);
    if (vector < 24) ram.write(gpa(handler), Uint8Array.from(handlerOf(vector, mode)));
    const target = vector < 24 ? handler : at.HANDLERS + HANDLER_SIZE * NMI;
    const gate = at.IDT + size * vector;
    const type =
      PRESENT |
      INTERRUPT_GATE |
      (vector >= at.FIRST_INTERRUPT || vector === BP || vector === OF ? ANYBODY : 0) |
      (vector % 2);
    ram.writeU32(gpa(gate), (at.SELECTOR.CODE << 16) | target);
    ram.writeU32(gpa(gate + 4), type << 8);
  }
}

function handlerOf(vector: number, { bits, pae }: SystemMode): number[] {
  const long = bits === 64;
  const slot = long ? 8 : 4;
  const rex = long ? [0x48] : [];
  /** ModRM and all behind it for a place in memory. */
  const absolute = (reg: number, address: number): number[] =>
    long ? [(reg << 3) | 4, 0x25, ...word(address)] : [(reg << 3) | 5, ...word(address)];
  // Above RAX are the error code, RIP, CS and RFLAGS.
  const onStack = (reg: number, index: number): number[] => [0x44 | (reg << 3), 0x24, slot * index];
  const begin = [...(WITH_CODE.includes(vector) ? [] : [0x6a, 0]), 0x50];
  // inc dword [counts + …]
  const count = [0xff, ...absolute(0, at.COUNTS + 4 * vector)];
  // pop rax; add rsp, …; iret
  const end = [0x58, ...rex, 0x83, 0xc4, slot, ...rex, 0xcf];
  /** mov eax, [rsp + RIP]; and eax, …; movzx eax, byte [lengths + rax]; add [rsp + RIP], rax */
  const skip = [
    ...[0x8b, ...onStack(0, 2), 0x25, ...word(at.CODE_SIZE - 1)],
    ...[0x0f, 0xb6, 0x80, ...word(at.LENGTHS), ...rex, 0x01, ...onStack(0, 2)],
  ];
  switch (vector) {
    case DB: {
      // or dword [rsp + RFLAGS], RF; test byte [counts + …], 3; jnz; and dword [rsp + RFLAGS], ~TF
      const clear = [0x81, ...onStack(4, 4), ...word(~0x100)];
      const each = [0x81, ...onStack(1, 4), ...word(0x1_0000)];
      const test = [0xf6, ...absolute(0, at.COUNTS + 4 * DB), 3, 0x75, clear.length];
      return [...begin, ...count, ...each, ...test, ...clear, ...end];
    }
    case NMI:
    case BP:
    case OF:
      return [...begin, ...count, ...end];
    case NM:
      // mov rax, cr0; and eax, ~(TS | EM); mov cr0, rax
      return [...begin, ...count, 0x0f, 0x20, 0xc0, 0x83, 0xe0, 0xf3, 0x0f, 0x22, 0xc0, ...end];
    case MF:
      // fnclex
      return [...begin, ...count, 0xdb, 0xe2, ...end];
    case DF:
      return [0xfa, 0xf4];
    case PF: {
      const scale = pae ? 0xc5 : 0x85;
      /** Mends the entry of the page in RAX, of one of the tables. @param behind bytes from its end to `skip` */
      const mend = (table: number, from: number, behind: number): number[] => {
        const entry = (reg: number, more: number): number[] => [
          ...[(reg << 3) | 4, scale, ...word(table + more)],
        ];
        const mending = [
          // or dword [entry], P | RW | US; and dword [entry + 4], ~XD
          ...[0x83, ...entry(1, 0), 7],
          ...(pae ? [0x81, ...entry(4, 4), ...word(0x7fff_ffff)] : []),
          // mov rax, cr2; invlpg [rax]
          ...[0x0f, 0x20, 0xd0, 0x0f, 0x01, 0x38, ...end],
        ];
        // sub rax, …; shr rax, 12; cmp rax, pages; jae
        const number = [...rex, 0x2d, ...word(from), ...rex, 0xc1, 0xe8, 12];
        const isWild = [...rex, 0x3d, ...word(at.RAM_SIZE / at.PAGE_SIZE), 0x73];
        return [...number, ...isWild, mending.length + behind, ...mending];
      };
      const again = mend(at.AGAIN_TABLE, at.AGAIN, 0);
      const first = mend(at.PAGE_TABLE, 0, again.length);
      // mov rax, cr2; cmp rax, AGAIN; jae
      const choose = [0x0f, 0x20, 0xd0, ...rex, 0x3d, ...word(at.AGAIN), 0x73, first.length];
      return [...begin, ...count, ...choose, ...first, ...again, ...skip, ...end];
    }
    default:
      return [...begin, ...count, ...skip, ...end];
  }
}
