import { expect, test } from "vitest";
import { SeededRandom } from "../../support/random.ts";
import { CODE, machine } from "../jit/machine.ts";

const EDGES = [0n, 1n, 2n, 0xffff_ffffn, 1n << 32n, 1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 2n];
const TIMES = 20_000;

/** Numbers with many zeros, many ones and few bits, where estimates of digits are wrong. */
function number(random: SeededRandom): bigint {
  const any = (BigInt(random.next()) << 32n) | BigInt(random.next());
  const value = random.next() % 2 === 0 ? any >> BigInt(random.next() % 64) : random.pick(EDGES);
  return BigInt.asUintN(64, value + BigInt(random.next() % 3) - 1n);
}

test.each(["interpreted", "translated"])("128 bits by 64, %s", (how) => {
  // div rcx
  const { cpu } = machine([0x48, 0xf7, 0xf1], 3);
  const random = new SeededRandom(64);
  const region = how === "translated" ? cpu.liveCode.translateOne() : undefined;
  for (let n = 0; n < TIMES; n++) {
    const divisor = number(random) || 1n;
    const high = number(random) % divisor;
    const low = number(random);
    const registers = cpu.readRegisters();
    cpu.writeRegisters({ ...registers, rax: low, rdx: high, rcx: divisor, rip: BigInt(CODE) });
    expect(cpu.executeOne(region)).toBeUndefined();
    const { rax, rdx } = cpu.readRegisters();
    const dividend = (high << 64n) | low;
    expect([rax, rdx]).toEqual([dividend / divisor, dividend % divisor]);
  }
});
