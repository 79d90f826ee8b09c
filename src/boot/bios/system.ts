/**
 * INT 15h, system services (IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 15h";
 * ACPI 6.5 §15 for the memory map). APM is absent, and what else is not here fails as "no such
 * function".
 */

import type { Resettable } from "../../core/device.ts";
import { gpa, KIB, MIB, MICROSECOND, MILLISECOND, nanos } from "../../core/units.ts";
import { EXTENDED_START, memoryMap } from "../memory-map.ts";
import { type BiosCall, linear, POLL, type Service, WAIT } from "./call.ts";
import { EBDA_SEGMENT } from "./data-area.ts";
import type { BiosEnvironment } from "./environment.ts";
import { PointingDevice } from "./pointing-device.ts";
import { CONFIGURATION_POINTER } from "./rom.ts";

const UNSUPPORTED = 0x86;

/** The timer's interrupt comes 18.2 times a second. */
const TICK = 55 * MILLISECOND;

const SMAP = 0x534d_4150;
const MAP_ENTRY_SIZE = 20;
const EXTENDED_MAP_ENTRY_SIZE = 24;
/** ACPI 3.0 attribute: the entry is enabled. */
const MAP_ENTRY_ENABLED = 1;

const PORT_92 = 0x92;
const A20 = 1 << 1;
const FAST_RESET = 1 << 0;
const A20_BY_KEYBOARD_AND_PORT_92 = 3;

/** A table of the caller's: dummy, itself, source, destination, two for the BIOS. */
const MOVE_SOURCE = 0x10;
const MOVE_DESTINATION = 0x18;
const MOVE_FAILED = 2;

export class SystemServices implements Resettable {
  readonly #env: BiosEnvironment;
  readonly #pointingDevice = new PointingDevice();
  /** Until when AH=86h waits. */
  #until = Number.POSITIVE_INFINITY;
  #waiting = false;

  constructor(env: BiosEnvironment) {
    this.#env = env;
  }

  /** The guest that waited, and wanted reports of the mouse, is no more. */
  reset(): void {
    this.#waiting = false;
    this.#pointingDevice.reset();
  }

  readonly service: Service = (call) => {
    switch (call.get("ah")) {
      case 0x24:
        this.#a20(call);
        break;
      case 0x86:
        return this.#wait(call);
      case 0x87:
        this.#move(call);
        break;
      case 0x88:
        // As far as 16 bits count, and no further than programs of the time expect.
        call.set("ax", Math.min(this.#extendedKib, 0xfc00));
        call.carry = false;
        break;
      case 0x90:
      case 0x91:
        call.succeed();
        break;
      case 0xc0:
        call.es = CONFIGURATION_POINTER.segment;
        call.set("bx", CONFIGURATION_POINTER.offset);
        call.succeed();
        break;
      case 0xc1:
        call.es = EBDA_SEGMENT;
        call.carry = false;
        break;
      case 0xc2:
        this.#pointingDevice.service(call);
        break;
      case 0xe8:
        this.#memorySize(call);
        break;
      default:
        call.fail(UNSUPPORTED);
    }
    return undefined;
  };

  get #extendedKib(): number {
    return Math.max(0, this.#env.memory.size - EXTENDED_START) / KIB;
  }

  #a20(call: BiosCall): void {
    const { ports } = this.#env;
    const value = ports.read(PORT_92, 1) & ~FAST_RESET;
    switch (call.get("al")) {
      case 0x00:
        ports.write(PORT_92, 1, value & ~A20);
        break;
      case 0x01:
        ports.write(PORT_92, 1, value | A20);
        break;
      case 0x02:
        call.set("al", (value & A20) !== 0 ? 1 : 0);
        break;
      case 0x03:
        call.set("bx", A20_BY_KEYBOARD_AND_PORT_92);
        break;
      default:
        call.fail(UNSUPPORTED);
        return;
    }
    call.succeed();
  }

  /** CX:DX microseconds, during which interrupts are taken. */
  #wait(call: BiosCall): ReturnType<Service> {
    const now = this.#env.clock.now();
    if (!this.#waiting) {
      const microseconds = call.get("cx") * 0x1_0000 + call.get("dx");
      this.#until = nanos(now + microseconds * MICROSECOND);
      this.#waiting = true;
    }
    if (now < this.#until) return this.#until - now > TICK ? WAIT : POLL;
    this.#waiting = false;
    call.succeed();
    return undefined;
  }

  /** Copies CX words between linear addresses that two descriptors give. */
  #move(call: BiosCall): void {
    const { memory } = this.#env;
    const table = linear(call.es, call.get("si"));
    const base = (descriptor: number): number =>
      ((memory.readU8(gpa(descriptor + 7)) << 24) |
        (memory.readU8(gpa(descriptor + 4)) << 16) |
        memory.readU16(gpa(descriptor + 2))) >>>
      0;
    const source = base(table + MOVE_SOURCE);
    const destination = base(table + MOVE_DESTINATION);
    const length = 2 * call.get("cx");
    if (!memory.contains(source, length) || !memory.contains(destination, length)) {
      call.fail(MOVE_FAILED);
      return;
    }
    memory.write(gpa(destination), memory.slice(gpa(source), length));
    call.succeed();
    call.zero = true;
  }

  #memorySize(call: BiosCall): void {
    switch (call.get("al")) {
      case 0x01:
        this.#sizes(call, ["ax", "cx"], ["bx", "dx"]);
        break;
      case 0x20:
        this.#memoryMap(call);
        break;
      case 0x81:
        this.#sizes(call, ["eax", "ecx"], ["ebx", "edx"]);
        break;
      default:
        call.fail(UNSUPPORTED);
    }
  }

  /** KiB from 1 MiB on, 15 MiB at most, and units of 64 KiB from 16 MiB on; each twice. */
  #sizes(
    call: BiosCall,
    lower: readonly ("ax" | "cx" | "eax" | "ecx")[],
    upper: readonly ("bx" | "dx" | "ebx" | "edx")[],
  ): void {
    const above = Math.max(0, this.#env.memory.size - 16 * MIB);
    for (const name of lower) call.set(name, Math.min(this.#extendedKib, 15 * KIB));
    for (const name of upper) call.set(name, Math.floor(above / (64 * KIB)));
    call.carry = false;
  }

  /** EBX: which entry; ECX: room for it at ES:DI. */
  #memoryMap(call: BiosCall): void {
    const { memory } = this.#env;
    const index = call.get("ebx");
    const map = memoryMap(memory.size);
    const entry = map[index];
    const room = call.get("ecx");
    if (call.get("edx") !== SMAP || entry === undefined || room < MAP_ENTRY_SIZE) {
      call.fail(UNSUPPORTED);
      return;
    }
    const at = linear(call.es, call.get("di"));
    memory.writeU64(at, entry.address);
    memory.writeU64(gpa(at + 8), entry.length);
    memory.writeU32(gpa(at + 16), entry.type);
    const extended = room >= EXTENDED_MAP_ENTRY_SIZE;
    if (extended) memory.writeU32(gpa(at + 20), MAP_ENTRY_ENABLED);
    call.set("eax", SMAP);
    call.set("ecx", extended ? EXTENDED_MAP_ENTRY_SIZE : MAP_ENTRY_SIZE);
    call.set("ebx", index + 1 < map.length ? index + 1 : 0);
    call.carry = false;
  }
}
