import type { Socket as DatagramSocket } from "node:dgram";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { HostError } from "../core/errors.ts";
import type { OutsideStream, Published, StreamListener } from "../core/outside.ts";
import { errnoOf } from "./errno.ts";
import { closeSocket, newDatagramSocket, sendMessage } from "./outside-sockets.ts";
import { SocketStream } from "./socket-stream.ts";

/** Which port of the host is the guest's. */
export interface PublishedPort {
  readonly kind: "tcp" | "udp";
  /** Numeric. */
  readonly address: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly guestPort: number;
}

/** A port that is open. */
export interface OpenPort {
  /** Which it is. */
  readonly port: number;
  readonly published: Published;
  close(): void;
}

/**
 * Opens a port; what comes there waits until somebody starts to serve it.
 * @throws HostError when it cannot be had
 */
export async function openPort(wanted: PublishedPort): Promise<OpenPort> {
  try {
    return await (wanted.kind === "tcp" ? openStreams(wanted) : openDatagrams(wanted));
  } catch (cause) {
    const errno = errnoOf(cause);
    throw new HostError(`cannot publish ${describePort(wanted)}`, {
      errno,
      remedy: REMEDIES[errno ?? ""],
      cause,
    });
  }
}

const describePort = ({ address, port, kind }: PublishedPort): string =>
  `${kind} port ${port} of ${address}`;

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "somebody uses it already; name another with --publish, or 0 for any that is free",
  EACCES: "you may not use it; name one from 1024 on, or 0 for any that is free",
  EPERM: "you may not use it; name one from 1024 on, or 0 for any that is free",
  EADDRNOTAVAIL: "this host has no such address; leave it out, or use 0.0.0.0 for all of them",
  EAFNOSUPPORT: "this host does not speak that protocol; use an address of IPv4",
};

async function openStreams({ address, port, guestPort }: PublishedPort): Promise<OpenPort> {
  let accept: ((stream: OutsideStream) => StreamListener) | undefined;
  const early: Socket[] = [];
  const serve = (socket: Socket): void => {
    if (accept === undefined) {
      early.push(socket);
      return;
    }
    const stream = new SocketStream(socket);
    stream.listen(accept(stream));
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, serve);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port, exclusive: true }, resolve);
  });
  // Out of descriptors: whoever asks may ask again.
  server.on("error", () => {});
  return {
    port: (server.address() as AddressInfo).port,
    published: {
      kind: "tcp",
      guestPort,
      start: (serveThem) => {
        accept = serveThem;
        for (const socket of early.splice(0)) serve(socket);
      },
    },
    close: () => closeServer(server, early),
  };
}

function closeServer(server: Server, early: readonly Socket[]): void {
  for (const socket of early) socket.resetAndDestroy();
  server.close();
}

async function openDatagrams({ address, port, guestPort }: PublishedPort): Promise<OpenPort> {
  const socket = newDatagramSocket(address);
  await bound(socket, address, port);
  // A message to somebody who is gone: messages may be lost.
  socket.on("error", () => {});
  return {
    port: socket.address().port,
    published: {
      kind: "udp",
      guestPort,
      start: (receive) => {
        socket.on("message", (bytes, from) => receive(bytes, from));
      },
      send: (bytes, to) => sendMessage(socket, bytes, to),
    },
    close: () => closeSocket(socket),
  };
}

const bound = (socket: DatagramSocket, address: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      closeSocket(socket);
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, resolve);
  });
