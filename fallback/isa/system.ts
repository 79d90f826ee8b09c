/** Instructions of operating systems, and those that ask the processor about itself. */
import { CR0, RFLAGS } from "../bits.ts";
import { generalProtection, undefinedOpcode } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { isCanonicalLinear, linearOf } from "../memory/linear.ts";
import type { Mmu } from "../memory/mmu.ts";
import { EVENT_SHADOWS, type Processor, SHADOW } from "../processor.ts";
import { STATE } from "../state.ts";
import { watchData } from "../system/breakpoints.ts";
import {
  clearTaskSwitched,
  loadMachineStatusWord,
  readControlRegister,
  writeControlRegister,
} from "../system/control-registers.ts";
import { cpuid } from "../system/cpuid.ts";
import { readDebugRegister, writeDebugRegister } from "../system/debug.ts";
import {
  accessRights,
  isReadable,
  isWritable,
  segmentLimit,
} from "../system/descriptor-queries.ts";
import { rplOf } from "../system/descriptors.ts";
import { xgetbv, xsetbv } from "../system/extended-control.ts";
import { clearInterruptFlag, setAccessFlag, setInterruptFlag } from "../system/flags-register.ts";
import { rdmsr, wrmsr } from "../system/msr.ts";
import { swapgs, syscall, sysenter, sysexit, sysret } from "../system/syscall.ts";
import { rdtsc, rdtscp } from "../system/time-stamp.ts";
import { type I32, i32, i64 } from "../wasm/expression.ts";
import type { Family, Instruction } from "./instruction.ts";
import { isWithinIopl, mayChangeInterrupts } from "./interrupt-flag.ts";

/** ModRM.rm with REX.B and ModRM.reg with REX.R; the operand is 64-bit in 64-bit mode, else 32. */
const width = (context: ProcedureContext): 32 | 64 => (context.processor.code64 ? 64 : 32);

/** VERR, VERW, LAR, LSL, ARPL exist in protected mode only, and answer in ZF. */
function query(
  name: string,
  form: string,
  answer: (context: ProcedureContext, selector: number) => number | boolean | undefined,
): Instruction {
  return {
    name,
    forms: [form],
    flags: { written: "Z" },
    procedure(context) {
      const { processor: p } = context;
      if (p.paragraphSegments) throw undefinedOpcode();
      const operands = context.instruction.form.operands.length;
      const result = answer(context, Number(context.read(operands - 1) & 0xffffn));
      const valid = result !== undefined && result !== false;
      if (typeof result === "number") context.write(0, BigInt(result >>> 0));
      p.rflags = ((p.rflags & ~RFLAGS.ZF) | (valid ? RFLAGS.ZF : 0)) >>> 0;
    },
  };
}

/** An instruction without operands, on the processor alone. */
const simple = (
  name: string,
  form: string,
  act: (p: Processor, mmu: Mmu) => void,
  traits: Partial<Pick<Instruction, "cpl" | "ends" | "resumes" | "meaning">> = {},
): Instruction => ({
  name,
  forms: [form],
  ...traits,
  procedure: ({ processor, mmu }) => act(processor, mmu),
});

const isLevel0 = (): I32 => i32.eqz(i32.load(i32.const(0), STATE.CPL));

const SYSTEM = { cpl: 0, ends: true } as const;

