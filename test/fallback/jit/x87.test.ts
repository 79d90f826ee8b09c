import { describe, expect, test } from "vitest";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import { FX_AREA_END, STATE } from "../../../fallback/state.ts";
import { gpa } from "../../../src/core/units.ts";
import { SeededRandom } from "../../support/random.ts";
import { DATA, machine, runFor, stateOf } from "./machine.ts";

const PROGRAMS = 10;
const INSTRUCTIONS = 25;
const SLICE = 997;
const MAX_SLICES = 300;
const ROUNDS = 400;
/** Behind what the programs access. */
const CONTROL = DATA + 0x200;
const USUAL = 0x37f;
const ROUNDING_DOWN = 0x77f;
const SHORT = 0x27f;

const little = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);
/** ModRM and what follows it, of an absolute address. */
const at = (digit: number, address: number): number[] => [
  ...[0x04 | (digit << 3), 0x25],
  ...little(address),
];

/** Those that load a control word may unmask exceptions, and others are as large as a page of data. */
const FORMS = new OpcodeMap(FAMILIES).forms.filter(
  ({ map, unit, instruction: { name } }) =>
    map === 0 && unit === "x87" && !/^F(LDCW|LDENV|NSTENV|NSAVE|RSTOR)$/.test(name),
);

function instruction(random: SeededRandom): number[] {
  const { opcode, modRm, digit = 0, traits } = random.pick(FORMS);
  if (modRm !== undefined) return [opcode, modRm];
  if (traits.has("reg")) return [opcode, 0xc0 | (digit << 3) | random.below(8)];
  return [opcode, ...at(digit, DATA + 16 * random.below(16))];
}

/** fninit; fldcw [CONTROL]; mov ecx, ROUNDS; again: …; dec ecx; jz end; jmp again; end: hlt */
function program(body: readonly number[]): number[] {
  const back = -(body.length + 4 + 5);
  return [
    ...[0xdb, 0xe3, 0xd9, ...at(5, CONTROL), 0xb9, ...little(ROUNDS)],
    ...[...body, 0xff, 0xc9, 0x74, 0x05, 0xe9, ...little(back), 0xf4],
  ];
}

function both(
  code: readonly number[],
  random: SeededRandom,
  control: number,
): ReturnType<typeof machine> {
  const machines = [machine(code, undefined), machine(code, 3)] as const;
  const data = Array.from({ length: 0x110 }, () => random.below(256));
  for (let number = 0; number < 16; number++) {
    // Of what is in it as 64 bits, most has a usual exponent.
    if (random.chance(80)) data[16 * number + 7] = 0x3f | (random.below(2) << 7);
  }
  const [interpreted, translated] = machines;
  for (const { ram } of machines) {
    ram.write(gpa(DATA), Uint8Array.from(data));
    ram.write(gpa(CONTROL), Uint8Array.from(little(control).slice(0, 2)));
  }
  for (let slice = 0; slice < MAX_SLICES; slice++) {
    const halted = runFor(interpreted, SLICE);
    expect(runFor(translated, SLICE)).toBe(halted);
    expect(stateOf(translated)).toEqual(stateOf(interpreted));
    expect(unitOf(translated)).toBe(unitOf(interpreted));
    if (halted) return translated;
  }
  throw new Error("the program did not end");
}

const unitOf = ({ cpu }: ReturnType<typeof machine>): string =>
  Buffer.from(cpu.processor.buffer, STATE.FX_AREA, FX_AREA_END - STATE.FX_AREA).toString("hex");

const note = (m: ReturnType<typeof machine>, name: string): string =>
  new Map(m.cpu.notes).get(name) ?? "";

describe.each([USUAL, SHORT, ROUNDING_DOWN])("x87 programs with control word %i", (control) => {
  test.each(Array.from({ length: PROGRAMS }, (_, seed) => seed))(
    "program %i does the same in regions as interpreted, slice by slice",
    (seed) => {
      const random = new SeededRandom(seed);
      const body = Array.from({ length: INSTRUCTIONS }, () => instruction(random)).flat();
      const translated = both(program(body), random, control);
      expect(note(translated, "executed")).toMatch(/[1-9]\d?\.\d % of them in regions/);
    },
  );
});

test("what is not as usual becomes procedures, and the loop stays in its region", () => {
  // fld1; fadd qword [DATA]; fstp tbyte [DATA + 0x100]
  const body = [0xd9, 0xe8, 0xdc, ...at(0, DATA), 0xdb, ...at(7, DATA + 0x100)];
  const m = both(program(body), new SeededRandom(1), ROUNDING_DOWN);
  expect(note(m, "executed")).toMatch(/[6-9]\d\.\d % of them in regions/);
});
