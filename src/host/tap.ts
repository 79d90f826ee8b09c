import type { NetBackend } from "../core/backends.ts";
import { HostError } from "../core/errors.ts";
import { errnoOf, syscallOf } from "./errno.ts";
import { loadNetworkAddon, type NativeTap, type NetworkAddon } from "./network-addon.ts";

/** IFNAMSIZ - 1 (linux/if.h). */
const MAX_NAME_LENGTH = 15;

/** As the kernel's dev_valid_name(), and no `%`, which would make it choose a number. */
export const isInterfaceName = (name: string): boolean =>
  name.length <= MAX_NAME_LENGTH && /^[!-~]+$/.test(name) && !/^\.\.?$|[/:%]/.test(name);

/**
 * The guest's link on a tap interface of this host. The tap is made if it does not exist, and is
 * then up, and gone when closed; one that exists is used as it is.
 *
 * Frames that the host cannot take now (queue full, interface down) are dropped, as a network
 * card's are, and counted.
 */
export class TapNetwork implements NetBackend {
  readonly name: string;
  readonly mtu: number;
  /** Frames from the guest that the host did not take. */
  dropped = 0;
  readonly #tap: NativeTap;
  readonly #onError: (error: HostError) => void;
  #receive: ((frame: Uint8Array) => boolean) | undefined;
  /** The frame in the buffer that the guest had no room for. */
  #waiting: Uint8Array | undefined;

  /**
   * @param onError hears that the interface went away while in use
   * @throws HostError when there is no such tap and none can be made, or somebody else uses it
   */
  constructor(
    name: string,
    onError: (error: HostError) => void,
    addon: NetworkAddon = loadNetworkAddon(),
  ) {
    if (!isInterfaceName(name)) {
      throw new HostError(`"${name}" is not a name for a network interface`, {
        remedy: `use 1 to ${MAX_NAME_LENGTH} characters without spaces, '/', ':' and '%'`,
      });
    }
    this.name = name;
    this.#onError = onError;
    try {
      this.#tap = new addon.Tap(name);
    } catch (cause) {
      throw openError(name, cause);
    }
    this.mtu = this.#tap.mtu;
  }

  transmit(frame: Uint8Array): void {
    if (this.#tap.write(frame) < 0) this.dropped++;
  }

  connect(receive: (frame: Uint8Array) => boolean): void {
    const connected = this.#receive !== undefined;
    this.#receive = receive;
    if (!connected) this.#tap.start((length) => this.#onFrame(length));
  }

  resume(): void {
    if (this.#waiting === undefined) return;
    if (this.#receive?.(this.#waiting) !== true) return;
    this.#waiting = undefined;
    this.#tap.listen();
  }

  close(): void {
    this.#waiting = undefined;
    this.#receive = undefined;
    this.#tap.close();
  }

  #onFrame(length: number): boolean {
    if (length < 0) {
      this.#onError(
        new HostError(`tap ${this.name} is gone`, {
          remedy: "somebody removed the interface: the guest has no network now",
        }),
      );
      return false;
    }
    const frame = this.#tap.frame.subarray(0, length);
    if (this.#receive?.(frame) === true) return true;
    // The buffer is not read into again until the guest has taken this frame.
    this.#waiting = frame;
    return false;
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
