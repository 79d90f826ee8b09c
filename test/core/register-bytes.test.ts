import { describe, expect, it } from "vitest";
import { RegisterBytes } from "../../src/core/register-bytes.ts";

describe("RegisterBytes", () => {
  it("reads fields little-endian at any width and alignment", () => {
    const registers = new RegisterBytes(8);
    registers.define(0, 4, 0x8765_4321);
    registers.define(4, 2, 0xabcd);

    expect(registers.read(0, 4)).toBe(0x8765_4321);
    expect(registers.read(1, 2)).toBe(0x6543);
    expect(registers.read(2, 4)).toBe(0xabcd_8765);
  });

  it("changes only the bits that are writable", () => {
    const registers = new RegisterBytes(4);
    registers.define(0, 4, 0x1122_3344, 0x00ff_f000);
    registers.write(0, 4, 0xffff_ffff);
    expect(registers.read(0, 4)).toBe(0x11ff_f344);

    registers.write(1, 1, 0);
    expect(registers.read(0, 4)).toBe(0x11ff_0344);
  });

  it("goes back to the defined values on reset", () => {
    const registers = new RegisterBytes(2);
    registers.define(0, 2, 0x1234, 0xffff);
    registers.write(0, 2, 0xffff);
    registers.reset();
    expect(registers.read(0, 2)).toBe(0x1234);
  });

  it("reads zero and swallows writes beyond its end", () => {
    const registers = new RegisterBytes(2);
    registers.define(0, 2, 0xffff, 0xffff);
    registers.write(1, 4, 0x1111_1111);
    expect(registers.read(0, 4)).toBe(0x11ff);
    expect(registers.read(60, 4)).toBe(0);
  });
});
