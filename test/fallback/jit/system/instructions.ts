/** Instructions that programs of one family of instructions never have. */
import type { SeededRandom } from "../../../support/random.ts";
import * as at from "./layout.ts";
import type { SystemMode } from "./machine.ts";
import { Operands, REGISTERS, word } from "./operands.ts";
import { UnitInstructions } from "./unit-instructions.ts";

/** Longer than most programs. */
const MOST_CODE = 0x200;
const TF = 0x100;

/** Makes a few instructions that belong together. RBX points to data, RCX must stay what it is. */
export class SystemInstructions {
  readonly #random: SeededRandom;
  readonly #operands: Operands;
  readonly #units: UnitInstructions;
  readonly #mode: SystemMode;
  readonly #start: number;
  readonly #long: boolean;
  readonly #wide: readonly number[];
  #lastCounter = 0;

  /** @param start where the program will be in the code, more or less */
  constructor(random: SeededRandom, mode: SystemMode, start: number) {
    this.#random = random;
    this.#operands = new Operands(random);
    this.#units = new UnitInstructions(random, this.#operands);
    this.#start = start;
    this.#mode = mode;
    this.#long = mode.bits === 64;
    this.#wide = this.#long ? [0x48] : [];
  }

  some(): number[] {
    const random = this.#random;
    const often = [
      () => this.#several(() => this.#units.x87()),
      () => this.#several(() => this.#units.x87()),
      () => this.#several(() => (random.chance(70) ? this.#units.mmx() : this.#units.x87())),
      () => this.#several(() => this.#units.sse()),
      () => this.#several(() => this.#units.vex(this.#long)),
      () => this.#plain(),
      () => this.#plain(),
      () => this.#several(() => this.#numbers()),
      () => this.#several(() => this.#numbers()),
      () => this.#several(() => this.#numbers()),
      () => this.#string(),
      () => this.#changingJump(),
      () => this.#segment(),
      () => this.#farReturn(),
      () => this.#event(),
    ];
    const seldom = [
      () => this.#flags(),
      () => this.#debugRegister(),
      () => this.#event(),
      () => this.#selfModifying(),
      () => this.#copiedCode(),
      () => this.#copiedCode(),
      () => this.#otherPlace(),
      () => this.#segment(),
      () => this.#port(),
      ...(this.#mode.user ? [] : Array.from({ length: 6 }, () => () => this.#mapping())),
      ...(this.#mode.user ? [] : [() => this.#control()]),
    ];
    return random.chance(50)
      ? random.pick(often)()
      : this.#inSomeRounds(random.pick(seldom)(), random.chance(90));
  }

  /** What changes in each round leaves nothing that could be stale. @param few whether they are not half of all */
  #inSomeRounds(instructions: number[], few: boolean): number[] {
    const random = this.#random;
    const count = this.#count();
    // test dword [rbx + counter], …; jz or jnz
    const mask = few ? (8 << random.below(5)) - 1 : 1 << random.below(7);
    const test = [0xf7, ...this.#operands.memory(0, this.#counter()), ...word(mask)];
    const jump = [0x0f, few ? 0x85 : 0x84, ...word(instructions.length)];
    return [...count, ...test, ...jump, ...instructions];
  }

  #counter(): number {
    return at.COUNTER + 4 * this.#lastCounter;
  }

  /** inc dword [rbx + counter] */
  #count(): number[] {
    this.#lastCounter = this.#random.below(at.COUNTERS);
    return [0xff, ...this.#operands.memory(0, this.#counter())];
  }

  #several(one: () => number[]): number[] {
    return Array.from({ length: 1 + this.#random.below(4) }, one).flat();
  }

  /** A register by a number, in which the two codes differ. */
  #numbers(): number[] {
    const random = this.#random;
    const wide = this.#long ? random.pick([[], [0x48]]) : [];
    const modRm = 0xc0 | (random.below(8) << 3) | random.pick(REGISTERS);
    return [...wide, 0x81, modRm, ...word(random.next())];
  }

  /** Whole numbers, in memory anywhere. */
  #plain(): number[] {
    const random = this.#random;
    const reg = random.pick(REGISTERS);
    const wide = this.#long ? random.pick([[], [0x48], [0x66]]) : random.pick([[], [0x66]]);
    const locked = [...random.pick([[], [0xf0]]), ...wide];
    return random.pick<() => number[]>([
      () => [
        ...wide,
        random.pick([0x8b, 0x89, 0x03, 0x01, 0x13, 0x39, 0x87]),
        ...this.#operands.memory(reg),
      ],
      () => [...locked, 0x0f, random.pick([0xb1, 0xc1, 0xb0, 0xc0]), ...this.#operands.memory(reg)],
      // cmpxchg8b, cmpxchg16b; bt and its kin
      () => [...wide, 0x0f, 0xc7, ...this.#operands.memory(1, this.#operands.offset(true))],
      () => [...locked, 0x0f, random.pick([0xab, 0xb3, 0xbb]), ...this.#operands.memory(reg)],
      () => [...wide, 0x0f, 0xba, ...this.#operands.memory(4 + random.below(4)), random.below(64)],
      () => [...wide, 0x0f, random.pick([0xbc, 0xbd]), ...this.#operands.memory(reg)],
      () => [
        ...wide,
        0x0f,
        random.pick([0xa4, 0xac]),
        ...this.#operands.memory(reg),
        random.below(64),
      ],
      () => [...wide, random.pick([0xf7, 0xf6]), ...this.#operands.memory(2 + random.below(6))],
      // push and pop in memory; xlat; rdtsc; enter and leave; pusha and popa
      () => [0xff, ...this.#operands.memory(6), 0x8f, ...this.#operands.memory(0)],
      () => [0xd7],
      () => [0x0f, 0x31],
      () => [0xc8, random.below(64), 0, random.below(4), 0xc9],
      () => (this.#long ? [0x0f, 0x0b] : [0x60, 0x61]),
    ])();
  }

  /** push rcx; mov ecx, count; lea rsi; lea rdi; rep …; pop rcx: across several pages */
  #string(): number[] {
    const random = this.#random;
    const lea = (reg: number) => [...this.#wide, 0x8d, ...this.#operands.memory(reg)];
    const count = random.chance(50) ? random.below(40) : random.below(0x800);
    const wide = random.chance(30) ? [0x66] : [];
    const repeat = random.pick([0xf3, 0xf2]);
    const opcode = random.pick([0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf]);
    const rex = this.#long && random.chance(50) ? [0x48] : [];
    const down = random.chance(15);
    return [
      ...[0x51, 0xb9, ...word(count), ...lea(6), ...lea(7)],
      ...(down ? [0xfd] : []),
      ...[...wide, repeat, ...rex, opcode],
      ...[...(down ? [0xfc] : []), 0x59],
    ];
  }

  /** pushf; or or and dword [rsp], …; popf */
  #flags(): number[] {
    const random = this.#random;
    const flag = random.pick([TF, TF, TF, 1 << 18, 1 << 14, 1 << 16, 1 << 9, 1 << 21, 3 << 12]);
    const change = random.chance(60)
      ? [0x81, 0x0c, 0x24, ...word(flag)]
      : [0x81, 0x24, 0x24, ...word(~flag)];
    return [0x9c, ...change, 0x9d];
  }

  /** mov eax, …; mov dr, rax; something that may be noticed; the same to have no breakpoints, mostly */
  #debugRegister(): number[] {
    const random = this.#random;
    const set = (register: number, value: number) => [
      ...[0xb8, ...word(value), 0x0f, 0x23, 0xc0 | (register << 3)],
    ];
    const n = random.below(4);
    const isCode = random.chance(30);
    const address = isCode ? at.CODE + random.below(0x400) : at.DATA + this.#operands.offset();
    const kind = isCode ? 0 : random.pick([1, 3]) | (random.below(4) << 2);
    const armed = 0x400 | (1 << (2 * n)) | (kind << (16 + 4 * n));
    const between = this.#several(() => this.#plain());
    const disarm = random.chance(97) ? set(7, 0x400) : [];
    return [...set(n, address), ...set(7, armed), ...between, ...disarm];
  }

  /** Interrupts, and what holds them off. */
  #event(): number[] {
    const random = this.#random;
    return random.pick<() => number[]>([
      () => [0xfb, 0x90],
      () => [0xfb],
      () => [0xfa],
      () => [0x8c, 0xd0, 0x8e, 0xd0],
      () => (this.#long ? [0xfb, 0xfb] : [0x16, 0x17]),
      () => [0xcd, at.FIRST_INTERRUPT + random.below(at.INTERRUPTS)],
      () => [0xcc],
      () => [0xf1],
      () => (this.#long ? [0xfb, 0xfa] : [0xce]),
    ])();
  }

  /** call 0; pop rax; xor eax, AGAIN; inc byte [rax + …]; add eax, … */
  #selfModifying(): number[] {
    const change = this.#random.chance(30) ? [0x35, ...word(at.AGAIN)] : [];
    const inc = [0xfe, 0x40, 1 + change.length + 3 + 1];
    return [0xe8, ...word(0), 0x58, ...change, ...inc, 0x05, ...word(this.#random.below(256))];
  }

  /** Some bytes of a code to another, mostly: in some immediates they differ. */
  #copiedCode(): number[] {
    const random = this.#random;
    const offset = this.#start + random.below(MOST_CODE);
    const from = offset + random.pick([at.CODE, at.OTHER_CODE, at.FIRST_CODE]);
    const to = offset + random.pick([at.CODE, at.CODE, at.OTHER_CODE]);
    const move = (prefixes: readonly number[], load: number, store: number, reg: number) => [
      ...[...prefixes, load, ...this.#absolute(reg, from)],
      ...[...prefixes, store, ...this.#absolute(reg, to)],
    ];
    // mov esi, …; mov edi, …
    const pointers = [0xbe, ...word(from), 0xbf, ...word(to)];
    return random.pick<() => number[]>([
      () => move([], 0x8b, 0x89, random.pick(REGISTERS)),
      () => move([], 0x8a, 0x88, random.pick(REGISTERS)),
      () => move([0x0f], 0x10, 0x11, random.below(8)),
      () => move([0x0f], 0x6f, 0x7f, random.below(8)),
      // fild and fistp; push and pop; mov eax, … and xchg
      () => [0xdf, ...this.#absolute(5, from), 0xdf, ...this.#absolute(7, to)],
      () => [0xff, ...this.#absolute(6, from), 0x8f, ...this.#absolute(0, to)],
      () => [0x8b, ...this.#absolute(0, from), 0x87, ...this.#absolute(0, to)],
      () => [...pointers, random.pick([0xa4, 0xa5])],
      () => [...pointers, 0x51, 0xb9, ...word(random.below(0x200)), 0xf3, 0xa4, 0x59],
      () => [...pointers, 0x51, 0xb9, ...word(0x200), 0xf3, 0xa4, 0x59],
      () => [...pointers, 0x51, 0xb9, ...word(0x80), 0xf3, 0xa5, 0x59],
    ])();
  }

  /** ModRM and all behind it for a linear address. */
  #absolute(reg: number, address: number): number[] {
    return this.#long
      ? [(reg << 3) | 4, 0x25, ...word(address)]
      : [(reg << 3) | 5, ...word(address)];
  }

  /** A jump that leads elsewhere the longer the program runs. */
  #changingJump(): number[] {
    const shift = this.#random.below(6);
    const places = [0xc2, 0xc6, 0xc7, 0xca].flatMap((modRm, n) => [0xff, modRm, 0xeb, 12 - 4 * n]);
    // push rcx; inc dword [rbx + counter]; mov ecx, [rbx + counter]; shr ecx, …; and ecx, 3
    const choose = [
      ...[0x51, ...this.#count(), 0x8b, ...this.#operands.memory(1, this.#counter())],
      ...[0xc1, 0xe9, shift, 0x83, 0xe1, 3],
    ];
    // call 0; pop rax; lea eax, [rax + 4 * rcx + …]; pop rcx; jmp rax
    return [...choose, 0xe8, ...word(0), 0x58, 0x8d, 0x44, 0x88, 8, 0x59, 0xff, 0xe0, ...places];
  }

  /** xor rbx, AGAIN: the same data at its other address. */
  #otherPlace(): number[] {
    return [...this.#wide, 0x81, 0xf3, ...word(at.AGAIN)];
  }

  /** mov eax, selector; mov es, eax; and an access through it */
  #segment(): number[] {
    const random = this.#random;
    const { CODE, DATA, USER_DATA, LIMITED, EXPANDS_DOWN } = at.SELECTOR;
    const selector = random.pick([0, CODE, DATA, USER_DATA, LIMITED, EXPANDS_DOWN]);
    const [register, prefix] = random.pick([
      [0, 0x26],
      [4, 0x64],
      [5, 0x65],
    ] as const);
    // mov eax, selector; mov es, eax; or one after the other of several selectors
    const load = random.chance(50)
      ? [0xb8, ...word(selector), 0x8e, 0xc0 | (register << 3)]
      : [
          ...[...this.#count(), 0x8b, ...this.#operands.memory(0, this.#counter())],
          ...[0xc1, 0xe8, random.below(6), 0x83, 0xe0, 7],
          ...[0x8e, 0x84 | (register << 3), 0x43, ...word(at.SELECTORS)],
        ];
    const access = [
      prefix,
      random.pick([0x8b, 0x89, 0x03]),
      ...this.#operands.memory(random.pick(REGISTERS)),
    ];
    return random.chance(70) ? [...load, ...access] : access;
  }

  /** A far return or IRET to behind it. */
  #farReturn(): number[] {
    const wide = this.#wide;
    const jump = (end: readonly number[]) => [0xe8, ...word(2), 0xeb, end.length, ...end];
    // mov eax, cs; push rax; call; …: retf
    if (this.#random.chance(50)) return [0x8c, 0xc8, 0x50, ...jump([...wide, 0xcb])];
    // mov eax, ss; push rax; push rsp; pushf; mov eax, cs; push rax; call; …: iret; …: pop rax
    if (this.#long)
      return [0x8c, 0xd0, 0x50, 0x54, 0x9c, 0x8c, 0xc8, 0x50, ...jump([0x48, 0xcf]), 0x58];
    return [0x9c, 0x0e, ...jump([0xcf])];
  }

  #port(): number[] {
    const random = this.#random;
    const port = random.below(256);
    return random.pick([
      [random.pick([0xe4, 0xe5, 0xe6, 0xe7]), port],
      [random.pick([0xec, 0xed, 0xee, 0xef])],
    ]);
  }

  /** Another entry for a page at one of its addresses, and INVLPG. */
  #mapping(): number[] {
    const random = this.#random;
    if (random.chance(20)) return [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
    const isCode = random.chance(50);
    const pages = (isCode ? at.CODE_SIZE : at.DATA_SIZE) / at.PAGE_SIZE;
    const page = (isCode ? at.CODE : at.DATA) / at.PAGE_SIZE + random.below(pages);
    const outside = at.RAM_SIZE;
    const data = [1, 2, 4, 0x20, 0x40, 0x60, 7, 0x100, at.PAGE_SIZE, 2 * at.PAGE_SIZE, outside];
    const other = at.CODE ^ at.OTHER_CODE;
    const bits = random.pick(isCode ? [1, 2, 0x20, 0x40, 0x100, other, other, other, other] : data);
    const [table, from] = random.pick([
      [at.PAGE_TABLE, 0],
      [at.AGAIN_TABLE, at.AGAIN],
    ] as const);
    const entry = table + (this.#mode.pae ? 8 : 4) * page;
    const change = random.chance(50) ? 6 : 4;
    const invalidate = [0x0f, 0x01, ...this.#absolute(7, from + page * at.PAGE_SIZE)];
    // xor, and
    return [
      0x81,
      ...this.#absolute(change, entry),
      ...word(change === 6 ? bits : ~bits),
      ...invalidate,
    ];
  }

  /** mov rax, cr; xor eax, …; mov cr, rax */
  #control(): number[] {
    const random = this.#random;
    const [register, bits] = random.pick([
      [0, [2, 4, 8, 1 << 16, 1 << 18]],
      [4, [4, 8, 1 << 7, 1 << 9, 1 << 10]],
    ] as const);
    const modRm = 0xc0 | (register << 3);
    return [0x0f, 0x20, modRm, 0x35, ...word(random.pick<number>(bits)), 0x0f, 0x22, modRm];
  }
}
