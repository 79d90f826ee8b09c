/** XSAVE and its kin (Intel SDM vol. 1 §13.7 to §13.10). */
import { YMM_UPPERS_SIZE } from "../../src/core/processor-state.ts";
import { CR0, CR4 } from "../bits.ts";
import { CpuException, generalProtection, undefinedOpcode, VECTOR } from "../exceptions.ts";
import {
  areaSize,
  COMPONENT,
  componentsInUse,
  INITIAL_MXCSR,
  initialFxImage,
  X87_RANGES,
  XSAVE_AREA,
  ymmUppers,
} from "../extended-state.ts";
import { readFxImage, writeFxImage } from "../fx-image.ts";
import type { ProcedureContext } from "../interpreter/procedure-context.ts";
import { GPR, type Processor } from "../processor.ts";
import { FXSAVE, STATE } from "../state.ts";
import type { SegmentAccess } from "../system/segment-access.ts";
import type { Family } from "./instruction.ts";
import { checkedMxcsr, imageSize, normalise, storedImage } from "./sse-state.ts";

const { X87, SSE, AVX } = COMPONENT;
const ALIGNMENT = 64n;

/** The header: which components the area holds (XSTATE_BV), and its format (XCOMP_BV). */
const { HEADER } = XSAVE_AREA;
const HEADER_SIZE = 64;
const XCOMP_BV = HEADER + 8;
const COMPACTED = 1n << 63n;
/** Behind XCOMP_BV: must be zero, of which the standard format only minds the first word. */
const RESERVED = HEADER + 16;
const RESERVED_IN_STANDARD = HEADER + 24;

const MXCSR_AND_MASK = [FXSAVE.MXCSR, FXSAVE.ST] as const;

/** The components that an instruction is about. @throws CpuException #UD, #NM */
function requestedComponents({ processor: p }: ProcedureContext): bigint {
  if ((p.cr4 & CR4.OSXSAVE) === 0) throw undefinedOpcode();
  if ((p.cr0 & CR0.TS) !== 0) throw new CpuException(VECTOR.NM);
  const mask = (BigInt(p.gpr32(GPR.rdx)) << 32n) | BigInt(p.gpr32(GPR.rax));
  return mask & p.field(STATE.XCR0);
}

/** MXCSR makes SSE's component one in use, if it has been changed. */
const inUse = (p: Processor): bigint =>
  componentsInUse(p) | (p.view.getUint32(STATE.MXCSR, true) === INITIAL_MXCSR ? 0n : SSE);

/** Only 64-bit mode has the registers behind. */
const uppersSize = ({ processor }: ProcedureContext): number =>
  processor.code64 ? YMM_UPPERS_SIZE : YMM_UPPERS_SIZE / 2;

/** Where the area is: aligned, canonical or not. @throws CpuException */
function areaAddress(context: ProcedureContext): bigint {
  if (!context.isAligned(ALIGNMENT)) throw generalProtection();
  return context.address();
}

/** Silicon looks at the first and the last byte before any other. @throws CpuException */
function checkEnds(context: ProcedureContext, size: number, access: SegmentAccess): void {
  for (const at of [0, size - 1]) context.check(context.address(at), 1, access);
}

/**
 * Stores components.
 * @param withMxcsr whether MXCSR, too
 * @param header what becomes of its words, given the first one
 */
function store(
  context: ProcedureContext,
  requested: bigint,
  components: bigint,
  withMxcsr: boolean,
  header: (xstateBv: bigint) => readonly bigint[],
): void {
  const address = areaAddress(context);
  const image = storedImage(context);
  checkEnds(context, areaSize(requested), "write");
  context.check(address, areaSize(requested), "write");
  const put = (at: number, bytes: Uint8Array): void =>
    context.writeBytes(address + BigInt(at), bytes);
  const putRange = (from: number, to: number): void => put(from, image.subarray(from, to));
  if (components & X87) for (const [from, to] of X87_RANGES) putRange(from, to);
  if (withMxcsr) putRange(...MXCSR_AND_MASK);
  if (components & SSE) putRange(FXSAVE.XMM, imageSize(context));
  if (components & AVX) {
    put(XSAVE_AREA.AVX, ymmUppers(context.processor).slice(0, uppersSize(context)));
  }
  const at = address + BigInt(HEADER);
  for (const [index, word] of header(context.readMemory(at, 8)).entries()) {
    context.writeMemory(at + BigInt(8 * index), 8, word);
  }
}

