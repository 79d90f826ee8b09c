import { expect, test } from "vitest";
import { RegionPlaces } from "../../../fallback/jit/region-places.ts";
import { REGION_PLACE, REGION_PLACE_ENTRIES, REGION_PLACES } from "../../../fallback/state.ts";
import { CODE, type Machine, MODES, type Mode, machine, runFor, stateOf } from "./machine.ts";

const NOP = 0x90;
const ROUNDS = 2000;

const bytesOf = (value: number): number[] =>
  [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Pieces of code at their offsets. */
function layout(...pieces: readonly (readonly [offset: number, code: readonly number[]])[]) {
  const bytes: number[] = [];
  for (const [offset, code] of pieces) {
    while (bytes.length < offset) bytes.push(NOP);
    bytes.push(...code);
  }
  return bytes;
}

/** For jumps: where offsets are. */
const table = (...offsets: readonly number[]): number[] =>
  offsets.flatMap((offset) => [...bytesOf(CODE + offset), ...bytesOf(0)]);

/** mov esi, rounds; again: mov ecx, esi; and ecx, mask; bt esi, 2; …; dec esi; jnz again; hlt */
const rounds = (mask: number, ...body: readonly number[]): number[] => {
  const begin = [0x89, 0xf1, 0x83, 0xe1, mask, 0x0f, 0xba, 0xe6, 2, ...body, 0xff, 0xce];
  return [0xbe, ...bytesOf(ROUNDS), ...begin, 0x75, -(begin.length + 2) & 0xff, 0xf4];
};

/** A program comes to its end in regions as it does interpreted. */
function both(code: readonly number[], mode?: Mode): Machine {
  const [interpreted, translated] = [machine(code, undefined, mode), machine(code, 20, mode)];
  for (const one of [interpreted, translated]) expect(runFor(one, 1_000_000)).toBe(true);
  expect(stateOf(translated)).toEqual(stateOf(interpreted));
  return translated;
}

const flat = MODES.filter(({ bits, segmented }) => bits > 16 && !segmented);
test.each(flat)(
  "wherever a jump in $name leads, the flags are those from before the region",
  (mode) => {
    const [begin, third, first, second, targets] = [64, 80, 96, 112, 128];
    const call = 14;
    const m = both(
      layout(
        [0, rounds(3, 0xe8, ...bytesOf(begin - call - 5))],
        // jmp [rcx * 8 + targets]
        [begin, [0xff, 0x24, 0xcd, ...bytesOf(CODE + targets)]],
        // lea edi, [rdi + 1]; jnc first; jmp second: control comes to either by two ways
        [third, [0x8d, 0x7f, 1, 0x73, first - third - 5, 0xeb, second - third - 7]],
        // adc eax, 1; ret
        [first, [0x83, 0xd0, 1, 0xc3]],
        // adc edx, 1; ret
        [second, [0x83, 0xd2, 1, 0xc3]],
        [targets, table(first, second, third, third)],
      ),
      mode,
    );
    expect(m.cpu.readRegisters().rdi).toBe(BigInt(ROUNDS / 2));
  },
);

test("functions that are called in turns by way of the same entry are both reached", () => {
  const [targets, one] = [64, 128];
  const other = one + REGION_PLACE_ENTRIES;
  // Too large to be translated with the caller.
  const times = Array.from({ length: 30 });
  const m = both(
    layout(
      // call [rcx * 8 + targets]
      [0, rounds(1, 0xff, 0x14, 0xcd, ...bytesOf(CODE + targets))],
      [targets, table(one, other)],
      // inc eax, 30 times; ret
      [one, [...times.flatMap(() => [0xff, 0xc0]), 0xc3]],
      // inc edi, 30 times; ret
      [other, [...times.flatMap(() => [0xff, 0xc7]), 0xc3]],
    ),
  );
  const { rax, rdi } = m.cpu.readRegisters();
  expect([rax, rdi]).toEqual([BigInt(15 * ROUNDS), BigInt(15 * ROUNDS)]);
});

test("a region is not made again for targets of its jump that it has no room for", () => {
  const [again, back, targets, handlers] = [5, 24, 128, 512];
  const size = 128;
  const numbers = Array.from({ length: 16 }, (_, n) => n);
  const m = both(
    layout(
      // mov esi, 10,000; again: imul ecx, esi, …; shr ecx, 28
      [0, [0xbe, ...bytesOf(10_000), 0x69, 0xce, ...bytesOf(0x9e37_79b1), 0xc1, 0xe9, 28]],
      // mov rax, [rcx * 8 + targets]; jmp rax
      [14, [0x48, 0x8b, 0x04, 0xcd, ...bytesOf(CODE + targets), 0xff, 0xe0]],
      // back: dec esi; jnz again; hlt
      [back, [0xff, 0xce, 0x75, (again - back - 4) & 0xff, 0xf4]],
      [targets, table(...numbers.map((n) => handlers + size * n))],
      // inc edi, 16 times; nop, 48 times; jmp back
      ...numbers.map((n) => {
        const at = handlers + size * n;
        const body = [...numbers.flatMap(() => [0xff, 0xc7]), ...Array<number>(48).fill(NOP)];
        return [at, [...body, 0xe9, ...bytesOf(back - at - body.length - 5)]] as const;
      }),
    ),
  );
  expect(m.cpu.notes.find(([name]) => name === "jit")?.[1]).toMatch(/; 0 dropped$/);
});

test("an entry for two addresses leads to the last of them, and nowhere when that is gone", () => {
  const view = new DataView(
    new ArrayBuffer(REGION_PLACES + REGION_PLACE_ENTRIES * REGION_PLACE.SIZE),
  );
  const places = new RegionPlaces(view.buffer);
  const [first, second] = [0x1234n, 0x1234n + BigInt(REGION_PLACE_ENTRIES)];
  const entry = places.add(first, 60);
  expect(places.add(second, 61)).toBe(entry);
  const content = () => [
    view.getBigUint64(entry + REGION_PLACE.KEY, true),
    view.getInt32(entry + REGION_PLACE.PLACE, true),
  ];
  places.remove(entry, 60);
  expect(content()).toEqual([second, 61]);
  places.remove(entry, 61);
  expect(content()[0]).not.toBe(second);
  expect(content()[1]).toBe(0);
});

test("address 0, whose entry is empty, leads nowhere", () => {
  const view = new DataView(
    new ArrayBuffer(REGION_PLACES + REGION_PLACE_ENTRIES * REGION_PLACE.SIZE),
  );
  new RegionPlaces(view.buffer);
  expect(view.getBigUint64(REGION_PLACES + REGION_PLACE.KEY, true)).not.toBe(0n);
});
