import { VirtualClock } from "../../src/core/clock.ts";
import { type ApicMessage, DELIVERY } from "../../src/devices/irq/apic-message.ts";
import { LocalApic } from "../../src/devices/irq/lapic.ts";

export const ID = 0x20;
export const VERSION = 0x30;
export const TPR = 0x80;
export const PPR = 0xa0;
export const EOI = 0xb0;
export const LDR = 0xd0;
export const DFR = 0xe0;
export const SVR = 0xf0;
export const ISR = 0x100;
export const TMR = 0x180;
export const IRR = 0x200;
export const ESR = 0x280;
export const ICR_LOW = 0x300;
export const ICR_HIGH = 0x310;
export const LVT_TIMER = 0x320;
export const LVT_THERMAL = 0x330;
export const LVT_PERFORMANCE = 0x340;
export const LVT_LINT0 = 0x350;
export const LVT_LINT1 = 0x360;
export const LVT_ERROR = 0x370;
export const INITIAL_COUNT = 0x380;
export const CURRENT_COUNT = 0x390;
export const DIVIDE = 0x3e0;

export const LVT = [LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR];
export const MASKED = 0x1_0000;
export const LEVEL = 0x8000;
export const REMOTE_IRR = 0x4000;
export const SELF = 0x4_0000;
export const ENABLED = 0x1ff;

export class Rig {
  readonly clock = new VirtualClock();
  readonly ended: number[] = [];
  nmis = 0;
  readonly lapic = new LocalApic({
    clock: this.clock,
    onNmi: () => this.nmis++,
    onEndOfInterrupt: (vector) => this.ended.push(vector),
  });

  read(offset: number): number {
    return this.lapic.read(offset, 4);
  }

  write(offset: number, value: number): void {
    this.lapic.write(offset, 4, value);
  }

  /** The error bits since the last call. */
  errors(): number {
    this.write(ESR, 0);
    return this.read(ESR);
  }

  has(set: number, vector: number): boolean {
    return ((this.read(set + (vector >> 5) * 0x10) >>> (vector & 31)) & 1) === 1;
  }

  /** Takes and ends all that is pending. */
  drain(): number[] {
    const vectors: number[] = [];
    while (this.lapic.pending) {
      vectors.push(this.lapic.acknowledge());
      this.write(EOI, 0);
    }
    return vectors;
  }

  deliver(message: Partial<ApicMessage>): boolean {
    return this.lapic.deliver({
      ...{ mode: DELIVERY.FIXED, vector: 0x50, level: false, destination: 0, logical: false },
      ...message,
    });
  }
}
