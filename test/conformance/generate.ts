import type { Form } from "../../fallback/isa/form.ts";
import type { OperandSpec } from "../../fallback/isa/operand.ts";
import { operandBits } from "../../fallback/isa/variant.ts";
import type { SeededRandom } from "../support/random.ts";
import { vexPrefix } from "../support/vex-prefix.ts";
import { encodeAddress } from "./addressing.ts";
import type { Backgrounds } from "./backgrounds.ts";
import type { CpuState } from "./cpu-state.ts";
import type { Mode, Snippet } from "./driver.ts";
import { CODE } from "./environment.ts";
import type { TestForm } from "./forms.ts";
import { prepareOperands, prepareState } from "./preparation.ts";
import { chooseShape, type Shape } from "./shape.ts";
import * as values from "./values.ts";

/** A snippet, and what of its making the comparison needs to know. */
export interface GeneratedTest {
  readonly form: TestForm;
  readonly snippet: Snippet;
  readonly operandSize: 16 | 32 | 64;
  /** Linear address of the memory operand, if the snippet has one by ModRM. */
  readonly target: bigint | undefined;
  /** The register that ModRM.rm names instead. */
  readonly rm: number | undefined;
  /** The last immediate. */
  readonly immediate: number | undefined;
}

const LONGEST = 15;
/** x87, SSE and AVX. */
const COMPONENTS = 7n;
const REX = 0x40;
/** Bits of the second of three bytes. */
const VEX_MAP = 0x1f;
const ESCAPES: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];

/** An encoding of `form` at random, and a state for it. */
export function generate(
  form: TestForm,
  mode: Mode,
  random: SeededRandom,
  backgrounds: Backgrounds,
): GeneratedTest {
  for (;;) {
    const test = attempt(form, mode, random, backgrounds);
    if (test.snippet.code.length <= LONGEST && !isAboutOthers(test)) return test;
  }
}

/** The host's processor has components of the state that ours has not, and an address was made of RAX or RDX. */
function isAboutOthers({ form: { form }, snippet: { state } }: GeneratedTest): boolean {
  if (!/^(XSAVE|XRSTOR)/.test(form.instruction.name)) return false;
  const [rax, rdx] = [0, 2].map((register) => BigInt.asUintN(32, state.gpr(register)));
  return rdx !== 0n || (rax ?? 0n) > COMPONENTS;
}

function attempt(
  testForm: TestForm,
  mode: Mode,
  random: SeededRandom,
  backgrounds: Backgrounds,
): GeneratedTest {
  const { form } = testForm;
  const state = backgrounds.pick(random);
  if (mode === 32) narrow(state);
  const shape = chooseShape(form, mode, random);
  const target = chooseTarget(form, random);
  prepareOperands(form, shape, state, random, target);
  prepareState(form, shape, state, random, target);
  const { code, immediate, address } = encode(form, shape, state, random, target);
  if (mode === 32) narrow(state);
  return {
    form: testForm,
    snippet: { mode, code, state },
    operandSize: shape.operandSize,
    target: shape.memory ? (address ?? target) : undefined,
    rm: shape.memory || !form.hasModRm ? undefined : shape.rm | (shape.rexB << 3),
    immediate,
  };
}

const AREA = /^(FXSAVE|FXRSTOR|XSAVE|XRSTOR)/;
const AREA_ALIGNMENT = 64n;

/** Where the operand in memory is to be. */
function chooseTarget({ instruction }: Form, random: SeededRandom): bigint {
  const address = values.dataAddress(random);
  if (!AREA.test(instruction.name) || random.chance(10)) return address;
  return address & ~(AREA_ALIGNMENT - 1n);
}

/** What 32-bit code cannot see is zero. */
function narrow(state: CpuState): void {
  for (let register = 0; register < 16; register++) {
    state.setGpr(register, register < 8 ? BigInt.asUintN(32, state.gpr(register)) : 0n);
  }
  state.fsBase = BigInt.asUintN(32, state.fsBase);
  state.gsBase = BigInt.asUintN(32, state.gsBase);
}

