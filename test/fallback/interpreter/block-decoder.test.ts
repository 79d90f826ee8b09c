/** Blocks as the function in WebAssembly decodes them, against `Decoder` and `RecordWriter`. */
import { expect, it } from "vitest";
import { CR0, CR4 } from "../../../fallback/bits.ts";
import { interpreterModule } from "../../../fallback/index.ts";
import { type Block, BlockCache } from "../../../fallback/interpreter/block.ts";
import type { CodePlace } from "../../../fallback/interpreter/code-place.ts";
import type { DecodeBlock } from "../../../fallback/interpreter/decoding.ts";
import { RECORD_SIZE } from "../../../fallback/interpreter/record.ts";
import { layDownTables } from "../../../fallback/interpreter/sections.ts";
import { type CodeSource, Translator } from "../../../fallback/interpreter/translator.ts";
import type { Form } from "../../../fallback/isa/form.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import type { CodePage } from "../../../fallback/memory/code-tlb.ts";
import { RAM_BASE, RECORDS, RECORDS_END, STATE } from "../../../fallback/state.ts";
import { SeededRandom } from "../../support/random.ts";
import { randomVexPrefix } from "../../support/vex-prefix.ts";

const PAGE = 4096;
const CODE = 0x3000;
const BLOCKS = 15_000;
const ESCAPES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

const map = new OpcodeMap(FAMILIES);
const memory = new WebAssembly.Memory({ initial: (RAM_BASE + 65536) / 65536 });
const { buffer } = memory;
const view = new DataView(buffer);
const code = new Uint8Array(buffer, RAM_BASE + CODE, PAGE);
const module = new WebAssembly.Module(interpreterModule(false));
const nothing = (): number => 0;
const instance = new WebAssembly.Instance(module, {
  cpu: {
    memory,
    regions: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
    ...{ load: nothing, store: nothing, findBlock: nothing, procedure: nothing },
    ...{ checkSegment: nothing, synchronise: nothing, touch: nothing },
  },
});
const handlers = layDownTables(module, buffer);
handlers.onLate = () => undefined;
const { decodeBlock } = instance.exports as unknown as { decodeBlock: DecodeBlock };

/** The page is where every linear page is. */
const source: CodeSource = {
  fetchPage: (linear): CodePage => ({
    ...{ number: Math.floor(linear / PAGE), address: CODE, span: PAGE, global: false },
    ...{
      own: new Set<number>(),
      jumps: new Set<number>(),
      slots: new Set<number>(),
      generation: 0,
    },
  }),
  probePage: () => undefined,
  page: (address) => code.subarray(address % PAGE),
  mark: () => {},
  enter: () => {},
  breaksAt: () => false,
  breaks: false,
  leaves: () => false,
  leavesSome: false,
};

interface Decoded extends Pick<Block, "length" | "offsets"> {
  /** Of each instruction. */
  readonly lengths: readonly number[];
  /** What else has to be the same. */
  readonly [fact: string]: unknown;
}

/** The block, its records, or what was thrown. */
function decoded(place: CodePlace, decode: DecodeBlock): Decoded | string {
  new Uint8Array(buffer, RECORDS, 8192).fill(0xaa);
  const blocks = new BlockCache(buffer);
  let block: Block;
  try {
    block = new Translator(buffer, map, handlers, blocks, source, decode).block(place);
  } catch (error) {
    return (error as object).constructor.name;
  }
  const { header, linear, count, length, calls, offsets, recordsEnd, unitControls, pages } = block;
  return {
    ...{ header, linear, count, length, calls, offsets, recordsEnd, unitControls, pages },
    lengths: block.instructions.map((instruction) => instruction.length),
    next: blocks.allocate(0),
    records: Buffer.from(buffer, RECORDS, 8192).toString("hex"),
  };
}

/** Each instruction is where the one before ends: that is found out of the records. */
function expectNoGaps({ length, offsets, lengths }: Decoded): void {
  const ends = lengths.map((bytes, n) => (offsets[n] ?? Number.NaN) + bytes);
  const expected = [0, ...ends.slice(0, -1)];
  if (String(offsets) === String(expected) && ends.at(-1) === length) return;
  expect(offsets).toEqual(expected);
  expect(ends.at(-1)).toBe(length);
}

const byteOf = (random: SeededRandom): number => random.below(256);

