import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { VmExit } from "../../src/core/cpu.ts";
import type { BusDevice } from "../../src/core/device.ts";
import { gpa, MILLISECOND, NEVER, nanos } from "../../src/core/units.ts";
import { END, end, Recorder, Rig } from "../support/run-loop-rig.ts";
import { HALT, KICKED, portRead, portWrite, registersAt } from "../support/scripted-cpu.ts";

describe("exits", () => {
  it("port accesses go to the device, with size and value", async () => {
    const read: number[] = [];
    const rig = new Rig(
      portWrite(0x10, 4, 0xfedc_ba98),
      portWrite(0x12, 2, 0x1234),
      portRead(0x11, 1, read),
      end,
    );
    const device = new Recorder();
    rig.ports.claim(0x10, 4, device);
    expect(await rig.loop.run()).toEqual({ kind: "power-off" });
    expect(device.accesses).toEqual(["w4@0=fedcba98", "w2@2=1234", "r1@1"]);
    expect(read).toEqual([1]);
  });

  it("string accesses go element by element to the same port", async () => {
    const read: number[] = [];
    const rig = new Rig(portWrite(0x10, 1, 7, 8, 9), portRead(0x10, 2, read, 3), end);
    const device = new Recorder();
    rig.ports.claim(0x10, 2, device);
    await rig.loop.run();
    expect(device.accesses).toEqual(["w1@0=7", "w1@0=8", "w1@0=9", "r2@0", "r2@0", "r2@0"]);
    expect(read).toEqual([1, 2, 3]);
  });

  it("what nobody claims reads all ones and swallows writes", async () => {
    const read: [number[], number[], number[]] = [[], [], []];
    const data = new Uint8Array(8);
    const rig = new Rig(
      ...[portRead(0x10, 1, read[0]), portRead(0x10, 2, read[1]), portRead(0x10, 4, read[2])],
      portWrite(0x10, 4, 5),
      { kind: "mmio-read", address: gpa(0xfee0_0000), length: 8, data },
      { kind: "mmio-write", address: gpa(0xffff_ffff_f001), length: 8, data },
      end,
    );
    await rig.loop.run();
    expect(read).toEqual([[0xff], [0xffff], [0xffff_ffff]]);
    expect([...data]).toEqual(new Array(8).fill(0xff));
  });

  it("memory-mapped accesses are cut into aligned ones of at most four bytes", async () => {
    const write = (address: number, length: number): VmExit => ({
      kind: "mmio-write",
      address: gpa(address),
      length,
      data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0xf8),
    });
    const rig = new Rig(
      write(0x1000, 8),
      write(0x1003, 8),
      write(0x1002, 3),
      write(0x1006, 2),
      end,
    );
    const device = new Recorder();
    rig.mmio.claim(0x1000, 16, device);
    await rig.loop.run();
    expect(device.accesses).toEqual([
      ...["w4@0=4030201", "w4@4=f8070605"],
      ...["w1@3=1", "w4@4=5040302", "w2@8=706", "w1@10=f8"],
      ...["w2@2=201", "w1@4=3"],
      "w2@6=201",
    ]);
  });

  it("memory-mapped bytes arrive at their addresses and come back, whatever the alignment", async () => {
    const bytes = new Uint8Array(32);
    const view = new DataView(bytes.buffer);
    /** Plain memory behind the bus. */
    const store: BusDevice = {
      read: (offset, size) =>
        size === 4
          ? view.getUint32(offset, true)
          : size === 2
            ? view.getUint16(offset, true)
            : view.getUint8(offset),
      write: (offset, size, value) => {
        for (let i = 0; i < size; i++) bytes[offset + i] = value >>> (8 * i);
      },
    };
    const access = fc.tuple(fc.nat(24), fc.uint8Array({ minLength: 1, maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(access, async ([offset, written]) => {
        const read = new Uint8Array(8);
        const at = { address: gpa(0xd000_0000 + offset), length: written.length };
        bytes.fill(0xee);
        const rig = new Rig(
          { kind: "mmio-write", ...at, data: written },
          { kind: "mmio-read", ...at, data: read },
          end,
        );
        rig.mmio.claim(0xd000_0000, 32, store);
        await rig.loop.run();
        const expected = new Uint8Array(32).fill(0xee);
        expected.set(written, offset);
        expect(bytes).toEqual(expected);
        expect(read.subarray(0, written.length)).toEqual(written);
        expect(read.subarray(written.length).every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it("are counted by kind", async () => {
    const rig = new Rig(portWrite(1, 1, 1), portRead(1, 1, []), KICKED, portRead(1, 1, []), end);
    await rig.loop.run();
    expect(rig.loop.statistics.exits).toMatchObject({
      ...{ "port-write": 2, "port-read": 2, kicked: 1, halt: 0 },
    });
    expect(rig.loop.statistics.totalExits).toBe(5);
  });
});

describe("the end", () => {
  it("comes before the guest runs on", async () => {
    const rig = new Rig(end, portWrite(0, 1, 0));
    expect(await rig.loop.run()).toEqual({ kind: "power-off" });
    expect(rig.cpu.left).toBe(1);
  });

  it("has the first reason of several", async () => {
    const rig = new Rig(portWrite(0, 1, 0));
    rig.ports.claim(0, 1, {
      read: () => 0,
      write: () => {
        rig.loop.end({ kind: "exit", status: 3 });
        rig.loop.end({ kind: "power-off" });
      },
    });
    expect(await rig.loop.run()).toEqual({ kind: "exit", status: 3 });
  });

  it("finishes a string access that contains it", async () => {
    const rig = new Rig(portWrite(END, 1, 1, 2, 3));
    expect(await rig.loop.run()).toEqual({ kind: "power-off" });
  });

  it("is a halt that nothing can end, with the registers", async () => {
    const rig = new Rig({ kind: "halt", interruptible: false });
    rig.cpu.registers = registersAt(0x1234);
    expect(await rig.loop.run()).toMatchObject({
      kind: "halted-forever",
      registers: { rip: 0x1234n },
    });
  });

  it("is a triple fault", async () => {
    expect(await new Rig({ kind: "shutdown", exceptions: [] }).loop.run()).toMatchObject({
      kind: "triple-fault",
    });
  });

  it("is an instruction that the CPU cannot execute, with its bytes", async () => {
    const exit: VmExit = {
      kind: "cannot-continue",
      reason: "cannot emulate",
      instruction: Uint8Array.of(0xcc),
    };
    expect(await new Rig(exit).loop.run()).toMatchObject({ kind: "cannot-continue", exit });
  });

  it("may come from the host while the guest waits for ever", async () => {
    const rig = new Rig(HALT);
    const run = rig.loop.run();
    setImmediate(() => rig.loop.end({ kind: "stopped", reason: "test" }));
    expect(await run).toEqual({ kind: "stopped", reason: "test" });
    expect(rig.eventLoop.sleeps).toEqual([NEVER]);
  });

  it("flushes the console after the last output", async () => {
    const rig = new Rig(end);
    await rig.loop.run();
    expect(rig.flushes).toBe(1);
    expect(rig.cpu.log).toEqual(["run", "rest"]);
  });
});

describe("accesses to ports within the guest", () => {
  /** Runs a guest that does something and asks then whether it may go on. */
  async function settledAfter(act: (rig: Rig) => void): Promise<boolean> {
    let settled: boolean | undefined;
    const rig: Rig = new Rig(() => {
      const access = rig.loop.portAccess(() => false);
      expect(access.settled).toBe(true);
      act(rig);
      settled = access.settled;
      return { kind: "accessed" };
    }, end);
    await rig.loop.run();
    return settled as boolean;
  }

  it("go to the device and are counted", async () => {
    const rig: Rig = new Rig(() => {
      const access = rig.loop.portAccess((port) => port === 0x11);
      access.write(0x10, 1, 7);
      expect(access.read(0x10, 1)).toBe(1);
      expect([access.leaves(0x10), access.leaves(0x11)]).toEqual([false, true]);
      return { kind: "accessed" };
    }, end);
    const device = new Recorder();
    rig.ports.claim(0x10, 1, device);
    expect(await rig.loop.run()).toEqual({ kind: "power-off" });
    expect(device.accesses).toEqual(["w1@0=7", "r1@0"]);
    expect(rig.loop.statistics.exits).toMatchObject({ "port-read": 1, "port-write": 2 });
    expect(rig.loop.statistics.totalExits).toBe(3);
  });

  it("let the guest go on if nothing has come of them", async () => {
    expect(await settledAfter(() => {})).toBe(true);
    const later = nanos(10 ** 12);
    expect(await settledAfter(({ clock }) => clock.alarm(() => {}).set(later))).toBe(true);
  });

  it.each<[string, (rig: Rig) => void]>([
    ["an interrupt", ({ interrupts }) => void interrupts.queue.push(0x20)],
    ["an NMI", ({ interrupts }) => Object.assign(interrupts, { nmiPending: true })],
    ["the end", ({ loop }) => loop.end({ kind: "power-off" })],
    ["a restart", ({ loop }) => loop.requestRestart()],
    ["an alarm before the deadline", ({ clock }) => clock.alarm(() => {}).set(nanos(1))],
  ])("bring the guest back for %s", async (_, act) => {
    expect(await settledAfter(act)).toBe(false);
  });
});

describe("output that piles up", () => {
  it("holds the guest until it is taken, while alarms ring", async () => {
    const rig = new Rig(KICKED, end);
    rig.congestion.push(
      new Promise((taken) => {
        const alarm = rig.clock.alarm(() => {
          rig.cpu.log.push("alarm");
          taken();
        });
        alarm.set(nanos(5 * MILLISECOND));
      }),
    );
    expect(await rig.loop.run()).toEqual({ kind: "power-off" });
    expect(rig.cpu.log).toEqual(["run", "rest", "alarm", "run", "rest"]);
    expect(rig.loop.statistics.idle).toBe(5 * MILLISECOND);
  });

  it("does not hold up an end", async () => {
    const rig = new Rig(KICKED, end);
    rig.congestion.push(new Promise(() => {}));
    setImmediate(() => rig.loop.end({ kind: "stopped", reason: "test" }));
    expect(await rig.loop.run()).toEqual({ kind: "stopped", reason: "test" });
    expect(rig.cpu.left).toBe(1);
  });
});

describe("a restart", () => {
  const RESET = 0x64;

  it("happens after the exit that asked for it, before the guest runs on", async () => {
    const rig = new Rig(portWrite(RESET, 1, 1), end);
    rig.ports.claim(RESET, 1, { read: () => 0, write: () => rig.loop.requestRestart() });
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "restart", "run", "rest"]);
    expect(rig.loop.statistics.resets).toBe(1);
  });

  it("wakes a guest that waits", async () => {
    const rig = new Rig(HALT, end);
    rig.eventLoop.events.push(
      () => {},
      () => rig.loop.requestRestart(),
    );
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "rest", "restart", "run", "rest"]);
  });

  it("loses to an end", async () => {
    const rig = new Rig(portWrite(RESET, 1, 1));
    rig.ports.claim(RESET, 1, {
      read: () => 0,
      write: () => {
        rig.loop.requestRestart();
        rig.loop.end({ kind: "exit", status: 4 });
      },
    });
    expect(await rig.loop.run()).toEqual({ kind: "exit", status: 4 });
    expect(rig.restarts).toBe(0);
  });
});
