import type { Registers } from "../../core/cpu.ts";
import type { BusDevice } from "../../core/device.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import { realModeState } from "../entry-state.ts";

const RTC_INDEX = 0x70;
const RTC_DATA = 0x71;
const SHUTDOWN_CODE = 0x0f;
/** Codes: jump by {@link RESUME_AT}, with an end of interrupt before or without. */
const JUMP_AFTER_INTERRUPT = 0x05;
const JUMP = 0x0a;

const PIC_PRIMARY = 0x20;
const PIC_SECONDARY = 0xa0;
const END_OF_INTERRUPT = 0x20;
const KEYBOARD_DATA = 0x60;

/** 0040:0067, offset and segment. */
const RESUME_AT = 0x467;

/**
 * Going on behind a reset: the 80286 has no other way back from protected mode, so programs for it leave a code in
 * the CMOS and an address in the BIOS's data, and have the keyboard controller, or three faults, reset the processor.
 * Memory and devices stay as they are. Source: IBM PC AT Technical Reference (1984), BIOS, "shutdown".
 */
export class Resumption {
  readonly #ports: BusDevice;
  readonly #memory: GuestMemory;

  constructor(ports: BusDevice, memory: GuestMemory) {
    this.#ports = ports;
    this.#memory = memory;
  }

  /** Whether the next reset is one of these. */
  get isWanted(): boolean {
    const code = this.#code;
    return code === JUMP || code === JUMP_AFTER_INTERRUPT;
  }

  get #code(): number {
    this.#ports.write(RTC_INDEX, 1, SHUTDOWN_CODE);
    return this.#ports.read(RTC_DATA, 1);
  }

  /** The next reset is a start. */
  cancel(): void {
    this.#ports.write(RTC_INDEX, 1, SHUTDOWN_CODE);
    this.#ports.write(RTC_DATA, 1, 0);
  }

  /** The state of the processor that goes on, once. */
  take(): Registers {
    if (this.#code === JUMP_AFTER_INTERRUPT) {
      this.#ports.read(KEYBOARD_DATA, 1);
      for (const pic of [PIC_SECONDARY, PIC_PRIMARY]) this.#ports.write(pic, 1, END_OF_INTERRUPT);
    }
    this.cancel();
    const offset = this.#memory.readU16(gpa(RESUME_AT));
    return realModeState(this.#memory.readU16(gpa(RESUME_AT + 2)), offset);
  }
}
