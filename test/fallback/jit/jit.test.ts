import { describe, expect, test } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { SeededRandom } from "../../support/random.ts";
import { mayFault } from "./handlers.ts";
import {
  CODE,
  DATA,
  type Machine,
  MODES,
  type Mode,
  machine,
  runFor,
  stateOf,
  TABLES,
} from "./machine.ts";
import { program } from "./programs.ts";
import { tryProgram } from "./trial.ts";

const PROGRAMS = 40;
const SLICE = 997;
const MAX_SLICES = 200;
const PAGE_SIZE = 0x1000;
/** Of RAM: the second has code and data. */
const HALF = 0x20_0000;
const PAGE_TABLE = TABLES + 0x3000;

describe.each(MODES)("random programs in $name", (mode) => {
  test.each(Array.from({ length: PROGRAMS }, (_, seed) => seed))(
    "program %i does the same in regions as interpreted, slice by slice",
    (seed) => {
      const numbers = new SeededRandom(seed);
      const code = program((below) => numbers.below(below), mode);
      const [interpreted, translated] = [machine(code, undefined, mode), machine(code, 3, mode)];
      for (let slice = 0; slice < MAX_SLICES; slice++) {
        const halted = runFor(interpreted, SLICE);
        expect(runFor(translated, SLICE)).toBe(halted);
        expect(stateOf(translated)).toEqual(stateOf(interpreted));
        if (!halted) continue;
        expect(translated.cpu.notes[0]?.[1]).toMatch(/ [1-9]\d?\.\d % of them in regions/);
        return;
      }
      throw new Error("the program did not end");
    },
  );
});

test.each(MODES.filter(mayFault))("programs that fault and change themselves, in $name", (mode) => {
  // The long run is `npm run test:programs -- --minutes N --seed S`.
  for (let seed = 0; seed < PROGRAMS / 2; seed++) {
    expect([seed, tryProgram(seed, [mode]).failure]).toEqual([seed, undefined]);
  }
});

/** mov ecx, 2000; again: …; dec ecx; jnz again; hlt */
const loop = (...body: number[]): number[] => {
  const back = -(body.length + 4);
  return [0xb9, 0xd0, 0x07, 0, 0, ...body, 0xff, 0xc9, 0x75, back & 0xff, 0xf4];
};

function both(
  code: readonly number[],
  prepare: (m: ReturnType<typeof machine>) => void = () => {},
  mode?: Mode,
) {
  const machines = [machine(code, undefined, mode), machine(code, 3, mode)] as const;
  for (const m of machines) {
    prepare(m);
    for (let i = 0; i < 100 && !runFor(m, 10_000); i++);
  }
  const [interpreted, translated] = machines;
  expect(stateOf(translated)).toEqual(stateOf(interpreted));
  return translated;
}

const note = (m: ReturnType<typeof machine>, name: string): string =>
  new Map(m.cpu.notes).get(name) ?? "";

test("a loop runs in a region", () => {
  // add eax, ecx
  const m = both(loop(0x01, 0xc8));
  expect(m.cpu.readRegisters().rax).toBe(2_001_000n);
  expect(note(m, "jit")).toMatch(/^1 regions/);
});

/** mov ecx, rounds; again: add eax, ecx, some times; dec ecx; jnz again; as often as there are loops; hlt */
const loops = (count: number, rounds: number, additions: number): number[] => {
  const body = Array.from({ length: additions }, () => [0x01, 0xc8]).flat();
  const one = [0xb9, rounds, 0, 0, 0, ...body, 0xff, 0xc9, 0x75, -(body.length + 4) & 0xff];
  return [...Array.from({ length: count }, () => one).flat(), 0xf4];
};

test("what is hot at once and may not be translated is interpreted meanwhile", () => {
  const m = machine(loops(130, 100, 60), 1);
  expect(runFor(m, 2_000_000)).toBe(true);
});

test("not every lukewarm loop is translated, although no time passes", () => {
  const m = both(loops(600, 10, 16));
  const regions = Number(/^(\d+) regions/.exec(note(m, "jit"))?.[1]);
  expect(regions).toBeGreaterThan(100);
  expect(regions).toBeLessThan(400);
});

