import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";
import { type NativeListener, socketAddon } from "./socket-addon.ts";

/** Where a debugger connects to. */
export type DebugAddress =
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Nobody from elsewhere is to reach it: whoever does has the guest in his hand. */
const LOOPBACK = "127.0.0.1";
/** A debugger that asks and does not listen is not kept company for ever. Bytes. */
const MAX_UNREAD = 8 << 20;

export interface DebugConnection {
  send(bytes: Uint8Array): void;
  /** What has been sent still arrives. */
  close(): void;
}

/** One end of a conversation. */
export interface DebugPeer {
  receive(bytes: Uint8Array): void;
  /** The other end is gone. Not called after {@link DebugConnection.close}. */
  disconnected(): void;
}

/**
 * Waits for debuggers on this machine, one at a time. With the addon Node's server is made only when
 * somebody connects: loading it takes as long as many a guest runs, and nearly nobody does.
 */
export class DebugListener {
  readonly #address: DebugAddress;
  /** Whether the socket is made by the addon: Node's server removes only what it has made. */
  #isNative = false;
  #early: NativeListener | undefined;
  #server: Server | undefined;
  #accept: ((connection: DebugConnection) => DebugPeer) | undefined;
  #socket: Socket | undefined;

  private constructor(address: DebugAddress) {
    this.#address = address;
  }

  /** @throws HostError when the port or path cannot be had */
  static async listen(address: DebugAddress): Promise<DebugListener> {
    const listener = new DebugListener(address);
    try {
      await listener.#listen();
    } catch (cause) {
      const errno = errnoOf(cause);
      if (address.kind === "unix" && errno === "EADDRINUSE" && (await abandoned(address.path))) {
        unlinkSync(address.path);
        return DebugListener.listen(address);
      }
      throw new HostError(`cannot wait for a debugger on ${describeAddress(address)}`, {
        errno,
        remedy: isTaken(address, errno) ? TAKEN : REMEDIES[errno ?? ""],
        cause,
      });
    }
    return listener;
  }

  /** @param accept is called for each debugger; until then they wait, or are turned away */
  start(accept: (connection: DebugConnection) => DebugPeer): void {
    this.#accept = accept;
    this.#early?.start(() => this.#takeOver());
  }

  close(): void {
    this.#early?.close();
    this.#server?.close();
    this.#removeSocket();
    this.#socket?.end();
  }

  async #listen(): Promise<void> {
    const address = this.#address;
    const addon = socketAddon();
    if (addon === undefined) {
      const { kind } = address;
      await this.#serve(kind === "tcp" ? { host: LOOPBACK, port: address.port } : address);
    } else {
      this.#early = new addon.Listener(address.kind === "tcp" ? address.port : address.path);
      this.#isNative = true;
    }
  }

  #removeSocket(): void {
    if (!this.#isNative || this.#address.kind !== "unix") return;
    try {
      unlinkSync(this.#address.path);
    } catch {
      // Somebody has removed it already.
    }
  }

  /** The first debugger is there: from now on Node's server has the descriptor. */
  #takeOver(): void {
    const fd = this.#early?.release();
    this.#early = undefined;
    if (fd !== undefined) void this.#serve({ fd });
  }

  #serve(where: ListenOptions & { readonly fd?: number }): Promise<void> {
    const server = createServer((socket) => this.#connected(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => {
        server.off("error", reject);
        resolve();
      });
    });
  }

  #connected(socket: Socket): void {
    // Errors are followed by `close`.
    socket.on("error", () => {});
    if (this.#accept === undefined || this.#socket !== undefined) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    this.#socket = socket;
    let open = true;
    const peer = this.#accept({
      send: (bytes) => {
        if (socket.writableLength > MAX_UNREAD) socket.destroy();
        else socket.write(bytes);
      },
      close: () => {
        open = false;
        if (this.#socket === socket) this.#socket = undefined;
        socket.end();
      },
    });
    socket.on("data", (bytes) => {
      if (open) peer.receive(bytes);
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
      if (open) peer.disconnected();
    });
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: "somebody uses it already; name another with --gdb PORT or --gdb unix:PATH",
  ENOENT: "there is no such folder",
  EACCES: "you may not use it; name another with --gdb PORT or --gdb unix:PATH",
};

const TAKEN = "something else has this name already; use another";

/** Whether what is there is no socket. */
const isTaken = (address: DebugAddress, errno: string | undefined): boolean =>
  address.kind === "unix" && errno === "EADDRINUSE" && !isSocket(address.path);

export const describeAddress = (address: DebugAddress): string =>
  address.kind === "tcp" ? `port ${address.port}` : address.path;

/** Whether a socket is left over from a process that is gone. */
async function abandoned(path: string): Promise<boolean> {
  // Whatever else is there refuses connections too, and is somebody's.
  if (!isSocket(path)) return false;
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error) => resolve(errnoOf(error) === "ECONNREFUSED"));
  });
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch {
    return false;
  }
}
