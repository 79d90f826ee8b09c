import { ConfigSpace } from "./config-space.ts";
import { HeaderOnlyFunction, type PciFunction } from "./pci-bus.ts";

/** Intel 440FX host bridge, at 0:0.0. Guests look for it to see that there is a PCI bus. */
export const hostBridge = (): PciFunction =>
  new HeaderOnlyFunction(
    new ConfigSpace({ vendor: 0x8086, device: 0x1237, classCode: 0x06_00_00, revision: 2 }),
  );