test("what is known before may change: rotations through a known carry, of known values", () => {
  // xor eax, eax; rcl edx, cl; mov ebx, 5; stc; rcr ebx, cl; add edx, ebx
  const rotations = [0x31, 0xc0, 0xd3, 0xd2, 0xbb, 5, 0, 0, 0, 0xf9, 0xd3, 0xdb, 0x01, 0xda];
  const m = both(loop(...rotations));
  expect(note(m, "jit")).toMatch(/^1 regions/);
});

test("what INC and DEC have found of an overflow stays when only the carry changes", () => {
  for (const step of [0xc0, 0xc8]) {
    for (const change of [0xf5, 0xf8, 0xf9]) {
      // stc; inc or dec eax; cmc, clc or stc; seto [rbx]; add [rbx + 4], …: the flags of each round
      both(loop(0xf9, 0xff, step, change, 0x0f, 0x90, 0x03, 0x8b, 0x13, 0x01, 0x53, 0x04));
    }
  }
});

test("code that changes itself is translated anew", () => {
  // inc byte [rip + 2] (the immediate of what follows); add eax, 1
  const m = both(loop(0xfe, 0x05, 2, 0, 0, 0, 0x83, 0xc0, 0x01));
  expect(m.cpu.instructions).toBe(8002);
});

test("regions are hardly left for what lies on two sides of code", () => {
  const BELOW = 0x18_0000;
  // mov esi, BELOW; mov ecx, 30000; again: add [rbx], ecx; add [rsi], ecx; call below; dec ecx; jnz again; hlt
  const caller = [
    0xbe, 0, 0, 0x18, 0, 0xb9, 0x30, 0x75, 0, 0, 0x01, 0x0b, 0x01, 0x0e, 0xe8, 5, 0, 0, 0,
  ];
  const code = [...caller, 0xff, 0xc9, 0x75, 0xf3, 0xf4];
  // below: add [rbx + 0x1000], ecx; add [rsi - 0x1000], ecx; ret
  const below = [0x01, 0x8b, 0, 0x10, 0, 0, 0x01, 0x8e, 0, 0xf0, 0xff, 0xff, 0xc3];
  const m = both([...code, ...below]);
  const sum = (30_000 * 30_001) / 2;
  for (const at of [DATA, DATA + 0x1000, BELOW, BELOW - 0x1000]) {
    expect(m.ram.readU32(gpa(at))).toBe(sum);
  }
  expect(note(m, "executed")).toMatch(/ 99\.\d % of them in regions/);
  const [, left] = /memory (\d+)/.exec(note(m, "jit exits")) ?? [];
  expect(Number(left)).toBeGreaterThan(0);
  expect(Number(left)).toBeLessThan(200);
});

test("data beside the code leaves the code alone", () => {
  // add [rip + 64], ecx
  const m = both(loop(0x01, 0x0d, 64, 0, 0, 0));
  expect(m.ram.readU32(gpa(CODE + 5 + 6 + 64))).toBe(2_001_000);
  // What is dropped was made again so that it looks into the TLB.
  expect(note(m, "jit")).toMatch(/; [0-3] dropped$/);
});

test("code that runs with DS now flat and now not has a region for each", () => {
  const REAL = MODES.find(({ name }) => name === "real mode");
  const [FLAT, ELSEWHERE] = [0x5000, 0x6000];
  // mov cx, 2000; again: mov ax, cx; and ax, 1; shl ax, 8; mov ds, ax; call below; dec cx; jnz again; hlt
  const calls = [0xb9, 0xd0, 0x07, 0x89, 0xc8, 0x83, 0xe0, 1, 0xc1, 0xe0, 8, 0x8e, 0xd8];
  // below: mov dx, 20; more: inc word [FLAT]; dec dx; jnz more; ret
  const below = [0xba, 20, 0, 0xff, 0x06, FLAT & 0xff, FLAT >> 8, 0x4a, 0x75, 0xf9, 0xc3];
  const m = both(
    [...calls, 0xe8, 4, 0, 0x49, 0x75, 0xef, 0xf4, ...below],
    ({ cpu }) => {
      const ds = { selector: 0, base: 0n, limit: 0xffff_ffff, attributes: 0x93 };
      cpu.writeRegisters({ ...cpu.readRegisters(), ds });
    },
    REAL,
  );
  expect([FLAT, ELSEWHERE].map((at) => m.ram.readU16(gpa(at)))).toEqual([20_000, 20_000]);
  expect(note(m, "executed")).toMatch(/ [89]\d\.\d % of them in regions/);
});