function encode(
  form: Form,
  shape: Shape,
  state: CpuState,
  random: SeededRandom,
  target: bigint,
): { code: Uint8Array; immediate: number | undefined; address: bigint | undefined } {
  let { rexX, rexB } = shape;
  let operandBytes: number[] = [];
  let ripRelativeAt = -1;
  let address: bigint | undefined;
  if (form.modRm !== undefined) {
    operandBytes = [form.modRm];
  } else if (shape.memory && form.hasModRm) {
    const { mode, addressSize, override } = shape;
    const segmentBase = override === "fs" ? state.fsBase : override === "gs" ? state.gsBase : 0n;
    const indexBits = vectorIndexBits(form);
    const request = { mode, addressSize, target, segmentBase, indexBits };
    const encoded = encodeAddress(state, random, request);
    ({ rexX, rexB, target: address } = encoded);
    operandBytes = encoded.bytes;
    operandBytes[0] = (operandBytes[0] ?? 0) | (shape.reg << 3);
    if (encoded.ripRelative) ripRelativeAt = operandBytes.length - 4;
  } else if (form.hasModRm) {
    operandBytes = [0xc0 | (shape.reg << 3) | shape.rm];
  }
  const head = [...shape.prefixes, ...prefix(form, shape, rexX, rexB), form.opcode];
  const start = head.length + operandBytes.length;
  const tail = immediates(form, shape, state, random, { start, target });
  const bytes = [...head, ...operandBytes, ...tail.bytes];
  const code = Uint8Array.from(bytes);
  if (ripRelativeAt >= 0) {
    const at = head.length + ripRelativeAt;
    const view = new DataView(code.buffer);
    view.setInt32(at, (view.getInt32(at, true) - (CODE + code.length)) | 0, true);
  }
  return { code, immediate: tail.value, address };
}

const GATHER = /^VP?GATHER([DQ])/;

/** Of what takes a vector of indices: how wide each is. */
function vectorIndexBits({ instruction }: Form): 32 | 64 | undefined {
  const [, type] = GATHER.exec(instruction.name) ?? [];
  return type === undefined ? undefined : type === "D" ? 32 : 64;
}

/** REX and the opcode's escape bytes, or VEX. */
function prefix(form: Form, shape: Shape, rexX: number, rexB: number): number[] {
  const { mode, rexW, rexR, vex } = shape;
  const rxb = (rexR << 2) | (rexX << 1) | rexB;
  if (vex !== undefined) {
    const bytes = vexPrefix(form, { ...vex, rxb: vex.ignoredB ? 1 : rxb }, vex.short);
    if (vex.map !== undefined) bytes[1] = ((bytes[1] ?? 0) & ~VEX_MAP) | vex.map;
    return vex.behindRex ? [REX, ...bytes] : bytes;
  }
  const rex = REX | (rexW << 3) | rxb;
  const hasRex = mode === 64 && (rex !== REX || shape.plainRex);
  return [...(hasRex ? [rex] : []), ...(ESCAPES[form.map] ?? [])];
}

interface Tail {
  readonly bytes: number[];
  readonly value: number | undefined;
}

function immediates(
  form: Form,
  shape: Shape,
  state: CpuState,
  random: SeededRandom,
  place: { readonly start: number; readonly target: bigint },
): Tail {
  const bytes: number[] = [];
  let value: number | undefined;
  const push = (number: bigint, size: number): void => {
    for (let i = 0; i < size; i++) bytes.push(Number((number >> BigInt(i * 8)) & 0xffn));
  };
  for (const spec of form.operands) {
    if (spec.place === "xmm-immediate") {
      value = shape.vex?.immediate ?? 0;
      push(BigInt(value), 1);
    } else if (spec.place === "immediate") {
      const size = immediateBytes(spec, shape);
      const small = form.instruction.name === "ENTER" && random.chance(80);
      const number = small ? BigInt(random.below(40)) : values.integer(random);
      push(number, size);
      value = Number(BigInt.asUintN(Math.min(size, 4) * 8, number));
    } else if (spec.place === "offset") {
      const { override, addressSize } = shape;
      const base = override === "fs" ? state.fsBase : override === "gs" ? state.gsBase : 0n;
      push(place.target - base, addressSize / 8);
    } else if (spec.place === "relative") {
      const size = spec.width === 8 ? 1 : shape.mode === 32 && shape.operandSize === 16 ? 2 : 4;
      push(branchDistance(random, size, place.start + size), size);
    }
  }
  return { bytes, value };
}

function immediateBytes(spec: OperandSpec, { operandSize }: Shape): number {
  if (spec.width === "z") return operandSize === 16 ? 2 : 4;
  return operandBits(spec, operandSize) / 8;
}

/** Anywhere but into the branch itself. @param length of the instruction */
function branchDistance(random: SeededRandom, size: number, length: number): bigint {
  for (;;) {
    const known = size > 1 && random.chance(97);
    const distance = known
      ? BigInt(values.codeTarget(random) - (CODE + length))
      : BigInt.asIntN(size * 8, values.integer(random));
    if (distance >= 0n || distance < -length) return distance;
  }
}
