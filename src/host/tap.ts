import { availableParallelism } from "node:os";
import type { FrameReceiver, NetBackend } from "../core/backends.ts";
import { HostError } from "../core/errors.ts";
import { isPlain, OFFLOAD } from "../core/offload.ts";
import { errnoOf, syscallOf } from "./errno.ts";
import { loadNetworkAddon, type NativeTap, type NetworkAddon } from "./network-addon.ts";

/** IFNAMSIZ - 1 (linux/if.h). */
const MAX_NAME_LENGTH = 15;
/** Frames read at a time, so that a flood leaves time for the guest. */
const FRAMES_AT_A_TIME = 64;
const ALL_OFFLOADS = OFFLOAD.CSUM | OFFLOAD.TSO4 | OFFLOAD.TSO6 | OFFLOAD.TSO_ECN;

export interface TapOptions {
  readonly addon?: Pick<NetworkAddon, "Tap">;
  /** Whether many frames at a time leave by a thread of their own, as where there is a processor for it. */
  readonly threaded?: boolean;
}

/** As the kernel's dev_valid_name(), and no `%`, which would make it choose a number. */
export const isInterfaceName = (name: string): boolean =>
  name.length <= MAX_NAME_LENGTH && /^[!-~]+$/.test(name) && !/^\.\.?$|[/:%]/.test(name);

/**
 * The guest's link on a tap interface of this host. The tap is made if it does not exist, and is
 * then up, and gone when closed; one that exists is used as it is.
 *
 * Frames that the host cannot take now (queue full, interface down) are dropped, as a network
 * card's are, and counted. What is left to do on frames is left to the host's kernel, and by it.
 */
export class TapNetwork implements NetBackend {
  readonly name: string;
  readonly mtu: number;
  readonly offloads: number;
  readonly #tap: NativeTap;
  readonly #onError: (error: HostError) => void;
  #receive: FrameReceiver | undefined;
  /** Frames that wait show in the event loop, and are read. */
  #listening = false;
  /** The start of the buffer, as long as the last frame: most are alike. */
  #frame: Uint8Array;
  /** The guest had no room for the frame in the buffer. */
  #waiting = false;
  #dropped = 0;

  /**
   * @param onError hears that the interface went away while in use
   * @throws HostError when there is no such tap and none can be made, or somebody else uses it
   */
  constructor(
    name: string,
    onError: (error: HostError) => void,
    { addon, threaded = availableParallelism() > 1 }: TapOptions = {},
  ) {
    if (!isInterfaceName(name)) {
      throw new HostError(`"${name}" is not a name for a network interface`, {
        remedy: `use 1 to ${MAX_NAME_LENGTH} characters without spaces, '/', ':' and '%'`,
      });
    }
    this.name = name;
    this.#onError = onError;
    const { Tap } = addon ?? loadNetworkAddon();
    try {
      this.#tap = new Tap(name, threaded);
    } catch (cause) {
      throw openError(name, cause);
    }
    this.mtu = this.#tap.mtu;
    this.offloads = this.#tap.hasHeaders ? ALL_OFFLOADS : 0;
    this.#frame = this.#tap.frame;
  }

  /** Frames from the guest that the host did not take so far. */
  get dropped(): number {
    return this.#dropped + this.#tap.lost();
  }

  transmit(frame: Uint8Array, header?: Uint8Array): void {
    const { sentHeader } = this.#tap;
    if (header !== undefined) sentHeader.set(header);
    if (this.#tap.write(frame) < 0) this.#dropped++;
    if (header !== undefined) sentHeader.fill(0);
  }

  setGuestOffloads(offloads: number): void {
    this.#tap.setOffloads(offloads);
  }

  connect(receive: FrameReceiver): void {
    const connected = this.#receive !== undefined;
    this.#receive = receive;
    if (connected) return;
    this.#listening = true;
    this.#tap.start(() => this.poll());
  }

  poll(): boolean {
    let frames = 0;
    while (this.#listening && frames < FRAMES_AT_A_TIME) {
      const length = this.#tap.read();
      if (length === 0) break;
      frames++;
      this.#onFrame(length);
    }
    return frames > 0;
  }

  resume(): void {
    if (!this.#waiting || !this.#deliver()) return;
    this.#waiting = false;
    this.#listen(true);
  }

  close(): void {
    this.#waiting = false;
    this.#listening = false;
    this.#receive = undefined;
    this.#tap.close();
  }

  #listen(on: boolean): void {
    this.#listening = on;
    this.#tap.listen(on);
  }

  #deliver(): boolean {
    const { header } = this.#tap;
    return this.#receive?.(this.#frame, isPlain(header) ? undefined : header) === true;
  }

  #onFrame(length: number): void {
    if (length < 0) {
      this.#listen(false);
      this.#onError(
        new HostError(`tap ${this.name} is gone`, {
          remedy: "somebody removed the interface: the guest has no network now",
        }),
      );
      return;
    }
    if (this.#frame.length !== length) this.#frame = this.#tap.frame.subarray(0, length);
    if (this.#deliver()) return;
    // The buffer is not read into again until the guest has taken this frame.
    this.#waiting = true;
    this.#listen(false);
  }
}

function openError(name: string, cause: unknown): HostError {
  const errno = errnoOf(cause);
  const opening = syscallOf(cause) === "open";
  const what = `cannot open tap ${name}`;
  if (opening && (errno === "EACCES" || errno === "EPERM")) {
    const remedy = "no permission for /dev/net/tun: run as root, or let your group open it";
    return new HostError(what, { errno, cause, remedy });
  }
  if (opening && (errno === "ENOENT" || errno === "ENODEV" || errno === "ENXIO")) {
    const remedy = "there is no /dev/net/tun: load the driver with `sudo modprobe tun`";
    return new HostError(what, { errno, cause, remedy });
  }
  return new HostError(what, { errno, cause, remedy: openRemedy(name, errno) });
}

function openRemedy(name: string, errno: string | undefined): string | undefined {
  switch (errno) {
    case "EPERM":
    case "EACCES":
      return `no permission: run as root, or make it yours with \`sudo ip tuntap add ${name} mode tap user $USER\``;
    case "EBUSY":
      return "another process uses it: end that one, or choose another tap";
    case "EINVAL":
      return "an interface of this name exists and is not a tap: choose another name";
    default:
      return undefined;
  }
}
