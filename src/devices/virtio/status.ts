/** Device status field (virtio 1.2 §2.1). */
export const STATUS = {
  ACKNOWLEDGE: 0x01,
  DRIVER: 0x02,
  DRIVER_OK: 0x04,
  FEATURES_OK: 0x08,
  DEVICE_NEEDS_RESET: 0x40,
  FAILED: 0x80,
} as const;

/** What the driver says by a write to the status field. */
export type DriverState = "resets" | "sets-up" | "ready" | "gave-up";

/**
 * The device status field: the driver's progress, and the device's word that it needs a reset.
 *
 * Drivers before virtio 1.0 write steps in any order, skip some and clear bits again (one known
 * writes 3 and then 4), so a step is not refused for what was or was not written before it.
 */
export class DeviceStatus {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  /** Whether the device may use the driver's buffers. */
  get working(): boolean {
    return (this.#value & (STATUS.DEVICE_NEEDS_RESET | STATUS.FAILED)) === 0;
  }

  /**
   * @param value 8 bits; 0 resets the device
   * @param agreed whether the device can work with the features that the driver chose: if not, it
   *   keeps FEATURES_OK clear, by which the driver learns of it (§3.1.1)
   */
  write(value: number, agreed = true): DriverState {
    if (value === 0) {
      this.#value = 0;
      return "resets";
    }
    // The driver cannot take back what the device said.
    const needsReset = this.#value & STATUS.DEVICE_NEEDS_RESET;
    const refused = agreed ? 0 : STATUS.FEATURES_OK;
    this.#value = (value & ~(STATUS.DEVICE_NEEDS_RESET | refused)) | needsReset;
    if (!this.working) return "gave-up";
    return (value & STATUS.DRIVER_OK) !== 0 ? "ready" : "sets-up";
  }

  /** The device cannot go on until the driver resets it (§2.1.2). */
  requireReset(): void {
    this.#value |= STATUS.DEVICE_NEEDS_RESET;
  }
}
