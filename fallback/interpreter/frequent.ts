import type { Variant } from "../isa/variant.ts";

/**
 * What is executed most while programs are interpreted: 99 % of the records of ten (Linux, interpreters of
 * languages, a compiler, a database, a compressor), each block counted 20,000 times at most since the JIT has it then; and what
 * uses the stack of 32-bit code.
 *
 * Instructions, and which variants of them, by operands: registers, memory, immediates and XMM registers
 * with their bits, or the operand size where there are none. An immediate that is sign-extended has the
 * bits of what it is extended to. The list's length has a limit: see docs/decisions/0013-two-interpreters.md.
 */
const FREQUENT = `
MOV: r64,m64 r64,r64 r32,r32 m64,r64 r32,m32 m32,r32 r32,i32 m8,r8 m64,i64 m32,i32 m16,r16 m8,i8 r64,i64 r8,m8
JE, JNE, JB, JAE, JA, JBE, JLE, JG, JS, JNS, JL, JGE: i64
PUSH: r64 i64 m64 r32 i32 m32
POP: r64 r32
LEA: r64,m0 r32,m0
ADD: r64,i64 r64,r64 r32,r32 r32,i32 m32,i32 r64,m64 m64,i64 m64,r64 m16,i16 m16,r16 r32,m32 m32,r32 r16,i16
CALL: i64 r64 m64 i32 r32 m32
RET: 64 32
JMP: i64 r64 m64 i32 r32
LEAVE: 64 32
MOVZX: r32,m8 r32,m16 r32,r8 r32,r16
CMP: r32,i32 r64,r64 r32,r32 r8,i8 m8,i8 r64,i64 m64,r64 r16,i16 m64,i64 m32,r32 m32,i32 r64,m64 r32,m32
CMP: m8,r8 m16,i16 r16,r16 r8,r8 r16,m16 r8,m8
TEST: r64,r64 r32,r32 r8,r8 r8,i8 m8,i8 r32,i32 r16,r16 m32,i32 m16,i16
XOR: r32,r32 r64,r64 r16,i16 r8,r8 r32,m32 r64,m64 r32,i32
SUB: r64,i64 r32,r32 r32,i32 r64,r64 r64,m64 r8,i8 m64,i64 m32,i32 r32,m32 m16,r16
AND: r32,i32 r32,r32 r64,i64 r64,r64 r32,m32 r16,i16 r8,i8 m8,i8 r64,m64 m32,i32 r16,m16
OR: r32,r32 r64,r64 r32,i32 r8,m8 r64,i64 r8,i8 m32,i32 r32,m32 m8,i8 r8,r8 r64,m64
NOP: m64 64
MOVSXD: r64,r32 r64,m32
SHL: r64,i8 r32,r8 r32,i8 r64,r8
SHR: r32,i8 r64,i8 r16,i8 r8,i8 r64,r8 r32,r8
SAR: r32,i8 r64,i8 r32,r8 r16,i8
MOVSX: r32,m16 r32,r16 r32,m8 r64,m8 r64,r16
CMOVNE, CMOVB, CMOVE, CMOVAE, CMOVS: r32,r32 r64,r64
CMOVA, CMOVG: r32,r32
CMOVLE: r64,r64
IMUL2: r32,r32 r64,r64 r32,r32,i32 r64,r64,i64
MUL, DIV: r64
CBW: r64
SETE, SETNE, SETG, SETB, SETL: r8
ROL: r64,i8 r32,i8 r16,i8
ROR: r32,i8
NOT, NEG: r64 r32
BT register: r64,r64
BSF: r32,r32
BSWAP: r32 r64
SBB: r32,r32
ADC: r16,i16
INC: m32
DEC: m32 r32
MOVUPS: m128,x128 x128,m128
MOVAPS: m128,x128
MOVAPD: x128,x128
MOVDQU: x128,m128
MOVDQA: x128,m128 x128,x128
MOVNTDQ: m128,x128
MOVHPS: x128,m64
MOVD: x64,r64 x32,r32 x32,m32 r64,x64
MOVQ, MOVSD: x64,m64 m64,x64
PXOR, PCMPEQB, PADDD, POR, PUNPCKLQDQ, PUNPCKLDQ, PUNPCKLWD, PUNPCKLBW, PSHUFB: x128,x128
PMOVMSKB: r32,x128
PSHUFD: x128,x128,i8
ADDSD, MULSD, SUBSD, UCOMISD, COMISD: x64,x64
CVTSI2SD: x64,r64
`;

/**
 * What functions of C libraries for strings and memory are made of where the processor is an x86-64-v3, and so all
 * programs that are linked with them: of instructions that are `late`, those whose handlers are nevertheless in the
 * interpreter's module.
 */
const FREQUENT_LATE = `
VZEROUPPER: 32
VMOVDQU, VMOVDQA, VMOVUPS, VMOVAPS: x128,m128 x256,m256 m128,x128 m256,x256
VMOVDQA, VMOVAPS: x256,x256
VMOVNTDQ: m256,x256
VMOVD: x32,r32 x32,m32 r32,x32 m32,x32 x64,r64
VMOVQ: x64,m64 m64,x64
VPBROADCASTB: x128,x8 x256,x8
VPXOR, VPOR, VPAND, VPANDN, VPCMPEQB, VPCMPEQD, VPCMPGTB, VPMINUB, VPMINUD, VPADDB, VPSUBB: x128,x128,x128 x256,x256,x256
VPCMPEQB, VPCMPEQD, VPMINUB, VPMINUD, VPOR: x128,x128,m128 x256,x256,m256
VPMOVMSKB: r32,x128 r32,x256
VPTEST: x256,x256
BZHI, SARX, SHRX, SHLX, ANDN: r32,r32,r32 r64,r64,r64
BLSMSK, BLSR: r32,r32 r64,r64
`;

const LETTERS = { register: "r", memory: "m", immediate: "i", xmm: "x", mmx: "mm" } as const;

/** Labels of the variants whose handlers are inline in the dispatch loop, as {@link labelOf} gives them. */
export const frequentVariants = (): ReadonlySet<string> => labelsIn(FREQUENT);

/** The same of those that have handlers in the interpreter's module though their instructions are late. */
export const frequentLateVariants = (): ReadonlySet<string> => labelsIn(FREQUENT_LATE);

function labelsIn(list: string): ReadonlySet<string> {
  const labels = new Set<string>();
  for (const line of list.trim().split("\n")) {
    const [names = "", variants = ""] = line.split(": ");
    for (const name of names.split(", ")) {
      for (const operands of variants.split(" ")) labels.add(`${name} ${operands}`);
    }
  }
  return labels;
}

/** The variant as the list has it; undefined if no code can have it. */
export function labelOf({ instruction, bits, long, operands }: Variant): string | undefined {
  // The stack of 64-bit code takes 64 bits, that of other code does not.
  if (instruction.stack && long !== (bits === 64)) return undefined;
  const shown = operands.map((operand) => `${LETTERS[operand.kind]}${operand.bits}`);
  return `${instruction.name} ${shown.join(",") || bits}`;
}
