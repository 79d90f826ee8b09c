import { SeededRandom } from "../support/random.ts";
import { CpuState } from "./cpu-state.ts";
import { CODE, DATA, DATA_SIZE } from "./environment.ts";
import * as values from "./values.ts";

const EXCEPTIONS = 0x3f;
const ERROR_SUMMARY = 0x80;
const BUSY = 0x8000;
const DEFAULT_CONTROL_WORD = 0x37f;
const DEFAULT_MXCSR = 0x1f80;
const ROUNDING_CONTROLS = 4;
const PRECISIONS = [0, 2, 3] as const;
const DAZ = 1 << 6;
const FLUSH_TO_ZERO = 1 << 15;
const STATUS_FLAGS = 0x8d5n;
const DIRECTION = 0x400n;

/** Status flags at random; DF rarely. */
export function randomFlags(random: SeededRandom): bigint {
  return (BigInt(random.next()) & STATUS_FLAGS) | (random.chance(15) ? DIRECTION : 0n);
}

/** x87 control, status and tags: mostly everything masked and no register empty. */
export function randomizeX87Control(state: CpuState, random: SeededRandom): void {
  const rounding = random.below(ROUNDING_CONTROLS);
  const precision = random.chance(60) ? 3 : random.pick(PRECISIONS);
  const masks = random.chance(90) ? EXCEPTIONS : random.below(64);
  state.controlWord = 0x40 | masks | (precision << 8) | (rounding << 10);
  const top = random.below(8) << 11;
  const conditions = random.next() & 0x4700;
  // Pending unmasked exceptions would end nearly every x87 instruction with #MF.
  const flags = random.below(128) & (random.chance(95) ? masks | 0x40 : 0x7f);
  const pending = (flags & ~masks & EXCEPTIONS) !== 0 ? ERROR_SUMMARY | BUSY : 0;
  state.statusWord = top | conditions | flags | pending;
  state.tagWord = random.chance(75) ? 0xff : random.below(256);
}

export function randomizeMxcsr(state: CpuState, random: SeededRandom): void {
  const masks = random.chance(92) ? EXCEPTIONS : random.below(64);
  state.mxcsr =
    (masks << 7) |
    (random.below(ROUNDING_CONTROLS) << 13) |
    (random.chance(85) ? 0 : DAZ) |
    (random.chance(85) ? 0 : FLUSH_TO_ZERO) |
    (random.chance(50) ? 0 : random.below(64));
}

/** A plain state: everything zero or as after FNINIT, the stack in the data pages. */
export function plainState(): CpuState {
  const state = new CpuState();
  state.rip = BigInt(CODE);
  state.controlWord = DEFAULT_CONTROL_WORD;
  state.mxcsr = DEFAULT_MXCSR;
  state.setGpr(4, BigInt(DATA + DATA_SIZE / 2));
  return state;
}

/**
 * A state full of random values that any instruction can start from.
 * @param bases whether FS and GS may have any base; zero otherwise
 */
export function backgroundState(seed: number, bases = true): CpuState {
  const random = new SeededRandom(seed);
  const state = plainState();
  for (let register = 0; register < 16; register++) state.setGpr(register, values.integer(random));
  // Registers that instructions use as pointers without being told.
  for (const pointer of [3, 4, 5, 6, 7]) state.setGpr(pointer, values.dataAddress(random));
  state.rflags = randomFlags(random);
  const [fsBase, gsBase] = [values.segmentBase(random), values.segmentBase(random)];
  if (bases) {
    state.fsBase = fsBase;
    state.gsBase = gsBase;
  }
  randomizeX87Control(state, random);
  randomizeMxcsr(state, random);
  for (let register = 0; register < 8; register++) {
    state.st(register).set(values.extended(random));
  }
  const kinds = ["single", "double", "integer", "bytes"] as const;
  for (let register = 0; register < 16; register++) {
    state.xmm(register).set(values.vector(random, random.pick(kinds)));
  }
  const words = new DataView(state.data.buffer, state.data.byteOffset);
  for (let at = 0; at < DATA_SIZE; at += 8) {
    words.setBigUint64(at, values.integer(random), true);
  }
  for (let register = 0; register < 16; register++) {
    state.ymmUpper(register).set(values.vector(random, random.pick(kinds)));
  }
  return state;
}

/** States that many snippets share, made once. */
export class Backgrounds {
  readonly states: readonly CpuState[];

  /** @param bases as for {@link backgroundState} */
  constructor(seed: number, count: number, bases = true) {
    this.states = Array.from({ length: count }, (_, index) =>
      backgroundState(seed * 1009 + index, bases),
    );
  }

  pick(random: SeededRandom): CpuState {
    return random.pick(this.states).clone();
  }
}
