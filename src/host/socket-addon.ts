import { optionalAddon } from "./addon.ts";

/** A socket that listens (`native/socket_glue.cc`). */
export interface NativeListener {
  /** From now on calls `connecting` in every turn of the event loop in which a connection waits. */
  start(connecting: () => void): void;
  /** Gives up the descriptor, which is the caller's from now on. */
  release(): number;
  /** Any number of times. */
  close(): void;
}

/** What sockets need of the addon where Node's modules for them would take too long to load. */
export interface SocketAddon {
  /** Throws with `code` and `syscall`. @param address a port of 127.0.0.1, or a path */
  readonly Listener: new (
    address: number | string,
  ) => NativeListener;
  /** Returns how many bytes are taken at once, or a negative errno. */
  sendNow(descriptor: number, bytes: Uint8Array): number;
}

/** Undefined when the addon is not there. */
export const socketAddon = (): SocketAddon | undefined => optionalAddon<SocketAddon>();
