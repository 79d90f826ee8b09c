import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../src/core/clock.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import { Machine } from "../../src/machine/machine.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { describeOutcome, describeRegisters } from "../../src/machine/report.ts";
import { FakeConsole } from "../support/fake-console.ts";
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

const exit = portWrite(0x501, 2, 0x5305);

/** @param cr0 whether the kernel is entered in protected mode: its lowest bit */
function directWith(cr0: bigint, loaded: (memory: GuestMemory) => void = () => {}) {
  const clock = new VirtualClock();
  const memory = new GuestMemory(new ArrayBuffer(1 << 20));
  loaded(memory);
  const read: number[] = [];
  const console = new FakeConsole();
  const scanCodes: number[] = [];
  const type = () => {
    console.receive("a");
    return KICKED;
  };
  // Whether counter 0 is programmed: its status byte. Then what the keyboard has.
  const counter = [portWrite(0x43, 1, 0xe2), portRead(0x40, 1, read)];
  const script = [...counter, type, portRead(0x60, 1, scanCodes), exit];
  const machine = new Machine({
    ...{ cpu: new ScriptedCpu(...script), clock, eventLoop: new VirtualEventLoop(clock) },
    ...{ console, nets: [], blocks: [], memory, report: () => {} },
    boot: () => ({ ...registersAt(1), cr0 }),
  });
  return { machine, memory, read, scanCodes };
}

function machineWith(...script: Scripted[]) {
  const clock = new VirtualClock();
  const cpu = new ScriptedCpu(...script);
  const eventLoop = new VirtualEventLoop(clock);
  const console = new FakeConsole();
  let boots = 0;
  const machine = new Machine({
    ...{ cpu, clock, eventLoop, console, nets: [], blocks: [] },
    memory: new GuestMemory(new ArrayBuffer(1 << 20)),
    report: () => {},
    boot: () => registersAt(++boots),
  });
  return { machine, cpu, eventLoop, console, clock };
}

describe("a machine", () => {
  it("boots, prints and ends with the guest's status", async () => {
    const { machine, cpu, console } = machineWith(portWrite(0x3f8, 1, 0x68, 0x69), exit);
    expect(await machine.run()).toEqual({ kind: "exit", status: 5 });
    expect(console.text).toBe("hi");
    expect(console.flushes).toBeGreaterThan(0);
    expect(cpu.log).toEqual(["registers at 1", "run", "run", "rest"]);
  });

  it("boots again after a reset, with devices and processor reset before", async () => {
    const read: number[] = [];
    const { machine, cpu } = machineWith(
      ...[portWrite(0x21, 1, 0), portWrite(0x92, 1, 1), portRead(0x21, 1, read), exit],
    );
    await machine.run();
    expect(cpu.log.slice(3)).toEqual(["reset", "registers at 2", "run", "run", "rest"]);
    // The mask that a BIOS leaves, not the one written.
    expect(read).toEqual([0xb8]);
  });

  it("wakes a waiting guest for a key", async () => {
    const read: number[] = [];
    const { machine, eventLoop, console } = machineWith(
      ...[portWrite(0x21, 1, 0), portWrite(0x3fc, 1, 8), portWrite(0x3f9, 1, 1), HALT],
      ...[portRead(0x3f8, 1, read), exit],
    );
    eventLoop.events.push(
      () => {},
      () => console.receive("k"),
    );
    await machine.run();
    expect(read).toEqual([0x6b]);
    expect(machine.statistics.interrupts).toBe(1);
  });

  it("counts time by its timer for a guest that waits", async () => {
    const { machine, clock } = machineWith(
      // Counter 0, mode 2, from 0xffff: the first interrupt comes at its end.
      ...[portWrite(0x21, 1, 0), portWrite(0x43, 1, 0x34), portWrite(0x40, 1, 0xff, 0xff)],
      ...[HALT, exit],
    );
    await machine.run();
    expect(clock.now() / 1e6).toBeCloseTo(54.92, 1);
  });

  it("is stopped from outside, also while its guest runs", async () => {
    const { machine, cpu } = machineWith(() => {
      machine.stop("enough");
      return KICKED;
    });
    expect(await machine.run()).toEqual({ kind: "stopped", reason: "enough" });
    expect(cpu.log).toContain("kick");
  });
});

describe("guest memory", () => {
  it("has the size asked for, and nothing in it", () => {
    const { ram } = allocateMemory(2);
    expect(ram.size).toBe(2 << 20);
    expect(ram.slice(gpa(0), ram.size).every((byte) => byte === 0)).toBe(true);
  });

  it.each([0, 1, 4045, 2.5, Number.NaN])("is never %d MiB", (mebibytes) => {
    expect(() => allocateMemory(mebibytes)).toThrow("2 to 4044 MiB");
  });
});

describe("reports", () => {
  it("show every register with all its digits", () => {
    const registers = { ...registersAt(0x10_0020), r15: 0xfedc_ba98_7654_3210n };
    const text = describeRegisters(registers);
    expect(text).toContain("r15    fedcba9876543210");
    expect(text).toContain("rip    0000000000100020");
    expect(text.split("\n").every((line) => line.length <= 100)).toBe(true);
  });

  it("say nothing about an end that the guest or the host chose", () => {
    expect(describeOutcome({ kind: "exit", status: 1 })).toBeUndefined();
    expect(describeOutcome({ kind: "power-off" })).toBeUndefined();
    expect(describeOutcome({ kind: "stopped", reason: "" })).toBeUndefined();
  });

  it("name the instruction that the CPU refused", () => {
    const instruction = Uint8Array.of(0x0f, 0x01);
    const text = describeOutcome({
      kind: "cannot-continue",
      exit: { kind: "cannot-continue", reason: "cannot emulate", instruction },
      registers: registersAt(0xabc),
    });
    expect(text).toBe("cannot emulate, at rip 0xabc: 0f 01");
  });
});

describe("a kernel that was loaded without a BIOS", () => {
  /** Where interrupt 10h goes. */
  const vector = (memory: GuestMemory) => memory.readU32(gpa(4 * 0x10));

  it("finds one all the same, and the timer running", async () => {
    const { machine, memory, read } = directWith(1n);
    await machine.run();
    expect(vector(memory) >>> 16).toBe(0xf000);
    expect(memory.readU16(gpa(0x413))).toBe(639);
    expect((read[0] ?? 0) & 0x3e).toBe(0x36);
  });

  it.each([
    ["has the keys at the keyboard in real mode", 0n, 0x1e],
    ["else has them at the serial port until it asks", 1n, 0],
  ])("%s", async (_, cr0, scanCode) => {
    const { machine, scanCodes } = directWith(cr0);
    await machine.run();
    expect(scanCodes).toEqual([scanCode]);
  });

  it("keeps its own where it lies at the start of memory", async () => {
    const { machine, memory } = directWith(1n, (loaded) => loaded.writeU32(gpa(0x40), 0x1234));
    await machine.run();
    expect(vector(memory)).toBe(0x1234);
  });
});
