/** Descriptor table registers and what is loaded through them (Intel SDM vol. 3A §2.8.1). */
import { undefinedOpcode } from "../exceptions.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { SEGMENT_INDEX, STATE } from "../state.ts";
import { loadGdtr, loadIdtr } from "../system/descriptor-tables.ts";
import { loadLdtr, loadTaskRegister } from "../system/segments.ts";
import type { Family, Instruction } from "./instruction.ts";

/** In 64-bit mode the base has eight bytes, else four, of which 16-bit operands use three. */
function loadTable(context: ProcedureContext, load: typeof loadGdtr): void {
  const { processor: p } = context;
  const limit = Number(context.readMemory(context.address(), 2));
  const base = context.readMemory(context.address(2), p.code64 ? 8 : 4);
  const narrow = !p.code64 && context.operandSize === 16;
  load(p, narrow ? base & 0xff_ffffn : base, limit);
}

/** @param base, limit offsets in the state */
function storeTable(context: ProcedureContext, base: number, limit: number): void {
  const { processor: p } = context;
  context.writeMemory(context.address(), 2, BigInt(p.view.getUint32(limit, true)));
  context.writeMemory(context.address(2), p.code64 ? 8 : 4, p.field(base));
}

/** SLDT, STR: 16 bits to memory, the operand size to a register. */
function storeSelector(context: ProcedureContext, index: number): void {
  if (!context.processor.protectedMode || context.processor.virtual8086) throw undefinedOpcode();
  storeWord(context, BigInt(context.processor.selector(index)));
}

function storeWord(context: ProcedureContext, value: bigint): void {
  if (context.inMemory) context.writeMemory(context.address(), 2, value & 0xffffn);
  else context.setRegister(context.rm, context.operandSize, value);
}

const loading = (name: string, form: string, load: typeof loadLdtr): Instruction => ({
  name,
  forms: [form],
  cpl: 0,
  ends: true,
  procedure(context) {
    const { processor, mmu } = context;
    if (!processor.protectedMode || processor.virtual8086) throw undefinedOpcode();
    load(processor, mmu, Number(context.read(0)));
  },
});

export const systemTables: Family = [
  {
    name: "LGDT",
    forms: ["0F 01/2 M mem v"],
    cpl: 0,
    procedure: (context) => loadTable(context, loadGdtr),
  },
  {
    name: "LIDT",
    forms: ["0F 01/3 M mem v"],
    cpl: 0,
    procedure: (context) => loadTable(context, loadIdtr),
  },
  {
    name: "SGDT",
    forms: ["0F 01/0 M mem"],
    procedure: (context) => storeTable(context, STATE.GDTR_BASE, STATE.GDTR_LIMIT),
  },
  {
    name: "SIDT",
    forms: ["0F 01/1 M mem"],
    procedure: (context) => storeTable(context, STATE.IDTR_BASE, STATE.IDTR_LIMIT),
  },
  {
    name: "SLDT",
    forms: ["0F 00/0 Ev"],
    procedure: (context) => storeSelector(context, SEGMENT_INDEX.ldtr),
  },
  {
    name: "STR",
    forms: ["0F 00/1 Ev"],
    procedure: (context) => storeSelector(context, SEGMENT_INDEX.tr),
  },
  loading("LLDT", "0F 00/2 Ew", loadLdtr),
  loading("LTR", "0F 00/3 Ew", loadTaskRegister),
  {
    name: "SMSW",
    forms: ["0F 01/4 Ev"],
    procedure: (context) => storeWord(context, BigInt(context.processor.cr0)),
  },
];
