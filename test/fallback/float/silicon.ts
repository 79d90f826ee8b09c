import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The judge: a C program, compiled where the tests run, that executes floating-point instructions of
 * the host's processor on operands of our choice and tells results and flags.
 */

/** Questions an instruction; `FLOAT_COUNT` asks for a longer run. */
export const COUNT = Number(process.env.FLOAT_COUNT ?? 1000);
/** `FLOAT_SEED` asks for other operands. */
export const SEED = Number(process.env.FLOAT_SEED ?? 1);

/**
 * Whether there is nothing to judge by; says so aloud. Other vendors' processors differ from Intel's
 * where the manual leaves room: approximations, last bits, how far FPREM gets.
 * @param need of /proc/cpuinfo
 */
export function noSilicon(need = "GenuineIntel"): boolean {
  const hasCompiler = spawnSync("cc", ["--version"], { stdio: "ignore" }).status === 0;
  const isLinux = process.arch === "x64" && process.platform === "linux";
  const hasIt = isLinux && readFileSync("/proc/cpuinfo", "utf8").split(/\s/).includes(need);
  if (hasCompiler && hasIt) return false;
  if (process.env.CI && !hasCompiler) throw new Error("CI must not skip: this host lacks cc");
  console.warn(`SKIPPED, since this host lacks: cc and Linux on a processor with ${need}`);
  return true;
}

/** x87: ST(0) is `a`, ST(1) is `b`, memory holds `b`. */
export type X87Instruction = { readonly kind: "x87"; readonly name: string; readonly text: string };
/** SSE: XMM0 is `a`, XMM1 is `b`, RAX holds the low half of `b`. */
export type SseInstruction = {
  readonly kind: "sse";
  readonly name: string;
  readonly text: string;
  /** What follows the instruction, to bring its flags into AL. */
  readonly after?: string;
};
export type Instruction = X87Instruction | SseInstruction;

/** A register or memory operand: the low 8 bytes, and what lies above (16 bits for x87). */
export interface Operand {
  readonly low: bigint;
  readonly high: bigint;
}

export interface Question {
  /** Index into the instructions the judge was built with. */
  readonly instruction: number;
  /** x87 control word; masks and modes of SSE instructions are in `mxcsr`. */
  readonly controlWord: number;
  readonly mxcsr: number;
  readonly a: Operand;
  readonly b: Operand;
}

export interface Answer {
  /** ST(0), or XMM0. */
  readonly first: Operand;
  /** ST(1), or RAX. */
  readonly second: Operand;
  /** The memory operand afterwards. */
  readonly memory: Operand;
  readonly statusWord: number;
  /** Flags of the instruction, also where it trapped. */
  readonly mxcsr: number;
  readonly trapped: boolean;
}

const QUESTION_SIZE = 40;
const ANSWER_SIZE = 64;

const x87Function = ({ text }: X87Instruction, index: number): string => `
static void instruction${index}(const struct question *q, struct answer *r) {
  unsigned char image[108];
  unsigned short sw;
  __asm__ volatile("fninit; fldt %[b]; fldt %[a]; fldcw %[cw]; ${text}; fnstsw %[sw]; fnclex; fnsave %[image]"
    : [sw] "=m"(sw), [image] "=m"(image), [m] "+m"(r->memory)
    : [a] "m"(q->a), [b] "m"(q->b), [cw] "m"(q->cw) : "memory");
  memcpy(r->first, image + 28, 10);
  memcpy(r->second, image + 38, 10);
  r->sw = sw;
}`;

const sseFunction = ({ text, after = "" }: SseInstruction, index: number): string => `
static void instruction${index}(const struct question *q, struct answer *r) {
  unsigned long rax;
  memcpy(&rax, q->b, 8);
  __asm__ volatile("movdqu %[a], %%xmm0; movdqu %[b], %%xmm1; leaq 1f(%%rip), %%rcx; movq %%rcx, resume(%%rip);"
    "ldmxcsr %[mxcsr]; ${text}; 1: ${after}; stmxcsr %[out]; ldmxcsr %[usual]; movdqu %%xmm0, %[first]"
    : [first] "=m"(r->first), [out] "=m"(r->mxcsr), "+a"(rax)
    : [a] "m"(q->a), [b] "m"(q->b), [mxcsr] "m"(q->mxcsr), [usual] "m"(usual)
    : "rcx", "xmm0", "xmm1", "memory", "cc");
  memcpy(r->second, &rax, 8);
}`;

