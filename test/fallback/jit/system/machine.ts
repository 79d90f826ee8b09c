/** Processors with page tables, handlers and a program that uses them. */
import { FallbackCpu } from "../../../../fallback/cpu.ts";
import { interpreterModule } from "../../../../fallback/index.ts";
import {
  type DecodedInstruction,
  Decoder,
  InvalidOpcode,
} from "../../../../fallback/interpreter/decoder.ts";
import { OpcodeMap } from "../../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../../fallback/isa/table.ts";
import type { JitOptions } from "../../../../fallback/jit/jit.ts";
import { IDENTITY_PAGES, RECORDS, STATE } from "../../../../fallback/state.ts";
import { CountedClock } from "../../../../src/core/clock.ts";
import type { Registers, Segment } from "../../../../src/core/cpu.ts";
import { GuestMemory, RAM_OFFSET } from "../../../../src/core/guest-memory.ts";
import { gpa } from "../../../../src/core/units.ts";
import type { SeededRandom } from "../../../support/random.ts";
import { writeHandlers } from "./handlers.ts";
import * as at from "./layout.ts";

const WASM_PAGE = 64 * 1024;
const { SELECTOR } = at;

export interface SystemMode {
  readonly name: string;
  readonly bits: 64 | 32;
  readonly pae: boolean;
  readonly user: boolean;
  /** Whether code and data are used by their second linear addresses. */
  readonly elsewhere: boolean;
}

const SIZES = [
  { name: "64-bit", bits: 64, pae: true },
  { name: "32-bit", bits: 32, pae: false },
  { name: "PAE", bits: 32, pae: true },
] as const;
export const SYSTEM_MODES: readonly SystemMode[] = SIZES.flatMap((size) =>
  [false, true].flatMap((user) =>
    [false, true].map((elsewhere) => ({
      ...size,
      ...{ user, elsewhere },
      name: `${size.name}${user ? ", user" : ""}${elsewhere ? ", mapped elsewhere" : ""}`,
    })),
  ),
);

export interface SystemMachine {
  readonly cpu: FallbackCpu;
  readonly clock: CountedClock;
  readonly ram: GuestMemory;
}

/** Code, where its instructions begin and the last ends, and where it is, if it fits there. */
interface Program {
  readonly code: readonly number[];
  readonly boundaries: readonly number[];
  readonly start: number;
  /** Whether it is where the code with other numbers should be, and the other way round. */
  readonly exchanged: boolean;
}

/** By map and opcode: what ends with an immediate that is only computed with. */
const WITH_NUMBERS: readonly (readonly [number, number])[] = [
  ...([
    [0, 0xc1],
    [0, 0x81],
  ] as const),
  ...([
    [1, 0xba],
    [1, 0xa4],
    [1, 0xac],
    [1, 0x70],
  ] as const),
];

/** RAX, RDX, RSI, RDI as ModRM's rm, and from where on that is a register. */
const COMPUTED_WITH: readonly number[] = [0, 2, 6, 7];
const REGISTER = 0xc0;