test("memory that is mapped elsewhere is reached through the TLB", () => {
  // add [rbx], ecx
  const m = both(loop(0x01, 0x0b), ({ cpu }) => {
    cpu.writeRegisters({ ...cpu.readRegisters(), rbx: 0x4000_0000n + BigInt(DATA) });
  });
  expect(m.ram.readU32(gpa(DATA))).toBe(2_001_000);
  expect(note(m, "executed")).toMatch(/9\d\.\d % of them in regions/);
});

test("an access across two pages is not taken for one to the second of them", () => {
  // mov eax, [rbx]; add edx, [rsi]
  const m = both(loop(0x8b, 0x03, 0x03, 0x16), ({ cpu, ram }) => {
    // The pages below and above 8 GiB: their numbers are as different as can be.
    const [directory, table] = [TABLES + 0x4000, TABLES + 0x5000];
    for (const gibibyte of [7, 8]) ram.writeU64(gpa(TABLES + 0x1000 + 8 * gibibyte), directory | 3);
    for (const chunk of [0, 511]) ram.writeU64(gpa(directory + 8 * chunk), table | 3);
    ram.writeU64(gpa(table + 8 * 511), (DATA + PAGE_SIZE) | 3);
    ram.writeU64(gpa(table), (DATA + 3 * PAGE_SIZE) | 3);
    ram.writeU32(gpa(DATA + 2 * PAGE_SIZE - 4), 0x0201_0000);
    ram.writeU32(gpa(DATA + 3 * PAGE_SIZE), 0x0403);
    const rbx = 0x2_0000_0000n;
    cpu.writeRegisters({ ...cpu.readRegisters(), rbx, rdx: 0n, rsi: rbx - 2n });
  });
  expect(m.cpu.readRegisters().rdx).toBe(BigInt((2000 * 0x0403_0201) % 2 ** 32));
});

test("what was known of the windows is not relied on when the mapping has changed", () => {
  // again: mov ecx, 2000; 1: add eax, [rbx]; dec ecx; jnz 1b; jmp again
  const code = [...loop(0x03, 0x03).slice(0, -1), 0xeb, 0xf3];
  const [interpreted, translated] = [machine(code, undefined), machine(code, 3)].map((m) => {
    const { cpu, ram } = m;
    const page = (address: number, to: number): void =>
      ram.writeU64(gpa(PAGE_TABLE + 8 * ((address - HALF) / PAGE_SIZE)), to | 3);
    for (let at = HALF; at < 2 * HALF; at += PAGE_SIZE) page(at, at);
    ram.writeU64(gpa(TABLES + 0x2008), PAGE_TABLE | 3);
    ram.writeU32(gpa(DATA), 1);
    ram.writeU32(gpa(DATA + PAGE_SIZE), 1000);
    for (let turn = 0; turn < 20; turn++) {
      page(DATA, DATA + (turn % 2) * PAGE_SIZE);
      cpu.writeRegisters(cpu.readRegisters());
      runFor(m, 30_000);
    }
    return m;
  });
  expect(stateOf(translated as Machine)).toEqual(stateOf(interpreted as Machine));
  expect(note(translated as Machine, "jit exits")).toMatch(/windows [1-9]/);
});

test("with memory in two places that a gap parts, not every region is made again", () => {
  const LOOPS = 20;
  // add eax, [rbx]; add eax, [rsi]
  const once = loop(0x03, 0x03, 0x03, 0x06).slice(0, -1);
  const code = [...Array.from({ length: LOOPS }, () => once).flat(), 0xf4];
  const m = both(code, ({ cpu, ram }) => {
    for (let at = HALF; at < 2 * HALF; at += PAGE_SIZE) {
      const present = at === DATA + PAGE_SIZE ? 0 : 3;
      ram.writeU64(gpa(PAGE_TABLE + 8 * ((at - HALF) / PAGE_SIZE)), at | present);
    }
    ram.writeU64(gpa(TABLES + 0x2008), PAGE_TABLE | 3);
    ram.writeU32(gpa(DATA), 1);
    ram.writeU32(gpa(DATA + 2 * PAGE_SIZE), 1000);
    const pointers = { rbx: BigInt(DATA), rsi: BigInt(DATA + 2 * PAGE_SIZE) };
    cpu.writeRegisters({ ...cpu.readRegisters(), ...pointers });
  });
  expect(m.cpu.readRegisters().rax).toBe(BigInt(LOOPS * 2000 * 1001));
  const [, dropped] = /; (\d+) dropped$/.exec(note(m, "jit")) ?? [];
  expect(Number(dropped)).toBeLessThan(LOOPS / 2);
  expect(note(m, "executed")).toMatch(/9\d\.\d % of them in regions/);
});

