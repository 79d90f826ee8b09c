import type { Alarm, Clock } from "../../core/clock.ts";
import type { AccessSize, BusDevice, Resettable } from "../../core/device.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import { RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import { ACPI_TIMER_RATE } from "../timer/tick-rate.ts";

/** ACPI 6.5 §4.8.3, at the offsets of the Intel 82371AB (PIIX4). */
const LAYOUT = [
  { name: "PM1_STS", offset: 0, size: 2 },
  { name: "PM1_EN", offset: 2, size: 2 },
  { name: "PM1_CNT", offset: 4, size: 2 },
  { name: "PM_TMR", offset: 8, size: 4 },
] as const satisfies readonly RegisterSpec[];

/** PM1_STS and PM1_EN: timer, global lock, power button, clock alarm. */
const PM1_TIMER = 1 << 0;
const PM1_EN_WRITABLE = 0x0521;

const SCI_ENABLED = 1 << 0;
const BUS_MASTER_RELOAD = 1 << 1;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_TYPE = 7 << SLEEP_TYPE_SHIFT;
const SLEEP_ENABLE = 1 << 13;
/** The sleep type of S5 (soft off), to be stated in the DSDT's `_S5_` object. */
export const S5_SLEEP_TYPE = 0;

const TIMER_MODULUS = 2 ** 24;
/** The timer's status bit is set whenever its top bit changes. */
const TIMER_HALF = 2 ** 23;

/**
 * The fixed power management registers of ACPI: event block, control with power-off, and the
 * 24-bit timer. There is no other mode to leave: SCI_EN is always set, and so the FADT's SMI_CMD
 * must be 0.
 */
export class AcpiPm implements BusDevice, Resettable {
  /** Ports that the registers take. */
  readonly length = 12;
  readonly #clock: Clock;
  readonly #sci: IrqLine;
  readonly #onPowerOff: () => void;
  readonly #alarm: Alarm;
  readonly #registers: RegisterMap<typeof LAYOUT>;
  #enabled = 0;
  #control = 0;
  /** When the timer's status bit was cleared last, in half turns of the timer. */
  #clearedAt: number;

  /**
   * @param irq the SCI, level-triggered
   * @param onPowerOff the guest went to S5
   */
  constructor(options: { clock: Clock; irq: IrqLine; onPowerOff: () => void }) {
    this.#clock = options.clock;
    this.#sci = options.irq;
    this.#onPowerOff = options.onPowerOff;
    this.#alarm = options.clock.alarm(() => this.#update());
    this.#clearedAt = this.#halfTurns;
    this.#registers = new RegisterMap(
      LAYOUT,
      {
        PM1_STS: {
          read: () => this.#status,
          write: (value) => {
            if ((value & PM1_TIMER) !== 0) this.#clearedAt = this.#halfTurns;
            this.#update();
          },
          unwritten: 0,
        },
        PM1_EN: {
          read: () => this.#enabled,
          write: (value) => {
            this.#enabled = value & PM1_EN_WRITABLE;
            this.#update();
          },
        },
        PM1_CNT: {
          read: () => this.#control | SCI_ENABLED,
          write: (value) => this.#writeControl(value),
        },
        PM_TMR: { read: () => this.#ticks % TIMER_MODULUS },
      },
      this.length,
    );
  }

  reset(): void {
    this.#enabled = 0;
    this.#control = 0;
    this.#clearedAt = this.#halfTurns;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.#registers.write(offset, size, value);
  }

  get #ticks(): number {
    return ACPI_TIMER_RATE.ticksAt(this.#clock.now());
  }

  get #halfTurns(): number {
    return Math.floor(this.#ticks / TIMER_HALF);
  }

  get #status(): number {
    return this.#halfTurns > this.#clearedAt ? PM1_TIMER : 0;
  }

  #writeControl(value: number): void {
    this.#control = value & (BUS_MASTER_RELOAD | SLEEP_TYPE);
    const sleepType = (value & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT;
    // SLP_EN is not stored. Sleep states other than S5 do not exist here.
    if ((value & SLEEP_ENABLE) !== 0 && sleepType === S5_SLEEP_TYPE) this.#onPowerOff();
  }

  #update(): void {
    const pending = (this.#status & this.#enabled) !== 0;
    this.#sci.set(pending);
    const awaited = (this.#enabled & PM1_TIMER) !== 0 && !pending;
    if (!awaited) this.#alarm.cancel();
    else this.#alarm.set(ACPI_TIMER_RATE.timeOf((this.#halfTurns + 1) * TIMER_HALF));
  }
}
