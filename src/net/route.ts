import type { Ipv4Address } from "./ipv4.ts";
import type { MacAddress } from "./mac.ts";

/** The two ends of a flow as the guest sees them. */
export interface Ends {
  readonly guest: Ipv4Address;
  readonly guestPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
}

export interface Route extends Ends {
  readonly guestMac: MacAddress;
}

export const keyOf = ({ guest, guestPort, remote, remotePort }: Ends): string =>
  `${guest}:${guestPort}:${remote}:${remotePort}`;
