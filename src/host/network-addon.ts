import { loadAddon } from "./addon.ts";

/** An open tap (`native/tap_glue.cc`). */
export interface NativeTap {
  /** What a frame is read into. */
  readonly frame: Uint8Array;
  /** What is left to do on it (`OFFLOAD_HEADER_LENGTH`). */
  readonly header: Uint8Array;
  /** What is left to do on the next frame that is written. */
  readonly sentHeader: Uint8Array;
  /** Whether the two are obeyed. */
  readonly hasHeaders: boolean;
  readonly mtu: number;
  /** From now on calls `readable` in every turn of the event loop in which a frame waits. */
  start(readable: () => void): void;
  /** Whether frames that wait show in the event loop; once started, they do. */
  listen(on: boolean): void;
  /** Reads a frame into {@link frame}: its length, 0 if none waits, or a negative errno. */
  read(): number;
  /**
   * If the tap is threaded, frames that are not the first since the last {@link read} leave by a thread
   * (`tap_writer.h`).
   * @returns 0 or a negative errno
   */
  write(frame: Uint8Array): number;
  /** What may be left to do on frames that are read: a set of `OFFLOAD`, nothing at first. */
  setOffloads(offloads: number): void;
  /** How many frames were not taken though {@link write} returned 0. */
  lost(): number;
  /** Any number of times. */
  close(): void;
}

/** What the system tells of a network interface. */
export interface Interface {
  readonly index: number;
  readonly up: boolean;
  readonly mtu: number;
  readonly mac: Uint8Array;
  /** ethtool's names: a bridge's driver is `bridge`, a tap's `tun` on bus `tap`. */
  readonly driver: string;
  readonly bus: string;
  /** The first IPv4 address and its mask; 0 if it has none. */
  readonly address: number;
  readonly netmask: number;
}

/** Interfaces and bridges (`native/netif_glue.cc`). Failing calls throw with `code` and `syscall`. */
export interface NativeNetif {
  query(name: string): Interface | null;
  setUp(name: string, up: boolean): void;
  setMac(name: string, mac: Uint8Array): void;
  /** The address of an interface or of a label (`interface:label`); 0 if there is none. */
  address(name: string): number;
  setAddress(name: string, address: number, netmask: number): void;
  removeLabelledAddress(label: string): void;
  /** Tells this network namespace from others while the machine runs. */
  namespace(): string;
  addBridge(name: string): void;
  deleteBridge(name: string): void;
  addPort(bridge: string, port: string): void;
  removePort(bridge: string, port: string): void;
  hasPort(bridge: string, portIndex: number): boolean;
}

/** What taps and `net up` use of the addon. */
export interface NetworkAddon {
  readonly Tap: new (name: string, threaded: boolean) => NativeTap;
  readonly netif: NativeNetif;
  /** @param owner user id that may open the tap without privilege, or -1 */
  setTapPersistent(name: string, persistent: boolean, owner: number): void;
}

/** @throws HostError when the addon is not there */
export const loadNetworkAddon = (): NetworkAddon => loadAddon<NetworkAddon>();