/** @param optimised what is in its initial state is left out */
function storeStandard(context: ProcedureContext, optimised: boolean): void {
  const requested = requestedComponents(context);
  const present = requested & inUse(context.processor);
  const stored = optimised ? present : requested;
  const withMxcsr = (requested & (SSE | AVX)) !== 0n;
  store(context, requested, stored, withMxcsr, (before) => [(before & ~requested) | present]);
}

function xsavec(context: ProcedureContext): void {
  const requested = requestedComponents(context);
  const present = requested & inUse(context.processor);
  const withMxcsr = (present & SSE) !== 0n;
  store(context, requested, present, withMxcsr, () => [present, COMPACTED | requested]);
}

function xrstor(context: ProcedureContext): void {
  const requested = requestedComponents(context);
  const address = areaAddress(context);
  const { processor } = context;
  context.check(address, 1, "read");
  context.check(address + BigInt(HEADER), HEADER_SIZE, "read");
  const area = context.readBytes(address, XSAVE_AREA.AVX);
  const view = new DataView(area.buffer);
  const present = view.getBigUint64(HEADER, true);
  const format = view.getBigUint64(XCOMP_BV, true);
  const compacted = (format & COMPACTED) !== 0n;
  checkHeader(area, compacted ? format & ~COMPACTED : undefined, present, processor);
  checkEnds(context, areaSize(compacted ? requested & present : requested), "read");

  const initial = initialFxImage();
  const image = readFxImage(processor);
  if (requested & X87) {
    const source = present & X87 ? area : initial;
    for (const [from, to] of X87_RANGES) image.set(source.subarray(from, to), from);
  }
  const mxcsr = new DataView(image.buffer);
  if (compacted && requested & SSE & ~present) {
    mxcsr.setUint32(FXSAVE.MXCSR, INITIAL_MXCSR, true);
  } else if (requested & (compacted ? SSE : SSE | AVX)) {
    const value = checkedMxcsr(view.getUint32(FXSAVE.MXCSR, true));
    mxcsr.setUint32(FXSAVE.MXCSR, value, true);
  }
  if (requested & SSE) {
    const source = present & SSE ? area : initial;
    image.set(source.subarray(FXSAVE.XMM, imageSize(context)), FXSAVE.XMM);
  }
  const size = uppersSize(context);
  const uppers =
    requested & present & AVX
      ? context.readBytes(address + BigInt(XSAVE_AREA.AVX), size)
      : new Uint8Array(size);
  if (requested & X87) normalise(context, image);
  writeFxImage(processor, image);
  if (requested & AVX) ymmUppers(processor).set(uppers);
}

/**
 * @param format of a compacted area: the components that it has room for
 * @param present those that it holds
 * @throws CpuException #GP(0)
 */
function checkHeader(
  area: Uint8Array,
  format: bigint | undefined,
  present: bigint,
  p: Processor,
): void {
  const reserved =
    format === undefined ? area.subarray(XCOMP_BV, RESERVED_IN_STANDARD) : area.subarray(RESERVED);
  const unknown = (format ?? present) & ~p.field(STATE.XCR0);
  const roomless = format === undefined ? 0n : present & ~format;
  if ((unknown | roomless) !== 0n || reserved.some((byte) => byte !== 0)) throw generalProtection();
}

export const xsave: Family = [
  { name: "XSAVE", forms: ["NP 0F AE/4 M mem"], procedure: (c) => storeStandard(c, false) },
  { name: "XSAVEOPT", forms: ["NP 0F AE/6 M mem"], procedure: (c) => storeStandard(c, true) },
  { name: "XSAVEC", forms: ["NP 0F C7/4 M mem"], procedure: xsavec },
  { name: "XRSTOR", forms: ["NP 0F AE/5 M mem"], procedure: xrstor },
];
