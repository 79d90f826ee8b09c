/** Transfers through segments and gates, and segment loads (Intel SDM vol. 1 §7.3.8, §7.3.12). */

import { RFLAGS } from "../bits.ts";
import { undefinedOpcode, VECTOR } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { SHADOW } from "../processor.ts";
import { SEGMENT_INDEX } from "../state.ts";
import { farCall, farJump, farReturn } from "../system/far-transfer.ts";
import { interruptReturn } from "../system/interrupt-return.ts";
import { debugInstruction, interruptInstruction, softwareInterrupt } from "../system/interrupts.ts";
import { loadSegment } from "../system/segments.ts";
import { i32 } from "../wasm/expression.ts";
import type { Family, Instruction } from "./instruction.ts";

/** A far pointer in memory: the offset, and the selector behind it. */
function readPointer(context: ProcedureContext): { offset: bigint; selector: number } {
  const bytes = context.operandSize / 8;
  const offset = context.readMemory(context.address(), bytes);
  const selector = Number(context.readMemory(context.address(bytes), 2));
  return { offset, selector };
}

/** A far pointer in the instruction. */
const immediatePointer = (context: ProcedureContext) => ({
  offset: context.immediate(0),
  selector: Number(context.immediate(1)),
});

function loadFar(name: keyof typeof SEGMENT_INDEX, form: string): Instruction {
  return {
    name: `L${name.toUpperCase()}`,
    forms: [form],
    ends: true,
    procedure(context) {
      const { offset, selector } = readPointer(context);
      loadSegment(context.processor, context.mmu, SEGMENT_INDEX[name], selector);
      context.setRegister(context.reg, context.operandSize, offset);
      if (name === "ss") context.processor.holdEventsOff(SHADOW.MOV_SS);
    },
  };
}

const SEGMENT_COUNT = 6;

export const farTransfers: Family = [
  {
    name: "JMP far",
    mnemonic: "JMP",
    forms: ["EA Ap no64", "FF/5 Mp"],
    ends: true,
    interpretation(e, pointer) {
      e.fallbackUnless(pointer?.kind === "immediate" ? e.farJump() : i32.const(0));
      e.leaveBlock();
    },
    procedure(context) {
      const pointer = context.inMemory ? readPointer(context) : immediatePointer(context);
      const { processor, mmu, operandSize } = context;
      farJump(processor, mmu, pointer.selector, pointer.offset, operandSize);
    },
  },
  {
    name: "CALL far",
    mnemonic: "CALL",
    forms: ["9A Ap no64", "FF/3 Mp"],
    ends: true,
    procedure(context) {
      const pointer = context.inMemory ? readPointer(context) : immediatePointer(context);
      const { processor, mmu, operandSize } = context;
      farCall(processor, mmu, pointer.selector, pointer.offset, operandSize);
    },
  },
  {
    name: "RETF",
    forms: ["CB v", "CA Iw v"],
    ends: true,
    procedure({ processor, mmu, operandSize, instruction }) {
      const parameters = Number((instruction.immediates[0] ?? 0n) & 0xffffn);
      farReturn(processor, mmu, operandSize, parameters);
    },
  },
  {
    name: "IRET",
    forms: ["CF v"],
    ends: true,
    interpretation(e) {
      e.fallbackUnless(e.interruptReturn());
      e.leaveBlock();
    },
    procedure: ({ processor, mmu, operandSize }) => interruptReturn(processor, mmu, operandSize),
  },
  {
    name: "INT",
    forms: ["CD Ib"],
    ends: true,
    interpretation(e, vector) {
      if (vector === undefined) return;
      e.fallbackUnless(e.interrupt(e.read(vector)));
      e.leaveBlock();
    },
    procedure: ({ processor, mmu, instruction }) =>
      interruptInstruction(processor, mmu, Number((instruction.immediates[0] ?? 0n) & 0xffn)),
  },
  {
    name: "INT3",
    forms: ["CC"],
    ends: true,
    procedure: ({ processor, mmu }) => softwareInterrupt(processor, mmu, VECTOR.BP),
  },
  {
    name: "INT1",
    forms: ["F1"],
    ends: true,
    procedure: ({ processor, mmu }) => debugInstruction(processor, mmu),
  },
  {
    name: "INTO",
    forms: ["CE no64"],
    flags: { read: "O" },
    ends: true,
    procedure({ processor, mmu }) {
      if ((processor.rflags & RFLAGS.OF) !== 0) softwareInterrupt(processor, mmu, VECTOR.OF);
    },
  },
  {
    name: "MOV from segment",
    mnemonic: "MOV",
    forms: ["8C Ev,Sw"],
    procedure(context) {
      const index = (context.instruction.modRm >> 3) & 7;
      if (index >= SEGMENT_COUNT) throw undefinedOpcode();
      const selector = BigInt(context.processor.selector(index));
      // Memory takes 16 bits whatever the operand size.
      if (context.inMemory) context.writeMemory(context.address(), 2, selector);
      else context.setRegister(context.rm, context.operandSize, selector);
    },
  },
  {
    name: "MOV to segment",
    mnemonic: "MOV",
    forms: ["8E Sw,Ew"],
    ends: true,
    interpretation(e, segment, source) {
      if (segment === undefined || source === undefined) return;
      // A device that the procedure had to ask again would notice.
      const isRegister = source.kind === "register";
      e.fallbackUnless(isRegister ? e.loadSegment(segment, e.read(source)) : i32.const(0));
      e.jump(e.nextRip());
    },
    procedure(context) {
      const { processor, mmu } = context;
      const index = (context.instruction.modRm >> 3) & 7;
      if (index >= SEGMENT_COUNT || index === SEGMENT_INDEX.cs) throw undefinedOpcode();
      const selector = context.inMemory
        ? Number(context.read(1))
        : processor.gpr32(context.rm) & 0xffff;
      loadSegment(processor, mmu, index, selector);
      if (index === SEGMENT_INDEX.ss) processor.holdEventsOff(SHADOW.MOV_SS);
    },
  },
  loadFar("es", "C4 Gv,Mp no64"),
  loadFar("ds", "C5 Gv,Mp no64"),
  loadFar("ss", "0F B2 Gv,Mp"),
  loadFar("fs", "0F B4 Gv,Mp"),
  loadFar("gs", "0F B5 Gv,Mp"),
];