export const system: Family = [
  {
    name: "HLT",
    forms: ["F4"],
    ...SYSTEM,
    procedure: ({ outside }) => outside.halt(),
  },
  simple("CLI", "FA", clearInterruptFlag, {
    meaning(e) {
      const flags = e.let(e.systemFlags());
      e.fallbackUnless(isWithinIopl(flags));
      e.setSystemFlags(i32.and(flags, i32.const(~RFLAGS.IF)));
    },
  }),
  simple("STI", "FB", setInterruptFlag, {
    ends: true,
    resumes: true,
    meaning(e) {
      const zero = i32.const(0);
      const flags = e.let(e.systemFlags());
      e.fallbackUnless(mayChangeInterrupts(flags));
      e.if(i32.eqz(i32.and(flags, i32.const(RFLAGS.IF))), () => {
        const others = i32.and(i32.load(zero, STATE.SHADOW), i32.const(~EVENT_SHADOWS));
        e.setField(STATE.SHADOW, i32.or(others, i32.const(SHADOW.STI)));
        e.setField(STATE.SHADOW_BUDGET, e.budget());
      });
      e.setSystemFlags(i32.or(flags, i32.const(RFLAGS.IF)));
    },
  }),
  {
    name: "MOV from control register",
    mnemonic: "MOV",
    forms: ["0F 20 Rq,Cq"],
    cpl: 0,
    interpretation(e, destination, control) {
      if (destination === undefined || control === undefined) return;
      e.fallbackUnless(i32.and(e.isCr0(control), isLevel0()));
      e.write(destination, i64.load32U(i32.const(0), STATE.CR0));
    },
    procedure(context) {
      const value = readControlRegister(context.processor, context.reg);
      context.setRegister(context.rm, width(context), value);
    },
  },
  {
    name: "MOV to control register",
    mnemonic: "MOV",
    forms: ["0F 22 Cq,Rq"],
    ...SYSTEM,
    interpretation(e, control, source) {
      if (control === undefined || source === undefined) return;
      e.fallbackUnless(i32.and(e.isCr0(control), isLevel0()));
      // Without paging the change to protected mode and back changes nothing else.
      const before = e.let(i64.load32U(i32.const(0), STATE.CR0));
      const value = e.read(source);
      const changed = i64.or(i64.xor(value, before), i64.and(before, i64.const(CR0.PG)));
      e.fallbackUnless(i64.leU(changed, i64.const(CR0.PE)));
      e.setField(STATE.CR0, i32.wrap(value));
      e.jump(e.nextRip());
    },
    procedure(context) {
      const value = context.getRegister(context.rm, width(context));
      writeControlRegister(context.processor, context.mmu, context.reg, value);
    },
  },
  {
    name: "MOV from debug register",
    mnemonic: "MOV",
    forms: ["0F 21 Rq,Dq"],
    cpl: 0,
    procedure(context) {
      const value = readDebugRegister(context.processor, context.reg);
      context.setRegister(context.rm, width(context), value);
    },
  },
  {
    name: "MOV to debug register",
    mnemonic: "MOV",
    forms: ["0F 23 Dq,Rq"],
    ...SYSTEM,
    procedure(context) {
      const value = context.getRegister(context.rm, width(context));
      writeDebugRegister(context.processor, context.reg, value);
      watchData(context.processor, context.mmu);
    },
  },
  {
    name: "LMSW",
    forms: ["0F 01/6 Ew"],
    ...SYSTEM,
    procedure: (context) =>
      loadMachineStatusWord(context.processor, context.mmu, Number(context.read(0))),
  },
  simple("CLTS", "0F 06", clearTaskSwitched, SYSTEM),
  {
    name: "INVLPG",
    forms: ["0F 01/7 M mem"],
    ...SYSTEM,
    procedure(context) {
      const linear = linearOf(context.linear(context.instruction.segment, context.address()));
      // A non-canonical address invalidates nothing.
      if (isCanonicalLinear(linear)) context.mmu.invalidatePage(linear);
    },
  },
  simple("INVD", "0F 08", () => {}, { cpl: 0 }),
  simple("WBINVD", "0F 09", () => {}, { cpl: 0 }),
  {
    name: "RDMSR",
    forms: ["0F 32"],
    cpl: 0,
    procedure: ({ processor, outside }) => rdmsr(processor, outside),
  },
  {
    name: "WRMSR",
    forms: ["0F 30"],
    ...SYSTEM,
    procedure: ({ processor, mmu, outside }) => wrmsr(processor, mmu, outside),
  },
  {
    name: "RDTSC",
    forms: ["0F 31"],
    procedure: ({ processor, outside }) => rdtsc(processor, outside),
  },
  {
    name: "RDTSCP",
    forms: ["0F 01 F9"],
    procedure: ({ processor, outside }) => rdtscp(processor, outside),
  },
  {
    name: "RDPMC",
    forms: ["0F 33"],
    // There is no counter, and so none that ECX names (Intel SDM vol. 2B, RDPMC).
    procedure() {
      throw generalProtection();
    },
  },
  {
    name: "RDPID",
    forms: ["F3 0F C7/7 Rq"],
    meaning(e, destination) {
      if (destination !== undefined) e.write(destination, i64.load32U(i32.const(0), STATE.TSC_AUX));
    },
  },
  simple("CPUID", "0F A2", cpuid),
  // Nothing is executed ahead of its turn.
  { name: "SERIALIZE", forms: ["NP 0F 01 E8"], meaning() {} },
  simple("XGETBV", "NP 0F 01 D0", xgetbv),
  simple("XSETBV", "NP 0F 01 D1", xsetbv, SYSTEM),
  simple("CLAC", "NP 0F 01 CA", (p) => setAccessFlag(p, 0)),
  simple("STAC", "NP 0F 01 CB", (p) => setAccessFlag(p, 1)),
  simple("SWAPGS", "0F 01 F8 64", swapgs, { cpl: 0 }),
  simple("SYSCALL", "0F 05", syscall, { ends: true }),
  simple("SYSENTER", "0F 34", sysenter, { ends: true }),
  {
    name: "SYSRET",
    forms: ["0F 07 v"],
    ends: true,
    procedure: ({ processor, mmu, operandSize }) => sysret(processor, mmu, operandSize === 64),
  },
  {
    name: "SYSEXIT",
    forms: ["0F 35 v"],
    ends: true,
    procedure: ({ processor, mmu, operandSize }) => sysexit(processor, mmu, operandSize === 64),
  },
  query("LAR", "0F 02 Gv,Ew", ({ processor, mmu }, selector) =>
    accessRights(processor, mmu, selector),
  ),
  query("LSL", "0F 03 Gv,Ew", ({ processor, mmu }, selector) =>
    segmentLimit(processor, mmu, selector),
  ),
  query("VERR", "0F 00/4 Ew", ({ processor, mmu }, selector) =>
    isReadable(processor, mmu, selector),
  ),
  query("VERW", "0F 00/5 Ew", ({ processor, mmu }, selector) =>
    isWritable(processor, mmu, selector),
  ),
  // The destination gets the privilege level of the source, if its own is better.
  query("ARPL", "63 Ew,Gw no64", (context, selector) => {
    const raised = Number(context.read(0));
    return rplOf(raised) < rplOf(selector) ? (raised & ~3) | rplOf(selector) : undefined;
  }),
  ...[
    { name: "RDRAND", form: "0F C7/6 Ev reg" },
    { name: "RDSEED", form: "0F C7/7 Ev reg" },
  ].map(({ name, form }) => ({
    name,
    forms: [form],
    flags: { written: "OSZAPC" },
    procedure(context: ProcedureContext) {
      context.setRegister(context.rm, context.operandSize, context.outside.random());
      const cleared = RFLAGS.OF | RFLAGS.SF | RFLAGS.ZF | RFLAGS.AF | RFLAGS.PF;
      const { processor: p } = context;
      p.rflags = ((p.rflags & ~cleared) | RFLAGS.CF) >>> 0;
    },
  })),
];
