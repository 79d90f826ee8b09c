import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Bus } from "../../src/core/bus.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { Cpu, VmExit } from "../../src/core/cpu.ts";
import type { BusDevice } from "../../src/core/device.ts";
import { gpa, MICROSECOND, MILLISECOND, NEVER, nanos } from "../../src/core/units.ts";
import { type InterruptSource, RunLoop } from "../../src/machine/run-loop.ts";
import {
  HALT,
  KICKED,
  portRead,
  portWrite,
  registersAt,
  type Scripted,
  ScriptedCpu,
} from "../support/scripted-cpu.ts";
import { VirtualEventLoop } from "../support/virtual-event-loop.ts";

/** A device that remembers its accesses; reads count up from 1. */
class Recorder implements BusDevice {
  readonly accesses: string[] = [];
  #reads = 0;

  read(offset: number, size: number): number {
    this.accesses.push(`r${size}@${offset}`);
    return ++this.#reads;
  }

  write(offset: number, size: number, value: number): void {
    this.accesses.push(`w${size}@${offset}=${value.toString(16)}`);
  }
}

/** An interrupt controller with a list of vectors to hand out. */
class Vectors implements InterruptSource {
  readonly connected = true;
  readonly queue: number[] = [];
  nmiPending = false;
  /** CR8 of the processor as it was each time. */
  readonly synchronised: number[] = [];

  get requested(): boolean {
    return this.pending || this.nmiPending;
  }

  get pending(): boolean {
    return this.queue.length > 0;
  }

  acknowledgeNmi(): void {
    this.nmiPending = false;
  }

  synchronise(cpu: Cpu): void {
    this.synchronised.push(cpu.cr8);
  }

  acknowledge(): number {
    return this.queue.shift() as number;
  }
}

const END = 0x501;

/** A write to {@link END}, where a device ends the run. */
const end = portWrite(END, 1, 0);

class Rig {
  readonly clock = new VirtualClock();
  readonly eventLoop = new VirtualEventLoop(this.clock);
  readonly ports = new Bus("port");
  readonly mmio = new Bus("memory");
  readonly interrupts = new Vectors();
  readonly cpu: ScriptedCpu;
  readonly loop: RunLoop;
  flushes = 0;
  /** What the next flushes return. */
  readonly congestion: Promise<void>[] = [];
  restarts = 0;
  /** What the next polls find, each true. */
  readonly frames: (() => true | undefined)[] = [];

  constructor(...script: Scripted[]) {
    this.cpu = new ScriptedCpu(...script);
    this.loop = new RunLoop({
      ...this,
      alarms: this.clock.alarms,
      flush: () => {
        this.flushes++;
        return this.congestion.shift();
      },
      poll: () => this.frames.shift()?.() !== undefined,
      restart: () => {
        this.restarts++;
        this.cpu.log.push("restart");
      },
    });
    this.ports.claim(END, 1, {
      read: () => 0,
      write: () => this.loop.end({ kind: "power-off" }),
    });
  }
}

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

describe("a guest that waits", () => {
  it("sleeps to the next alarm, and goes on with its interrupt", async () => {
    const rig = new Rig(HALT, end);
    const alarm = rig.clock.alarm(() => rig.interrupts.queue.push(0x20));
    alarm.set(nanos(5 * MILLISECOND));
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([5 * MILLISECOND]);
    expect(rig.cpu.log).toEqual(["run", "rest", "interrupt 32", "run", "rest"]);
    expect(rig.clock.now()).toBe(5 * MILLISECOND);
    expect(rig.loop.statistics.idle).toBe(5 * MILLISECOND);
  });

  it("does not run when it is woken for no reason", async () => {
    const rig = new Rig(HALT, end);
    rig.eventLoop.events.push(
      () => {},
      () => {},
      () => {},
      () => rig.interrupts.queue.push(0x21),
    );
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([NEVER, NEVER, NEVER]);
    expect(rig.cpu.log).toEqual(["run", "rest", "rest", "rest", "interrupt 33", "run", "rest"]);
  });

  it("does not sleep when its interrupt is already there", async () => {
    const rig: Rig = new Rig(() => {
      rig.interrupts.queue.push(0x20);
      return HALT;
    }, end);
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([]);
    expect(rig.cpu.log).toEqual(["run", "interrupt 32", "run", "rest"]);
  });

  it("waits again after it handled an interrupt and halted", async () => {
    const rig = new Rig(HALT, portWrite(0, 1, 0), HALT, end);
    const alarm = rig.clock.alarm(() => {
      rig.interrupts.queue.push(0x20);
      alarm.set(nanos(rig.clock.now() + 2 * MILLISECOND));
    });
    alarm.set(nanos(2 * MILLISECOND));
    await rig.loop.run();
    expect(rig.eventLoop.sleeps).toEqual([2 * MILLISECOND, 4 * MILLISECOND]);
  });
});

