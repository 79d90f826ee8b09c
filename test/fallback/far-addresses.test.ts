import { describe, expect, test } from "vitest";
import { nanos } from "../../src/core/units.ts";
import { begin, DATA, machine } from "./jit/machine.ts";

const PF = 14;
const GP = 13;
const ENTRIES = 8;

/** Powers of two from what is mapped on, and what is before them: there generated code has its numbers for "nothing". */
const ADDRESSES = Array.from({ length: 42 }, (_, n) => 1n << BigInt(n + 22))
  .filter((power) => power !== 1n << 30n)
  .flatMap((power) => [power, power - 0x1000n, -power, -power - 0x1000n])
  .filter((address) => BigInt.asUintN(64, address) >= 0x80_0000n)
  .filter((address) => (address & ~0x3f_ffffn) !== 0x4000_0000n)
  .map((address) => BigInt.asUintN(64, address));

const isCanonical = (address: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;

/**
 * mov ecx, 8; again: access; dec ecx; jnz again; mov rbx, rdx; jmp again: memory at RBX a few times, so that
 * it may be translated, and then that at RDX.
 */
const program = (access: readonly number[]): number[] => {
  const again = [...access, 0xff, 0xc9, 0x75, -(access.length + 4) & 0xff];
  const other = [0x48, 0x89, 0xd3, 0xeb, -(again.length + 5) & 0xff];
  return [0xb9, ENTRIES, 0, 0, 0, ...again, ...other];
};

describe.each([undefined, 2])("far addresses, threshold %s", (threshold) => {
  const m = machine([], threshold);

  test.each([
    ["mov eax, [rbx]", [0x8b, 0x03]],
    ["mov [rbx], al", [0x88, 0x03]],
    ["add [rbx], rax", [0x48, 0x01, 0x03]],
    ["movups xmm0, [rbx]", [0x0f, 0x10, 0x03]],
    ["movups [rbx], xmm0", [0x0f, 0x11, 0x03]],
  ])("are nobody's: %s", (_, access) => {
    for (const address of ADDRESSES) {
      m.cpu.reset();
      begin(m, program(access));
      const registers = m.cpu.readRegisters();
      m.cpu.writeRegisters({ ...registers, rbx: BigInt(DATA), rdx: address });
      const exit = m.cpu.run(nanos(m.clock.now() + 1000));
      const vector = exit.kind === "shutdown" ? exit.exceptions?.[0]?.vector : undefined;
      expect([address.toString(16), vector]).toEqual([
        address.toString(16),
        isCanonical(address) ? PF : GP,
      ]);
    }
  });
});