test("a branch to code whose second page is away now is left out of a region", () => {
  const [ahead, back] = [PAGE_SIZE - 1 - 15, 9 - (PAGE_SIZE + 9)];
  const word = (value: number) => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);
  // mov ecx, 2000; again: test edx, edx; jnz far; dec ecx; jnz again; hlt
  const near = [0xb9, 0xd0, 7, 0, 0, 0x85, 0xd2, 0x90, 0x90, 0x0f, 0x85, ...word(ahead)];
  const rest = [0xff, 0xc9, 0x75, 0xf2, 0xf4];
  // far: add edx, -1; jmp again
  const far = [0x81, 0xc2, ...word(-1), 0xe9, ...word(back - 1)];
  const padding = new Array(PAGE_SIZE - 1 - near.length - rest.length).fill(0x90);
  const mode = MODES.find(({ system }) => system === "paging");
  const m = machine([...near, ...rest, ...padding, ...far], 3, mode);
  m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rdx: 1n });
  runFor(m, 8);
  expect(m.cpu.readRegisters().rdx).toBe(0n);
  m.ram.writeU32(gpa(TABLES + PAGE_SIZE + 4 * (CODE / PAGE_SIZE + 1)), 0);
  m.cpu.writeRegisters(m.cpu.readRegisters());
  expect(runFor(m, 100_000)).toBe(true);
  expect(m.cpu.readRegisters().rcx).toBe(0n);
  expect(note(m, "jit")).toMatch(/^1 regions/);
});

test("where a loop is hot, the function that it is in is translated if that is called again", () => {
  // mov ecx, 2000; again: call f; dec ecx; jnz again; hlt
  const calls = [0xb9, 0xd0, 0x07, 0, 0, 0xe8, 5, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xf4];
  // f: mov edx, 9; 1: mov esi, 9; 2: dec esi; jnz 2b; dec edx; jnz 1b; ret
  const f = [0xba, 9, 0, 0, 0, 0xbe, 9, 0, 0, 0, 0xff, 0xce, 0x75, 0xfc, 0xff, 0xca, 0x75, 0xf3];
  const entries: bigint[] = [];
  const m = machine([...calls, ...f, 0xc3], 400, undefined, {
    onRegion: ({ blocks: [entry] }) => entries.push(entry?.rip ?? 0n),
  });
  while (!runFor(m, 1_000_000));
  expect(entries[0]).toBe(BigInt(CODE + calls.length));
});

test("an access that faults leaves exactly the state before it", () => {
  // add eax, 3; mov edx, [rbx]; add rbx, 0x1000: until RAM ends, and then the processor shuts down.
  const m = both(loop(0x83, 0xc0, 3, 0x8b, 0x13, 0x48, 0x81, 0xc3, 0, 0x10, 0, 0));
  const { rip, rax } = m.cpu.readRegisters();
  expect(rip).toBe(BigInt(CODE + 8));
  expect(rax % 3n).toBe(0n);
});

test("a region that leads to where no code can be had leaves the flags as they are", () => {
  // mov ecx, 2000; again: add eax, ecx; dec ecx; jz 0x800000; jmp again
  const code = [0xb9, 0xd0, 0x07, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x0f, 0x84];
  const m = both([...code, 0xf1, 0xff, 0x5f, 0, 0xeb, 0xf4]);
  expect(m.cpu.readRegisters().rip).toBe(0x80_0000n);
  expect(m.cpu.readRegisters().rflags & 0x8d5n).toBe(0x44n);
});

test("calls nest deeper than regions may", () => {
  // mov ecx, 2000; call f; hlt; f: dec ecx; jz 1f; call f; 1: inc eax; ret
  const m = both([
    ...[0xb9, 0xd0, 0x07, 0, 0, 0xe8, 1, 0, 0, 0, 0xf4],
    ...[0xff, 0xc9, 0x74, 5, 0xe8, 0xf7, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc3],
  ]);
  expect(m.cpu.readRegisters().rax).toBe(2000n);
});

/** Code whose branches name places. */
class Assembly {
  readonly code: number[] = [];
  readonly #places = new Map<string, number>();
  readonly #branches: { readonly at: number; readonly to: string }[] = [];

