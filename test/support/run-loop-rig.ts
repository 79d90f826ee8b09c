import { Bus } from "../../src/core/bus.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import type { Cpu } from "../../src/core/cpu.ts";
import type { BusDevice } from "../../src/core/device.ts";
import { type InterruptSource, RunLoop } from "../../src/machine/run-loop.ts";
import { portWrite, type Scripted, ScriptedCpu } from "./scripted-cpu.ts";
import { VirtualEventLoop } from "./virtual-event-loop.ts";

/** A device that remembers its accesses; reads count up from 1. */
export class Recorder implements BusDevice {
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
export class Vectors implements InterruptSource {
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

export const END = 0x501;

/** A write to {@link END}, where a device ends the run. */
export const end = portWrite(END, 1, 0);

export class Rig {
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
