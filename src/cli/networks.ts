import type { NetBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import { HostError } from "../core/errors.ts";
import type { Published } from "../core/outside.ts";
import { OutsideSockets } from "../host/outside-sockets.ts";
import { TapNetwork } from "../host/tap.ts";
import type { NetDevice } from "../index.ts";
import { Gateway } from "../net/gateway.ts";
import { formatIpv4, type Ipv4Packet, PROTOCOL_TCP } from "../net/ipv4.ts";
import { defaultMac } from "../net/mac.ts";
import { UserNetwork } from "../net/user-network.ts";
import { Closers } from "./closers.ts";
import type { NetSpec } from "./device-options.ts";
import { randomWord } from "./entropy.ts";
import { say } from "./messages.ts";

/** The guest's network devices, connected to what the options say. */
export interface Networks {
  readonly devices: readonly NetDevice[];
  /** @throws HostError when none of the networks can ping */
  pingable(): UserNetwork;
  close(): void;
}

export interface NetworkParts {
  readonly clock: Clock;
  /** Ports of the host for the guest on the first built-in network. */
  readonly published: readonly Published[];
  /** Hears of a network that breaks down while in use. */
  readonly failed: (error: HostError) => void;
}

/** @throws HostError when one cannot be opened; the others are closed again */
export function openNetworks(
  specs: readonly NetSpec[] = [{ kind: "user" }],
  parts: NetworkParts,
): Networks {
  const closers = new Closers();
  try {
    const links: NetBackend[] = [];
    const tellOfLeaving = once(refuseLeaving);
    let { published } = parts;
    const wanted = specs.filter((spec) => spec.kind !== "none");
    for (const spec of wanted) {
      if (spec.kind === "tap") {
        links.push(closers.opened(new TapNetwork(spec.interface, parts.failed)));
        continue;
      }
      const options = spec.nat ? { resolves: true } : { onLeaving: tellOfLeaving };
      const network = new UserNetwork(options);
      links.push(network);
      if (spec.nat || published.length > 0) {
        const outside = spec.nat ? new OutsideSockets() : undefined;
        const { clock } = parts;
        closers.opened(new Gateway({ network, clock, random: randomWord, outside, published }));
        published = [];
      }
      // Closed before its gateway: the guest's device is to hear of no resets then.
      closers.opened(network);
    }
    if (published.length > 0) throw needsBuiltIn("--publish");
    const devices = wanted.map((spec, i) => ({
      name: spec.name,
      backend: links[i] as NetBackend,
      mac: spec.mac ?? defaultMac(i),
    }));
    return { devices, close: () => closers.close(), pingable: () => firstUserNetwork(links) };
  } catch (error) {
    closers.close();
    throw error;
  }
}

function firstUserNetwork(links: readonly NetBackend[]): UserNetwork {
  const network = links.find((link) => link instanceof UserNetwork);
  if (network !== undefined) return network;
  throw needsBuiltIn("--ping");
}

const needsBuiltIn = (option: string): HostError =>
  new HostError(`${option} needs the built-in network`, { remedy: "add --net user" });

function refuseLeaving({ protocol, destination, payload }: Ipv4Packet): void {
  const port = new DataView(payload.buffer, payload.byteOffset).getUint16(2);
  const what = `${protocol === PROTOCOL_TCP ? "tcp" : "udp"} port ${port}`;
  say(
    `the guest asks for ${what} of ${formatIpv4(destination)}, where the built-in network does not lead: --net user,nat lets it out`,
  );
}

/** Calls `tell` the first time only. */
function once<Value>(tell: (value: Value) => void): (value: Value) => void {
  let told = false;
  return (value) => {
    if (!told) tell(value);
    told = true;
  };
}
