import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultMac, formatMac, isGroupMac, parseMac, sameMac } from "../../src/net/mac.ts";

describe("MAC addresses", () => {
  it("are written and read with colons", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect(parseMac(formatMac(mac))).toEqual(mac);
      }),
    );
  });

  it("are read with hyphens and capitals", () => {
    expect(parseMac("52-54-00-AB-CD-EF")).toEqual(Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 0xef));
  });

  it.each(["", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:5g", "5:4:0:1:3:5"])(
    "are not %j",
    (text) => {
      expect(parseMac(text)).toBeUndefined();
    },
  );

  it("are QEMU's by default, one for each device, and no group's", () => {
    expect(formatMac(defaultMac(0))).toBe("52:54:00:12:34:56");
    expect(formatMac(defaultMac(1))).toBe("52:54:00:12:34:57");
    expect(formatMac(defaultMac(0xaa))).toBe("52:54:00:12:35:00");
    expect(isGroupMac(defaultMac(7))).toBe(false);
    expect(sameMac(defaultMac(1), defaultMac(1))).toBe(true);
    expect(sameMac(defaultMac(1), defaultMac(2))).toBe(false);
  });
});
