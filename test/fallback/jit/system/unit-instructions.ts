import { OpcodeMap } from "../../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../../fallback/isa/table.ts";
import type { SeededRandom } from "../../../support/random.ts";
import { randomVex, vexPrefix } from "../../../support/vex-prefix.ts";
import * as at from "./layout.ts";
import { type Operands, REGISTERS } from "./operands.ts";

/** These use memory that is not the data, or modes that are not among those there. */
const ELSEWHERE = /^V(MASKMOVDQU|LDMXCSR|STMXCSR)$/;
const VEX_FORMS = new OpcodeMap(FAMILIES).forms.filter(
  ({ map, instruction }) => map >= 4 && !ELSEWHERE.test(instruction.name),
);

/** One instruction of the x87, MMX, SSE or AVX, or two that belong together. */
export class UnitInstructions {
  readonly #random: SeededRandom;
  readonly #operands: Operands;

  constructor(random: SeededRandom, operands: Operands) {
    this.#random = random;
    this.#operands = operands;
  }

  x87(): number[] {
    const random = this.#random;
    const i = random.below(8);
    return random.pick<() => number[]>([
      // Loads: FLD, FILD, constants.
      () => [0xd9, ...this.#operands.number(0)],
      () => [0xdd, ...this.#operands.number(0)],
      () => [0xdb, ...this.#operands.number(5)],
      () => [random.pick([0xdb, 0xdf]), ...this.#operands.memory(0)],
      () => [0xdf, ...this.#operands.memory(random.pick([4, 5]))],
      () => [0xd9, 0xe8 + random.below(7)],
      () => [0xd9, 0xc0 + i],
      // Stores.
      () => [random.pick([0xd9, 0xdd]), ...this.#operands.memory(random.pick([2, 3]))],
      () => [0xdb, ...this.#operands.memory(7)],
      () => [random.pick([0xdb, 0xdf]), ...this.#operands.memory(random.pick([1, 2, 3]))],
      () => [random.pick([0xdd, 0xdf]), ...this.#operands.memory(random.pick([1, 6, 7]))],
      () => [0xdd, random.pick([0xc0, 0xd0, 0xd8]) + i],
      // Arithmetic and comparisons.
      () => [random.pick([0xd8, 0xdc, 0xde]), 0xc0 + random.below(64)],
      () => [random.pick([0xd8, 0xdc]), ...this.#operands.number(random.below(8))],
      () => [random.pick([0xda, 0xde]), ...this.#operands.memory(random.below(8))],
      () => [0xd9, random.pick([0xc8 + i, 0xe0, 0xe1, 0xe4, 0xe5, 0xfa, 0xfc, 0xf4, 0xf8, 0xfd])],
      () => [0xd9, random.pick([0xd0, 0xf6, 0xf7])],
      () => [random.pick([0xdb, 0xdf]), 0xe8 + random.below(16)],
      () => [random.pick([0xda, 0xdb]), 0xc0 + random.below(32)],
      () => [0xdd, 0xe0 + random.below(16)],
      // Control.
      () => [0xdf, 0xe0],
      () => [random.pick([0xd9, 0xdd]), ...this.#operands.memory(7)],
      () => [0xd9, ...this.#operands.memory(5, at.CONTROL_WORDS + 2 * random.below(8))],
      () => [0xd9, ...this.#operands.memory(5, at.CONTROL_WORDS + 2 * random.below(8))],
      () => [0xdb, random.pick([0xe2, 0xe3])],
      () => [0x9b],
      () => this.#x87Image(),
    ])();
  }

  /** Stores all or some of the state, and loads it again. */
  #x87Image(): number[] {
    const random = this.#random;
    const offset = this.#operands.offset(true) % (at.DATA_SIZE - 0x200);
    const [opcode, store, load] = random.pick([
      [[0xdd], 6, 4],
      [[0xd9], 6, 4],
      [[0x0f, 0xae], 0, 1],
    ] as const);
    const restored = [...opcode, ...this.#operands.memory(load, offset)];
    const between = random.chance(50) ? this.x87() : [];
    return [...opcode, ...this.#operands.memory(store, offset), ...between, ...restored];
  }

  mmx(): number[] {
    const random = this.#random;
    const reg = random.below(8);
    const operand = () =>
      random.chance(50) ? [0xc0 | (reg << 3) | random.below(8)] : this.#operands.memory(reg);
    return random.pick<() => number[]>([
      () => [0x0f, 0x6f, ...operand()],
      () => [0x0f, 0x7f, ...operand()],
      () => [
        0x0f,
        random.pick([0xfc, 0xfe, 0xd4, 0xef, 0xdb, 0xe5, 0xf5, 0x62, 0x63]),
        ...operand(),
      ],
      () => [0x0f, random.pick([0x6e, 0x7e]), 0xc0 | (reg << 3) | random.pick(REGISTERS)],
      () => [0x0f, 0x70, ...operand(), random.below(256)],
      () => [0x0f, 0xe7, ...this.#operands.memory(reg)],
      () => [0x0f, 0x77],
      // cvtpi2ps, cvttps2pi, movq2dq, movdq2q
      () => [0x0f, random.pick([0x2a, 0x2c]), ...operand()],
      () => [random.pick([0xf3, 0xf2]), 0x0f, 0xd6, 0xc0 | random.below(64)],
    ])();
  }

  /** Anything with a VEX prefix: also on general registers. */
  vex(long: boolean): number[] {
    const random = this.#random;
    const form = random.pick(VEX_FORMS);
    const fields = {
      ...randomVex(form, long, random),
      ...{ rxb: 0, vvvv: form.hasVvvv ? random.pick(REGISTERS) : 0 },
    };
    const reg = form.digit ?? random.pick(REGISTERS);
    const register = !form.traits.has("mem") && (form.traits.has("reg") || random.chance(60));
    const offset = random.chance(30) ? at.NUMBERS + 16 * random.below(12) : undefined;
    const operands = register
      ? [0xc0 | (reg << 3) | random.pick(REGISTERS)]
      : this.#operands.memory(reg, offset);
    return [
      ...[...vexPrefix(form, fields, random.chance(50)), form.opcode],
      ...(form.hasModRm ? operands : []),
      ...form.immediates.map(() => random.below(256)),
    ];
  }

  sse(): number[] {
    const random = this.#random;
    const reg = random.below(8);
    const operand = (aligned: boolean) =>
      random.chance(40)
        ? [0xc0 | (reg << 3) | random.below(8)]
        : this.#operands.memory(
            reg,
            random.chance(40) ? at.NUMBERS + 16 * random.below(12) : this.#operands.offset(aligned),
          );
    const arithmetic = [0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f, 0x2e, 0x2f, 0x5a];
    return random.pick<() => number[]>([
      () => [0x0f, random.pick([0x28, 0x29]), ...operand(true)],
      () => [0x0f, random.pick([0x10, 0x11]), ...operand(false)],
      () => [random.pick([0x66, 0xf3]), 0x0f, random.pick([0x6f, 0x7f]), ...operand(true)],
      () => [
        random.pick([0xf2, 0xf3]),
        0x0f,
        random.pick([...arithmetic, 0x10, 0x11]),
        ...operand(false),
      ],
      () => [...random.pick([[], [0x66]]), 0x0f, random.pick(arithmetic), ...operand(true)],
      () => [0x66, 0x0f, random.pick([0xfe, 0xd4, 0xef, 0xdb, 0x62, 0x6c]), ...operand(true)],
      () => [
        random.pick([0xf2, 0xf3]),
        0x0f,
        random.pick([0x2c, 0x2d]),
        0xc0 | (random.pick(REGISTERS) << 3) | reg,
      ],
      () => [random.pick([0xf2, 0xf3]), 0x0f, 0x2a, ...operand(false)],
      () => [0x0f, 0xae, ...this.#operands.memory(2, at.MXCSRS + 4 * random.below(8))],
      () => [0x0f, 0xae, ...this.#operands.memory(3)],
    ])();
  }
}
