import { beforeEach, describe, expect, test } from "vitest";
import { CR0, CR4 } from "../../../fallback/bits.ts";
import type { FallbackCpu } from "../../../fallback/cpu.ts";
import { createFallbackCpu } from "../../../fallback/index.ts";
import { FXSAVE, STATE } from "../../../fallback/state.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, nanos } from "../../../src/core/units.ts";
import { allocateMemory } from "../../../src/machine/memory.ts";

const CODE = 0x1000;
/** Where BX points. */
const AREA = 0x2000;
const XSAVE_SIZE = 832;
const HEADER = 512;
const AVX_AT = 576;
const GPR_BX = 3;

const FXSAVE_BX = [0x0f, 0xae, 0x07];
const FXRSTOR_BX = [0x0f, 0xae, 0x0f];
const XSAVE_BX = [0x0f, 0xae, 0x27];
const XRSTOR_BX = [0x0f, 0xae, 0x2f];
const XSAVEOPT_BX = [0x0f, 0xae, 0x37];
const XSAVEC_BX = [0x0f, 0xc7, 0x27];
const LDMXCSR_BX = [0x0f, 0xae, 0x17];
const PXOR = [0x66, 0x0f, 0xef, 0xc0];
const MMX_PXOR = [0x0f, 0xef, 0xc0];
const SFENCE = [0x0f, 0xae, 0xf8];

let cpu: FallbackCpu;
let ram: GuestMemory;
let slices = 0;

/** Real mode, with SSE and XSAVE enabled. */
beforeEach(() => {
  const { whole, ram: guest } = allocateMemory(2);
  ram = guest;
  slices = 0;
  const clock = new VirtualClock();
  cpu = createFallbackCpu({
    memory: whole,
    ramSize: ram.size,
    clock,
    // A slice that ends without an exit ends the run.
    hostWaits: () => slices++ > 1,
  });
  ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
  const registers = cpu.readRegisters();
  cpu.writeRegisters({
    ...registers,
    cs: { ...registers.cs, selector: 0, base: 0n },
    cr4: BigInt(CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE),
  });
  cpu.processor.setField(STATE.XCR0, 7n);
});

/** Executes one instruction with BX at AREA: the vector it raises. */
function execute(code: readonly number[]): number | undefined {
  ram.write(gpa(CODE), Uint8Array.from(code));
  cpu.writeRegisters({ ...cpu.readRegisters(), rip: BigInt(CODE), rbx: BigInt(AREA) });
  expect(cpu.processor.gpr(GPR_BX)).toBe(BigInt(AREA));
  return cpu.executeOne()?.vector;
}

function setControls(cr0: number, cr4: number): void {
  const registers = cpu.readRegisters();
  cpu.writeRegisters({ ...registers, cr0: BigInt(CR0.ET | cr0), cr4: BigInt(cr4) });
}

const area = (): DataView => {
  const bytes = ram.slice(gpa(AREA), XSAVE_SIZE);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};

describe("the control registers' say", () => {
  test("SSE needs OSFXSR, and neither emulation nor a task switch", () => {
    expect(execute(PXOR)).toBeUndefined();
    setControls(0, 0);
    expect(execute(PXOR)).toBe(6);
    setControls(CR0.EM | CR0.TS, CR4.OSFXSR);
    expect(execute(PXOR)).toBe(6);
    setControls(CR0.TS, CR4.OSFXSR);
    expect(execute(PXOR)).toBe(7);
    setControls(0, CR4.OSFXSR);
    expect(execute(PXOR)).toBeUndefined();
  });

  test("MMX does not need OSFXSR", () => {
    setControls(0, 0);
    expect(execute(MMX_PXOR)).toBeUndefined();
    setControls(CR0.EM, 0);
    expect(execute(MMX_PXOR)).toBe(6);
    setControls(CR0.TS, 0);
    expect(execute(MMX_PXOR)).toBe(7);
  });

  test("code that has raised #NM runs once the task switch is over", () => {
    const HANDLER = 0x3000;
    const NM_ENTRY = 4 * 7;
    const CLTS_IRET = [0x0f, 0x06, 0xcf];
    const HLT = 0xf4;
    ram.write(gpa(CODE), Uint8Array.of(...PXOR, HLT));
    ram.write(gpa(HANDLER), Uint8Array.from(CLTS_IRET));
    ram.write(gpa(NM_ENTRY), Uint8Array.of(HANDLER & 0xff, HANDLER >> 8, 0, 0));
    setControls(CR0.TS, CR4.OSFXSR);
    cpu.writeRegisters({ ...cpu.readRegisters(), rip: BigInt(CODE), rsp: 0x8000n });
    cpu.processor.view.setUint8(STATE.XMM, 5);
    // Longer than this takes; for ever, if the code kept raising the exception.
    expect(cpu.run(nanos(1)).kind).toMatch(/^halt/);
    expect(cpu.processor.view.getUint8(STATE.XMM)).toBe(0);
  });

  test("fences need nothing", () => {
    setControls(CR0.EM | CR0.TS, 0);
    expect(execute(SFENCE)).toBeUndefined();
  });

  test("an unmasked exception is #UD where the system does not know #XM", () => {
    const DIVPS = [0x0f, 0x5e, 0xc0];
    cpu.processor.view.setUint32(STATE.MXCSR, 0x1f00, true);
    expect(execute(DIVPS)).toBe(19);
    setControls(0, CR4.OSFXSR);
    expect(execute(DIVPS)).toBe(6);
  });
});