/** What machines share, and memory that they use one after the other. */
export class SystemWorkshop {
  readonly #map = new OpcodeMap(FAMILIES);
  readonly #interpreter = new WebAssembly.Module(interpreterModule(false));
  /** Where branches remember where they led. */
  readonly #inlineInterpreter = new WebAssembly.Module(interpreterModule(true));
  readonly #memories = [0, 1].map(() => {
    const pages = (RAM_OFFSET + at.RAM_SIZE) / WASM_PAGE;
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  });

  /** Offsets of the instructions of a program, and behind the last. */
  boundaries(code: readonly number[], bits: 64 | 32): number[] {
    const decoder = new Decoder(this.#map);
    const bytes = Uint8Array.from(code);
    const offsets = [0];
    for (let offset = 0; offset < code.length; ) {
      // Some of x87's two bytes are none.
      offset += decodeOr(decoder, bytes, bits, offset)?.length ?? 2;
      offsets.push(offset);
    }
    return offsets;
  }

  /** The same program, but for some of the bytes that are no more than a number to it. */
  #otherImmediates(
    { code, boundaries }: Program,
    bits: 64 | 32,
    random: SeededRandom,
  ): Uint8Array<ArrayBuffer> {
    const decoder = new Decoder(this.#map);
    const bytes = Uint8Array.from(code);
    for (const offset of boundaries.slice(0, -1)) {
      const end = boundaries[boundaries.indexOf(offset) + 1] as number;
      const { form, modRm } = decodeOr(decoder, bytes, bits, offset) ?? {};
      const isNumber = WITH_NUMBERS.some(
        ([map, opcode]) => form?.map === map && form.opcode === opcode,
      );
      // Others are used for more than numbers.
      const isFree = COMPUTED_WITH.includes((modRm as number) & 7) && (modRm as number) >= REGISTER;
      if (isNumber && isFree && random.chance(90)) bytes[end - 1] = random.below(64);
    }
    return bytes;
  }

  /**
   * A processor in front of a program, whose time is the count of instructions.
   * @param index 0 or 1: the memory that it uses
   * @param jit without it everything is interpreted
   * @param seed of what is in memory, and of chance
   */
  machine(
    index: 0 | 1,
    jit: JitOptions | undefined,
    mode: SystemMode,
    program: Program,
    random: SeededRandom,
  ): SystemMachine {
    const memory = this.#memories[index] as WebAssembly.Memory;
    new Uint8Array(memory.buffer, 0, RECORDS).fill(0);
    new Uint8Array(memory.buffer, IDENTITY_PAGES).fill(0);
    const clock = new CountedClock(0);
    const ram = new GuestMemory(memory.buffer, RAM_OFFSET);
    const interpreter = jit === undefined ? this.#interpreter : this.#inlineInterpreter;
    const cpu = new FallbackCpu({
      ...{ memory, clock, map: this.#map, interpreter },
      ramSize: at.RAM_SIZE,
      inlineInterpreter: () => interpreter,
      hostWaits: () => false,
      executed: (instructions) => clock.pass(instructions),
      jit,
      random: () => (BigInt(random.next()) << 32n) | BigInt(random.next()),
    });
    ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
    const view = new DataView(memory.buffer, RAM_OFFSET);
    writePages(view, mode);
    writeTables(view, mode);
    writeHandlers(ram, mode);
    writeData(view, random);
    const start = Math.min(program.start, at.CODE_SIZE - program.code.length);
    const codes = [
      Uint8Array.from(program.code),
      this.#otherImmediates(program, mode.bits, random),
    ] as const;
    const places = program.exchanged ? [at.OTHER_CODE, at.CODE] : [at.CODE, at.OTHER_CODE];
    for (const [n, place] of [...places, at.FIRST_CODE].entries()) {
      ram.write(gpa(place + start), codes[n % 2] as Uint8Array);
    }
    const lengths = new Uint8Array(at.CODE_SIZE).fill(1);
    program.boundaries.slice(0, -1).forEach((offset, n) => {
      lengths[start + offset] = (program.boundaries[n + 1] as number) - offset;
    });
    ram.write(gpa(at.LENGTHS), lengths);
    cpu.processor.setField(STATE.XCR0, 7n);
    cpu.writeRegisters({ ...cpu.readRegisters(), ...registersOf(mode, start) });
    return { cpu, clock, ram };
  }
}

/** Undefined for what is none. */
function decodeOr(
  decoder: Decoder,
  bytes: Uint8Array,
  bits: 64 | 32,
  offset: number,
): DecodedInstruction | undefined {
  try {
    return decoder.decode(bytes, bits, offset);
  } catch (error) {
    if (error instanceof InvalidOpcode) return undefined;
    throw error;
  }
}

function writePages(view: DataView, { bits, pae }: SystemMode): void {
  const entry = (place: number, value: number): void => {
    if (pae) view.setBigUint64(place, BigInt(value), true);
    else view.setUint32(place, value, true);
  };
  const size = pae ? 8 : 4;
  for (let page = 0; page < at.RAM_SIZE / at.PAGE_SIZE; page++) {
    for (const table of [at.PAGE_TABLE, at.AGAIN_TABLE]) {
      entry(table + size * page, (page * at.PAGE_SIZE) | 7);
    }
  }
  if (!pae) {
    entry(at.ROOT, at.PAGE_TABLE | 7);
    entry(at.ROOT + 4 * (at.AGAIN >> 22), at.AGAIN_TABLE | 7);
    return;
  }
  const pointers = bits === 64 ? at.ROOT + at.PAGE_SIZE : at.ROOT;
  const directory = at.ROOT + 2 * at.PAGE_SIZE;
  if (bits === 64) entry(at.ROOT, pointers | 7);
  for (const [gibibyte, table] of [at.PAGE_TABLE, at.AGAIN_TABLE].entries()) {
    const here = directory + at.PAGE_SIZE * gibibyte;
    entry(pointers + 8 * gibibyte, here | (bits === 64 ? 7 : 1));
    const first = here + 8 * ((gibibyte * (at.AGAIN & 0x3fff_ffff)) >> 21);
    for (const half of [0, 1]) entry(first + 8 * half, (table + at.PAGE_SIZE * half) | 7);
  }
}

function writeTables(view: DataView, { bits }: SystemMode): void {
  const descriptor = (selector: number, value: bigint): void =>
    view.setBigUint64(at.GDT + (selector & ~7), value, true);
  const code = bits === 64 ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn;
  const data = 0x00cf_9300_0000_ffffn;
  const user = 3n << 45n;
  descriptor(SELECTOR.CODE, code);
  descriptor(SELECTOR.DATA, data);
  descriptor(SELECTOR.USER_CODE, code | user);
  descriptor(SELECTOR.USER_DATA, data | user);
  descriptor(SELECTOR.TSS, 0x0000_8b00_0000_0067n | (BigInt(at.TSS) << 16n));
  // Up to the middle of the data, and from there on.
  descriptor(SELECTOR.LIMITED, 0x0040_f300_0000_0000n | limited(at.DATA + 0x1fff));
  descriptor(SELECTOR.EXPANDS_DOWN, 0x0040_f700_0000_0000n | limited(at.DATA + 0x1fff));
  if (bits === 64) view.setBigUint64(at.TSS + 4, BigInt(at.HANDLER_STACK), true);
  else {
    view.setUint32(at.TSS + 4, at.HANDLER_STACK, true);
    view.setUint32(at.TSS + 8, SELECTOR.DATA, true);
  }
}

const limited = (limit: number): bigint => BigInt(limit & 0xffff) | (BigInt(limit >> 16) << 48n);

/** Anything, but for numbers that mean something, and modes. */
function writeData(view: DataView, random: SeededRandom): void {
  for (let offset = 0; offset < at.DATA_SIZE; offset += 4) {
    view.setUint32(at.DATA + offset, random.next(), true);
  }
  for (let n = 0; n < 16; n++) {
    const number = random.pick([0, 1, -1.5, 1e300, 3e-310, Number.NaN, random.next(), 1 / 3]);
    view.setFloat64(at.DATA + at.NUMBERS + 8 * n, number, true);
    view.setFloat32(at.DATA + at.NUMBERS + 0x80 + 4 * n, number, true);
  }
  for (let n = 0; n < 8; n++) {
    const selectors = [SELECTOR.USER_DATA, SELECTOR.LIMITED, SELECTOR.EXPANDS_DOWN, 0];
    view.setUint16(at.DATA + at.SELECTORS + 2 * n, random.pick(selectors), true);
    const masks = random.chance(60) ? 0x3f : random.below(0x40);
    const modes = random.chance(60) ? 0x300 : random.below(16) << 8;
    view.setUint16(at.DATA + at.CONTROL_WORDS + 2 * n, modes | masks, true);
    const rounding = random.chance(60) ? 0 : random.below(4) << 13;
    const vector = (random.chance(60) ? 0x3f : random.below(0x40)) << 7;
    view.setUint32(at.DATA + at.MXCSRS + 4 * n, rounding | vector | random.below(0x40), true);
  }
}

function registersOf(mode: SystemMode, start: number): Partial<Registers> {
  const { bits, pae, user } = mode;
  const from = mode.elsewhere ? at.AGAIN : 0;
  const level = user ? 0x60 : 0;
  const segment = (selector: number, attributes: number): Segment => ({
    ...{ selector, base: 0n, limit: 0xffff_ffff, attributes: attributes | level },
  });
  const data = segment(user ? SELECTOR.USER_DATA : SELECTOR.DATA, 0xc093);
  const code = bits === 64 ? 0xa09b : 0xc09b;
  return {
    ...{ rip: BigInt(from + at.CODE + start), rsp: BigInt(from + at.STACK) },
    ...{ rbx: BigInt(from + at.DATA), rflags: user ? 0x3202n : 2n },
    ...{ ss: data, ds: data, es: data, fs: data, gs: data },
    cs: segment(user ? SELECTOR.USER_CODE : SELECTOR.CODE, code),
    tr: { selector: SELECTOR.TSS, base: BigInt(at.TSS), limit: 0x67, attributes: 0x8b },
    ...{
      gdtr: { base: BigInt(at.GDT), limit: 0xff },
      idtr: { base: BigInt(at.IDT), limit: 0xfff },
    },
    ...{ cr0: 0x8001_0033n, cr3: BigInt(at.ROOT) },
    cr4: 0x4_0600n | (pae ? 0x20n : 0n),
    efer: bits === 64 ? 0xd00n : pae ? 0x800n : 0n,
  };
}
