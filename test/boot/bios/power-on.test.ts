import { expect, it } from "vitest";
import { POWER_ON_OFFSET, ROM_SEGMENT } from "../../../src/boot/bios/rom.ts";
import { realModeState } from "../../../src/boot/entry-state.ts";
import { BiosRig } from "./rig.ts";

/** The guest jumps to the reset vector. */
function jump(rig: BiosRig): void {
  rig.registers = realModeState(ROM_SEGMENT, POWER_ON_OFFSET);
  rig.trap();
}

it("resets the machine where a guest goes on at the reset vector, each time", () => {
  const rig = new BiosRig();
  expect(rig.resets).toBe(0);
  jump(rig);
  jump(rig);
  expect(rig.resets).toBe(2);
  rig.bios.start();
  jump(rig);
  expect(rig.resets).toBe(2);
});

it("does so in a guest that was started without it", () => {
  const rig = new BiosRig();
  rig.bios.prepare();
  jump(rig);
  expect(rig.resets).toBe(1);
});
