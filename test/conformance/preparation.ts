/** Values for operands, and what some instructions need to do more than fault. */
import type { Form } from "../../fallback/isa/form.ts";
import type { OperandSpec } from "../../fallback/isa/operand.ts";
import type { SeededRandom } from "../support/random.ts";
import { randomFlags, randomizeMxcsr, randomizeX87Control } from "./backgrounds.ts";
import type { CpuState } from "./cpu-state.ts";
import { DATA, DATA_SIZE } from "./environment.ts";
import type { Shape } from "./shape.ts";
import * as values from "./values.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;

/** Writes what of `bytes` at a linear address lies in the data pages. */
function poke(state: CpuState, address: bigint, bytes: Uint8Array): void {
  const offset = address - BigInt(DATA);
  if (offset < -64n || offset >= BigInt(DATA_SIZE)) return;
  bytes.forEach((byte, index) => {
    const at = Number(offset) + index;
    if (at >= 0 && at < DATA_SIZE) state.data[at] = byte;
  });
}

function peek64(state: CpuState, address: bigint): bigint {
  const offset = Number(BigInt.asUintN(64, address)) - DATA;
  if (offset < 0 || offset > DATA_SIZE - 8) return 0n;
  return new DataView(state.data.buffer, state.data.byteOffset).getBigUint64(offset, true);
}

function bytes64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}

const isX87 = (form: Form): boolean => form.map === 0 && (form.opcode & 0xf8) === 0xd8;

const TEXT_INSTRUCTION = /^V?PCMP[EI]STR/;
const INTEGER_X87 = /^FI|^FBLD/;

/** What a vector operand is made of, by its operand type. */
function vectorKind(form: Form, spec: OperandSpec, random: SeededRandom): values.VectorKind {
  if (TEXT_INSTRUCTION.test(form.instruction.name)) return random.chance(80) ? "text" : "bytes";
  const type = spec.code.slice(1);
  if (type === "ps" || type === "ss") return "single";
  if (type === "pd" || type === "sd") return "double";
  return random.pick(["integer", "bytes", "integer", "single", "double"] as const);
}

function x87Memory(form: Form, random: SeededRandom, width: number): Uint8Array {
  const { name } = form.instruction;
  if (name === "FBLD") return values.packedDecimal(random);
  if (INTEGER_X87.test(name)) return bytes64(values.integer(random));
  if (width === 32) return bytes64(values.single(random));
  if (width === 64) return bytes64(values.double(random));
  return values.extended(random);
}

/** Fresh values for what the encoding names: registers by ModRM, memory at `target`. */
export function prepareOperands(
  form: Form,
  shape: Shape,
  state: CpuState,
  random: SeededRandom,
  target: bigint,
): void {
  state.rflags = randomFlags(random);
  const reg = shape.reg | (shape.rexR << 3);
  const rm = shape.rm | (shape.rexB << 3);
  const lastRegister = shape.mode === 64 ? 15 : 7;
  const vvvv = (shape.vex?.vvvv ?? 0) & lastRegister;
  for (const spec of form.operands) {
    const { place } = spec;
    const vector = (): Uint8Array => values.vector(random, vectorKind(form, spec, random));
    const setVector = (register: number): void => {
      state.xmm(register).set(vector());
      if (form.unit === "avx") state.ymmUpper(register).set(vector());
    };
    if (place === "reg") setGpr(state, reg, values.integer(random));
    else if (place === "xmm-reg") setVector(reg);
    else if (place === "vvvv") setGpr(state, vvvv, values.integer(random));
    else if (place === "xmm-vvvv") setVector(vvvv);
    else if (place === "xmm-immediate")
      setVector(((shape.vex?.immediate ?? 0) >> 4) & lastRegister);
    else if (place === "mmx-reg")
      state.st(shape.reg).set(values.vector(random, "integer").subarray(0, 8));
    else if (place === "opcode-register") {
      setGpr(state, (form.opcode & 7) | (shape.rexB << 3), values.integer(random));
    } else if (place === "fixed" && spec.code === "XMM0") state.xmm(0).set(vector());
    else if (shape.memory) poke(state, target, memoryOperand(form, spec, random, vector));
    else if (place === "rm" || place === "rm-register") setGpr(state, rm, values.integer(random));
    else if (place.startsWith("xmm-rm")) setVector(rm);
    else if (place.startsWith("mmx-rm")) {
      state.st(shape.rm).set(values.vector(random, "integer").subarray(0, 8));
    }
  }
  for (const register of [RAX, RCX, RDX]) {
    if (random.chance(60)) state.setGpr(register, values.integer(random));
  }
  if (form.map > 0) randomizeMxcsr(state, random);
  if (!isX87(form)) return;
  randomizeX87Control(state, random);
  for (const register of [0, 1, shape.rm]) state.st(register).set(values.extended(random));
}

