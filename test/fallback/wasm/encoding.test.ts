import { expect, test } from "vitest";
import { ByteSink, pushSigned } from "../../../fallback/wasm/encoding.ts";
import { i32, i64 } from "../../../fallback/wasm/expression.ts";
import { WasmReader } from "../../../fallback/wasm/reader.ts";

/** What is around each power of two, as far as an i64 goes. */
const BOUNDARIES = Array.from({ length: 64 }, (_, bits) => 1n << BigInt(bits))
  .flatMap((power) => [power - 2n, power - 1n, power, power + 1n])
  .flatMap((value) => [value, -value])
  .filter((value) => BigInt.asIntN(64, value) === value);

const encoded = (value: number | bigint): Uint8Array => {
  const code = new ByteSink();
  pushSigned(code, value);
  return code.bytes;
};

/** Bits that two's complement needs for a number, with one for the sign. */
const bitsOf = (value: bigint): number => (value < 0n ? ~value : value).toString(2).length + 1;

test("signed numbers are encoded in as few bytes as they can be, and are the same again", () => {
  for (const value of BOUNDARIES) {
    const bytes = encoded(value);
    expect(new WasmReader(bytes).signed()).toBe(value);
    if (value !== 0n && value !== -1n) expect(bytes).toHaveLength(Math.ceil(bitsOf(value) / 7));
    const asNumber = Number(value);
    if (Number.isSafeInteger(asNumber)) expect(encoded(asNumber)).toEqual(bytes);
  }
});

test("a constant knows its value and how wide it is", () => {
  for (const value of BOUNDARIES) {
    const { constant, width } = i64.const(value);
    expect(constant).toBe(value);
    expect(width).toBe(value < 0n ? undefined : value.toString(2).length);
    const low = Number(BigInt.asIntN(32, value));
    expect(i32.wrap(i64.const(value)).constant).toBe(low);
    expect(i64.extendU(i32.const(low)).constant).toBe(BigInt.asUintN(32, value));
    expect(i64.extendS(i32.const(low)).constant).toBe(BigInt(low));
  }
  expect(i32.const(-1).constant).toBe(-1);
  expect(i32.const(2 ** 32 - 1).constant).toBe(-1);
  expect(i32.add(i32.const(2 ** 31 - 1), i32.const(1)).constant).toBe(-(2 ** 31));
  expect(i64.const(255)).toBe(i64.const(255));
});
