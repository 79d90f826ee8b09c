import type { Alarm, Clock } from "../../src/core/clock.ts";
import { Bug } from "../../src/core/errors.ts";
import { splitMix64 } from "../../src/core/split-mix.ts";
import { type Nanos, nanos } from "../../src/core/units.ts";
import type { FallbackCpu } from "../cpu.ts";
import { PAGE_SIZE } from "../memory/physical.ts";
import { RAM_BASE, STATE_BYTES } from "../state.ts";

/** A clock that goes by the instructions of one processor, and goes back when these are undone. */
export class TwinClock implements Clock {
  time: Nanos = nanos(0);
  readonly #wallAtStart: number;

  constructor(wallAtStart: number) {
    this.#wallAtStart = wallAtStart;
  }

  now(): Nanos {
    return this.time;
  }

  wall(): number {
    return this.#wallAtStart + this.time;
  }

  alarm(): Alarm {
    throw new Bug("no device goes by this clock");
  }

  pass(instructions: number): void {
    this.time = nanos(this.time + instructions);
  }
}

/** The random numbers of one processor, some of which may be drawn again. */
export class TwinRandom {
  #draw = splitMix64();
  #drawn = 0;

  readonly next = (): bigint => {
    this.#drawn++;
    return this.#draw();
  };

  get drawn(): number {
    return this.#drawn;
  }

  set drawn(count: number) {
    this.#draw = splitMix64();
    for (this.#drawn = 0; this.#drawn < count; this.#drawn++) this.#draw();
  }
}

/** One of the two processors, with what only it has. */
export class Twin {
  readonly cpu: FallbackCpu;
  readonly clock: TwinClock;
  readonly random: TwinRandom;
  readonly memory: Uint8Array<ArrayBuffer>;

  constructor(cpu: FallbackCpu, clock: TwinClock, random: TwinRandom, buffer: ArrayBuffer) {
    this.cpu = cpu;
    this.clock = clock;
    this.random = random;
    this.memory = new Uint8Array(buffer, RAM_BASE);
  }

  /** A guest physical page, not copied. */
  page(page: number): Uint8Array<ArrayBuffer> {
    return this.memory.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  }

  /** Overwrites a page. */
  setPage(page: number, bytes: Uint8Array): void {
    this.cpu.mmu.noticeWrite(page * PAGE_SIZE, PAGE_SIZE);
    this.page(page).set(bytes);
  }
}

/** What a twin is put back to, but for memory. */
export class Moment {
  readonly #image = new Uint8Array(STATE_BYTES);
  #time: Nanos = nanos(0);
  #drawn = 0;

  get time(): Nanos {
    return this.#time;
  }

  take({ cpu, clock, random }: Twin): void {
    cpu.copyState(this.#image);
    this.#time = clock.time;
    this.#drawn = random.drawn;
  }

  putBack({ cpu, clock, random }: Twin): void {
    cpu.replaceState(this.#image);
    clock.time = this.#time;
    random.drawn = this.#drawn;
  }
}
