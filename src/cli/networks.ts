import type { NetBackend } from "../core/backends.ts";
import { HostError } from "../core/errors.ts";
import { TapNetwork } from "../host/tap.ts";
import type { NetDevice } from "../index.ts";
import { defaultMac } from "../net/mac.ts";
import { UserNetwork } from "../net/user-network.ts";
import type { NetSpec } from "./device-options.ts";

/** The guest's network devices, connected to what the options say. */
export interface Networks {
  readonly devices: readonly NetDevice[];
  /** @throws HostError when none of the networks can ping */
  pingable(): UserNetwork;
  close(): void;
}

/**
 * @param failed hears of a network that breaks down while in use
 * @throws HostError when one cannot be opened; the others are closed again
 */
export function openNetworks(
  specs: readonly NetSpec[] = [{ kind: "user" }],
  failed: (error: HostError) => void,
): Networks {
  const links: NetBackend[] = [];
  const close = (): void => {
    for (const link of links) link.close();
  };
  try {
    const wanted = specs.filter((spec) => spec.kind !== "none");
    for (const spec of wanted) {
      links.push(spec.kind === "tap" ? new TapNetwork(spec.interface, failed) : new UserNetwork());
    }
    const devices = wanted.map((spec, i) => ({
      name: spec.name,
      backend: links[i] as NetBackend,
      mac: spec.mac ?? defaultMac(i),
    }));
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