/** RSP stays a pointer unless a test's address needs it. */
function setGpr(state: CpuState, register: number, value: bigint): void {
  if (register !== RSP) state.setGpr(register, value);
}

function memoryOperand(
  form: Form,
  spec: OperandSpec,
  random: SeededRandom,
  vector: () => Uint8Array,
): Uint8Array {
  if (isX87(form)) return x87Memory(form, random, typeof spec.width === "number" ? spec.width : 0);
  if (spec.width === 256) return Buffer.concat([vector(), vector()]);
  if (spec.place === "xmm-rm" || spec.width === 128) return vector();
  const bytes = new Uint8Array(16);
  bytes.set(bytes64(values.integer(random)));
  bytes.set(bytes64(values.integer(random)), 8);
  return bytes;
}

interface Context {
  readonly shape: Shape;
  readonly state: CpuState;
  readonly random: SeededRandom;
  readonly target: bigint;
}
type Preparation = (context: Context) => void;

const REACHABLE = 0x400;
const inData = (random: SeededRandom): bigint =>
  BigInt(DATA + REACHABLE + random.below(DATA_SIZE - 2 * REACHABLE));

const smallCount: Preparation = ({ state, random }) => {
  if (!random.chance(90)) return;
  const limit = random.pick([3, 20, 300]);
  state.setGpr(RCX, BigInt(random.below(limit)));
};

const strings: Preparation = (context) => {
  const { state, random } = context;
  smallCount(context);
  if (random.chance(90)) state.setGpr(RSI, inData(random));
  if (random.chance(90)) state.setGpr(RDI, inData(random));
  // Equal stretches, so that comparisons go on for a while.
  if (random.chance(50)) {
    const from = Number(state.gpr(RSI)) - DATA;
    const to = state.gpr(RDI);
    if (from >= 0 && from < DATA_SIZE) poke(state, to, state.data.slice(from, from + 0x80));
  }
  if (random.chance(50)) state.setGpr(RAX, peek64(state, state.gpr(RDI)));
};

const division: Preparation = ({ state, random, shape }) => {
  if (!random.chance(80)) return;
  const rax = state.gpr(RAX);
  const bits = BigInt(shape.operandSize);
  const negative = ((rax >> (bits - 1n)) & 1n) !== 0n && random.chance(50);
  state.setGpr(RDX, negative ? values.unsigned64(-1n) : BigInt(random.below(3)));
  // The byte form divides AX.
  if (random.chance(50)) state.setGpr(RAX, (rax & ~0xff00n) | BigInt(random.below(4) << 8));
};

const bitOffset: Preparation = ({ state, random, shape }) => {
  const register = shape.reg | (shape.rexR << 3);
  if (!random.chance(85)) return;
  setGpr(state, register, values.unsigned64(BigInt(random.below(0x1000) - 0x800)));
};

const codeOnStack: Preparation = ({ state, random }) => {
  if (random.chance(90)) poke(state, state.gpr(RSP), bytes64(BigInt(values.codeTarget(random))));
};

const codeInOperand: Preparation = ({ state, random, shape, target }) => {
  if (!random.chance(85)) return;
  const address = BigInt(values.codeTarget(random));
  if (shape.memory) poke(state, target, bytes64(address));
  else state.setGpr(shape.rm | (shape.rexB << 3), address);
};

const frame: Preparation = ({ state, random }) => {
  if (random.chance(85)) state.setGpr(RBP, inData(random));
};

