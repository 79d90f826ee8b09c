/**
 * Results of the real processor on file, for machines that cannot ask it: a snippet, its result and
 * what of that is undefined. States are kept as differences from a few common ones, the whole
 * compressed.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ByteReader, ByteWriter } from "./byte-stream.ts";
import { CpuState, IMAGE_SIZE } from "./cpu-state.ts";
import type { Fault, Mode, Snippet, SnippetResult } from "./driver.ts";
import type { Undefined } from "./undefined-results.ts";

export interface Vector {
  /** Instruction and encoding. */
  readonly name: string;
  readonly snippet: Snippet;
  readonly result: SnippetResult;
  readonly undefinedParts: Undefined;
}

const MAGIC = new TextEncoder().encode("solo5-kvm vectors 2\n");
const NOTHING = 0;
/** Of a relative error, which is a fraction. */
const ERROR_SCALE = 2 ** 32;

export function encodeVectors(vectors: readonly Vector[], bases: readonly CpuState[]): Uint8Array {
  const out = new ByteWriter();
  const names = [...new Set(vectors.map(({ name }) => name))];
  out.number(names.length);
  for (const name of names) out.block(new TextEncoder().encode(name));
  out.number(bases.length);
  for (const base of bases) out.raw(base.bytes);
  out.number(vectors.length);
  for (const vector of vectors) {
    out.number(names.indexOf(vector.name));
    out.number(vector.snippet.mode);
    out.block(vector.snippet.code);
    const base = nearest(bases, vector.snippet.state);
    out.number(base);
    out.difference((bases[base] as CpuState).bytes, vector.snippet.state.bytes);
    out.difference(vector.snippet.state.bytes, vector.result.state.bytes);
    writeFault(out, vector.result.fault);
    writeUndefined(out, vector.undefinedParts);
  }
  return Buffer.concat([MAGIC, deflateRawSync(out.bytes, { level: 9 })]);
}

/** @throws Error when the file is none of ours */
export function decodeVectors(file: Uint8Array): Vector[] {
  if (Buffer.compare(file.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw new Error("not a file of test vectors");
  }
  const input = new ByteReader(inflateRawSync(file.subarray(MAGIC.length)));
  const repeat = <T>(read: () => T): T[] => Array.from({ length: input.number() }, read);
  const names = repeat(() => new TextDecoder().decode(input.block()));
  const bases = repeat(() => input.raw(IMAGE_SIZE));
  return repeat(() => {
    const name = names[input.number()] ?? "";
    const mode = input.number() as Mode;
    const code = input.block().slice();
    const state = new CpuState(input.difference(bases[input.number()] as Uint8Array));
    const after = new CpuState(input.difference(state.bytes));
    const result = { state: after, fault: readFault(input) };
    return { name, snippet: { mode, code, state }, result, undefinedParts: readUndefined(input) };
  });
}

/** The base that differs least. */
function nearest(bases: readonly CpuState[], state: CpuState): number {
  const distance = ({ bytes }: CpuState): number =>
    bytes.reduce((sum, byte, at) => sum + (byte === state.bytes[at] ? 0 : 1), 0);
  const distances = bases.map(distance);
  return distances.indexOf(Math.min(...distances));
}

function writeFault(out: ByteWriter, fault: Fault | undefined): void {
  out.number(fault === undefined ? NOTHING : fault.vector + 1);
  if (fault === undefined) return;
  out.number(fault.errorCode === undefined ? NOTHING : fault.errorCode + 1);
  out.number(fault.cr2 === undefined ? NOTHING : 1);
  if (fault.cr2 !== undefined) out.big(fault.cr2);
}

function readFault(input: ByteReader): Fault | undefined {
  const vector = input.number() - 1;
  if (vector < 0) return undefined;
  const errorCode = input.number() - 1;
  const hasCr2 = input.number() !== NOTHING;
  return {
    vector,
    ...(errorCode < 0 ? {} : { errorCode }),
    ...(hasCr2 ? { cr2: input.big() } : {}),
  };
}

function writeUndefined(out: ByteWriter, parts: Undefined): void {
  out.number(Number(parts.flags));
  out.number(parts.statusWord);
  out.number(parts.gpr === undefined ? NOTHING : parts.gpr + 1);
  out.number(parts.ulps);
  out.number(Math.round(parts.singleError * ERROR_SCALE));
  out.number(parts.pointers ? 1 : 0);
  out.number(parts.memory.length);
  for (const [address, length] of parts.memory) {
    out.big(BigInt.asUintN(64, address));
    out.number(length);
  }
}

function readUndefined(input: ByteReader): Undefined {
  const flags = BigInt(input.number());
  const statusWord = input.number();
  const gpr = input.number() - 1;
  return {
    flags,
    statusWord,
    gpr: gpr < 0 ? undefined : gpr,
    ulps: input.number(),
    singleError: input.number() / ERROR_SCALE,
    pointers: input.number() !== 0,
    memory: Array.from({ length: input.number() }, () => [input.big(), input.number()] as const),
  };
}
