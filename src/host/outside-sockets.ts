import { createSocket, type Socket } from "node:dgram";
import { getServers } from "node:dns";
import { connect, isIPv6 } from "node:net";
import type {
  Endpoint,
  Outside,
  OutsideDatagrams,
  OutsideStream,
  StreamListener,
} from "../core/outside.ts";
import { SocketStream } from "./socket-stream.ts";

/** Bytes that wait for a network of the host's; more are lost, as on any network. */
const MAX_UNSENT = 1 << 20;
const DNS_PORT = 53;

/** The world as this host's sockets reach it. */
export class OutsideSockets implements Outside {
  readonly resolvers: readonly Endpoint[];

  constructor(servers: readonly string[] = getServers()) {
    this.resolvers = servers.map(parseServer);
  }

  connect({ address, port }: Endpoint, listener: StreamListener): OutsideStream {
    const stream = new SocketStream(connect({ host: address, port, allowHalfOpen: true }));
    stream.listen(listener);
    return stream;
  }

  exchange(
    { address, port }: Endpoint,
    receive: (bytes: Uint8Array | undefined) => void,
  ): OutsideDatagrams {
    const socket = newDatagramSocket(address);
    socket.on("message", receive);
    // Connected, it takes messages from there only, and hears that nobody is there.
    socket.on("error", () => receive(undefined));
    try {
      socket.connect(port, address);
    } catch {
      // There is no way to there: what is sent is lost.
    }
    return {
      send: (bytes) => sendMessage(socket, bytes),
      close: () => closeSocket(socket),
    };
  }
}

/** For numeric addresses: what is to be looked up would make calls asynchronous. */
export const newDatagramSocket = (address: string): Socket =>
  createSocket({
    type: isIPv6(address) ? "udp6" : "udp4",
    lookup: (name, _options, callback) => callback(null, name, isIPv6(name) ? 6 : 4),
  });

/** @param to of a socket that is not connected */
export function sendMessage(socket: Socket, bytes: Uint8Array, to?: Endpoint): void {
  try {
    if (socket.getSendQueueSize() > MAX_UNSENT) return;
    // Copied, since it may be sent later.
    const copy = Buffer.from(bytes);
    if (to === undefined) socket.send(copy, ignoreError);
    else socket.send(copy, to.port, to.address, ignoreError);
  } catch {
    // Closed, or not connected: messages may be lost.
  }
}

const ignoreError = (): void => {};

export function closeSocket(socket: Socket): void {
  socket.removeAllListeners("message");
  try {
    socket.close();
  } catch {
    // An error has closed it.
  }
}

/** `1.1.1.1`, `1.1.1.1:5353`, `fe80::1%eth0` or `[::1]:5353`, as Node tells of them. */
function parseServer(text: string): Endpoint {
  const [, address = text, port] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(text) ?? [];
  if (isIPv6(text)) return { address: text, port: DNS_PORT };
  return { address, port: port === undefined ? DNS_PORT : Number(port) };
}
