import { VirtualClock } from "../../src/core/clock.ts";
import type { AccessSize } from "../../src/core/device.ts";
import type { GuestError, HostError } from "../../src/core/errors.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { MILLISECOND } from "../../src/core/units.ts";
import { Board } from "../../src/machine/board.ts";
import type { ImageMedia } from "../../src/machine/ide.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import { FakeDisk, FakeLink } from "./fake-backends.ts";
import { FakeConsole } from "./fake-console.ts";

export const MEMORY = 1 << 20;
export const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const LAPIC = 0xfee0_0000;
export const IOAPIC = 0xfec0_0000;
export const NET_SLOT = 2;
export const BLOCK_SLOT = 3;

export const CD_SECTORS = 3;

export class Rig {
  readonly clock = new VirtualClock(Date.UTC(2026, 1, 3, 4, 5, 6) * MILLISECOND);
  readonly memory = new GuestMemory(new ArrayBuffer(MEMORY));
  readonly console = new FakeConsole();
  readonly link = new FakeLink();
  readonly disk = new FakeDisk(64);
  readonly ends: Outcome[] = [];
  readonly reports: (GuestError | HostError)[] = [];
  resets = 0;
  interrupts = 0;
  readonly board: Board;

  /** @param hasDisk whether there is a disk besides the image */
  constructor(media: ImageMedia = {}, hasDisk = true) {
    this.board = this.#board(media, hasDisk);
  }

  readonly #board = (media: ImageMedia, hasDisk: boolean) =>
    new Board({
      media,
      memory: this.memory,
      clock: this.clock,
      console: this.console,
      nets: [{ backend: this.link, mac: MAC }],
      blocks: hasDisk ? [{ backend: this.disk, id: "disk" }] : [],
      report: (error) => this.reports.push(error),
      onEnd: (outcome) => this.ends.push(outcome),
      onReset: () => this.resets++,
      onMode: () => {},
      onInterrupt: () => this.interrupts++,
    });

  read(port: number, size: AccessSize = 1): number {
    return this.board.ports.read(port, size);
  }

  write(port: number, value: number, size: AccessSize = 1): void {
    this.board.ports.write(port, size, value);
  }

  cmos(index: number): number {
    this.write(0x70, index);
    return this.read(0x71);
  }

  /** The next vector, acknowledged and ended; undefined when none is pending. */
  takeInterrupt(): number | undefined {
    if (!this.board.interrupts.pending) return undefined;
    const vector = this.board.interrupts.acknowledge();
    this.write(0xa0, 0x20);
    this.write(0x20, 0x20);
    return vector;
  }

  unmaskAll(): void {
    this.write(0x21, 0);
    this.write(0xa1, 0);
  }

  /** As drivers do that leave the 8259 behind: `entry` of this pin is all that is unmasked. */
  useIoApic(pin: number, entry: number): void {
    this.write(0x21, 0xff);
    this.write(0xa1, 0xff);
    this.board.mmio.write(IOAPIC, 4, 0x10 + 2 * pin);
    this.board.mmio.write(IOAPIC + 0x10, 4, entry);
  }

  /** The next vector, taken by the processor and ended by the local APIC's EOI. */
  takeApicInterrupt(): number | undefined {
    if (!this.board.interrupts.pending) return undefined;
    const vector = this.board.interrupts.acknowledge();
    this.board.mmio.write(LAPIC + 0xb0, 4, 0);
    return vector;
  }
}
