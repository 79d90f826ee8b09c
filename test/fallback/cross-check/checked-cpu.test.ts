import { afterEach, describe, expect, test, vi } from "vitest";
import type { CheckedCpu } from "../../../fallback/cross-check/checked-cpu.ts";
import { createCheckedCpu } from "../../../fallback/index.ts";
import { i64 } from "../../../fallback/wasm/expression.ts";
import { CountedClock } from "../../../src/core/clock.ts";
import type { VmExit } from "../../../src/core/cpu.ts";
import { Bug } from "../../../src/core/errors.ts";
import { GuestMemory, RAM_OFFSET } from "../../../src/core/guest-memory.ts";
import { gpa, MIB, nanos } from "../../../src/core/units.ts";
import { begin, interpreter } from "../jit/machine.ts";

const RAM_SIZE = 4 * MIB;
const DEVICE = 0x40_0000;

interface Checked {
  readonly cpu: CheckedCpu;
  readonly clock: CountedClock;
  readonly ram: GuestMemory;
}

function checked(code: readonly number[]): Checked {
  const pages = (RAM_OFFSET + RAM_SIZE) / (64 * 1024);
  const allocate = () => new WebAssembly.Memory({ initial: pages, maximum: pages });
  const memory = allocate();
  const clock = new CountedClock(0);
  const cpu = createCheckedCpu({
    ...{ memory, twinMemory: allocate(), ramSize: RAM_SIZE, clock },
    keptInterpreter: () => interpreter,
    jit: { threshold: 3 },
  });
  const ram = new GuestMemory(memory.buffer, RAM_OFFSET);
  ram.onWrite = (address, length) => cpu.noticeWrite(address, length);
  begin({ cpu, ram }, code);
  return { cpu, clock, ram };
}

/** Runs to the first exit that is not `kicked`. */
function run({ cpu, clock }: Checked): VmExit {
  for (;;) {
    const exit = cpu.run(nanos(clock.now() + 1_000_000));
    if (exit.kind !== "kicked") return exit;
  }
}

/** mov ecx, 2000; again: …; dec ecx; jnz again; hlt */
const loop = (...body: number[]): number[] => {
  const back = -(body.length + 4);
  return [0xb9, 0xd0, 0x07, 0, 0, ...body, 0xff, 0xc9, 0x75, back & 0xff, 0xf4];
};

afterEach(() => void vi.restoreAllMocks());

test("a guest runs as by itself, in regions", () => {
  // add eax, ecx; mov [rbx], eax
  const guest = checked(loop(0x01, 0xc8, 0x89, 0x03));
  expect(run(guest).kind).toBe("halt");
  expect(guest.cpu.readRegisters().rax).toBe(2_001_000n);
  expect(guest.clock.now()).toBe(2 + 4 * 2000);
  expect(new Map(guest.cpu.notes).get("jit")).toMatch(/^[1-9]\d* regions/);
});

test("both get what devices answer", () => {
  // in eax, 0x10; mov edi, DEVICE; mov edx, [rdi]; mov [rdi + 4], edx; hlt
  const guest = checked([...[0xe5, 0x10, 0xbf, 0, 0, 0x40, 0, 0x8b, 0x17, 0x89, 0x57, 4, 0xf4]]);
  guest.ram.writeU32(gpa(0x10_2010), 0xfe00_0083);
  const input = run(guest);
  if (input.kind !== "port-read") throw new Error(input.kind);
  // What a device writes meanwhile is there for both too.
  guest.ram.writeU32(gpa(0x30_0000), 1234);
  input.complete(0, 77);
  const read = run(guest);
  if (read.kind !== "mmio-read") throw new Error(read.kind);
  read.data[0] = 99;
  const write = run(guest);
  if (write.kind !== "mmio-write") throw new Error(write.kind);
  expect([write.address - 0xfe00_0000, write.data[0]]).toEqual([4, 99]);
  expect(run(guest).kind).toBe("halt");
  expect(guest.cpu.readRegisters()).toMatchObject({ rax: 77n, rdx: 99n, rdi: BigInt(DEVICE) });
});

test("random numbers and the time are the same for both", () => {
  // rdrand edx; add eax, edx; rdtsc; add esi, eax
  const guest = checked(loop(0x0f, 0xc7, 0xf2, 0x01, 0xd0, 0x0f, 0x31, 0x01, 0xc6));
  expect(run(guest).kind).toBe("halt");
});

describe("where the JIT is wrong", () => {
  /** The text of the bug that ends a run. */
  function bugOf(code: readonly number[]): string {
    const guest = checked(code);
    try {
      run(guest);
    } catch (error) {
      if (error instanceof Bug) return error.message;
      throw error;
    }
    throw new Error("it was not noticed");
  }

  test("the region is named, with its code and what it did", () => {
    // The code that is made for multiplications adds: imul edx, ecx; xor esi, edx
    vi.spyOn(i64, "mul").mockImplementation(i64.add);
    const text = bugOf(loop(0x0f, 0xaf, 0xd1, 0x31, 0xd6));
    expect(text).toMatch(/registers\.rdx: interpreter 0x\w+, JIT 0x\w+/);
    expect(text).toMatch(/within 4 instructions from 0x200005 in this state:\n {2}rip 0x200005/);
    expect(text).toContain("  200005: imul edx, ecx");
    expect(text).toContain("i64.add");
  });

  test("what only shows in memory is found", () => {
    // imul edx, ecx; mov [rbx], edx; mov edx, 1
    vi.spyOn(i64, "mul").mockImplementation(i64.add);
    const text = bugOf(loop(0x0f, 0xaf, 0xd1, 0x89, 0x13, 0xba, 1, 0, 0, 0));
    expect(text).toMatch(/memory at 0x300000: interpreter 0x\w+, JIT 0x\w+/);
    expect(text).toContain("dword ptr [rbx], edx");
  });

  test("what happens late in a long stretch is found", () => {
    // cmp ecx, 5; cmovbe edx, ecx; imul edx, edx
    vi.spyOn(i64, "mul").mockImplementation((a, b) => i64.and(i64.add(a, b), i64.const(-2)));
    const text = bugOf(loop(0x83, 0xf9, 5, 0x0f, 0x46, 0xd1, 0x0f, 0xaf, 0xd2));
    expect(text).toMatch(/the region that is entered there:/);
  });
});
