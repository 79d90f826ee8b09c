import type { Published } from "../core/outside.ts";
import { openPort, type PublishedPort } from "../host/published-ports.ts";
import type { Closers } from "./closers.ts";
import { say } from "./messages.ts";

const MAX_PORT = 65_535;
const ANYBODY_HERE = "127.0.0.1";
const FORM = /^(?:(?:\[([0-9a-f:.]+)\]|([\d.]+)):)?(\d+)(?::(\d+))?(?:\/(tcp|udp))?$/i;

/** What `--publish` says. @throws Error with a sentence for the user */
export function parsePublish(text: string): PublishedPort {
  const [, six, four, portText, guestText, kind = "tcp"] = FORM.exec(text) ?? [];
  // Digits before a colon are a port unless there are dots.
  const isPort = four !== undefined && !four.includes(".");
  if (portText === undefined || (isPort && guestText !== undefined)) {
    throw new Error(
      `"${text}" is no port to publish: write [ADDRESS:]PORT[:GUESTPORT][/tcp|/udp], as 8080:80`,
    );
  }
  const address = isPort ? ANYBODY_HERE : (six ?? four ?? ANYBODY_HERE);
  if (six === undefined ? !isIpv4(address) : !URL.canParse(`http://[${six}]/`)) {
    throw new Error(`"${address}" is not an address`);
  }
  const port = Number(isPort ? four : portText);
  const guestPort = isPort ? Number(portText) : Number(guestText ?? port);
  if (port > MAX_PORT || guestPort > MAX_PORT) {
    throw new Error(`a port is a number of at most ${MAX_PORT}`);
  }
  if (guestPort === 0) throw new Error("say which port of the guest it is, as 0:80");
  return { kind: kind.toLowerCase() === "udp" ? "udp" : "tcp", address, port, guestPort };
}

function isIpv4(text: string): boolean {
  const bytes = text.split(".");
  return bytes.length === 4 && bytes.every((byte) => /^\d{1,3}$/.test(byte) && Number(byte) < 256);
}

/** The ports that are open. */
export interface PublishedPorts {
  readonly published: readonly Published[];
  /** Says which those are that were left to the host. */
  tell(): void;
}

/** @throws HostError when one cannot be had */
export async function openPublished(
  ports: readonly PublishedPort[] = [],
  closers: Closers,
): Promise<PublishedPorts> {
  const published: Published[] = [];
  const lines: string[] = [];
  for (const wanted of ports) {
    const open = closers.opened(await openPort(wanted));
    published.push(open.published);
    const { kind, address, port, guestPort } = wanted;
    if (port > 0) continue;
    lines.push(`${kind} port ${open.port} of ${address} is the guest's port ${guestPort}`);
  }
  return { published, tell: () => lines.forEach(say) };
}
