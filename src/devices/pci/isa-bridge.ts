import { ConfigSpace } from "./config-space.ts";
import { HeaderOnlyFunction, type PciFunction } from "./pci-bus.ts";

/** PIRQ route control of INTA to INTD: an interrupt line each (82371SB datasheet, function 0). */
const PIRQRC = 0x60;

/**
 * Intel PIIX3 PCI-to-ISA bridge, at 0:1.0.
 * @param interruptLine that all four PCI interrupt pins are wired to; the routing is fixed
 */
export function isaBridge(interruptLine: number): PciFunction {
  const config = new ConfigSpace({
    vendor: 0x8086,
    device: 0x7000,
    classCode: 0x06_01_00,
    multifunction: true,
  });
  for (let pin = 0; pin < 4; pin++) config.define(PIRQRC + pin, 1, interruptLine);
  return new HeaderOnlyFunction(config);
}
