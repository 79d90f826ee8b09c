import { describe, expect, it } from "vitest";
import {
  APIC_BASE_AT_RESET,
  apicAddress,
  apicEnabled,
  isApicBase,
} from "../../src/core/apic-base.ts";

describe("IA32_APIC_BASE", () => {
  it("starts at 0xfee00000, enabled, on the bootstrap processor", () => {
    expect(APIC_BASE_AT_RESET).toBe(0xfee0_0900);
    expect(apicEnabled(APIC_BASE_AT_RESET)).toBe(true);
    expect(apicAddress(APIC_BASE_AT_RESET)).toBe(0xfee0_0000);
  });

  it("has its fields also where the address is above 4 GiB", () => {
    expect(apicAddress(0xf_1234_5900)).toBe(0xf_1234_5000);
    expect(apicEnabled(0xf_1234_5900)).toBe(true);
    expect(apicEnabled(0xf_1234_5100)).toBe(false);
  });

  it("takes no reserved bits, no x2APIC mode and no address that the processor lacks", () => {
    expect(isApicBase(APIC_BASE_AT_RESET, 36)).toBe(true);
    expect(isApicBase(APIC_BASE_AT_RESET - 0x800, 36)).toBe(true);
    expect(isApicBase(0xf_ffff_f900, 36)).toBe(true);
    expect(isApicBase(0x10_0000_0900, 36)).toBe(false);
    for (const bit of [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]) {
      expect(isApicBase(APIC_BASE_AT_RESET + 2 ** bit, 36)).toBe(false);
    }
  });
});
