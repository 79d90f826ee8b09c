import type { NetBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import { HostError } from "../core/errors.ts";
import { PcapFile } from "../host/pcap-file.ts";
import { TapNetwork } from "../host/tap.ts";
import type { NetDevice } from "../index.ts";
import { Capture } from "../net/capture.ts";
import { defaultMac } from "../net/mac.ts";
import { UserNetwork } from "../net/user-network.ts";
import type { NetSpec } from "./device-options.ts";

export interface NetworkOptions {
  readonly net?: readonly NetSpec[];
  readonly pcap?: string;
}

/** The guest's network devices, connected to what the options say. */
export interface Networks {
  readonly devices: readonly NetDevice[];
  /** @throws HostError when none of the networks can ping */
  pingable(): UserNetwork;
  close(): void;
}

/**
 * @param failed hears of a network or a capture that breaks down while in use
 * @throws HostError when one cannot be opened; the others are closed again
 */
export function openNetworks(
  { net = [{ kind: "user" }], pcap }: NetworkOptions,
  clock: Clock,
  failed: (error: HostError) => void,
): Networks {
  const links: NetBackend[] = [];
  const file = pcap === undefined ? undefined : new PcapFile(pcap, failed);
  const close = (): void => {
    for (const link of links) link.close();
    file?.close();
  };
  try {
    const wanted = net.filter((spec) => spec.kind !== "none");
    for (const spec of wanted) {
      links.push(spec.kind === "tap" ? new TapNetwork(spec.interface, failed) : new UserNetwork());
    }
    const capture = file && new Capture(clock, (bytes) => file.write(bytes));
    const devices = wanted.map((spec, i) => {
      const link = links[i] as NetBackend;
      return { backend: capture?.wrap(link) ?? link, mac: spec.mac ?? defaultMac(i) };
    });
    return { devices, close, pingable: () => firstUserNetwork(links) };
  } catch (error) {
    close();
    throw error;
  }
}

function firstUserNetwork(links: readonly NetBackend[]): UserNetwork {
  const network = links.find((link) => link instanceof UserNetwork);
  if (network !== undefined) return network;
  throw new HostError("--ping needs the built-in network", { remedy: "add --net user" });
}
