import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { type AccessSize, floating } from "../../src/core/device.ts";
import { GuestError, HostError } from "../../src/core/errors.ts";
import { MILLISECOND, SECOND } from "../../src/core/units.ts";
import { IOAPIC, LAPIC, Rig } from "../support/board-rig.ts";

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

/** Where devices are: random accesses should find them more often than chance has it. */
const DEVICE_PORTS = [
  ...[0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0xe0, 0xf4, 0x3f8, 0x4d0, 0x501, 0x510, 0x600],
  ...[0xcf8, 0xcfc, 0x2000, 0xc000, 0xc040],
];

const port = fc.oneof(
  fc.nat(0xffff),
  fc.tuple(fc.constantFrom(...DEVICE_PORTS), fc.nat(24)).map(([base, offset]) => base + offset),
);

const access = fc.record({
  port,
  size: fc.constantFrom<AccessSize>(1, 2, 4),
  write: fc.boolean(),
  value: fc.oneof(
    fc.nat(0xff),
    fc.nat(0xffff_ffff),
    // PCI configuration addresses of the devices there are.
    fc.nat(0x3fff).map((low) => 0x8000_0000 + low),
  ),
  pause: fc.oneof(fc.constant(0), fc.nat(100_000), fc.nat(2 * SECOND)),
});

/** Ports of which a write may end or reset the machine, and those an access may straddle into them. */
const near = (port: number, size: number, first: number, last: number): boolean =>
  port <= last && port + size > first;

describe("a guest that reads and writes ports at random", () => {
  it("finds a machine that answers everything and ends or resets only where it may", () => {
    fc.assert(
      fc.property(fc.array(access, { minLength: 50, maxLength: 400 }), (accesses) => {
        const machine = new Rig();
        for (const { port: at, size, write, value, pause } of accesses) {
          const { resets, ends } = machine;
          const ended = ends.length;
          if (write) machine.write(at, (value & floating(size)) >>> 0, size);
          else {
            const read = machine.read(at, size);
            expect(Number.isInteger(read) && read >= 0 && read <= floating(size)).toBe(true);
          }
          const onlyBy = (...ranges: [number, number][]): void =>
            expect(write && ranges.some(([a, b]) => near(at, size, a, b)), `${at}`).toBe(true);
          if (machine.resets > resets)
            onlyBy([0x60, 0x60], [0x64, 0x64], [0x92, 0x92], [0xcf9, 0xcf9]);
          if (ends.length > ended) onlyBy([0xf4, 0xf7], [0x501, 0x504], [0x604, 0x605]);
          machine.clock.advance(pause);
          if (machine.board.interrupts.pending && (value & 1) === 1) {
            const vector = machine.board.interrupts.acknowledge();
            expect(Number.isInteger(vector) && vector >= 0 && vector <= 0xff).toBe(true);
          }
          if (machine.resets > resets) machine.board.reset();
        }
        for (const error of machine.reports) {
          expect(error instanceof GuestError || error instanceof HostError).toBe(true);
          expect(error.message).not.toMatch(/\n/);
        }
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it("finds every port of the whole space readable and writable, in every size", () => {
    for (const size of [1, 2, 4] as const) {
      for (const value of [0, 0xffff_ffff, 0x5a5a_a5a5]) {
        const machine = new Rig();
        for (let at = 0; at < 0x1_0000; at++) {
          const read = machine.read(at, size);
          if (read < 0 || read > floating(size)) expect.fail(`port ${at} reads ${read}`);
          machine.write(at, (value & floating(size)) >>> 0, size);
        }
        machine.clock.advance(SECOND);
        machine.board.reset();
        expect(machine.read(0x21)).toBe(0xb8);
      }
    }
  });
});

describe("memory without RAM", () => {
  it("reads all ones wherever a guest looks, and swallows writes", () => {
    const { mmio } = rig.board;
    const apic = (at: number): boolean =>
      [LAPIC, IOAPIC].some((base) => at > base - 4 && at < base + 0x1000);
    const address = fc
      .oneof(fc.nat(0xffff_ffff), fc.maxSafeNat())
      .filter((candidate) => !apic(candidate));
    fc.assert(
      fc.property(address, fc.constantFrom<AccessSize>(1, 2, 4), (at, size) => {
        mmio.write(at, size, 0);
        expect(mmio.read(at, size)).toBe(floating(size));
      }),
    );
  });

  it("but the APICs' pages, answers whatever a guest does there, in any size", () => {
    const access = fc.record({
      base: fc.constantFrom(LAPIC, IOAPIC),
      offset: fc.oneof(
        fc.nat(0x3f).map((slot) => slot * 0x10),
        fc.integer({ min: -3, max: 0xfff }),
      ),
      size: fc.constantFrom<AccessSize>(1, 2, 4),
      value: fc.oneof(fc.nat(0xff), fc.nat(0xf_ffff), fc.nat(0xffff_ffff)),
      pause: fc.oneof(fc.constant(0), fc.nat(2 * MILLISECOND)),
    });
    fc.assert(
      fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
        const { board, clock } = new Rig();
        const { mmio, interrupts } = board;
        // A timer whose line changes meanwhile.
        board.ports.write(0x43, 1, 0x34);
        board.ports.write(0x40, 1, 0);
        board.ports.write(0x40, 1, 1);
        for (const { base, offset, size, value, pause } of accesses) {
          mmio.write(base + offset, size, (value & floating(size)) >>> 0);
          const read = mmio.read(base + offset, size);
          expect(Number.isInteger(read) && read >= 0 && read <= floating(size)).toBe(true);
          clock.advance(pause);
          if (!interrupts.pending) continue;
          const vector = interrupts.acknowledge();
          expect(Number.isInteger(vector) && vector >= 0 && vector <= 0xff).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
