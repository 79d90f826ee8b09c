import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { VmExit } from "../../../src/core/cpu.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, irq, nanos } from "../../../src/core/units.ts";
import { SymbolTable } from "../../../src/debug/symbols.ts";
import { traceDecorations } from "../../../src/debug/trace/trace.ts";
import { TraceLog } from "../../../src/debug/trace/trace-log.ts";
import { parseTrace } from "../../../src/debug/trace/trace-spec.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { portRead, portWrite, ScriptedCpu } from "../../support/scripted-cpu.ts";

function traced(spec: string) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = new TraceLog(parseTrace(spec), clock, (line) => lines.push(line.trimEnd()));
  const decorations = traceDecorations({ log, clock, symbols: () => new SymbolTable([]) });
  return { clock, lines, decorations };
}

const memory = new GuestMemory(new ArrayBuffer(0x1000));

const words = (lines: readonly string[]): string[] =>
  lines.map((line) =>
    line
      .trim()
      .replace(/^[\d.]+ /, "")
      .replace(/ +/g, " "),
  );

const mmioRead = (address: number): VmExit => ({
  kind: "mmio-read",
  address: gpa(address),
  length: 4,
  data: new Uint8Array(8),
});

describe("a trace", () => {
  it("has the time, the kind, and what happened", () => {
    const { clock, lines, decorations } = traced("port");
    const cpu = decorations.cpu(new ScriptedCpu(portWrite(0x3f8, 1, 0x41)), memory);
    clock.advance(1_234_567);
    cpu.run(nanos(0));
    expect(lines).toEqual(["    0.001235 port   out 0x03f8 <- 0x41 'A'"]);
  });

  it("tells of port accesses in its ranges, with their answers", () => {
    const { lines, decorations } = traced("port=60-6f");
    const read: number[] = [];
    const cpu = decorations.cpu(
      new ScriptedCpu(portRead(0x60, 1, read), portRead(0x70, 1, read), portWrite(0x64, 2, 1, 2)),
      memory,
    );
    for (let i = 0; i < 3; i++) {
      const exit = cpu.run(nanos(0));
      if (exit.kind === "port-read") exit.complete(read.length, 7);
    }
    expect(read).toEqual([7, 7]);
    expect(words(lines)).toEqual([
      ...["port in 0x0060 -> 0x07", "port out 0x0064 <- 0x0001", "port out 0x0064 <- 0x0002"],
    ]);
  });

  it("tells what memory reads were answered with", () => {
    const { lines, decorations } = traced("mmio,exit");
    const cpu = decorations.cpu(new ScriptedCpu(mmioRead(0xfee00020), { kind: "kicked" }), memory);
    const exit = cpu.run(nanos(0));
    if (exit.kind === "mmio-read") exit.data.set([0x78, 0x56, 0x34, 0x12]);
    cpu.run(nanos(0));
    expect(words(lines)).toEqual([
      "exit mmio-read 0xfee00020 32 bits",
      "mmio read 0xfee00020 -> 0x12345678",
      "exit kicked",
    ]);
  });

  it("tells of lines that change, and of vectors", () => {
    const { lines, decorations } = traced("irq=4");
    const levels: boolean[] = [];
    const wire = { set: (level: boolean) => void levels.push(level) };
    const com1 = decorations.line(irq(4), wire);
    for (const level of [true, true, false]) com1.set(level);
    expect(levels).toEqual([true, true, false]);
    expect(decorations.line(irq(5), wire)).toBe(wire);
    decorations.cpu(new ScriptedCpu(), memory).interrupt(0x24);
    expect(words(lines)).toEqual([
      "irq line 4 up",
      "irq line 4 down",
      "irq vector 0x24 to the processor",
    ]);
  });

  it("tells of frames and of blocks, and hands them on", () => {
    const { lines, decorations } = traced("net,block");
    const net = new FakeLink();
    const decorated = decorations.net(net, "net 0");
    decorated.transmit(Uint8Array.of(...Array(12).fill(0xff), 8, 6, 0, 0));
    const block = decorations.block(new FakeDisk(2), "block 0");
    block.read(512, new Uint8Array(512));
    expect(block.capacity).toBe(1024);
    expect(words(lines)).toEqual([
      "net net 0 out ff:ff:ff:ff:ff:ff > ff:ff:ff:ff:ff:ff ARP, 16 bytes",
      "block block 0 read 512 bytes at 512",
    ]);
  });

  it("leaves alone what it does not tell of", () => {
    const { decorations } = traced("virtio");
    const cpu = new ScriptedCpu();
    const net = new FakeLink();
    expect(decorations.cpu(cpu, memory)).toBe(cpu);
    expect(decorations.net(net, "net 0")).toBe(net);
  });
});
