/**
 * The registers as debuggers see them, in the order of the `g` packet. The first four features are
 * GDB's own (GDB manual, appendix G.5.5), whose names and order are fixed; the fifth is ours.
 */
import { GENERAL_REGISTERS, type Registers, SEGMENT_REGISTERS } from "../../core/cpu.ts";
import { instructionAddress } from "../../core/debug.ts";
import { type ProcessorState, STATE_MSRS, type StateMsr } from "../../core/processor-state.ts";
import { fromLittleEndian, littleEndian } from "./hex.ts";
import { readTagWord, writeTagWord } from "./x87-tags.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
/** A copy of the state to be changed. */
export type StateDraft = Mutable<ProcessorState> & {
  registers: Registers;
  debugRegisters: bigint[];
  msrs: Record<StateMsr, bigint>;
};

export const draftOf = (state: ProcessorState): StateDraft => ({
  ...state,
  registers: { ...state.registers },
  debugRegisters: [...state.debugRegisters],
  fx: state.fx.slice(),
  ymmUppers: state.ymmUppers.slice(),
  msrs: { ...state.msrs },
});

export interface RegisterSpec {
  readonly name: string;
  readonly bits: number;
  /** A type of GDB's, or of the feature's own. */
  readonly type: string;
  readonly get: (state: ProcessorState) => bigint;
  readonly set: (draft: StateDraft, value: bigint) => void;
}

export interface Feature {
  readonly name: string;
  readonly registers: readonly RegisterSpec[];
}

type Getter = RegisterSpec["get"];
type Setter = RegisterSpec["set"];

const register = (
  name: string,
  bits: number,
  type: string,
  get: Getter,
  set: Setter,
): RegisterSpec => ({ name, bits, type, get, set });

/** In GDB's order, which is not that of encodings. */
const GENERAL = [
  ...(["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"] as const),
  ...GENERAL_REGISTERS.slice(8),
] as const;
const POINTERS: ReadonlySet<string> = new Set(["rbp", "rsp"]);
const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;

const plain = (
  name: (typeof GENERAL)[number] | "cr0" | "cr2" | "cr3" | "cr4" | "cr8" | "efer",
  type: string,
): RegisterSpec =>
  register(
    name,
    64,
    type,
    ({ registers }) => registers[name],
    ({ registers }, value) => {
      registers[name] = value;
    },
  );

/**
 * The linear address of the instruction: what breakpoints and memory are addressed by. It differs
 * from RIP where the code segment's base is not zero.
 */
const PROGRAM_COUNTER = register(
  "rip",
  64,
  "code_ptr",
  ({ registers }) => instructionAddress(registers),
  ({ registers }, value) => {
    const base = instructionAddress(registers) - registers.rip;
    registers.rip = BigInt.asUintN(base === 0n ? 64 : 32, value - base);
  },
);

const FLAGS = register(
  "eflags",
  32,
  "i386_eflags",
  ({ registers }) => registers.rflags,
  ({ registers }, value) => {
    registers.rflags = BigInt.asUintN(32, value) | 2n;
  },
);

/** Setting a selector loads no descriptor: base and rights stay. */
const selector = (name: (typeof SEGMENTS)[number] | "ldtr" | "tr"): RegisterSpec =>
  register(
    name,
    32,
    "int32",
    ({ registers }) => BigInt(registers[name].selector),
    ({ registers }, value) => {
      registers[name] = { ...registers[name], selector: Number(value & 0xffffn) };
    },
  );

const segmentBase = (name: (typeof SEGMENTS)[number] | "ldtr" | "tr"): RegisterSpec =>
  register(
    `${name}_base`,
    64,
    "int64",
    ({ registers }) => registers[name].base,
    ({ registers }, value) => {
      registers[name] = { ...registers[name], base: value };
    },
  );

const segmentLimit = (name: (typeof SEGMENTS)[number] | "ldtr" | "tr"): RegisterSpec =>
  register(
    `${name}_limit`,
    32,
    "uint32",
    ({ registers }) => BigInt(registers[name].limit),
    ({ registers }, value) => {
      registers[name] = { ...registers[name], limit: Number(BigInt.asUintN(32, value)) };
    },
  );

/** A field of FXSAVE's image (Intel SDM vol. 1 §10.5.1). @param bytes that it has there */
const fxField = (name: string, bits: number, type: string, at: number, bytes: number) =>
  register(
    name,
    bits,
    type,
    ({ fx }) => fromLittleEndian(fx.subarray(at, at + bytes)),
    ({ fx }, value) => {
      fx.set(littleEndian(value, bytes), at);
    },
  );

const FXSAVE = {
  CONTROL_WORD: 0x00,
  STATUS_WORD: 0x02,
  OPCODE: 0x06,
  INSTRUCTION_POINTER: 0x08,
  DATA_POINTER: 0x10,
  MXCSR: 0x18,
  ST: 0x20,
  XMM: 0xa0,
} as const;

const TAGS = register(
  "ftag",
  32,
  "int",
  ({ fx }) => BigInt(readTagWord(fx)),
  ({ fx }, value) => writeTagWord(fx, Number(value & 0xffffn)),
);

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