const stackInData: Preparation = ({ state, random }) => {
  if (random.chance(90)) state.setGpr(RSP, inData(random) & ~7n);
};

const compareExchange: Preparation = ({ state, random, shape, target }) => {
  if (!random.chance(50)) return;
  const old = shape.memory ? peek64(state, target) : state.gpr(shape.rm | (shape.rexB << 3));
  state.setGpr(RAX, old);
};

const compareExchangeWide: Preparation = ({ state, random, shape, target }) => {
  if (!random.chance(50)) return;
  const [low, high] = [peek64(state, target), peek64(state, target + 8n)];
  state.setGpr(RAX, shape.rexW ? low : BigInt.asUintN(32, low));
  state.setGpr(RDX, shape.rexW ? high : low >> 32n);
};

const lengths: Preparation = ({ state, random }) => {
  for (const register of [RAX, RDX]) {
    if (random.chance(80)) state.setGpr(register, values.unsigned64(BigInt(random.below(40) - 20)));
  }
};

const RESERVED_MXCSR = ~0xffff;
const controlInMemory: Preparation = ({ state, random, target }) => {
  const word = new Uint8Array(4);
  const value = random.next() & (random.chance(95) ? 0xffff : RESERVED_MXCSR);
  new DataView(word.buffer).setUint32(0, value, true);
  poke(state, target, word);
};

const fxsaveImage: Preparation = ({ state, random, target }) => {
  if (random.chance(90)) poke(state, target, state.fx.slice());
};

/** The host's processor has more components than ours: instructions are about some of these. */
const components: Preparation = ({ state, random }) => {
  state.setGpr(RAX, BigInt(random.below(8)));
  state.setGpr(RDX, 0n);
};

const LEGACY_REGION = 512;
const XSAVE_HEADER = 64;
const COMPACTED = 1n << 63n;

const xsaveArea: Preparation = ({ state, random, target }) => {
  poke(state, target, state.fx.slice());
  const header = new Uint8Array(XSAVE_HEADER);
  if (random.chance(4)) header[8 + random.below(56)] = 1 << random.below(8);
  const view = new DataView(header.buffer);
  const present = BigInt(random.below(random.chance(96) ? 8 : 16));
  view.setBigUint64(0, present, true);
  if (random.chance(40)) {
    const room = BigInt(random.below(8)) | (random.chance(90) ? present : 0n);
    view.setBigUint64(8, COMPACTED | room, true);
  }
  poke(state, target + BigInt(LEGACY_REGION), header);
};

const table: Preparation = ({ state, random }) => {
  if (random.chance(90)) state.setGpr(RBX, inData(random));
};

const implicitDestination: Preparation = ({ state, random }) => {
  if (random.chance(90)) state.setGpr(RDI, inData(random));
};

/** By the instruction's name. */
const PREPARATIONS: readonly (readonly [RegExp, Preparation])[] = [
  [/^I?DIV$/, division],
  [/^BT[CRS]?$/, bitOffset],
  [/^(PUSH|POP|CALL|RET|ENTER|LEAVE)/, stackInData],
  [/^RET/, codeOnStack],
  [/^(JMP|CALL)$/, codeInOperand],
  [/^(ENTER|LEAVE)$/, frame],
  [/^(LOOP|J.?CXZ)/, smallCount],
  [/^CMPXCHG$/, compareExchange],
  [/^CMPXCHG(8|16)B$/, compareExchangeWide],
  [TEXT_INSTRUCTION, lengths],
  [/^V?LDMXCSR$/, controlInMemory],
  [/^FXRSTOR/, fxsaveImage],
  [/^(XSAVE|XRSTOR)/, components],
  [/^XRSTOR/, xsaveArea],
  [/^XLAT/, table],
  [/^V?MASKMOV(Q|DQU)$/, implicitDestination],
];

export function prepareState(
  form: Form,
  shape: Shape,
  state: CpuState,
  random: SeededRandom,
  target: bigint,
): void {
  const context = { shape, state, random, target };
  if (form.instruction.repeat) strings(context);
  for (const [name, prepare] of PREPARATIONS) {
    if (name.test(form.instruction.name)) prepare(context);
  }
}
