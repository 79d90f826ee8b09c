import { ConfigSpace } from "./config-space.ts";
import { HeaderOnlyFunction, type PciFunction } from "./pci-bus.ts";

/** Base of the power management ports (82371AB datasheet, function 3); bit 0 says they are ports. */
const PMBASE = 0x40;
/** Miscellaneous power management: bit 0 enables the ports at PMBASE. */
const PMREGMISC = 0x80;

/**
 * Intel PIIX4 power management function, at 0:1.3: tells guests where the ACPI ports are. The
 * ports themselves belong to another device, and stay where they are.
 * @param powerManagementBase first of its 64 ports
 */
export function acpiBridge(powerManagementBase: number): PciFunction {
  const config = new ConfigSpace({
    vendor: 0x8086,
    device: 0x7113,
    classCode: 0x06_80_00,
    revision: 3,
  });
  config.define(PMBASE, 4, powerManagementBase | 1);
  config.define(PMREGMISC, 1, 1);
  return new HeaderOnlyFunction(config);
}
