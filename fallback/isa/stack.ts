/** Stack operations beyond PUSH and POP of general registers (Intel SDM vol. 1 §7.3.1.4). */
import { RFLAGS } from "../bits.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { GPR, SHADOW } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { flagsToPush, popFlags } from "../system/flags-register.ts";
import { loadSegment } from "../system/segments.ts";
import { moveNearStack, nearStack, Stack, slotBytes } from "../system/stack.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { Family, Instruction } from "./instruction.ts";
import { changedFlags, mayChangeFlags } from "./interrupt-flag.ts";

const PUSHA_REGISTERS = [GPR.rax, GPR.rcx, GPR.rdx, GPR.rbx, GPR.rsp, GPR.rbp, GPR.rsi, GPR.rdi];

function push(context: ProcedureContext, value: bigint): void {
  const stack = Stack.current(context.processor, context.mmu);
  stack.push(value, slotBytes(context.operandSize));
  stack.commit(context.processor);
}

function pushAll({ processor: p, mmu, operandSize }: ProcedureContext): void {
  const bytes = operandSize === 16 ? 2 : 4;
  const size = bytes * PUSHA_REGISTERS.length;
  const bottom = nearStack(p, size, "push");
  if (bottom >= 0) {
    PUSHA_REGISTERS.forEach((register, i) => {
      const value = p.gpr32(register);
      mmu.write(bottom + size - bytes * (i + 1), bytes, bytes === 2 ? value & 0xffff : value);
    });
    moveNearStack(p, p.stackSize, -size);
    return;
  }
  const stack = Stack.current(p, mmu);
  for (const register of PUSHA_REGISTERS) stack.push(p.gpr(register), bytes);
  stack.commit(p);
}

function popAll(context: ProcedureContext): void {
  const { processor: p, mmu, operandSize } = context;
  const bytes = operandSize === 16 ? 2 : 4;
  const size = bytes * PUSHA_REGISTERS.length;
  const bottom = nearStack(p, size, "pop");
  const values: number[] = [];
  if (bottom >= 0) {
    for (let at = 0; at < size; at += bytes) values.push(mmu.read(bottom + at, bytes));
    moveNearStack(p, p.stackSize, size);
  } else {
    const stack = Stack.current(p, mmu);
    while (values.length < PUSHA_REGISTERS.length) values.push(Number(stack.pop(bytes)));
    stack.commit(p);
  }
  values.reverse().forEach((value, i) => {
    const register = PUSHA_REGISTERS[i] as number;
    if (register === GPR.rsp) return;
    if (bytes === 2) p.setGpr16(register, value);
    else p.setGpr32(register, value);
  });
}

/** ENTER: a frame with copies of the enclosing procedures' frame pointers. */
function enter(context: ProcedureContext): void {
  const { processor: p, mmu, operandSize } = context;
  const bytes = slotBytes(operandSize);
  const level = Number(context.immediate(1) & 31n);
  const stack = Stack.current(p, mmu);
  const width = p.stackSize;
  stack.push(context.getRegister(GPR.rbp, operandSize), bytes);
  const pointer = p.gpr(GPR.rsp);
  // The whole of ESP, where 16 bits of it count too.
  const frame = pointer - BigInt.asUintN(width, pointer) + stack.pointer;
  if (level > 0) {
    const outer = new Stack(
      ...([mmu, p.segment(SEGMENT_INDEX.ss), width, context.getRegister(GPR.rbp, width)] as const),
      mmu.user,
    );
    for (let i = 1; i < level; i++) {
      outer.skip(-bytes);
      const value = outer.pop(bytes);
      outer.skip(-bytes);
      stack.push(value, bytes);
    }
    stack.push(frame, bytes);
  }
  stack.skip(-Number(context.immediate(0) & 0xffffn));
  // The stack must be usable where it now ends.
  stack.check(bytes);
  stack.commit(p);
  context.setRegister(GPR.rbp, operandSize, frame);
}

