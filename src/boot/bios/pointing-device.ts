/**
 * INT 15h AH=C2h, the pointing device (IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt
 * 15h"). For who asks here it is a mouse that nobody moves: what programs set is remembered for them, and the
 * routine that they want called is never called.
 */

import type { Resettable } from "../../core/device.ts";
import type { BiosCall } from "./call.ts";

const INVALID_FUNCTION = 1;
const INVALID_INPUT = 2;
const NO_ROUTINE = 5;

const DEVICE_TYPE = 0;
const SELF_TEST_PASSED = 0xaa;
const MAX_PACKET = 8;

/** Reports a second, by the number that stands for them. */
const RATES = [10, 20, 40, 60, 80, 100, 200] as const;
const MAX_RESOLUTION = 3;

const STATUS = { ENABLED: 1 << 5, SCALING_2: 1 << 4 } as const;
const DEFAULTS = { status: 0, rate: 5, resolution: 2 } as const;

export class PointingDevice implements Resettable {
  #settings: Record<keyof typeof DEFAULTS, number> = { ...DEFAULTS };
  #hasRoutine = false;

  reset(): void {
    this.#settings = { ...DEFAULTS };
    this.#hasRoutine = false;
  }

  readonly service = (call: BiosCall): void => {
    const failure = this.#run(call, call.get("bh"));
    if (failure === undefined) call.succeed();
    else call.fail(failure);
  };

  /** @returns the status of a failure */
  #run(call: BiosCall, value: number): number | undefined {
    switch (call.get("al")) {
      case 0x00:
        if (value === 1 && !this.#hasRoutine) return NO_ROUTINE;
        return this.#switch(value, STATUS.ENABLED);
      case 0x01:
        this.#settings = { ...DEFAULTS };
        call.set("bh", DEVICE_TYPE);
        call.set("bl", SELF_TEST_PASSED);
        return undefined;
      case 0x02:
        return this.#set("rate", value, RATES.length - 1);
      case 0x03:
        return this.#set("resolution", value, MAX_RESOLUTION);
      case 0x04:
        call.set("bh", DEVICE_TYPE);
        return undefined;
      case 0x05:
        if (value < 1 || value > MAX_PACKET) return INVALID_INPUT;
        this.#settings = { ...DEFAULTS };
        return undefined;
      case 0x06:
        return this.#extended(call, value);
      case 0x07:
        // None at 0:0.
        this.#hasRoutine = call.es !== 0 || call.get("bx") !== 0;
        return undefined;
      default:
        return INVALID_FUNCTION;
    }
  }

  #extended(call: BiosCall, value: number): number | undefined {
    if (value !== 0) return this.#switch(value - 1, STATUS.SCALING_2);
    const { status, rate, resolution } = this.#settings;
    call.set("bl", status);
    call.set("cl", resolution);
    call.set("dl", RATES[rate] ?? 0);
    return undefined;
  }

  #switch(on: number, bit: number): number | undefined {
    if (on > 1) return INVALID_INPUT;
    const others = this.#settings.status & ~bit;
    this.#settings.status = on === 1 ? others | bit : others;
    return undefined;
  }

  #set(name: "rate" | "resolution", value: number, most: number): number | undefined {
    if (value > most) return INVALID_INPUT;
    this.#settings[name] = value;
    return undefined;
  }
}
