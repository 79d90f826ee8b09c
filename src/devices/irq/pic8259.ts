import { byteDevice } from "../../core/byte-device.ts";
import type { BusDevice, Describable, Resettable } from "../../core/device.ts";
import { assert } from "../../core/errors.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import type { Irq } from "../../core/units.ts";
import { Pic8259 } from "./pic8259-chip.ts";

/** The secondary's output drives this input of the primary. */
const CASCADE_INPUT = 2;
const LINES = 16;

/**
 * Lines that ELCR can make level-triggered; the timer's, the keyboard's, the cascade's, the
 * clock's and the FPU's are wired as edges (Intel 82371AB data sheet, "ELCR1", "ELCR2").
 */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

/** Where a PC's BIOS puts the vectors of real mode. */
const BIOS_BASES = [0x08, 0x70] as const;
/** What it unmasks: timer, keyboard, cascade, floppy; mouse, FPU, first disk. */
const BIOS_MASKS = [0xb8, 0x8f] as const;

/** The two cascaded interrupt controllers of a PC with their edge/level control registers. */
export class PicPair implements Resettable, Describable {
  /** Ports 0x20 and 0x21. */
  readonly primary: BusDevice;
  /** Ports 0xa0 and 0xa1. */
  readonly secondary: BusDevice;
  /** ELCR: ports 0x4d0 and 0x4d1, a bit for each of the 16 lines. */
  readonly edgeLevel: BusDevice = byteDevice({
    readByte: (offset) => this.#chip(offset).edgeLevel,
    writeByte: (offset, value) => {
      this.#chip(offset).edgeLevel = value & (ELCR_WRITABLE[offset] ?? 0);
    },
  });

  readonly #primary: Pic8259;
  readonly #secondary: Pic8259;
  readonly #lines: readonly IrqLine[];
  #pending = false;
  /** An edge that was remembered no longer is: {@link remembersEdge}. */
  onTaken: () => void = () => {};

  /** @param intr the INTR output, besides {@link pending} */
  constructor(intr?: IrqLine) {
    this.#primary = new Pic8259({
      output: {
        set: (level) => {
          this.#pending = level;
          intr?.set(level);
        },
      },
      cascade: 1 << CASCADE_INPUT,
      onTaken: () => this.onTaken(),
    });
    this.#secondary = new Pic8259({
      output: this.#primary.input(CASCADE_INPUT),
      onTaken: () => this.onTaken(),
    });
    this.primary = this.#primary;
    this.secondary = this.#secondary;
    this.#lines = Array.from({ length: LINES }, (_, line) => this.#chip(line >> 3).input(line & 7));
  }

  describe(): readonly string[] {
    return [
      `8259, lines 7 to 0: ${this.#primary.describe()}`,
      `8259, lines 15 to 8: ${this.#secondary.describe()}`,
    ];
  }

  reset(): void {
    this.#primary.reset();
    this.#secondary.reset();
  }

  /** A device's wire. One wire a line: what shares it goes through a SharedIrqLine. */
  line(line: Irq): IrqLine {
    const wire = this.#lines[line];
    assert(wire !== undefined && line !== CASCADE_INPUT, `IRQ ${line} is a line for devices`);
    return wire;
  }

  /** Whether an edge on a line is remembered already, so that another one makes no difference. */
  remembersEdge(line: Irq): boolean {
    return this.#chip(line >> 3).remembersEdge(line & 7);
  }

  /** The INTR output: whether the CPU is asked for an acknowledge. */
  get pending(): boolean {
    return this.#pending;
  }

  /**
   * The CPU's acknowledge cycle.
   * @returns the vector, 0 to 255; that of IRQ 7 or 15 if nothing is pending (any more)
   */
  acknowledge(): number {
    const input = this.#primary.acknowledge();
    if (input !== CASCADE_INPUT || this.#primary.single) return this.#primary.vector(input);
    return this.#secondary.vector(this.#secondary.acknowledge());
  }

  /**
   * The state that a PC's BIOS leaves to what it boots: some guests rely on its masks. Which lines
   * are level-triggered depends on the board, which says so through {@link edgeLevel}.
   */
  setFirmwareState(): void {
    for (const [index, device] of [this.primary, this.secondary].entries()) {
      device.write(0, 1, 0x11);
      device.write(1, 1, BIOS_BASES[index] ?? 0);
      device.write(1, 1, index === 0 ? 1 << CASCADE_INPUT : CASCADE_INPUT);
      device.write(1, 1, 0x01);
      device.write(1, 1, BIOS_MASKS[index] ?? 0);
    }
  }

  #chip(index: number): Pic8259 {
    return index === 0 ? this.#primary : this.#secondary;
  }
}
