import { describe, expect, it } from "vitest";
import { CR0 } from "../../../fallback/bits.ts";
import { FallbackCpu } from "../../../fallback/cpu.ts";
import { HandlerTable } from "../../../fallback/interpreter/handlers.ts";
import { buildInterpreter } from "../../../fallback/interpreter/module.ts";
import type { Instruction } from "../../../fallback/isa/instruction.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import { STATE } from "../../../fallback/state.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { Registers, Segment } from "../../../src/core/cpu.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";
import { SeededRandom } from "../../support/random.ts";

const CODE = 0x2000;
const GDT = 0x5000;
const DESCRIPTORS = 16;
const STACK = 0x7000;
/** Where vectors and far pointers lead to: each paragraph has `out 0x70, al; hlt`. */
const TARGETS = 0x1_0000;
const TARGETS_END = 0x2_0000;
const MARKER = [0xe6, 0x70, 0xf4];
/** As long as the processor takes one for, so that all are as long as the first. */
const SLICE = nanos(250_000);
/** What generated code keeps of mode and segments, and the flags: bytes of the state. */
const COMPARED: readonly (readonly [from: number, bytes: number])[] = [
  [STATE.GPR, 0x80],
  [STATE.RIP, 8],
  [STATE.SEGMENTS, STATE.GDTR_BASE - STATE.SEGMENTS],
  [STATE.CR0, 8],
  [STATE.SHADOW_BUDGET, 8],
  [STATE.CODE_KEY, 8],
  [STATE.CODE64, 4],
  [STATE.CODE_BASE, 8],
  [STATE.STACK_MASK, 8],
];

/** A processor without the code for what {@link Instruction.interpretation} describes; or with it. */
class Machine {
  /** Procedures that were called though there is code. */
  procedures = 0;
  readonly cpu: FallbackCpu;
  readonly ram: Uint8Array;
  #seen: string[][] = [];
  /** A guest that has gone astray has one. */
  #slices = 0;

  constructor(hasCode: boolean) {
    const change = (instruction: Instruction): Instruction => {
      const { interpretation, procedure, ...rest } = instruction;
      if (interpretation === undefined) return instruction;
      const counted: Instruction["procedure"] = (context) => {
        this.procedures++;
        procedure?.(context);
      };
      return { ...rest, procedure: counted, ...(hasCode ? { interpretation } : {}) };
    };
    const map = new OpcodeMap(FAMILIES.map((family) => family.map(change)));
    const module = buildInterpreter(new HandlerTable(map.forms, false));
    const { whole: memory, ram } = allocateMemory(2);
    const clock = new VirtualClock();
    this.cpu = new FallbackCpu({
      ...{ memory, ramSize: ram.size, clock, map },
      hostWaits: () => {
        clock.advance(SLICE);
        return this.#slices++ > 0;
      },
      interpreter: new WebAssembly.Module(module),
      inlineInterpreter: () => new WebAssembly.Module(module),
    });
    this.ram = ram.slice(gpa(0), ram.size);
    for (let at = TARGETS; at < TARGETS_END; at += 16) this.ram.set(MARKER, at);
    this.cpu.connectPorts({
      leaves: () => false,
      read: () => 0,
      write: () => this.#seen.push(this.#state()),
      settled: true,
    });
  }

  #state(): string[] {
    const { buffer, rflags } = this.cpu.processor;
    const fields = COMPARED.map(([from, bytes]) => Buffer.from(buffer, from, bytes));
    return [rflags.toString(16), ...fields.map((field) => field.toString("hex"))];
  }

  /** Returns all that can be seen of an execution. */
  run(bytes: Uint8Array, at: number, code: readonly number[], registers: Partial<Registers>) {
    this.ram.set(bytes, 0);
    this.ram.set([...code, ...MARKER], at);
    this.cpu.mmu.noticeWrite(0, TARGETS);
    this.cpu.writeRegisters({ ...this.cpu.readRegisters(), ...registers });
    this.#seen = [];
    this.#slices = 0;
    const { kind } = this.cpu.run(nanos(Number.MAX_SAFE_INTEGER));
    return {
      kind,
      seen: this.#seen,
      end: this.#state(),
      ram: Buffer.from(this.ram.subarray(0, TARGETS)).toString("latin1"),
    };
  }
}

const data = (attributes: number, base = 0, limit = 0xffff, selector = base >> 4): Segment => ({
  ...{ selector, attributes, base: BigInt(base), limit },
});

const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];

/** A descriptor that is mostly one of those that boot loaders have. */
function descriptor(random: SeededRandom): number[] {
  const attributes = random.pick([
    0xc093, 0xc093, 0xc09b, 0xc09b, 0x93, 0x9b, 0x92, 0x9a, 0xc091, 0xc0f3, 0x13,
  ]);
  const rights = random.chance(80) ? attributes : random.next() & 0xf0ff;
  const base = random.pick([0, 0, 0x1_0000, 0x1234, random.next()]);
  const limit = random.pick([0xf_ffff, 0xffff, random.below(0x10_0000)]);
  const middle = [(base >>> 16) & 0xff, rights & 0xff];
  return [...word(limit), ...word(base), ...middle, (rights >> 8) | (limit >> 16), base >>> 24];
}

