import { type AccessSize, type BusDevice, floating } from "../../core/device.ts";

/** What Solo5's virtio target writes when it ends, whatever its status. */
const SOLO5_EXIT = 41;
/** Our kernel's word: this in the upper byte, its exit status in the lower. */
const STATUS_MARK = 0x53;

/**
 * The exit status that a value written to the port stands for:
 *
 * | value           | status                                             |
 * |-----------------|----------------------------------------------------|
 * | 41              | 0: Solo5's virtio target has ended                 |
 * | `0x5300 \| n`   | n, 0 to 255: our kernel's exact status             |
 * | any other value | `(value << 1 \| 1) & 0xff`, as QEMU's isa-debug-exit |
 */
export const exitStatus = (value: number): number => {
  if (value === SOLO5_EXIT) return 0;
  if (value >>> 8 === STATUS_MARK) return value & 0xff;
  return qemuStatus(value);
};

/** What QEMU's isa-debug-exit makes of a value: never 0, which is left to a guest that powers off. */
export const qemuStatus = (value: number): number => ((value << 1) | 1) & 0xff;

/**
 * A debug exit: any write ends the machine. Four ports wide, so that a write of any width arrives as
 * one value.
 */
export class DebugExit implements BusDevice {
  readonly length = 4;
  readonly #onExit: (status: number) => void;
  readonly #statusOf: (value: number) => number;

  /** @param statusOf what a value written stands for */
  constructor({
    onExit,
    statusOf,
  }: {
    onExit: (status: number) => void;
    statusOf: (value: number) => number;
  }) {
    this.#onExit = onExit;
    this.#statusOf = statusOf;
  }

  read(_offset: number, size: AccessSize): number {
    return floating(size);
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#onExit(this.#statusOf(value));
  }
}
