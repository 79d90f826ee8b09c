import { type AccessSize, type BusDevice, floating } from "./device.ts";
import { assert } from "./errors.ts";

/** One register of a device's layout, as its specification lists it. */
export interface RegisterSpec {
  readonly name: string;
  /** Bytes from the layout's start. */
  readonly offset: number;
  readonly size: AccessSize;
}

/** What a register does. Without `write` it is read-only: writes are swallowed. */
export interface Register {
  read(): number;
  write?(value: number): void;
  /**
   * What the bytes count as that a partial write leaves out; by default what they read as. Where
   * writing a one clears a bit, this is 0: other bytes must not be cleared along.
   */
  readonly unwritten?: number;
}

/** One handler for each register of a layout: a missing one is a compile error. */
export type RegisterHandlers<Layout extends readonly RegisterSpec[]> = {
  readonly [Name in Layout[number]["name"]]: Register;
};

interface Slot extends RegisterSpec {
  readonly register: Register;
}

/**
 * A register layout in specification order, bound to handlers. Handlers see whole registers only:
 * a partial read takes its bytes out of the whole, a partial write is merged into the value read
 * before, an access over several registers is made one register at a time. Holes read as zero.
 */
export class RegisterMap<const Layout extends readonly RegisterSpec[]> implements BusDevice {
  readonly length: number;
  readonly #slotAt: (Slot | undefined)[];

  /**
   * @param layout the registers; they must not overlap
   * @param length bytes of the whole map, holes included
   */
  constructor(layout: Layout, handlers: RegisterHandlers<Layout>, length: number) {
    this.length = length;
    this.#slotAt = new Array<Slot | undefined>(length).fill(undefined);
    const byName: Readonly<Record<string, Register>> = handlers;
    for (const spec of layout) {
      const register = byName[spec.name];
      assert(register !== undefined, `register ${spec.name} has a handler`);
      assert(spec.offset + spec.size <= length, `register ${spec.name} fits the map`);
      for (let i = 0; i < spec.size; i++) {
        assert(this.#slotAt[spec.offset + i] === undefined, `register ${spec.name} overlaps`);
        this.#slotAt[spec.offset + i] = { ...spec, register };
      }
    }
  }

  read(offset: number, size: AccessSize): number {
    const slot = this.#slotAt[offset];
    if (slot !== undefined && slot.offset === offset && slot.size === size) {
      return slot.register.read();
    }
    let value = 0;
    this.#each(offset, size, (at, part, shift) => {
      const whole = part.register.read() >>> (8 * (at.from - part.offset));
      value |= (whole & floating(at.count)) << shift;
    });
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const slot = this.#slotAt[offset];
    if (slot !== undefined && slot.offset === offset && slot.size === size) {
      slot.register.write?.(value);
      return;
    }
    this.#each(offset, size, (at, part, shift) => {
      if (part.register.write === undefined) return;
      const place = 8 * (at.from - part.offset);
      const mask = floating(at.count) << place;
      const rest = part.register.unwritten ?? part.register.read();
      const merged = (rest & ~mask) | (((value >>> shift) << place) & mask);
      part.register.write((merged & floating(part.size)) >>> 0);
    });
  }

  /** Visits each register that `[offset, offset + size)` touches, once. */
  #each(
    offset: number,
    size: number,
    visit: (at: { from: number; count: number }, slot: Slot, shift: number) => void,
  ): void {
    let from = offset;
    while (from < offset + size) {
      const slot = this.#slotAt[from];
      if (slot === undefined) {
        from++;
        continue;
      }
      const count = Math.min(slot.offset + slot.size, offset + size) - from;
      visit({ from, count }, slot, 8 * (from - offset));
      from += count;
    }
  }
}
