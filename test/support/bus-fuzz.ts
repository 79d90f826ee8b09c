import fc from "fast-check";
import { expect } from "vitest";
import { type AccessSize, type BusDevice, floating } from "../../src/core/device.ts";

/** A device under test: its bus ranges with their lengths, and how time passes for it. */
export interface FuzzedDevice {
  readonly ranges: readonly (readonly [device: BusDevice, length: number])[];
  readonly advance?: (nanoseconds: number) => void;
}

const SIZES = [1, 2, 4] as const;

/** One access: numbers only, so that a failing run can be shown and shrunk. */
const access = fc.record({
  range: fc.nat(0xff),
  offset: fc.nat(0xff),
  size: fc.constantFrom(...SIZES),
  write: fc.boolean(),
  value: fc.oneof(fc.nat(0xff), fc.nat(0xffff), fc.nat(0xffff_ffff)),
  /** Nanoseconds that pass before it. */
  pause: fc.oneof(fc.constant(0), fc.nat(3_000), fc.nat(2_000_000)),
});

/**
 * Reads and writes the whole device at random. Nothing may throw, and what is read must be an
 * unsigned integer of the access's size.
 */
export const readWriteEverything = (create: () => FuzzedDevice): void => {
  fc.assert(
    fc.property(fc.array(access, { maxLength: 120 }), (accesses) => {
      const { ranges, advance } = create();
      for (const step of accesses) {
        const [device, length] = ranges[step.range % ranges.length] ?? [undefined, 0];
        if (device === undefined) continue;
        const size: AccessSize = step.size <= length ? step.size : 1;
        const offset = step.offset % (length - size + 1);
        advance?.(step.pause);
        if (step.write) device.write(offset, size, (step.value & floating(size)) >>> 0);
        const read = device.read(offset, size);
        expect(Number.isInteger(read) && read >= 0 && read <= floating(size)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
};
