import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeTime, encodeTime, nextAlarm } from "../../../src/devices/rtc/calendar.ts";

const at = (text: string): number => Date.parse(text) / 1000;
const BCD_24 = { binary: false, hours24: true };
const FORMATS = [
  BCD_24,
  { binary: true, hours24: true },
  { binary: false, hours24: false },
  { binary: true, hours24: false },
];

describe("clock bytes", () => {
  it("say the time in every format", () => {
    const written = FORMATS.map((format) => {
      const bytes = new Uint8Array(128);
      encodeTime(at("2024-02-29T23:59:58Z"), format, bytes);
      return [0, 2, 4, 6, 7, 8, 9, 0x32].map((index) => bytes[index]);
    });
    // Second, minute, hour, day of the week, day, month, year, century.
    expect(written).toEqual([
      [0x58, 0x59, 0x23, 5, 0x29, 0x02, 0x24, 0x20],
      [58, 59, 23, 5, 29, 2, 24, 20],
      [0x58, 0x59, 0x91, 5, 0x29, 0x02, 0x24, 0x20],
      [58, 59, 0x8b, 5, 29, 2, 24, 20],
    ]);
  });

  it("call midnight and noon 12", () => {
    const bytes = new Uint8Array(128);
    const hour = (time: string): number | undefined => {
      encodeTime(at(`2024-01-01T${time}Z`), { binary: false, hours24: false }, bytes);
      return bytes[4];
    };
    expect([hour("00:30:00"), hour("12:30:00"), hour("01:00:00")]).toEqual([0x12, 0x92, 0x01]);
  });

  it("are read as they were written", () => {
    const seconds = fc.integer({
      min: at("0001-01-01T00:00:00Z"),
      max: at("9999-12-31T23:59:59Z"),
    });
    fc.assert(
      fc.property(seconds, fc.constantFrom(...FORMATS), (time, format) => {
        const bytes = new Uint8Array(128);
        encodeTime(time, format, bytes);
        expect(decodeTime(bytes, format)).toBe(time);
      }),
    );
  });

  it("stand for some time whatever they hold", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 128, maxLength: 128 }),
        fc.constantFrom(...FORMATS),
        (bytes, format) => {
          const time = decodeTime(bytes, format);
          expect(Number.isInteger(time)).toBe(true);
          expect(() => encodeTime(time, format, bytes)).not.toThrow();
        },
      ),
    );
  });
});

describe("alarm bytes", () => {
  const next = (from: string, [hours, minutes, seconds]: readonly number[]): string => {
    const bytes = new Uint8Array(128);
    bytes.set([0, seconds ?? 0, 0, minutes ?? 0, 0, hours ?? 0]);
    const time = nextAlarm(at(from), bytes, BCD_24);
    return Number.isFinite(time) ? new Date(time * 1000).toISOString().slice(0, 19) : "never";
  };

  it("name the next second that matches all of them", () => {
    const from = "2024-05-06T12:30:45Z";
    expect(next(from, [0x12, 0x30, 0x46])).toBe("2024-05-06T12:30:46");
    expect(next(from, [0x12, 0x30, 0x45])).toBe("2024-05-07T12:30:45");
    expect(next(from, [0x13, 0x00, 0x00])).toBe("2024-05-06T13:00:00");
    expect(next(from, [0x11, 0x59, 0x59])).toBe("2024-05-07T11:59:59");
  });

  it("match anything with their top bits set", () => {
    const from = "2024-05-06T12:59:59Z";
    expect(next(from, [0xff, 0xff, 0xff])).toBe("2024-05-06T13:00:00");
    expect(next(from, [0xc0, 0xc0, 0x30])).toBe("2024-05-06T13:00:30");
    expect(next(from, [0xc0, 0x15, 0x00])).toBe("2024-05-06T13:15:00");
  });

  it("never match where they hold no time", () => {
    expect(next("2024-05-06T12:00:00Z", [0x25, 0x00, 0x00])).toBe("never");
    expect(next("2024-05-06T12:00:00Z", [0xff, 0x75, 0x00])).toBe("never");
  });
});
