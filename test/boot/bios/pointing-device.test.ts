import { beforeEach, describe, expect, it } from "vitest";
import { ROM_SEGMENT } from "../../../src/boot/bios/rom.ts";
import { realModeState } from "../../../src/boot/entry-state.ts";
import { CopiedRegisters } from "../../../src/core/register-access.ts";
import { gpa } from "../../../src/core/units.ts";
import { BiosRig } from "./rig.ts";

describe("INT 15h AH=C2h, the pointing device", () => {
  let rig: BiosRig;

  beforeEach(() => {
    rig = new BiosRig();
  });

  /** @returns what AH has, by whether the service failed */
  const ask = (al: number, bh: number, rest = {}): ["good" | "failed", number] => {
    const call = rig.int(0x15, { ah: 0xc2, al, bh, ...rest });
    return [call.carry ? "failed" : "good", call.get("ah")];
  };

  it("is there, and is set up as mouse drivers do", () => {
    expect(rig.int(0x11, {}).get("ax") & 4).toBe(4);
    expect(ask(5, 3)).toEqual(["good", 0]);
    expect(ask(0, 1)).toEqual(["failed", 5]);
    expect(ask(7, 0, { es: 0x1234, bx: 0 })).toEqual(["good", 0]);
    expect(ask(0, 1)).toEqual(["good", 0]);
    expect(ask(2, 3)).toEqual(["good", 0]);
    expect(ask(3, 1)).toEqual(["good", 0]);
    expect(ask(6, 2)).toEqual(["good", 0]);
    const status = rig.int(0x15, { ah: 0xc2, al: 6, bh: 0 });
    expect([status.get("bl"), status.get("cl"), status.get("dl")]).toEqual([0x30, 1, 60]);
    expect(rig.int(0x15, { ah: 0xc2, al: 4 }).get("bh")).toBe(0);
    expect(rig.int(0x15, { ah: 0xc2, al: 1 }).get("bx")).toBe(0x00aa);
  });

  it("forgets the routine of the guest before", () => {
    ask(7, 0, { es: 0x1234, bx: 0 });
    ask(0, 1);
    rig.registers = rig.bios.start();
    rig.trap();
    expect(rig.int(0x15, { ah: 0xc2, al: 6, bh: 0 }).get("bl")).toBe(0);
    expect(ask(0, 1)).toEqual(["failed", 5]);
  });

  it("changes no register of a caller whose stack is nowhere", () => {
    const { ss, ...others } = rig.registers;
    const all = {
      ...{ ...others, ss: { ...ss, base: 0xf000_0000n } },
      ...{ rip: BigInt(rig.memory.readU16(gpa(4 * 0x15)) + 3), rax: 0xc201n, rbx: 0x1234n },
    };
    all.cs = realModeState(ROM_SEGMENT, 0).cs;
    const registerAccess = new CopiedRegisters(all);
    rig.bios.trap({ registerAccess, readRegisters: () => all, writeRegisters: () => {} });
    expect([all.rax, all.rbx]).toEqual([0xc201n, 0x1234n]);
  });

  it("refuses what there is not", () => {
    expect(ask(5, 9)).toEqual(["failed", 2]);
    expect(ask(2, 7)).toEqual(["failed", 2]);
    expect(ask(3, 4)).toEqual(["failed", 2]);
    expect(ask(6, 3)).toEqual(["failed", 2]);
    expect(ask(0, 2)).toEqual(["failed", 2]);
    expect(ask(8, 0)).toEqual(["failed", 1]);
  });
});
