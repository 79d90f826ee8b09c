import { describe, expect, it } from "vitest";
import { gpa, MILLISECOND, nanos } from "../../src/core/units.ts";
import { end, Rig } from "../support/run-loop-rig.ts";
import { HALT, portWrite } from "../support/scripted-cpu.ts";

describe("interrupts", () => {
  it("wait in line for a guest that takes them at once", async () => {
    const rig = new Rig(portWrite(0, 1, 0), end);
    rig.interrupts.queue.push(0x20);
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["interrupt 32", "run", "run", "rest"]);
    expect(rig.loop.statistics.interrupts).toBe(1);
  });

  it("open a window where the guest cannot take them, which closes after the last", async () => {
    const rig: Rig = new Rig(
      () => {
        rig.interrupts.queue.push(0x20, 0x28);
        rig.cpu.interruptible = false;
        return portWrite(0, 1, 0);
      },
      portWrite(0, 1, 0),
      () => {
        rig.cpu.interruptible = true;
        return { kind: "interrupt-window" };
      },
      { kind: "interrupt-window" },
      end,
    );
    await rig.loop.run();
    expect(rig.cpu.log).toEqual([
      "run",
      ...["window true", "run", "run"],
      ...["interrupt 32", "run"],
      ...["interrupt 40", "window false", "run"],
      "rest",
    ]);
  });

  it("that go away before the guest takes them close the window", async () => {
    const rig: Rig = new Rig(
      () => {
        rig.interrupts.queue.push(0x20);
        rig.cpu.interruptible = false;
        return portWrite(0, 1, 0);
      },
      () => {
        rig.interrupts.queue.pop();
        return portWrite(0, 1, 0);
      },
      end,
    );
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "window true", "run", "window false", "run", "rest"]);
  });
});

describe("non-maskable interrupts", () => {
  it("come before others, which then wait for a window", async () => {
    const rig: Rig = new Rig(
      () => {
        rig.interrupts.nmiPending = true;
        rig.interrupts.queue.push(0x20);
        return portWrite(0, 1, 0);
      },
      portWrite(0, 1, 0),
      end,
    );
    await rig.loop.run();
    expect(rig.cpu.log).toEqual([
      "run",
      ...["nmi", "window true", "run"],
      ...["interrupt 32", "window false", "run"],
      "rest",
    ]);
    expect(rig.loop.statistics.interrupts).toBe(2);
  });

  it("reach a guest that takes no others, once", async () => {
    const rig: Rig = new Rig(
      () => {
        rig.interrupts.nmiPending = true;
        rig.cpu.interruptible = false;
        return portWrite(0, 1, 0);
      },
      portWrite(0, 1, 0),
      end,
    );
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "nmi", "run", "run", "rest"]);
  });

  it("end a wait", async () => {
    const rig = new Rig(HALT, end);
    rig.clock
      .alarm(() => {
        rig.interrupts.nmiPending = true;
      })
      .set(nanos(2 * MILLISECOND));
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "rest", "nmi", "run", "rest"]);
  });
});

describe("the state that processor and local APIC share", () => {
  it("is carried over around accesses to registers in memory", async () => {
    const seen: number[][] = [];
    const data = new Uint8Array(4);
    const access = { address: gpa(0x1000), length: 4, data } as const;
    const rig: Rig = new Rig(
      () => {
        rig.cpu.cr8 = 5;
        return { kind: "mmio-read", ...access };
      },
      () => {
        rig.cpu.cr8 = 6;
        return { kind: "mmio-write", ...access };
      },
      end,
    );
    const remember = (): number => seen.push([...rig.interrupts.synchronised]);
    rig.mmio.claim(0x1000, 4, { read: remember, write: remember });
    await rig.loop.run();
    expect(seen).toEqual([[5], [5, 6]]);
    expect(rig.interrupts.synchronised).toEqual([5, 6, 6]);
  });

  it("is carried over before an interrupt is offered, and before a wait", async () => {
    const rig: Rig = new Rig(
      () => {
        rig.cpu.cr8 = 3;
        rig.interrupts.queue.push(0x20);
        return portWrite(0, 1, 0);
      },
      () => {
        rig.cpu.cr8 = 4;
        return HALT;
      },
      end,
    );
    rig.eventLoop.events.push(
      () => {},
      () => rig.interrupts.queue.push(0x20),
    );
    await rig.loop.run();
    expect(rig.interrupts.synchronised).toEqual([3, 4, 4]);
  });

  it("lets a guest that lowered CR8 have what it held back", async () => {
    const rig: Rig = new Rig(() => {
      rig.interrupts.queue.push(0x20);
      return { kind: "priority-lowered" };
    }, end);
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "interrupt 32", "run", "rest"]);
    expect(rig.loop.statistics.exits["priority-lowered"]).toBe(1);
  });
});