/** Vectors, descriptors and a stack. */
function memory(random: SeededRandom): Uint8Array {
  const bytes = new Uint8Array(TARGETS);
  for (let vector = 0; vector < 256; vector++) {
    const selector = random.pick([0x1000, 0x1100, 0xf00 + random.below(0x100)]);
    bytes.set(
      [...word(16 * random.below(0xff) + TARGETS - 16 * selector), ...word(selector)],
      4 * vector,
    );
  }
  for (let i = 1; i < DESCRIPTORS; i++) bytes.set(descriptor(random), GDT + 8 * i);
  for (let at = STACK - 64; at < STACK + 64; at += 2) {
    bytes.set(
      word(random.pick([16 * random.below(0x100), 0x1000, 2, 0x202, 0x246, random.next()])),
      at,
    );
  }
  return bytes;
}

const SELECTOR = (random: SeededRandom, isProtected: boolean): number =>
  isProtected
    ? 8 * random.below(DESCRIPTORS + 1) + (random.chance(80) ? 0 : random.below(8))
    : random.pick([0x1000, random.below(0x1000), random.below(0x1_0000)]);

/** MOV to a segment from AX or memory, MOV of CR0, JMP to another segment, INT or IRET. */
function instruction(random: SeededRandom, isProtected: boolean): number[] {
  const prefix = random.chance(30) ? [0x66] : [];
  const other = random.pick([
    0x8e,
    0x8e,
    0x8e,
    0xea,
    0x20,
    0x22,
    ...(isProtected ? [0x8e] : [0xcd, 0xcf]),
  ]);
  const field = (random.chance(90) ? random.pick([0, 2, 3, 4, 5]) : random.below(8)) << 3;
  switch (other) {
    case 0x8e:
      return [
        ...prefix,
        0x8e,
        random.chance(90) ? 0xc0 | field : field | (random.chance(50) ? 7 : 3),
      ];
    case 0x20:
    case 0x22:
      return [...prefix, 0x0f, other, random.chance(90) ? 0xc0 : random.pick([0xd8, 0xe0, 0xc8])];
    case 0xcd:
      return [0xcd, random.below(256)];
    case 0xcf:
      return [...prefix, 0xcf];
    default: {
      const offset = word(16 * random.below(0x1000));
      const upper =
        isProtected === prefix.length > 0
          ? []
          : random.pick([
              [0, 0],
              [1, 0],
            ]);
      return [...prefix, 0xea, ...offset, ...upper, ...word(SELECTOR(random, isProtected))];
    }
  }
}

function state(random: SeededRandom, isProtected: boolean): Partial<Registers> {
  const plain = isProtected ? data(0xc093, 0, 0xffff_ffff, 8) : data(0x93);
  const segment = (): Segment =>
    random.chance(80)
      ? plain
      : data(
          random.pick([0x93, 0xc093, 0, 0x91, 0x97]),
          16 * random.below(0x100),
          random.pick([0xffff, 0xffff_ffff, 0x6fff]),
        );
  return {
    cr0: BigInt(CR0.ET | (isProtected ? CR0.PE : 0)),
    cs: isProtected ? data(0xc09b, 0, 0xffff_ffff, 8) : data(0x9b),
    ...{ ss: segment(), ds: segment(), es: segment(), fs: segment(), gs: segment() },
    gdtr: { base: BigInt(GDT), limit: 8 * DESCRIPTORS - 1 },
    idtr: { base: 0n, limit: isProtected ? 0 : random.pick([0x3ff, 0x3ff, 0x1ff]) },
    rax: BigInt(
      random.chance(40)
        ? CR0.ET | random.below(4)
        : random.chance(90)
          ? SELECTOR(random, isProtected)
          : random.next(),
    ),
    rbx: BigInt(STACK + 2 * random.below(8)),
    rsp: BigInt(
      random.chance(90) ? STACK + random.below(8) : random.pick([0, 2, 4, 0xfffe, 0x1_0000]),
    ),
    rflags: BigInt(2 | random.pick([0, 0, 0x200, 0x8d5, 0x246, 0x4_0000, 0x3000])),
    rip: BigInt(CODE),
  };
}

describe("segments in WebAssembly", () => {
  const [quick, judge] = [new Machine(true), new Machine(false)];

  it.each(["real", "protected"])("are what procedures make of them, in %s mode", (mode) => {
    const random = new SeededRandom(mode.length);
    const isProtected = mode === "protected";
    const before = [quick.procedures, judge.procedures];
    for (let trial = 0; trial < 300; trial++) {
      const wanted = random.chance(10);
      const [bytes, code] = [memory(random), instruction(random, isProtected)];
      const registers = state(random, isProtected);
      const at = CODE;
      for (const { cpu } of [quick, judge]) cpu.requestInterruptWindow(wanted);
      const [ours, theirs] = [quick, judge].map((each) => each.run(bytes, at, code, registers));
      expect(ours, `trial ${trial}: ${Buffer.from(code).toString("hex")}`).toEqual(theirs);
    }
    const [left, all] = [quick.procedures - (before[0] ?? 0), judge.procedures - (before[1] ?? 0)];
    expect(all).toBeGreaterThan(250);
    expect(left).toBeLessThan(all * (isProtected ? 0.8 : 0.4));
    expect(left).toBeGreaterThan(0);
  });
});