/** An encoding of a form, or nearly one. */
function encoding(random: SeededRandom, form: Form, long: boolean): number[] {
  const bytes: number[] = [];
  while (random.chance(25)) bytes.push(random.pick(PREFIXES));
  if (form.map >= 4) {
    const prefix = randomVexPrefix(form, random.chance(50), random);
    const rest = Array.from({ length: 12 }, () => byteOf(random));
    if (random.chance(10)) prefix[random.below(prefix.length)] = byteOf(random);
    return [...bytes, ...prefix, form.opcode, ...rest];
  }
  if (form.prefix === "66") bytes.push(0x66);
  if (form.prefix === "F3") bytes.push(0xf3);
  if (form.prefix === "F2") bytes.push(0xf2);
  if (long && random.chance(50)) bytes.push(0x40 | random.below(16));
  bytes.push(...(ESCAPES[form.map] ?? []), form.opcode);
  const { digit, modRm } = form;
  if (modRm !== undefined) bytes.push(modRm);
  else if (digit !== undefined) bytes.push((byteOf(random) & 0xc7) | (digit << 3));
  const rest = Array.from({ length: 1 + random.below(12) }, () => byteOf(random));
  return [...bytes, ...rest];
}

function fill(random: SeededRandom, long: boolean): void {
  const { forms } = map;
  let at = 0;
  while (at < PAGE) {
    const bytes = encoding(random, random.pick(forms), long);
    code.set(bytes.slice(0, PAGE - at), at);
    at += bytes.length;
  }
}

const RIPS = [0x3000n, 0xffff_f000n, 0xffff_ffff_8000_0000n, 0x7fff_ffff_f000n];

function somewhere(random: SeededRandom, codeSize: 16 | 32 | 64): CodePlace {
  const offset = random.chance(10) ? PAGE - 1 - random.below(40) : random.below(PAGE);
  const start =
    codeSize === 64 ? random.pick(RIPS) : codeSize === 32 ? random.pick(RIPS.slice(0, 2)) : 0x3000n;
  const rip = start + BigInt(offset);
  const whole = codeSize === 64 ? 2n ** 64n - 1n : 0xffff_ffffn;
  const limit = codeSize !== 64 && random.chance(30) ? rip + BigInt(random.below(64)) : whole;
  return {
    ...{ rip, base: 0n, codeSize, limit, user: random.chance(50) },
    segments: 0 as unknown as CodePlace["segments"],
  };
}

it("makes the same records as TypeScript does", () => {
  const random = new SeededRandom(20_261_129);
  let atOnce = 0;
  const counting: DecodeBlock = (...parameters) => {
    const count = decodeBlock(...parameters);
    if (count > 0) atOnce++;
    return count;
  };
  for (let number = 0; number < BLOCKS; number++) {
    const codeSize = random.pick([16, 32, 64] as const);
    if (number % 50 === 0) fill(random, codeSize === 64);
    view.setUint32(STATE.CR0, random.pick([0, 0, 0, CR0.EM, CR0.TS, CR0.EM | CR0.TS]), true);
    view.setUint32(STATE.CR4, random.chance(80) ? CR4.OSFXSR | CR4.OSXSAVE : 0, true);
    view.setUint32(STATE.XCR0, random.chance(80) ? 7 : 3, true);
    const place = somewhere(random, codeSize);
    const expected = decoded(place, nothing);
    const found = decoded(place, counting);
    if (typeof expected === "object") expectNoGaps(expected);
    if (JSON.stringify(found, digits) === JSON.stringify(expected, digits)) continue;
    const bytes = Buffer.from(code.subarray(Number(place.rip) % PAGE)).subarray(0, 64);
    expect(found, `${codeSize}-bit ${bytes.toString("hex")}`).toEqual(expected);
  }
  // The rest begins with what is no instruction, or ends on the next page.
  expect(atOnce).toBeGreaterThan(BLOCKS / 2);
});

const digits = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? value.toString() : value;

it("keeps no room for what is no instruction", () => {
  // PUSH ES, which there is not in 64-bit mode.
  code.set([0x06]);
  const blocks = new BlockCache(buffer);
  const translator = new Translator(buffer, map, handlers, blocks, source, decodeBlock);
  const before = blocks.allocate(0);
  const segments = 0 as CodePlace["segments"];
  const place = { rip: 0x3000n, base: 0n, limit: 2n ** 64n - 1n, user: false, segments } as const;
  expect(() => translator.block({ ...place, codeSize: 64 })).toThrow();
  expect(blocks.allocate(0)).toBe(before);
});

it("tells that there is no room for more blocks, which are all gone then", () => {
  const blocks = new BlockCache(buffer);
  let told = 0;
  blocks.onFull = () => {
    told++;
  };
  const first = blocks.allocate(1);
  blocks.allocate((RECORDS_END - first) / RECORD_SIZE - 1);
  expect(told).toBe(0);
  expect(blocks.allocate(1)).toBe(first);
  expect(told).toBe(1);
});

it("leaves out what only goes on behind an instruction that does not end a block", () => {
  for (const { instruction } of map.forms) {
    if (instruction.resumes) expect(instruction.ends, instruction.name).toBe(true);
  }
});