/** PUSH and POP of a segment register. */
function segmentStack(name: keyof typeof SEGMENT_INDEX, pushForm: string, popForm?: string) {
  const index = SEGMENT_INDEX[name];
  const instructions: Instruction[] = [
    {
      name: `PUSH ${name.toUpperCase()}`,
      mnemonic: "PUSH",
      forms: [`${pushForm} d64`],
      procedure: (context) => push(context, BigInt(context.processor.selector(index))),
    },
  ];
  if (popForm !== undefined) {
    instructions.push({
      name: `POP ${name.toUpperCase()}`,
      mnemonic: "POP",
      forms: [`${popForm} d64`],
      ends: true,
      procedure({ processor: p, mmu, operandSize }) {
        const stack = Stack.current(p, mmu);
        const selector = stack.popSelector(slotBytes(operandSize));
        loadSegment(p, mmu, index, selector);
        stack.commit(p);
        if (index === SEGMENT_INDEX.ss) p.holdEventsOff(SHADOW.MOV_SS);
      },
    });
  }
  return instructions;
}

export const stack: Family = [
  {
    name: "POP memory",
    mnemonic: "POP",
    forms: ["8F/0 Ev d64"],
    procedure(context) {
      const { processor: p, mmu, operandSize } = context;
      const before = p.gpr(GPR.rsp);
      const popped = Stack.current(p, mmu);
      const value = popped.pop(slotBytes(operandSize));
      // An address by RSP uses the value after the pop; a fault takes it back.
      popped.commit(p);
      try {
        context.write(0, value);
      } catch (fault) {
        p.setGpr(GPR.rsp, before);
        throw fault;
      }
    },
  },
  ...segmentStack("es", "06 no64", "07 no64"),
  ...segmentStack("cs", "0E no64"),
  ...segmentStack("ss", "16 no64", "17 no64"),
  ...segmentStack("ds", "1E no64", "1F no64"),
  ...segmentStack("fs", "0F A0", "0F A1"),
  ...segmentStack("gs", "0F A8", "0F A9"),
  {
    name: "PUSHA",
    forms: ["60 no64 d64"],
    procedure: pushAll,
  },
  {
    name: "POPA",
    forms: ["61 no64 d64"],
    procedure: popAll,
  },
  {
    name: "PUSHF",
    forms: ["9C d64"],
    flags: { read: "OSZAPC" },
    stack: true,
    meaning(e) {
      const system = e.let(e.systemFlags());
      e.fallbackUnless(i32.eqz(i32.and(system, i32.const(RFLAGS.VM))));
      const pushed = i32.and(system, i32.const(~RFLAGS.RF));
      e.push(e.bits, i64.extendU(i32.or(pushed, e.flags.image())));
    },
    procedure: (context) =>
      push(context, BigInt(flagsToPush(context.processor, context.operandSize) >>> 0)),
  },
  {
    name: "POPF",
    forms: ["9D d64"],
    flags: { written: "OSZAPC" },
    ends: true,
    resumes: true,
    stack: true,
    meaning(e) {
      const image = e.pop(e.bits, (value) => {
        const system = e.let(e.systemFlags());
        e.fallbackUnless(i32.eqz(i32.and(system, i32.const(RFLAGS.VM))));
        const changed = e.let(changedFlags(i32.wrap(value), system, e.bits));
        e.fallbackUnless(mayChangeFlags(changed, system));
        e.setSystemFlags(i32.xor(system, changed));
      });
      e.flags.fromImage(e.let(i32.wrap(image)));
    },
    procedure({ processor: p, mmu, operandSize }) {
      const stack = Stack.current(p, mmu);
      const image = Number(stack.pop(slotBytes(operandSize)) & 0xffff_ffffn);
      popFlags(p, image, operandSize);
      stack.commit(p);
    },
  },
  { name: "ENTER", forms: ["C8 Iw,Ib d64"], procedure: enter },
];
