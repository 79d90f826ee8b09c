import { byteDevice } from "../../core/byte-device.ts";
import type { Alarm, Clock } from "../../core/clock.ts";
import type { BusDevice, Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { PitCounter } from "./pit-counter.ts";
import { PIT_RATE } from "./tick-rate.ts";

const CONTROL_PORT = 3;
/** Counter select field of the control word: the read-back command. */
const SELECT_READ_BACK = 3;
const READ_BACK_NO_COUNT = 1 << 5;
const READ_BACK_NO_STATUS = 1 << 4;

/** Port 0x61 (Intel 82371AB data sheet, "NMI Status and Control Register"). */
const PORT61_GATE2 = 1 << 0;
const PORT61_WRITABLE = 0x0f;
const PORT61_REFRESH = 1 << 4;
const PORT61_OUT2 = 1 << 5;
/** The refresh request toggles its bit about every 15 µs. */
const REFRESH_TICKS = 18;

/** Interrupts owed to a guest that the host let wait; what exceeds them is lost. */
const MAX_OWED = 8;
/** Ticks that a guest gets between two interrupts at least: 50 µs. */
const MIN_GAP = 60;

/**
 * The 8254 programmable interval timer and the port 0x61 that belongs to its counter 2.
 * Source: Intel 8254 data sheet (231164).
 *
 * OUT of counter 0 is the interrupt line. The line is exact where a level is seen, and gets a low
 * pulse with each rising edge of OUT: that edge is all that an edge-triggered controller looks at,
 * so it is all that an alarm is set for; and none while it remembers the last edge.
 *
 * When the host is late by more than a period, the interrupts missed are made up for at twice the
 * rate, but only {@link MAX_OWED} of them: a guest that counts ticks keeps its time over hiccups,
 * and a process that was stopped for a minute does not drown its guest.
 */
export class Pit8254 implements Resettable {
  /** Ports 0x40 to 0x43. */
  readonly counters: BusDevice = byteDevice({
    readByte: (offset) => this.#read(offset),
    writeByte: (offset, value) => this.#write(offset, value),
  });
  /** Port 0x61. */
  readonly port61: BusDevice = byteDevice({
    readByte: () => this.#readPort61(),
    writeByte: (_offset, value) => this.#writePort61(value),
  });

  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #alarm: Alarm;
  #counter: readonly [PitCounter, PitCounter, PitCounter];
  #port61 = 0;

  /** The tick of the next interrupt, and of the last. */
  #nextRise = Number.POSITIVE_INFINITY;
  #lastRise = Number.NEGATIVE_INFINITY;
  #owed = 0;
  readonly #unheard: () => boolean;
  /** No alarm is set, since nobody would hear. */
  #isSilent = false;

  /** @param unheard whether an edge would make no difference, until {@link listen} is called */
  constructor({
    clock,
    irq,
    unheard = () => false,
  }: {
    clock: Clock;
    irq: IrqLine;
    unheard?: () => boolean;
  }) {
    this.#clock = clock;
    this.#irq = irq;
    this.#unheard = unheard;
    this.#alarm = clock.alarm(() => this.#interrupt(this.#now()));
    this.#counter = powerOnCounters();
    this.reset();
  }

  reset(): void {
    this.#counter = powerOnCounters();
    this.#port61 = 0;
    this.#reprogrammed(this.#now());
  }

  #now(): number {
    return PIT_RATE.ticksAt(this.#clock.now());
  }

  #read(offset: number): number {
    // The control word cannot be read; the chip does not drive the bus.
    return this.#counter[offset]?.read(this.#now()) ?? 0xff;
  }

  #write(offset: number, value: number): void {
    const now = this.#now();
    if (offset === CONTROL_PORT) {
      this.#control(value, now);
      return;
    }
    // What is due under the old count comes before the new one.
    if (offset === 0 && this.#nextRise <= now) this.#interrupt(now);
    this.#counter[offset]?.write(value, now);
    if (offset === 0) this.#reprogrammed(now);
  }

  #control(word: number, now: number): void {
    const select = word >> 6;
    if (select === SELECT_READ_BACK) {
      this.#readBack(word, now);
      return;
    }
    const access = (word >> 4) & 3;
    if (access === 0) {
      this.#counter[select]?.latchCount(now);
      return;
    }
    if (select === 0 && this.#nextRise <= now) this.#interrupt(now);
    this.#counter[select]?.control(word);
    if (select === 0) this.#reprogrammed(now);
  }

  #readBack(command: number, now: number): void {
    for (const [index, counter] of this.#counter.entries()) {
      if ((command & (2 << index)) === 0) continue;
      if ((command & READ_BACK_NO_COUNT) === 0) counter.latchCount(now);
      if ((command & READ_BACK_NO_STATUS) === 0) counter.latchStatus(now);
    }
  }

  #reprogrammed(now: number): void {
    this.#owed = 0;
    this.#irq.set(this.#counter[0].out(now));
    this.#schedule(now);
  }

  /** A rising edge of OUT 0 is due, or one that is owed. */
  #interrupt(now: number): void {
    const [counter] = this.#counter;
    if (this.#nextRise <= now) {
      const missed = Math.floor((now - this.#nextRise) / counter.period);
      this.#owed = Math.min(this.#owed + missed, MAX_OWED);
    } else this.#owed = Math.max(0, this.#owed - 1);
    this.#lastRise = now;
    this.#irq.set(false);
    this.#irq.set(true);
    this.#schedule(now);
  }

  /** From now on edges may make a difference again. Those that have not are lost, as on a PC. */
  listen(): void {
    if (this.#isSilent) this.#schedule(this.#now());
  }

  /** An idle guest that has masked the line, or not yet its handler, costs the host nothing. */
  #schedule(now: number): void {
    const [counter] = this.#counter;
    this.#isSilent = this.#unheard();
    if (this.#isSilent) {
      this.#nextRise = Number.POSITIVE_INFINITY;
      this.#alarm.cancel();
      return;
    }
    this.#nextRise = counter.nextRise(now);
    const makeUp = this.#owed > 0 ? now + Math.ceil(counter.period / 2) : this.#nextRise;
    const next = Math.min(this.#nextRise, makeUp);
    this.#alarm.set(PIT_RATE.timeOf(Math.max(next, this.#lastRise + MIN_GAP)));
  }

  #readPort61(): number {
    const now = this.#now();
    const refresh = Math.floor(now / REFRESH_TICKS) % 2 === 1;
    return (
      this.#port61 | (refresh ? PORT61_REFRESH : 0) | (this.#counter[2].out(now) ? PORT61_OUT2 : 0)
    );
  }

  #writePort61(value: number): void {
    this.#port61 = value & PORT61_WRITABLE;
    this.#counter[2].setGate((value & PORT61_GATE2) !== 0, this.#now());
  }
}

/** The gates of counters 0 and 1 are tied high; counter 2's is bit 0 of port 0x61. */
const powerOnCounters = (): [PitCounter, PitCounter, PitCounter] => [
  new PitCounter(true),
  new PitCounter(true),
  new PitCounter(false),
];
