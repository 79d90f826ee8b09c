import { expect, it } from "vitest";
import { DELIVERY } from "../../../src/devices/irq/apic-message.ts";
import { decodeMessage } from "../../../src/devices/irq/msi.ts";

it("a message's address says for whom it is, its data what", () => {
  expect(decodeMessage(0xfee0_0000, 0x41)).toEqual({
    ...{ mode: DELIVERY.FIXED, vector: 0x41, level: false },
    ...{ destination: 0, logical: false },
  });
  expect(decodeMessage(0xfeef_f00c, 0xc1fe)).toEqual({
    ...{ mode: DELIVERY.LOWEST_PRIORITY, vector: 0xfe, level: true },
    ...{ destination: 0xff, logical: true },
  });
});

it.each([0, 0xfed0_0000, 0xfef0_0000, 0xffff_ffff])("%i is no local APIC's address", (address) => {
  expect(decodeMessage(address, 0x41)).toBeUndefined();
});
