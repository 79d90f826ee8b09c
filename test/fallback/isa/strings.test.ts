import { describe, expect, it } from "vitest";
import { RFLAGS } from "../../../fallback/bits.ts";
import { Decoder } from "../../../fallback/interpreter/decoder.ts";
import { ProcedureContext } from "../../../fallback/interpreter/procedure-context.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import { SeededRandom } from "../../support/random.ts";
import { Guest } from "../support/guest.ts";

const RAX = 0;
const RCX = 1;
const RSI = 6;
const RDI = 7;
/** Where both strings lie: some pages, so that they cross borders and each other. */
const ROOM = 0x20_0000;
const ROOM_LENGTH = 0x6000;

const { buffer } = new Guest().p;
const decoder = new Decoder(new OpcodeMap(FAMILIES));
const outside = {} as ProcedureContext["outside"];

/** Executes a repeated instruction until it has done all elements. */
function repeat({ p, mmu }: Guest, code: readonly number[]): void {
  const instruction = decoder.decode(Uint8Array.from(code), 64);
  for (let executions = 0; executions === 0 || p.gpr(RCX) !== 0n; executions++) {
    if (executions > 20) throw new Error("the instruction does not end");
    const context = new ProcedureContext({ processor: p, mmu, outside }, instruction);
    instruction.form.instruction.procedure?.(context);
  }
}

const STOS = { 1: [0xf3, 0xaa], 4: [0xf3, 0xab], 8: [0xf3, 0x48, 0xab] } as const;
const MOVS = { 1: [0xf3, 0xa4], 4: [0xf3, 0xa5], 8: [0xf3, 0x48, 0xa5] } as const;

describe.each([1, 4, 8] as const)("repeated elements of %i bytes, as one at a time", (bytes) => {
  const prepare = (random: SeededRandom) => {
    const guest = new Guest(buffer).longMode();
    const room = new Uint8Array(guest.ram.buffer, guest.ram.byteOffset + ROOM, ROOM_LENGTH);
    const key = random.next();
    for (let i = 0; i < ROOM_LENGTH; i++) room[i] = Math.imul(i + key, 0x9e37_79b1) >>> 24;
    const count = random.pick([0, 1, 3, random.below(40), random.below(6000)]);
    const length = Math.min(count, Math.floor(ROOM_LENGTH / 2 / bytes)) * bytes;
    const place = () => random.below(ROOM_LENGTH - length);
    return { guest, room, length, count: length / bytes, place };
  };

  it("MOVS", () => {
    const random = new SeededRandom(bytes);
    for (let round = 0; round < 60; round++) {
      const { guest, room, length, count, place } = prepare(random);
      const source = place();
      // Often next to each other: what is written may be read again.
      const near = source + random.below(32) - 16;
      const fits = near >= 0 && near + length <= ROOM_LENGTH;
      const destination = fits && random.chance(50) ? near : place();
      const expected = room.slice();
      for (let i = 0; i < length; i += bytes) {
        expected.copyWithin(destination + i, source + i, source + i + bytes);
      }
      guest.p.setGpr(RSI, BigInt(ROOM + source));
      guest.p.setGpr(RDI, BigInt(ROOM + destination));
      guest.p.setGpr(RCX, BigInt(count));
      repeat(guest, MOVS[bytes]);
      expect(Buffer.compare(room, expected)).toBe(0);
      expect(guest.p.gpr(RSI)).toBe(BigInt(ROOM + source + length));
      expect(guest.p.gpr(RDI)).toBe(BigInt(ROOM + destination + length));
    }
  });

  it("MOVS downwards", () => {
    const random = new SeededRandom(bytes + 200);
    for (let round = 0; round < 60; round++) {
      const { guest, room, length, count, place } = prepare(random);
      const source = place();
      const near = source + random.below(32) - 16;
      const fits = near >= 0 && near + length <= ROOM_LENGTH;
      const destination = fits && random.chance(50) ? near : place();
      const expected = room.slice();
      for (let i = length - bytes; i >= 0; i -= bytes) {
        expected.copyWithin(destination + i, source + i, source + i + bytes);
      }
      guest.p.changeSystemFlags(0, RFLAGS.DF);
      guest.p.setGpr(RSI, BigInt(ROOM + source + length - bytes));
      guest.p.setGpr(RDI, BigInt(ROOM + destination + length - bytes));
      guest.p.setGpr(RCX, BigInt(count));
      repeat(guest, MOVS[bytes]);
      expect(Buffer.compare(room, expected)).toBe(0);
      expect(guest.p.gpr(RSI)).toBe(BigInt(ROOM + source - bytes));
      expect(guest.p.gpr(RDI)).toBe(BigInt(ROOM + destination - bytes));
    }
  });

  it("STOS", () => {
    const random = new SeededRandom(bytes + 100);
    for (let round = 0; round < 40; round++) {
      const { guest, room, length, count, place } = prepare(random);
      const destination = place();
      const value = random.pick([0n, 0x0123_4567_89ab_cdefn, 0x55n]);
      const expected = room.slice();
      for (let i = 0; i < length; i++) {
        expected[destination + i] = Number((value >> BigInt(8 * (i % bytes))) & 0xffn);
      }
      guest.p.setGpr(RAX, value);
      guest.p.setGpr(RDI, BigInt(ROOM + destination));
      guest.p.setGpr(RCX, BigInt(count));
      repeat(guest, STOS[bytes]);
      expect(Buffer.compare(room, expected)).toBe(0);
      expect(guest.p.gpr(RDI)).toBe(BigInt(ROOM + destination + length));
    }
  });
});
