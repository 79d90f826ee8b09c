import { GENERAL_REGISTERS } from "../../src/core/cpu.ts";
import { hex } from "../../src/core/units.ts";
import { type CpuState, IMAGE } from "./cpu-state.ts";
import type { Fault, SnippetResult } from "./driver.ts";
import { DATA } from "./environment.ts";
import { FLAG_BITS, type Undefined } from "./undefined-results.ts";

/** One thing that two results differ in. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

export const NOTHING_UNDEFINED: Undefined = {
  flags: 0n,
  statusWord: 0,
  gpr: undefined,
  ulps: 0,
  singleError: 0,
  pointers: false,
  memory: [],
};

const RSP = 4;
const TOP = 0x3800;
const TOP_SHIFT = 11;

const OTHER_FLAGS: Readonly<Record<string, bigint>> = {
  DF: 0x400n,
  NT: 0x4000n,
  AC: 0x4_0000n,
  ID: 0x20_0000n,
};

export function describeFlags(flags: bigint): string {
  const status = Object.entries(FLAG_BITS).map(([letter, bit]) => (flags & bit ? letter : "-"));
  const others = Object.entries(OTHER_FLAGS).filter(([, bit]) => flags & bit);
  return [status.join(""), ...others.map(([name]) => name)].join(" ");
}

export function describeFault(fault: Fault | undefined): string {
  if (fault === undefined) return "none";
  const { vector, errorCode, cr2 } = fault;
  const code = errorCode === undefined ? "" : ` error ${hex(errorCode)}`;
  return `vector ${vector}${code}${cr2 === undefined ? "" : ` cr2 ${hex(cr2)}`}`;
}

/** The value of little-endian bytes. */
export function describeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString("hex");
}

const sameFault = (a: Fault | undefined, b: Fault | undefined): boolean =>
  a?.vector === b?.vector && a?.errorCode === b?.errorCode && a?.cr2 === b?.cr2;

/** Whether two results have no difference at all, which is soon found out. */
export const isSame = (expected: SnippetResult, actual: SnippetResult): boolean =>
  sameFault(expected.fault, actual.fault) &&
  Buffer.compare(expected.state.bytes, actual.state.bytes) === 0;

/** The differences of two results, but for what is undefined. */
export function compare(
  expected: SnippetResult,
  actual: SnippetResult,
  undefinedParts: Undefined = NOTHING_UNDEFINED,
): Difference[] {
  if (undefinedParts.unjudged === true) return [];
  const [a, b] = [expected.state, actual.state];
  if (sameFault(expected.fault, actual.fault) && Buffer.compare(a.bytes, b.bytes) === 0) return [];
  const differences: Difference[] = [];
  const check = (what: string, same: boolean, show: (r: SnippetResult) => string): void => {
    if (!same) differences.push({ what, expected: show(expected), actual: show(actual) });
  };
  check("fault", sameFault(expected.fault, actual.fault), ({ fault }) => describeFault(fault));
  check("rip", a.rip === b.rip, ({ state }) => hex(state.rip));
  // A fault leaves flags as they were: nothing is undefined then.
  const flags =
    expected.fault === undefined ? undefinedParts.flags : (undefinedParts.faultFlags ?? 0n);
  check("rflags", ((a.rflags ^ b.rflags) & ~flags) === 0n, ({ state }) =>
    describeFlags(state.rflags),
  );
  GENERAL_REGISTERS.forEach((name, register) => {
    if (undefinedParts.gpr === register) return;
    if (undefinedParts.popped === true && register !== RSP) return;
    check(name, a.gpr(register) === b.gpr(register), ({ state }) => hex(state.gpr(register)));
  });
  check("fs base", a.fsBase === b.fsBase, ({ state }) => hex(state.fsBase));
  check("gs base", a.gsBase === b.gsBase, ({ state }) => hex(state.gsBase));
  compareX87(a, b, undefinedParts, check);
  for (let register = 0; register < 16; register++) {
    const same = sameVector(a.xmm(register), b.xmm(register), undefinedParts);
    check(`xmm${register}`, same, ({ state }) => describeBytes(state.xmm(register)));
  }
  for (let register = 0; register < 16; register++) {
    const same = sameVector(a.ymmUpper(register), b.ymmUpper(register), undefinedParts);
    check(`ymm${register} above`, same, ({ state }) => describeBytes(state.ymmUpper(register)));
  }
  check("mxcsr", a.mxcsr === b.mxcsr, ({ state }) => hex(state.mxcsr, 4));
  return [...differences, ...compareMemory(a, b, undefinedParts.memory)];
}

