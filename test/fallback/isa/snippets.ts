import { plainState } from "../../conformance/backgrounds.ts";
import type { CpuState } from "../../conformance/cpu-state.ts";
import type { Mode, SnippetResult } from "../../conformance/driver.ts";
import { Fallback } from "../../conformance/fallback.ts";

const cpu = new Fallback();

/**
 * Runs one instruction.
 * @param code bytes in hexadecimal, as disassemblers print them
 */
export function run(
  code: string,
  prepare: (state: CpuState) => void = () => {},
  mode: Mode = 64,
): SnippetResult {
  const state = plainState();
  prepare(state);
  const bytes = Uint8Array.from(code.split(" "), (byte) => Number.parseInt(byte, 16));
  return cpu.run({ mode, code: bytes, state });
}

/** 128 bits, written with the highest first, in groups as one likes. */
export function bytesOf(text: string): Uint8Array {
  const digits = text.replaceAll(/[ _]/g, "").padStart(32, "0");
  const bytes = digits.match(/../g) ?? [];
  return Uint8Array.from(bytes.reverse(), (byte) => Number.parseInt(byte, 16));
}

export const setXmm = (state: CpuState, register: number, text: string): void =>
  state.xmm(register).set(bytesOf(text));

/** 256 bits in the same way: without the upper ones, these are zero. */
export function setYmm(state: CpuState, register: number, text: string): void {
  const digits = text.replaceAll(/[ _]/g, "").padStart(64, "0");
  setXmm(state, register, digits.slice(32));
  state.ymmUpper(register).set(bytesOf(digits.slice(0, 32)));
}

const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .reverse()
    .join("");

const inGroups = (digits: string): string => (digits.match(/.{8}/g) ?? []).join(" ");

/** The highest first, in groups of eight digits. */
export const xmm = ({ state }: SnippetResult, register: number): string =>
  inGroups(hexOf(state.xmm(register)));

export const ymm = ({ state }: SnippetResult, register: number): string =>
  inGroups(hexOf(state.ymmUpper(register)) + hexOf(state.xmm(register)));

/** The low 64 bits of a register at ST(n): MMn when the stack's top is 0. */
export const mmx = ({ state }: SnippetResult, register: number): string =>
  hexOf(state.st(register).subarray(0, 8));

const numbers = new DataView(new ArrayBuffer(8));

/** The bits of a number in double precision. */
export function double(value: number): string {
  numbers.setFloat64(0, value);
  return numbers.getBigUint64(0).toString(16).padStart(16, "0");
}

/** The bits of a number in single precision. */
export function single(value: number): string {
  numbers.setFloat32(0, value);
  return numbers.getUint32(0).toString(16).padStart(8, "0");
}