describe("slices", () => {
  it("end at the next alarm, and at the latest after 20 ms", async () => {
    const rig = new Rig(portWrite(0, 1, 0), KICKED, end);
    const alarm = rig.clock.alarm(() => {});
    rig.ports.claim(0, 1, {
      read: () => 0,
      write: () => alarm.set(nanos(7 * MILLISECOND)),
    });
    await rig.loop.run();
    expect(rig.cpu.deadlines).toEqual([20 * MILLISECOND, 7 * MILLISECOND, 7 * MILLISECOND]);
  });

  it("go on after a kick for an alarm, which fired", async () => {
    let fired = 0;
    const rig: Rig = new Rig((deadline) => {
      // Time passes in the guest; the host's clock fires nothing by itself.
      passed = deadline;
      return KICKED;
    }, end);
    let passed = nanos(0);
    const now = (): typeof passed => passed;
    const clock = { now, wall: now, alarm: (fire: () => void) => rig.clock.alarm(fire) };
    const loop = new RunLoop({
      ...rig,
      clock,
      alarms: rig.clock.alarms,
      flush: () => {},
      poll: () => false,
      restart: () => {},
    });
    rig.ports.claim(0x600, 1, new Recorder());
    clock
      .alarm(() => {
        fired++;
        loop.end({ kind: "exit", status: 0 });
      })
      .set(nanos(3 * MILLISECOND));
    expect(await loop.run()).toEqual({ kind: "exit", status: 0 });
    expect(fired).toBe(1);
    // The first turn is from before the first slice.
    expect(rig.eventLoop.turns).toBe(1);
    expect(rig.cpu.left).toBe(1);
  });

  it("give the thread to the host after any other kick", async () => {
    const handled: string[] = [];
    const rig = new Rig(KICKED, KICKED, end);
    rig.eventLoop.events.push(
      () => handled.push("before"),
      () => handled.push("first"),
      () => handled.push("second"),
    );
    await rig.loop.run();
    expect(handled).toEqual(["before", "first", "second"]);
    expect(rig.cpu.log).toEqual(["run", "rest", "run", "rest", "run", "rest"]);
  });
});

describe("frames", () => {
  const arrival = (rig: Rig) => () => {
    rig.interrupts.queue.push(0x2b);
    return true as const;
  };

  it("that break a slice off reach the guest without a turn of the event loop", async () => {
    const rig: Rig = new Rig(KICKED, end);
    rig.frames.push(arrival(rig));
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "interrupt 43", "run", "rest"]);
    expect(rig.eventLoop.turns).toBe(1);
  });

  it("that come soon wake the guest without one", async () => {
    const rig: Rig = new Rig(HALT, end);
    rig.frames.push(() => undefined, arrival(rig));
    rig.eventLoop.arrivals.push({ after: 30 * MICROSECOND });
    await rig.loop.run();
    expect(rig.cpu.log).toEqual(["run", "interrupt 43", "run", "rest"]);
    expect(rig.eventLoop.sleeps).toEqual([]);
    expect(rig.loop.statistics.idle).toBe(30 * MICROSECOND);
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
