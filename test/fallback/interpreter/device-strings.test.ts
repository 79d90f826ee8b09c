import { expect, test } from "vitest";
import { gpa, nanos } from "../../../src/core/units.ts";
import { type Machine, machine, TABLES } from "../jit/machine.ts";

/** Linear, and where that leads: outside RAM. */
const DEVICE = 0x40_0000;
const REGISTERS = 0xfe00_0000;
const LARGE_PAGE = 0x83;

/** A machine whose third page of 2 MiB is a device. */
function withDevice(code: readonly number[]): Machine {
  const made = machine(code, undefined);
  made.ram.writeU32(gpa(TABLES + 0x2000 + 16), REGISTERS | LARGE_PAGE);
  return made;
}

/** Runs for a time; returns what the device was asked for. Reads get the low byte of the address. */
function asked({ cpu, clock }: Machine, instructions: number): string[] {
  const accesses: string[] = [];
  const deadline = nanos(clock.now() + instructions);
  for (;;) {
    const exit = cpu.run(deadline);
    if (exit.kind !== "mmio-read" && exit.kind !== "mmio-write") return accesses;
    if (exit.kind === "mmio-read") exit.data[0] = exit.address & 0xff;
    accesses.push(`${exit.kind.slice(5)} ${exit.address - REGISTERS}: ${exit.data[0]}`);
  }
}

test("a repeated copy makes each of its accesses to a device once", () => {
  // mov esi, DEVICE + 1; mov edi, DEVICE + 128; mov ecx, 3; rep movsb; hlt
  const source = [0xbe, 0x01, 0, 0x40, 0];
  const guest = withDevice([...source, 0xbf, 0x80, 0, 0x40, 0, 0xb9, 3, 0, 0, 0, 0xf3, 0xa4, 0xf4]);
  const each = [1, 2, 3].flatMap((n) => [`read ${n}: ${n}`, `write ${127 + n}: ${n}`]);
  expect(asked(guest, 1000)).toEqual(each);
  expect(guest.cpu.readRegisters()).toMatchObject({ rcx: 0n, rsi: BigInt(DEVICE + 4) });
});

test("a comparison that ends at a device's answer ends there", () => {
  // mov edi, DEVICE + 1; mov al, 3; mov ecx, 9; repne scasb; hlt
  const guest = withDevice([
    ...[0xbf, 0x01, 0, 0x40, 0, 0xb0, 3, 0xb9, 9, 0, 0, 0, 0xf2, 0xae, 0xf4],
  ]);
  expect(asked(guest, 1000)).toEqual(["read 1: 1", "read 2: 2", "read 3: 3"]);
  expect(guest.cpu.readRegisters().rcx).toBe(6n);
});

test("repeated stores to a device end with the time that the guest has", () => {
  // mov edi, DEVICE; mov rcx, -1; rep stosb
  const guest = withDevice([
    ...[0xbf, 0, 0, 0x40, 0, 0x48, 0xc7, 0xc1, 0xff, 0xff, 0xff, 0xff, 0xf3, 0xaa],
  ]);
  const accesses = asked(guest, 1000);
  expect(accesses.length).toBeGreaterThan(100);
  expect(accesses.length).toBeLessThan(1000);
});

test("elements in memory before a device's take time too", () => {
  // mov edi, DEVICE - 1000; mov al, 1; mov ecx, 1001; repne scasb; hlt
  const guest = withDevice([
    ...[0xbf, 0x18, 0xfc, 0x3f, 0, 0xb0, 1, 0xb9, 0xe9, 3, 0, 0, 0xf2, 0xae, 0xf4],
  ]);
  asked(guest, 100_000);
  expect(guest.cpu.instructions).toBeGreaterThan(1000);
});
