/** Handlers of faults, so that programs can go on behind them. */
import { RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { type Machine, type Mode, TABLES } from "./machine.ts";

const GDT = 0x1000;
const IDT = 0x2000;
const HANDLERS = 0x3000;
const [CODE_SELECTOR, DATA_SELECTOR] = [8, 16];
const INTERRUPT_GATE = 0x8e00;
const [DE, UD, PF] = [0, 6, 14];
/** All faults are of instructions of two bytes. add [rsp], 2; mov [rbx + 0x3e0], eax; iret */
const GO_ON = {
  64: [0x48, 0x83, 0x04, 0x24, 2, 0x48, 0x89, 0x83, 0xe0, 3, 0, 0, 0x48, 0xcf],
  32: [0x83, 0x04, 0x24, 2, 0x89, 0x83, 0xe0, 3, 0, 0, 0xcf],
} as const;
/** add rsp, 8 or esp, 4 */
const DROP_CODE = { 64: [0x48, 0x83, 0xc4, 8], 32: [0x83, 0xc4, 4] } as const;

/** Whether there can be any: their segments are flat. */
export const mayFault = ({ bits, segmented }: Mode): boolean => bits !== 16 && !segmented;

/** Lets #DE, #UD and #PF pass over the instruction. With paging in 32-bit mode page 0 is away. */
export function handleFaults({ cpu, ram }: Machine, { bits, system }: Mode): void {
  if (bits === 16) throw new Error("no handlers in 16-bit code");
  const view = new DataView(ram.buffer, RAM_OFFSET);
  const code = bits === 64 ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn;
  view.setBigUint64(GDT + CODE_SELECTOR, code, true);
  view.setBigUint64(GDT + DATA_SELECTOR, 0x00cf_9300_0000_ffffn, true);
  const handlers = new Uint8Array(ram.buffer, RAM_OFFSET + HANDLERS);
  handlers.set([...DROP_CODE[bits], ...GO_ON[bits]]);
  const withoutCode = HANDLERS + DROP_CODE[bits].length;
  for (const [vector, handler] of [
    [DE, withoutCode],
    [UD, withoutCode],
    [PF, HANDLERS],
  ] as const) {
    const gate = IDT + vector * (bits === 64 ? 16 : 8);
    view.setUint32(gate, (CODE_SELECTOR << 16) | handler, true);
    view.setUint32(gate + 4, INTERRUPT_GATE, true);
  }
  if (system === "paging") view.setUint32(TABLES + 0x1000, 0, true);
  const registers = cpu.readRegisters();
  cpu.writeRegisters({
    ...registers,
    gdtr: { base: BigInt(GDT), limit: DATA_SELECTOR + 7 },
    idtr: { base: BigInt(IDT), limit: 0xfff },
    ss: { ...registers.ss, selector: DATA_SELECTOR },
  });
}