const core: Feature = {
  name: "org.gnu.gdb.i386.core",
  registers: [
    ...GENERAL.map((name) => plain(name, POINTERS.has(name) ? "data_ptr" : "int64")),
    PROGRAM_COUNTER,
    FLAGS,
    ...SEGMENTS.map(selector),
    ...numbers(8).map((n) => fxField(`st${n}`, 80, "i387_ext", FXSAVE.ST + 16 * n, 10)),
    fxField("fctrl", 32, "int", FXSAVE.CONTROL_WORD, 2),
    fxField("fstat", 32, "int", FXSAVE.STATUS_WORD, 2),
    TAGS,
    fxField("fiseg", 32, "int", FXSAVE.INSTRUCTION_POINTER + 4, 4),
    fxField("fioff", 32, "int", FXSAVE.INSTRUCTION_POINTER, 4),
    fxField("foseg", 32, "int", FXSAVE.DATA_POINTER + 4, 4),
    fxField("fooff", 32, "int", FXSAVE.DATA_POINTER, 4),
    fxField("fop", 32, "int", FXSAVE.OPCODE, 2),
  ],
};

const sse: Feature = {
  name: "org.gnu.gdb.i386.sse",
  registers: [
    ...numbers(16).map((n) => fxField(`xmm${n}`, 128, "vec128", FXSAVE.XMM + 16 * n, 16)),
    fxField("mxcsr", 32, "i386_mxcsr", FXSAVE.MXCSR, 4),
  ],
};

const avx: Feature = {
  name: "org.gnu.gdb.i386.avx",
  registers: numbers(16).map((n) =>
    register(
      `ymm${n}h`,
      128,
      "uint128",
      ({ ymmUppers }) => fromLittleEndian(ymmUppers.subarray(16 * n, 16 * n + 16)),
      ({ ymmUppers }, value) => {
        ymmUppers.set(littleEndian(value, 16), 16 * n);
      },
    ),
  ),
};

const segments: Feature = {
  name: "org.gnu.gdb.i386.segments",
  registers: [segmentBase("fs"), segmentBase("gs")],
};

const tableField = (name: "gdtr" | "idtr", field: "base" | "limit"): RegisterSpec => {
  const limit = field === "limit";
  return register(
    `${name}_${field}`,
    limit ? 32 : 64,
    limit ? "uint32" : "int64",
    ({ registers }) => BigInt(registers[name][field]),
    ({ registers }, value) => {
      registers[name] = { ...registers[name], [field]: limit ? Number(value & 0xffffn) : value };
    },
  );
};

const DEBUG_REGISTERS = [0, 1, 2, 3, 6, 7] as const;

const debugRegister = (n: number): RegisterSpec =>
  register(
    `dr${n}`,
    64,
    "int64",
    ({ debugRegisters }) => debugRegisters[n] ?? 0n,
    ({ debugRegisters }, value) => {
      debugRegisters[n] = value;
    },
  );

/** As in the manual: `kernelGsBase` becomes `kernel_gs_base`. */
const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const msr = (name: StateMsr): RegisterSpec =>
  register(
    snakeCase(name),
    64,
    "int64",
    ({ msrs }) => msrs[name],
    ({ msrs }, value) => {
      msrs[name] = value;
    },
  );

const system: Feature = {
  name: "org.solo5-kvm.system",
  registers: [
    plain("cr0", "cr0_flags"),
    plain("cr2", "int64"),
    plain("cr3", "int64"),
    plain("cr4", "cr4_flags"),
    plain("cr8", "int64"),
    plain("efer", "efer_flags"),
    ...(["cs", "ss", "ds", "es"] as const).map(segmentBase),
    ...SEGMENT_REGISTERS.map(segmentLimit),
    ...(["ldtr", "tr"] as const).flatMap((name) => [
      selector(name),
      segmentBase(name),
      segmentLimit(name),
    ]),
    ...(["gdtr", "idtr"] as const).flatMap((name) => [
      tableField(name, "base"),
      tableField(name, "limit"),
    ]),
    ...DEBUG_REGISTERS.map(debugRegister),
    ...(Object.keys(STATE_MSRS) as StateMsr[]).map(msr),
    register(
      "apic_base",
      64,
      "int64",
      ({ apicBase }) => BigInt(apicBase),
      (draft, value) => {
        draft.apicBase = Number(value);
      },
    ),
  ],
};

export const FEATURES: readonly Feature[] = [core, sse, avx, segments, system];

/** By their numbers in packets. */
export const REGISTERS: readonly RegisterSpec[] = FEATURES.flatMap(({ registers }) => registers);

export const registerNumber = (name: string): number =>
  REGISTERS.findIndex((spec) => spec.name === name);

export const readRegister = (spec: RegisterSpec, state: ProcessorState): Uint8Array =>
  littleEndian(spec.get(state), spec.bits / 8);

/** @returns whether there are as many bytes as the register has */
export function writeRegister(spec: RegisterSpec, draft: StateDraft, bytes: Uint8Array): boolean {
  if (bytes.length !== spec.bits / 8) return false;
  const value = fromLittleEndian(bytes);
  // What is written as it was stays as it is: some registers show less than there is.
  if (value !== fromLittleEndian(readRegister(spec, draft))) spec.set(draft, value);
  return true;
}
