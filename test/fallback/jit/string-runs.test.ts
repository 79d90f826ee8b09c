import { describe, expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { AGAIN, CODE, DATA, type Machine, machine, runFor, stateOf, TABLES } from "./machine.ts";

const bytes32 = (value: number): number[] =>
  Array.from({ length: 4 }, (_, i) => (value >>> (8 * i)) & 0xff);

const MOVSB = [0xf3, 0xa4];
const MOVSQ = [0xf3, 0x48, 0xa5];
const STOSB = [0xf3, 0xaa];
const STOSD = [0xf3, 0xab];
const STOSQ = [0xf3, 0x48, 0xab];
/** Where memory is mapped once more. */
const PAGE = 0x1000;
const UNMAPPED = 0x7000_0000;
const TABLES_SIZE = 0x1_0000;
/** Of an entry of a page table. */
const DIRTY = 0x40n;
/** RAM's last byte is followed by nothing. */
const RAM_END = 0x40_0000;

interface Case {
  readonly instruction: readonly number[];
  readonly from?: number;
  readonly to: number;
  readonly count: number;
  readonly rax?: bigint;
  readonly downwards?: boolean;
}

/**
 * mov r8d, 100; again: mov esi, from; mov edi, to; mov ecx, count; add r9, 1; the instruction;
 * adc r10, rdi; dec r8d; jnz again; hlt: flags must survive, and what it leaves in registers counts.
 */
function program({ instruction, from = DATA, to, count, downwards }: Case): number[] {
  const body = [
    ...[0xbe, ...bytes32(from), 0xbf, ...bytes32(to), 0xb9, ...bytes32(count)],
    ...[0x49, 0x83, 0xc1, 0x01, ...instruction],
    ...[0x49, 0x11, 0xfa, 0x49, 0x11, 0xf2, 0x49, 0x11, 0xca],
    ...[0x41, 0xff, 0xc8],
  ];
  const again = -(body.length + 2);
  const direction = downwards === true ? 0xfd : 0xfc;
  return [direction, 0x41, 0xb8, ...bytes32(100), ...body, 0x75, again & 0xff, 0xf4];
}

/** @param threshold of the JIT, if there is to be one */
function prepared(one: Case, threshold?: number): Machine {
  const m = machine(program(one), threshold);
  const data = Uint8Array.from({ length: 2 * PAGE }, (_, i) => i * 7 + (i >> 8));
  m.ram.write(gpa(DATA), data);
  m.cpu.writeRegisters({ ...m.cpu.readRegisters(), rax: one.rax ?? 0n });
  return m;
}

/** With the page tables, which say what has been accessed. */
const memoryOf = ({ ram }: Machine): Buffer => Buffer.from(ram.slice(gpa(0), ram.size));

function runBoth(one: Case): Machine {
  const [interpreted, translated] = [prepared(one), prepared(one, 3)];
  for (const m of [interpreted, translated]) {
    for (let slice = 0; slice < 1000 && !runFor(m, 5003); slice++);
  }
  expect(stateOf(translated)).toEqual(stateOf(interpreted));
  expect(memoryOf(translated).equals(memoryOf(interpreted))).toBe(true);
  return translated;
}

/** Steps are the procedures' alone. */
function stepThrough(one: Case): Machine {
  const m = prepared(one);
  while (m.cpu.nextInstruction() !== "hlt") m.cpu.executeOne();
  return m;
}

const CASES: [string, Case][] = [
  ["a copy", { instruction: MOVSB, to: DATA + 0x800, count: 61 }],
  ["a copy of words", { instruction: MOVSQ, to: DATA + 0x804, count: 9 }],
  ["nothing", { instruction: MOVSQ, to: DATA + 0x800, count: 0 }],
  ["a copy across pages", { instruction: MOVSB, to: DATA + PAGE - 30, count: 61 }],
  ["the longest of one execution", { instruction: MOVSB, to: DATA + PAGE, count: 4096 }],
  ["one of several executions", { instruction: MOVSB, to: DATA + PAGE, count: 4097 }],
  ["bytes moved down", { instruction: MOVSB, from: DATA + 3, to: DATA, count: 50 }],
  ["bytes that go round", { instruction: MOVSB, from: DATA, to: DATA + 3, count: 50 }],
  ["bytes onto themselves", { instruction: MOVSB, from: DATA, to: DATA, count: 50 }],
  ["another mapping", { instruction: MOVSB, from: AGAIN + DATA, to: DATA + 0x801, count: 90 }],
  [
    "words of another mapping, across pages",
    { instruction: MOVSQ, from: DATA + 0x103, to: AGAIN + DATA + PAGE - 13, count: 20 },
  ],
  [
    "bytes that go round by another mapping",
    { instruction: MOVSB, from: AGAIN + DATA, to: DATA + 5, count: 50 },
  ],
  ["a copy downwards", { instruction: MOVSB, to: DATA + 0x800, count: 7, downwards: true }],
  [
    "a copy downwards, across pages",
    { instruction: MOVSB, from: DATA + 999, to: DATA + PAGE + 20, count: 61, downwards: true },
  ],
  [
    "words downwards, of which one is on two pages",
    { instruction: MOVSQ, from: DATA + 999, to: DATA + PAGE + 20, count: 9, downwards: true },
  ],
  [
    "words of another mapping downwards",
    {
      ...{ instruction: MOVSQ, from: AGAIN + DATA + PAGE + 13, to: AGAIN + DATA + 2 * PAGE + 1 },
      ...{ count: 20, downwards: true },
    },
  ],
  [
    "bytes moved up downwards",
    { instruction: MOVSB, from: DATA + 80, to: DATA + 83, count: 50, downwards: true },
  ],
  [
    "bytes that go round downwards",
    { instruction: MOVSB, from: DATA + 83, to: DATA + 80, count: 50, downwards: true },
  ],
  ["zeros downwards", { instruction: STOSQ, to: DATA + PAGE + 16, count: 20, downwards: true }],
  [
    "zeros elsewhere, downwards",
    { instruction: STOSD, to: AGAIN + DATA + PAGE + 2, count: 600, downwards: true },
  ],
  ["bytes", { instruction: STOSB, to: DATA + 5, count: 100, rax: 0x1234_56a5n }],
  ["zeros", { instruction: STOSQ, to: DATA + 8, count: 100 }],
  ["words of equal bytes", { instruction: STOSD, to: DATA, count: 9, rax: 0x12_5a5a_5a5an }],
  ["words of other bytes", { instruction: STOSD, to: DATA, count: 9, rax: 0x5b5a_5a5an }],
  ["zeros elsewhere", { instruction: STOSQ, to: AGAIN + DATA + 4090, count: 600 }],
];

describe("repeated MOVS and STOS", () => {
  it.each<[string, Case]>([
    ...CASES,
    ["more than RAM", { instruction: STOSB, to: RAM_END - 20, count: 40 }],
  ])("%s", (_, one) => {
    const m = runBoth(one);
    expect(m.cpu.notes[0]?.[1]).toMatch(/in regions$/);
  });

  it.each(CASES)("%s, as step by step", (_, one) => {
    const [whole, steps] = [prepared(one), stepThrough(one)];
    for (let slice = 0; slice < 1000 && !runFor(whole, 5003); slice++);
    expect(memoryOf(whole).equals(memoryOf(steps))).toBe(true);
    const { rip: _rip, ...registers } = whole.cpu.readRegisters();
    expect(steps.cpu.readRegisters()).toMatchObject(registers);
    expect(steps.cpu.instructions).toBe(whole.cpu.instructions - 1);
  });

  it.each([3, undefined])("write nothing where they cannot read (threshold %s)", (threshold) => {
    const isWritten = (from: number): boolean => {
      const m = prepared({ instruction: MOVSB, from, to: AGAIN + DATA, count: 9 }, threshold);
      for (let slice = 0; slice < 10 && !runFor(m, 5003); slice++);
      const tables = m.ram.slice(gpa(TABLES), TABLES_SIZE);
      const entries = new BigUint64Array(tables.buffer, tables.byteOffset, TABLES_SIZE / 8);
      return entries.some((entry) => (entry & DIRTY) !== 0n);
    };
    expect([isWritten(DATA), isWritten(UNMAPPED)]).toEqual([true, false]);
  });

  it("see code that they overwrite", () => {
    // The instruction behind it, `adc r10, rdi`, becomes three of one byte.
    const to = CODE + program({ instruction: STOSB, to: 0, count: 3 }).length - 15;
    runBoth({ instruction: STOSB, to, count: 3, rax: 0x90n });
  });
});
