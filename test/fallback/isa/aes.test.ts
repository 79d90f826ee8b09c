import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import { run } from "./snippets.ts";

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** XMM0 after an instruction on XMM0 and XMM1, the lowest byte first. */
function combine(code: string, first: Uint8Array, second: Uint8Array): Buffer {
  const { state } = run(code, (before) => {
    before.xmm(0).set(first);
    before.xmm(1).set(second);
  });
  return Buffer.from(state.xmm(0));
}

const AESENC = "66 0f 38 dc c1";
const AESENCLAST = "66 0f 38 dd c1";
const AESDEC = "66 0f 38 de c1";
const AESDECLAST = "66 0f 38 df c1";
const AESIMC = "66 0f 38 db c1";
const assist = (constant: number): string =>
  `66 0f 3a df c1 ${constant.toString(16).padStart(2, "0")}`;
const NOTHING = new Uint8Array(16);
const ROUND_CONSTANTS = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];

const exclusive = (a: Uint8Array, b: Uint8Array): Buffer =>
  Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)));

/** FIPS 197 §5.2, for keys of 128 bits. */
function roundKeys(key: Buffer): Buffer[] {
  const keys = [key];
  for (const constant of ROUND_CONSTANTS) {
    const last = keys.at(-1) as Buffer;
    let word = combine(assist(constant), NOTHING, last).subarray(12);
    const words = [0, 4, 8, 12].map((at) => {
      word = exclusive(word, last.subarray(at, at + 4));
      return word;
    });
    keys.push(Buffer.concat(words));
  }
  return keys;
}

describe("AES", () => {
  test("makes a round as FIPS 197's appendix B", () => {
    const state = bytes("193de3be a0f4e22b 9ac68d2a e9f84808");
    const key = bytes("a0fafe17 88542cb1 23a33939 2a6c7605");
    expect(combine(AESENC, state, key).toString("hex")).toBe("a49c7ff2689f352b6b5bea43026a5049");
  });

  test("encrypts and decrypts", () => {
    const key = bytes("000102030405060708090a0b0c0d0e0f");
    const plain = bytes("00112233445566778899aabbccddeeff");
    const cipher = createCipheriv("aes-128-ecb", key, null).update(plain);
    const keys = roundKeys(key);
    const [first, ...others] = keys as [Buffer, ...Buffer[]];
    const last = others.pop() as Buffer;
    const encrypted = others.reduce(
      (state, round) => combine(AESENC, state, round),
      exclusive(plain, first),
    );
    expect(combine(AESENCLAST, encrypted, last)).toEqual(cipher);
    const decrypted = others
      .reverse()
      .map((round) => combine(AESIMC, NOTHING, round))
      .reduce((state, round) => combine(AESDEC, state, round), exclusive(cipher, last));
    expect(combine(AESDECLAST, decrypted, first)).toEqual(plain);
  });
});

test("PCLMULQDQ multiplies the halves that it is told without carries", () => {
  const first = bytes("0123456789abcdef ffffffffffffffff");
  const second = bytes("fedcba9876543210 0300000000000080");
  const product = (a: bigint, b: bigint): bigint =>
    Array.from({ length: 64 }, (_, bit) => BigInt(bit)).reduce(
      (sum, bit) => ((b >> bit) & 1n ? sum ^ (a << bit) : sum),
      0n,
    );
  for (const [high, low] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const) {
    const result = combine(`66 0f 3a 44 c1 ${high}${low}`, first, second);
    const expected = product(first.readBigUInt64LE(8 * low), second.readBigUInt64LE(8 * high));
    expect(result.readBigUInt64LE(0)).toBe(BigInt.asUintN(64, expected));
    expect(result.readBigUInt64LE(8)).toBe(expected >> 64n);
  }
});
