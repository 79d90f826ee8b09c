/** INT 1Ah, time of day, and INT 08h, which counts it (IBM PS/2 and PC BIOS Interface Reference). */

import type { BiosCall, Service } from "./call.ts";
import { BDA } from "./data-area.ts";
import type { BiosEnvironment } from "./environment.ts";
import { pciService } from "./pci.ts";

/** Timer interrupts in a day, at 1193182 / 65536 a second. */
const TICKS_PER_DAY = 0x1800b0;
const SECONDS_PER_DAY = 86_400;

const RTC_INDEX = 0x70;
const RTC_DATA = 0x71;
/** Registers of the clock (Motorola MC146818A): BCD, 24 hours, as the BIOS sets it. */
const RTC = { SECONDS: 0, MINUTES: 2, HOURS: 4, DAY: 7, MONTH: 8, YEAR: 9, B: 0x0b, CENTURY: 0x32 };
const B_SET = 1 << 7;

const PCI_FUNCTIONS = 0xb1;

export class Time {
  readonly #env: BiosEnvironment;

  constructor(env: BiosEnvironment) {
    this.#env = env;
  }

  /** The rest of INT 08h is code in the ROM. */
  readonly tick: Service = () => {
    const { data } = this.#env;
    const ticks = data.u32(BDA.TICKS) + 1;
    const midnight = ticks >= TICKS_PER_DAY;
    data.setU32(BDA.TICKS, midnight ? 0 : ticks);
    if (midnight) data.setU8(BDA.MIDNIGHT, data.u8(BDA.MIDNIGHT) + 1);
    return undefined;
  };

  readonly service: Service = (call) => {
    const ah = call.get("ah");
    if (ah === PCI_FUNCTIONS) pciService(call, this.#env.ports);
    else this.#timeService(call, ah);
    return undefined;
  };

  /** Ticks since midnight, by the real-time clock. */
  ticksNow(): number {
    const [hours, minutes, seconds] = [RTC.HOURS, RTC.MINUTES, RTC.SECONDS].map((register) =>
      fromBcd(this.#rtc(register)),
    ) as [number, number, number];
    const second = (hours * 60 + minutes) * 60 + seconds;
    return Math.floor((second / SECONDS_PER_DAY) * TICKS_PER_DAY);
  }

  #timeService(call: BiosCall, ah: number): void {
    const { data } = this.#env;
    call.carry = false;
    switch (ah) {
      case 0x00:
        call.set("cx", data.u16(BDA.TICKS + 2));
        call.set("dx", data.u16(BDA.TICKS));
        call.set("al", data.u8(BDA.MIDNIGHT));
        data.setU8(BDA.MIDNIGHT, 0);
        break;
      case 0x01:
        data.setU16(BDA.TICKS + 2, call.get("cx"));
        data.setU16(BDA.TICKS, call.get("dx"));
        data.setU8(BDA.MIDNIGHT, 0);
        break;
      case 0x02:
        call.set("ch", this.#rtc(RTC.HOURS));
        call.set("cl", this.#rtc(RTC.MINUTES));
        call.set("dh", this.#rtc(RTC.SECONDS));
        call.set("dl", 0);
        break;
      case 0x03:
        this.#setRtc([
          [RTC.HOURS, call.get("ch")],
          [RTC.MINUTES, call.get("cl")],
          [RTC.SECONDS, call.get("dh")],
        ]);
        break;
      case 0x04:
        call.set("ch", this.#rtc(RTC.CENTURY));
        call.set("cl", this.#rtc(RTC.YEAR));
        call.set("dh", this.#rtc(RTC.MONTH));
        call.set("dl", this.#rtc(RTC.DAY));
        break;
      case 0x05:
        this.#setRtc([
          [RTC.CENTURY, call.get("ch")],
          [RTC.YEAR, call.get("cl")],
          [RTC.MONTH, call.get("dh")],
          [RTC.DAY, call.get("dl")],
        ]);
        break;
      default:
        call.carry = true;
    }
  }

  #rtc(register: number): number {
    const { ports } = this.#env;
    ports.write(RTC_INDEX, 1, register);
    return ports.read(RTC_DATA, 1);
  }

  #writeRtc(register: number, value: number): void {
    const { ports } = this.#env;
    ports.write(RTC_INDEX, 1, register);
    ports.write(RTC_DATA, 1, value);
  }

  #setRtc(values: readonly [register: number, value: number][]): void {
    const control = this.#rtc(RTC.B);
    this.#writeRtc(RTC.B, control | B_SET);
    for (const [register, value] of values) this.#writeRtc(register, value);
    this.#writeRtc(RTC.B, control & ~B_SET);
  }
}

const fromBcd = (value: number): number => (value >> 4) * 10 + (value & 0xf);
