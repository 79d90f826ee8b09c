import { expect, it } from "vitest";
import { gpa } from "../../../src/core/units.ts";
import { VirtioEntropy } from "../../../src/devices/virtio/entropy.ts";
import type { FakeQueue } from "../../support/fake-driver.ts";
import { SLOT, VirtioRig } from "../../support/virtio-rig.ts";

const DATA = 0x4_0000;

it("fills the writable pieces of buffers, a bounded part of large ones", () => {
  let next = 0;
  const rig = new VirtioRig(
    new VirtioEntropy({
      fill: (into) => {
        into.forEach((_, i) => {
          into[i] = ++next;
        });
      },
    }),
  );
  expect(rig.modern.pci.read(SLOT, 0x00, 4)).toBe(0x1005_1af4);
  const [queue] = rig.modern.start([0x1_0000]) as [FakeQueue];
  queue.add(
    { address: DATA, length: 8 },
    { address: DATA + 0x100, length: 3, writable: true },
    { address: DATA + 0x200, length: 2, writable: true },
  );
  queue.add({ address: DATA + 0x1000, length: 0x2000, writable: true });
  rig.modern.notify(0);
  expect(queue.takeUsed()).toEqual([
    { head: 0, length: 5 },
    { head: 3, length: 4096 },
  ]);
  expect(rig.memory.readU8(gpa(DATA))).toBe(0);
  expect([...rig.memory.slice(gpa(DATA + 0x100), 4)]).toEqual([1, 2, 3, 0]);
  expect([...rig.memory.slice(gpa(DATA + 0x200), 3)]).toEqual([4, 5, 0]);
  expect(rig.modern.takeInterrupts()).toBe(1);
});