const program = (instructions: readonly Instruction[]): string => `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
struct question { unsigned short op, cw; unsigned mxcsr; unsigned char a[16], b[16]; };
struct answer {
  unsigned char first[16], second[16], memory[16];
  unsigned short sw, pad; unsigned mxcsr, trapped, pad2;
};
static const unsigned usual = 0x1f80;
__attribute__((used)) static unsigned long resume;
static volatile unsigned trapped, flags;
static void fault(int signal, siginfo_t *info, void *context) {
  (void)signal; (void)info;
  ucontext_t *uc = context;
  trapped = 1;
  flags = uc->uc_mcontext.fpregs->mxcsr;
  uc->uc_mcontext.fpregs->mxcsr = usual;
  uc->uc_mcontext.gregs[REG_RIP] = resume;
}
${instructions
  .map((instruction, index) =>
    instruction.kind === "x87" ? x87Function(instruction, index) : sseFunction(instruction, index),
  )
  .join("")}
static void (*const table[])(const struct question *, struct answer *) = {
  ${instructions.map((_, index) => `instruction${index}`).join(", ")} };
int main(void) {
  struct sigaction action = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO };
  sigaction(SIGFPE, &action, 0);
  struct question q;
  while (fread(&q, sizeof q, 1, stdin) == 1) {
    struct answer r;
    memset(&r, 0, sizeof r);
    memcpy(r.memory, q.b, 16);
    trapped = 0;
    table[q.op](&q, &r);
    if (trapped) r.mxcsr = flags;
    r.trapped = trapped;
    fwrite(&r, sizeof r, 1, stdout);
  }
  return 0;
}
`;

export class Silicon {
  readonly #folder = mkdtempSync(join(tmpdir(), "solo5-kvm-silicon-"));

  /** @throws Error when the host's compiler refuses the program */
  constructor(instructions: readonly Instruction[]) {
    const source = join(this.#folder, "judge.c");
    writeFileSync(source, program(instructions));
    const options = ["-O1", "-mno-red-zone", "-o", join(this.#folder, "judge"), source];
    const { status, stderr } = spawnSync("cc", options, { encoding: "utf8" });
    if (status !== 0) throw new Error(`cc: ${stderr}`);
  }

  ask(questions: readonly Question[]): Answer[] {
    const input = new DataView(new ArrayBuffer(questions.length * QUESTION_SIZE));
    questions.forEach((question, index) => {
      const at = index * QUESTION_SIZE;
      input.setUint16(at, question.instruction, true);
      input.setUint16(at + 2, question.controlWord, true);
      input.setUint32(at + 4, question.mxcsr, true);
      writeOperand(input, at + 8, question.a);
      writeOperand(input, at + 24, question.b);
    });
    const { stdout, status } = spawnSync(join(this.#folder, "judge"), {
      input: new Uint8Array(input.buffer),
      maxBuffer: 1 << 30,
    });
    if (status !== 0) throw new Error(`the judge ended with ${status}`);
    const output = new DataView(stdout.buffer, stdout.byteOffset, stdout.byteLength);
    return questions.map((_, index) => readAnswer(output, index * ANSWER_SIZE));
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function writeOperand(view: DataView, at: number, { low, high }: Operand): void {
  view.setBigUint64(at, low, true);
  view.setBigUint64(at + 8, high, true);
}

const readOperand = (view: DataView, at: number): Operand => ({
  low: view.getBigUint64(at, true),
  high: view.getBigUint64(at + 8, true),
});

const readAnswer = (view: DataView, at: number): Answer => ({
  first: readOperand(view, at),
  second: readOperand(view, at + 16),
  memory: readOperand(view, at + 32),
  statusWord: view.getUint16(at + 48, true),
  mxcsr: view.getUint32(at + 52, true),
  trapped: view.getUint32(at + 56, true) !== 0,
});
