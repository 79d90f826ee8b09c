/**
 * The state of x87, MMX and SSE as a whole (Intel SDM vol. 1 §10.5), SSE's control register, and the order
 * of memory accesses (vol. 1 §11.4.4).
 */
import { generalProtection } from "../exceptions.ts";
import { ALL_EXCEPTIONS } from "../float/context.ts";
import { FX_IMAGE_SIZE, readFxImage, writeFxImage } from "../fx-image.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { FXSAVE, STATE } from "../state.ts";
import { i64 } from "../wasm/expression.ts";
import type { Family, Instruction } from "./instruction.ts";
import { beginMmx, emptyMmx } from "./mmx-state.ts";
import type { Operand } from "./operand.ts";

const MXCSR_MASK = 0xffff;
const MXCSR_MASK_OFFSET = FXSAVE.MXCSR + 4;
const OPCODE_MASK = 0x7ff;
/** Only 64-bit mode has the registers behind. */
const IMAGE_END_32 = FXSAVE.XMM + 8 * 16;
const REX_W = 8;
/** The bits there are; and the reserved one that is always set. */
const CONTROL_WORD_MASK = 0x1f3f;
const CONTROL_WORD_ONES = 0x40;
/** ES and B of the status word: an unmasked exception is pending. */
const SUMMARY = 0x8080;

/** Of the legacy region: silicon looks at it first. */
const LAST_BYTE = 511;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);

export const imageSize = ({ processor }: ProcedureContext): number =>
  processor.code64 ? FX_IMAGE_SIZE : IMAGE_END_32;

/** With REX.W pointers have 64 bits; without, 32 bits and a selector, which modern processors leave 0. */
const hasWidePointers = ({ instruction }: ProcedureContext): boolean =>
  (instruction.rex & REX_W) !== 0;

/** The processor's state as the instruction stores it. */
export function storedImage(context: ProcedureContext): Uint8Array<ArrayBuffer> {
  const image = readFxImage(context.processor);
  const view = viewOf(image);
  view.setUint32(MXCSR_MASK_OFFSET, MXCSR_MASK, true);
  if (!hasWidePointers(context)) {
    view.setUint32(FXSAVE.INSTRUCTION_POINTER + 4, 0, true);
    view.setUint32(FXSAVE.DATA_POINTER + 4, 0, true);
  }
  return image;
}

/** @throws CpuException #GP(0) for bits that MXCSR does not have */
export function checkedMxcsr(value: number): number {
  if ((value & ~MXCSR_MASK) !== 0) throw generalProtection();
  return value;
}

/** Makes an image from memory what the processor can hold. */
export function normalise(context: ProcedureContext, image: Uint8Array): void {
  const view = viewOf(image);
  const control = view.getUint16(FXSAVE.CONTROL_WORD, true);
  view.setUint16(FXSAVE.CONTROL_WORD, (control & CONTROL_WORD_MASK) | CONTROL_WORD_ONES, true);
  const status = view.getUint16(FXSAVE.STATUS_WORD, true);
  const pending = (status & ~control & ALL_EXCEPTIONS) !== 0 ? SUMMARY : 0;
  view.setUint16(FXSAVE.STATUS_WORD, (status & ~SUMMARY) | pending, true);
  view.setUint16(FXSAVE.OPCODE, view.getUint16(FXSAVE.OPCODE, true) & OPCODE_MASK, true);
  image[FXSAVE.TAG_WORD + 1] = 0;
  if (!hasWidePointers(context)) {
    view.setUint32(FXSAVE.INSTRUCTION_POINTER + 4, 0, true);
    view.setUint32(FXSAVE.DATA_POINTER + 4, 0, true);
  }
}

function fxsave(context: ProcedureContext): void {
  const address = context.alignedAddress(16n);
  context.check(context.address(LAST_BYTE), 1, "write");
  context.writeBytes(address, storedImage(context).subarray(0, imageSize(context)));
}

function fxrstor(context: ProcedureContext): void {
  const address = context.alignedAddress(16n);
  context.check(context.address(LAST_BYTE), 1, "read");
  const size = imageSize(context);
  const image = readFxImage(context.processor);
  image.set(context.readBytes(address, size));
  checkedMxcsr(viewOf(image).getUint32(FXSAVE.MXCSR, true));
  normalise(context, image);
  writeFxImage(context.processor, image);
}

export const mxcsrMoves: readonly Instruction[] = [
  {
    name: "LDMXCSR",
    unit: "sse",
    forms: ["NP 0F AE/2 Md"],
    procedure(context) {
      const value = checkedMxcsr(Number(context.read(0)));
      context.processor.view.setUint32(STATE.MXCSR, value, true);
    },
  },
  {
    name: "STMXCSR",
    unit: "sse",
    forms: ["NP 0F AE/3 Md"],
    meaning(e, destination: Operand) {
      e.write(destination, i64.extendU(e.mxcsr()));
    },
  },
];

export const sseState: Family = [
  { name: "FXSAVE", unit: "x87", forms: ["NP 0F AE/0 M mem"], procedure: fxsave },
  { name: "FXRSTOR", unit: "x87", forms: ["NP 0F AE/1 M mem"], procedure: fxrstor },
  ...mxcsrMoves,
  // One processor sees its own accesses in order.
  { name: "LFENCE", forms: ["NP 0F AE/5 reg"], meaning() {} },
  { name: "MFENCE", forms: ["NP 0F AE/6 reg"], meaning() {} },
  { name: "SFENCE", forms: ["NP 0F AE/7 reg"], meaning() {} },
  // There are no caches to write back, but the line has to be readable.
  ...[
    { name: "CLFLUSH", form: "NP 0F AE/7 Mb" },
    { name: "CLFLUSHOPT", form: "66 0F AE/7 Mb" },
    { name: "CLWB", form: "66 0F AE/6 Mb" },
  ].map(
    ({ name, form }): Instruction => ({
      name,
      forms: [form],
      meaning(e, line) {
        if (line !== undefined) e.read(line);
      },
    }),
  ),
  {
    name: "EMMS",
    unit: "mmx",
    forms: ["NP 0F 77"],
    procedure({ processor }) {
      beginMmx(processor);
      emptyMmx(processor);
    },
  },
];