describe("FXSAVE and FXRSTOR", () => {
  test("have x87's registers in the stack's order", () => {
    const { view } = cpu.processor;
    const TOP_6 = 6 << 11;
    view.setUint16(STATE.FX_AREA + FXSAVE.STATUS_WORD, TOP_6, true);
    for (let n = 0; n < 8; n++) view.setUint8(STATE.FX_AREA + FXSAVE.ST + 16 * n, 0x10 + n);
    expect(execute(FXSAVE_BX)).toBeUndefined();
    const stored = Array.from({ length: 8 }, (_, n) => area().getUint8(FXSAVE.ST + 16 * n));
    expect(stored).toEqual([0x16, 0x17, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15]);
    for (let n = 0; n < 8; n++) view.setUint8(STATE.FX_AREA + FXSAVE.ST + 16 * n, 0);
    expect(execute(FXRSTOR_BX)).toBeUndefined();
    for (let n = 0; n < 8; n++) {
      expect(view.getUint8(STATE.FX_AREA + FXSAVE.ST + 16 * n)).toBe(0x10 + n);
    }
  });

  test("leave the last eight XMM registers alone outside 64-bit mode", () => {
    const { view } = cpu.processor;
    for (let n = 0; n < 16; n++) view.setUint8(STATE.XMM + 16 * n, n + 1);
    execute(FXSAVE_BX);
    expect(area().getUint8(FXSAVE.XMM + 16 * 7)).toBe(8);
    expect(area().getUint8(FXSAVE.XMM + 16 * 8)).toBe(0);
    area().setUint8(FXSAVE.XMM + 16 * 8, 99);
    execute(FXRSTOR_BX);
    expect(view.getUint8(STATE.XMM + 16 * 8)).toBe(9);
  });

  test("raise #NM with emulation as with a task switch", () => {
    for (const bit of [CR0.EM, CR0.TS]) {
      setControls(bit, CR4.OSFXSR);
      expect(execute(FXSAVE_BX)).toBe(7);
    }
  });

  test("bits that MXCSR does not have raise #GP and change nothing", () => {
    execute(FXSAVE_BX);
    area().setUint32(FXSAVE.MXCSR, 0x1_0000, true);
    area().setUint8(FXSAVE.XMM, 77);
    expect(execute(FXRSTOR_BX)).toBe(13);
    expect(cpu.processor.view.getUint8(STATE.XMM)).toBe(0);
    area().setUint32(0, 0x1_0000, true);
    expect(execute(LDMXCSR_BX)).toBe(13);
    expect(cpu.processor.view.getUint32(STATE.MXCSR, true)).toBe(0x1f80);
  });
});