type Check = (what: string, same: boolean, show: (result: SnippetResult) => string) => void;

function compareX87(a: CpuState, b: CpuState, undefinedParts: Undefined, check: Check): void {
  check("x87 control", a.controlWord === b.controlWord, ({ state }) => hex(state.controlWord, 4));
  const top = undefinedParts.top === true;
  const status = (a.statusWord ^ b.statusWord) & ~undefinedParts.statusWord & (top ? ~TOP : ~0);
  check("x87 status", status === 0, ({ state }) => hex(state.statusWord, 4));
  check("x87 tags", top || a.tagWord === b.tagWord, ({ state }) => hex(state.tagWord, 2));
  const pointers = ({ bytes }: CpuState): Uint8Array => bytes.subarray(IMAGE.OPCODE, IMAGE.MXCSR);
  if (!undefinedParts.pointers) {
    check("x87 pointers", Buffer.compare(pointers(a), pointers(b)) === 0, ({ state }) =>
      describeBytes(pointers(state)),
    );
  }
  const turned = top ? topOf(b) - topOf(a) : 0;
  for (let register = 0; register < 8; register++) {
    const [one, other] = [a.st(register), b.st((register - turned) & 7)];
    const same = sameExtended(one, other, undefinedParts.ulps);
    check(`st${register}`, same, ({ state }) => describeBytes(state.st(register)));
  }
}

const topOf = (state: CpuState): number => (state.statusWord & TOP) >> TOP_SHIFT;

function sameExtended(a: Uint8Array, b: Uint8Array, ulps: number): boolean {
  if (Buffer.compare(a, b) === 0) return true;
  if (ulps === 0) return false;
  const distance = positionOf(a) - positionOf(b);
  return distance <= BigInt(ulps) && distance >= -BigInt(ulps);
}

/** Sign, exponent and fraction in one number: neighbours differ by one. */
function positionOf(bytes: Uint8Array): bigint {
  const value = BigInt(`0x${describeBytes(bytes)}`);
  return ((value >> 64n) << 63n) | BigInt.asUintN(63, value);
}

function sameVector(
  a: Uint8Array,
  b: Uint8Array,
  { singleError, nans = false }: Undefined,
): boolean {
  if (Buffer.compare(a, b) === 0) return true;
  const [first, second] = [viewOf(a), viewOf(b)];
  if (nans && sameButForNans(first, second)) return true;
  if (singleError === 0) return false;
  return [0, 4, 8, 12].every((lane) => {
    if (first.getUint32(lane, true) === second.getUint32(lane, true)) return true;
    const [x, y] = [first.getFloat32(lane, true), second.getFloat32(lane, true)];
    return Number.isFinite(x) && Math.abs(x - y) <= Math.abs(x) * singleError;
  });
}

/** Elements of either precision. */
function sameButForNans(a: DataView, b: DataView): boolean {
  const singles = [0, 4, 8, 12].every(
    (at) =>
      a.getUint32(at, true) === b.getUint32(at, true) ||
      (Number.isNaN(a.getFloat32(at, true)) && Number.isNaN(b.getFloat32(at, true))),
  );
  const doubles = [0, 8].every(
    (at) =>
      a.getBigUint64(at, true) === b.getBigUint64(at, true) ||
      (Number.isNaN(a.getFloat64(at, true)) && Number.isNaN(b.getFloat64(at, true))),
  );
  return singles || doubles;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function compareMemory(a: CpuState, b: CpuState, holes: Undefined["memory"]): Difference[] {
  if (Buffer.compare(a.data, b.data) === 0) return [];
  const differences: Difference[] = [];
  const isHole = (address: bigint): boolean =>
    holes.some(([start, length]) => address >= start && address < start + BigInt(length));
  const differs = (at: number): boolean =>
    at < a.data.length && a.data[at] !== b.data[at] && !isHole(BigInt(DATA + at));
  for (let at = 0; at < a.data.length; at++) {
    const start = at;
    while (differs(at)) at++;
    if (at === start) continue;
    differences.push({
      what: `[${hex(DATA + start)}]`,
      expected: Buffer.from(a.data.subarray(start, at)).toString("hex"),
      actual: Buffer.from(b.data.subarray(start, at)).toString("hex"),
    });
  }
  return differences;
}