  place(name: string): this {
    this.#places.set(name, this.code.length);
    return this;
  }

  bytes(...bytes: number[]): this {
    this.code.push(...bytes);
    return this;
  }

  /** An instruction that ends with a distance of 32 bits. */
  branch(opcode: readonly number[], to: string): this {
    this.code.push(...opcode, 0, 0, 0, 0);
    this.#branches.push({ at: this.code.length, to });
    return this;
  }

  finish(): number[] {
    const bytes = Uint8Array.from(this.code);
    const view = new DataView(bytes.buffer);
    for (const { at, to } of this.#branches) {
      view.setInt32(at - 4, (this.#places.get(to) ?? 0) - at, true);
    }
    return [...bytes];
  }
}

test("a callee for which the region has no room any more is called", () => {
  const nops = (count: number): number[] => new Array(count).fill(0x90);
  const [jz, jnz, jmp, call] = [[0x0f, 0x84], [0x0f, 0x85], [0xe9], [0xe8]];
  const assembly = new Assembly()
    // mov ecx, 4000
    .bytes(0xb9, 0xa0, 0x0f, 0, 0)
    // again: test cl, 1; jnz q; test cl, 4; jz back; jmp back
    .place("again")
    .bytes(0xf6, 0xc1, 1)
    .branch(jnz, "q")
    .bytes(0xf6, 0xc1, 4)
    .branch(jz, "back")
    .branch(jmp, "back")
    // q: …; test cl, 2; jz y; call f
    .place("q")
    .bytes(...nops(7 * 48), 0xf6, 0xc1, 2)
    .branch(jz, "y")
    .branch(call, "f")
    // back: dec ecx; jnz again; hlt
    .place("back")
    .bytes(0xff, 0xc9)
    .branch(jnz, "again")
    .bytes(0xf4)
    .place("y")
    .bytes(...nops(48 + 4), 0xff, 0xc9)
    .branch(jnz, "again")
    .bytes(0xf4)
    // f: inc eax; ret
    .place("f")
    .bytes(0xff, 0xc0, 0xc3);
  const code = assembly.finish();
  const machines = [machine(code, undefined), machine(code, 40)] as const;
  for (const m of machines) for (let i = 0; i < 100 && !runFor(m, 100_000); i++);
  expect(stateOf(machines[1])).toEqual(stateOf(machines[0]));
  expect(machines[1].cpu.readRegisters().rax).toBe(1000n);
});

describe("branches into the middle of loops", () => {
  const BLOCKS = 7;
  const HEAD = 5;
  const BLOCK_BYTES = 29;
  const END = HEAD + BLOCKS * BLOCK_BYTES;
  const at = (index: number): number => HEAD + index * BLOCK_BYTES;
  const bytesOf = (value: number): number[] => [...new Uint8Array(Int32Array.of(value).buffer)];

  /** add eax, n; rol eax, 3; dec ecx; jz END; test al, bit; jz one; jmp other */
  function block(index: number, n: number, one: number, other: number): number[] {
    const code = [0x05, ...bytesOf(n), 0xc1, 0xc0, 0x03, 0xff, 0xc9];
    const jump = (opcode: readonly number[], to: number): void => {
      const next = at(index) + code.length + opcode.length + 4;
      code.push(...opcode, ...bytesOf(to - next));
    };
    jump([0x0f, 0x84], END);
    code.push(0xa8, 1 << (n % 7));
    jump([0x0f, 0x84], at(one));
    jump([0xe9], at(other));
    return code;
  }

  test.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "graph %i does the same in regions as interpreted, and hardly leaves them",
    (seed) => {
      const numbers = new SeededRandom(seed);
      const blocks = Array.from({ length: BLOCKS }, (_, index) =>
        block(index, numbers.below(1000), numbers.below(BLOCKS), numbers.below(BLOCKS)),
      );
      // mov ecx, 20000
      const m = both([0xb9, ...bytesOf(20_000), ...blocks.flat(), 0xf4]);
      expect(blocks.every(({ length }) => length === BLOCK_BYTES)).toBe(true);
      expect(m.cpu.readRegisters().rcx).toBe(0n);
      // Each block may become an entry, and the code before and behind; more would be copies.
      expect(Number(/^(\d+) regions/.exec(note(m, "jit"))?.[1])).toBeLessThanOrEqual(BLOCKS + 2);
    },
  );
});