describe("XSAVE and XRSTOR", () => {
  const X87 = 1n;
  const SSE = 2n;
  const AVX = 4n;
  const COMPACTED = 1n << 63n;
  const RAX = 0;

  function withMask(mask: bigint, code: readonly number[]): number | undefined {
    cpu.processor.setGpr(RAX, mask);
    return execute(code);
  }

  test.each([
    ["XSAVE", XSAVE_BX],
    ["XSAVEOPT", XSAVEOPT_BX],
  ])("save the components that are asked for and enabled: %s", (_name, save) => {
    cpu.processor.view.setUint8(STATE.XMM, 5);
    area().setUint16(FXSAVE.CONTROL_WORD, 0xabcd, true);
    area().setBigUint64(HEADER, X87 | AVX, true);
    cpu.processor.setField(STATE.XCR0, 3n);
    expect(withMask(SSE | AVX, save)).toBeUndefined();
    expect(area().getBigUint64(HEADER, true)).toBe(X87 | SSE | AVX);
    expect(area().getUint8(FXSAVE.XMM)).toBe(5);
    expect(area().getUint32(FXSAVE.MXCSR, true)).toBe(0x1f80);
    expect(area().getUint16(FXSAVE.CONTROL_WORD, true)).toBe(0xabcd);
  });

  test("components that are not in the area become what they were at first", () => {
    const { view } = cpu.processor;
    withMask(X87, XSAVE_BX);
    area().setUint32(FXSAVE.MXCSR, 0x1fa0, true);
    view.setUint8(STATE.XMM, 5);
    view.setUint16(STATE.FX_AREA + FXSAVE.CONTROL_WORD, 0x27f, true);
    expect(withMask(X87 | SSE, XRSTOR_BX)).toBeUndefined();
    expect(view.getUint8(STATE.XMM)).toBe(0);
    expect(view.getUint32(STATE.MXCSR, true)).toBe(0x1fa0);
    expect(view.getUint16(STATE.FX_AREA + FXSAVE.CONTROL_WORD, true)).toBe(0x37f);
  });

  test("what is reserved in the header raises #GP", () => {
    const header = (present: bigint, format: bigint): number | undefined => {
      area().setBigUint64(HEADER, present, true);
      area().setBigUint64(HEADER + 8, format, true);
      return withMask(SSE, XRSTOR_BX);
    };
    area().setUint32(FXSAVE.MXCSR, 0x1f80, true);
    expect(header(SSE, 0n)).toBeUndefined();
    expect(header(8n, 0n)).toBe(13);
    expect(header(SSE, SSE)).toBe(13);
    expect(header(SSE, COMPACTED | SSE)).toBeUndefined();
    expect(header(SSE, COMPACTED)).toBe(13);
    expect(header(SSE, COMPACTED | SSE | 8n)).toBe(13);
    cpu.processor.setField(STATE.XCR0, 3n);
    expect(header(AVX, 0n)).toBe(13);
    cpu.processor.setField(STATE.XCR0, 7n);
    area().setUint8(HEADER + 24, 1);
    expect(header(SSE, 0n)).toBeUndefined();
    expect(header(SSE, COMPACTED | SSE)).toBe(13);
  });

  test("have the upper halves of YMM registers, eight of them outside 64-bit mode", () => {
    const { view } = cpu.processor;
    for (let n = 0; n < 16; n++) view.setUint8(STATE.YMM_UPPER + 16 * n, n + 1);
    expect(withMask(AVX, XSAVE_BX)).toBeUndefined();
    expect(area().getBigUint64(HEADER, true)).toBe(AVX);
    expect(area().getUint32(FXSAVE.MXCSR, true)).toBe(0x1f80);
    expect([7, 8].map((n) => area().getUint8(AVX_AT + 16 * n))).toEqual([8, 0]);
    area().setUint8(AVX_AT, 99);
    expect(withMask(AVX, XRSTOR_BX)).toBeUndefined();
    expect([0, 7, 8].map((n) => view.getUint8(STATE.YMM_UPPER + 16 * n))).toEqual([99, 8, 9]);
    area().setBigUint64(HEADER, 0n, true);
    expect(withMask(AVX, XRSTOR_BX)).toBeUndefined();
    expect([0, 7, 8].map((n) => view.getUint8(STATE.YMM_UPPER + 16 * n))).toEqual([0, 0, 9]);
  });

  test("leave out what is in its initial state, but for plain XSAVE", () => {
    for (let at = 0; at < XSAVE_SIZE; at++) area().setUint8(at, at < HEADER ? 0xee : 0);
    cpu.processor.view.setUint8(STATE.XMM, 5);
    for (const save of [XSAVEOPT_BX, XSAVEC_BX]) {
      expect(withMask(X87 | SSE | AVX, save)).toBeUndefined();
      expect(area().getUint16(FXSAVE.CONTROL_WORD, true)).toBe(0xeeee);
      expect(area().getBigUint64(HEADER, true)).toBe(SSE);
      expect(area().getUint8(FXSAVE.XMM)).toBe(5);
    }
    expect(area().getBigUint64(HEADER + 8, true)).toBe(COMPACTED | X87 | SSE | AVX);
    expect(withMask(X87, XSAVE_BX)).toBeUndefined();
    expect(area().getUint16(FXSAVE.CONTROL_WORD, true)).toBe(0x37f);
  });

  test("MXCSR belongs to SSE in the compacted format, and to AVX as well in the other", () => {
    const { view } = cpu.processor;
    const mxcsr = (): number => view.getUint32(STATE.MXCSR, true);
    view.setUint32(STATE.MXCSR, 0x1fa0, true);
    expect(withMask(SSE, XSAVEC_BX)).toBeUndefined();
    expect(area().getBigUint64(HEADER, true)).toBe(SSE);
    expect(area().getUint32(FXSAVE.MXCSR, true)).toBe(0x1fa0);
    area().setBigUint64(HEADER, 0n, true);
    expect(withMask(SSE, XRSTOR_BX)).toBeUndefined();
    expect(mxcsr()).toBe(0x1f80);
    expect(withMask(AVX, XRSTOR_BX)).toBeUndefined();
    expect(mxcsr()).toBe(0x1f80);
    area().setBigUint64(HEADER + 8, 0n, true);
    expect(withMask(AVX, XRSTOR_BX)).toBeUndefined();
    expect(mxcsr()).toBe(0x1fa0);
  });

  test("are unknown without OSXSAVE", () => {
    setControls(0, CR4.OSFXSR);
    expect(withMask(SSE, XSAVE_BX)).toBe(6);
  });
});
