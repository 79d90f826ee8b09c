import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";
import { type NetState, NetStateFile } from "./net-state.ts";
import { loadNetworkAddon, type NativeNetif, type NetworkAddon } from "./network-addon.ts";

/**
 * The host's network for guests, by the names that Solo5's users know: a bridge with the host's
 * address on it, and a tap in the bridge for the guest.
 */
export const BRIDGE = "virbr0";
export const TAP = "veth0";
const ADDRESS = 0x0a00_0001;
const NETMASK = 0xffff_ff00;
const ADDRESS_TEXT = "10.0.0.1/24";
/** The address goes under a label of its own: it can be added to a bridge that has others. */
const ADDRESS_LABEL = `${BRIDGE}:solo5`;
/** A bridge without a fixed one takes its ports' in turn, and neighbours notice. */
const BRIDGE_MAC = Uint8Array.of(0x52, 0x55, 0x0a, 0x00, 0x00, 0x01);

const STATE_FOLDER = "/run/solo5-kvm";

/** What happened to one part of the network. `kept` and `left`: it was there, and not by us. */
export interface NetChange {
  /** For example `bridge virbr0`. */
  readonly part: string;
  readonly action: "made" | "kept" | "removed" | "left" | "absent";
}

/** What there is of one interface. */
export interface NetStatus {
  /** For example `bridge virbr0`. */
  readonly part: string;
  readonly exists: boolean;
  /** Whether `net up` made it. */
  readonly ours: boolean;
  /** One line for people: up or down, and how it is connected. */
  readonly state: string;
}

interface Step {
  readonly name: "bridge" | "address" | "bridge-up" | "tap" | "port" | "tap-up";
  readonly part: string;
  /** Undone by itself when this was made and goes. */
  readonly goesWith: readonly ("bridge" | "tap")[];
  /** @throws HostError when something else has the name */
  isThere(): boolean;
  make(): void;
  undo(): void;
}

const ACTION_TEXT: Readonly<Record<NetChange["action"], string>> = {
  made: "made",
  kept: "there already",
  removed: "removed",
  left: "left alone, it was not made by `net up`",
  absent: "does not exist",
};

export const describeChange = (change: NetChange): string =>
  `${change.part}: ${ACTION_TEXT[change.action]}`;

export const describeStatus = (status: NetStatus): string => `${status.part}: ${status.state}`;

/** `solo5-kvm net up|down|status`. */
export class NetSetup {
  readonly #addon: NetworkAddon;
  readonly #netif: NativeNetif;
  readonly #owner: number;
  readonly #file: NetStateFile;
  readonly #steps: readonly Step[];

  /**
   * @param owner user id that may then open the tap, or -1: root only
   * @throws HostError when the addon is not there
   */
  constructor(owner = sudoUser(), addon = loadNetworkAddon(), stateFolder = STATE_FOLDER) {
    this.#addon = addon;
    this.#netif = addon.netif;
    this.#owner = owner;
    this.#file = new NetStateFile(stateFolder, addon.netif.namespace());
    this.#steps = this.#listSteps();
  }

  /**
   * Makes what is missing. When a part cannot be made, what this call made is undone.
   * @throws HostError
   */
  up(): NetChange[] {
    const before = this.#made();
    const made = [...before];
    try {
      return this.#steps.map((step) => {
        if (attempt("make", step.part, () => step.isThere())) {
          return { part: step.part, action: "kept" };
        }
        attempt("make", step.part, () => step.make());
        if (!step.goesWith.some((owner) => made.includes(owner))) made.push(step.name);
        this.#remember(made);
        return { part: step.part, action: "made" };
      });
    } catch (error) {
      this.#undoQuietly(
        made.filter((name) => !before.includes(name)),
        before,
      );
      throw error;
    }
  }

  /**
   * Undoes what {@link up} made, and nothing else.
   * @throws HostError
   */
  down(): NetChange[] {
    const made = this.#made();
    const changes = this.#undo(made, []);
    if (made.length === 0 && this.#file.read() !== undefined) this.#file.remove();
    for (const name of ["bridge", "tap"] as const) {
      if (made.includes(name)) continue;
      const there = this.#netif.query(name === "bridge" ? BRIDGE : TAP) !== null;
      changes.push({ part: this.#step(name).part, action: there ? "left" : "absent" });
    }
    return changes;
  }

  status(): NetStatus[] {
    const made = this.#made();
    const bridge = this.#netif.query(BRIDGE);
    const tap = this.#netif.query(TAP);
    const inBridge =
      bridge?.driver === "bridge" && tap !== null && this.#netif.hasPort(BRIDGE, tap.index);
    const describe = (name: "bridge" | "tap", up: boolean | undefined, more: string): NetStatus => {
      const ours = made.includes(name);
      const state = `${up ? "up" : "down"}, ${more}${ours ? "" : ", not made by `net up`"}`;
      const exists = up !== undefined;
      return {
        part: this.#step(name).part,
        exists,
        ours,
        state: exists ? state : ACTION_TEXT.absent,
      };
    };
    return [
      describe(
        "bridge",
        bridge?.up,
        this.#hasAddress() ? ADDRESS_TEXT : `without address ${ADDRESS_TEXT}`,
      ),
      describe("tap", tap?.up, inBridge ? `in ${BRIDGE}` : `not in ${BRIDGE}`),
    ];
  }

  #listSteps(): Step[] {
    const netif = this.#netif;
    return [
      {
        name: "bridge",
        part: `bridge ${BRIDGE}`,
        goesWith: [],
        isThere: () => this.#exists(BRIDGE, "bridge"),
        make: () => {
          netif.addBridge(BRIDGE);
          netif.setMac(BRIDGE, BRIDGE_MAC);
        },
        undo: () => {
          netif.setUp(BRIDGE, false);
          netif.deleteBridge(BRIDGE);
        },
      },
      {
        name: "address",
        part: `address ${ADDRESS_TEXT} on ${BRIDGE}`,
        goesWith: ["bridge"],
        isThere: () => this.#hasAddress(),
        make: () => netif.setAddress(ADDRESS_LABEL, ADDRESS, NETMASK),
        undo: () => {
          if (netif.address(ADDRESS_LABEL) !== 0) netif.removeLabelledAddress(ADDRESS_LABEL);
        },
      },
      {
        name: "bridge-up",
        part: `${BRIDGE} up`,
        goesWith: ["bridge"],
        isThere: () => netif.query(BRIDGE)?.up === true,
        make: () => netif.setUp(BRIDGE, true),
        undo: () => netif.setUp(BRIDGE, false),
      },
      {
        name: "tap",
        part: `tap ${TAP}`,
        goesWith: [],
        isThere: () => this.#exists(TAP, "tap"),
        make: () => this.#addon.setTapPersistent(TAP, true, this.#owner),
        undo: () => this.#addon.setTapPersistent(TAP, false, -1),
      },
      {
        name: "port",
        part: `${TAP} in ${BRIDGE}`,
        goesWith: ["bridge", "tap"],
        isThere: () => this.#isPort(),
        make: () => netif.addPort(BRIDGE, TAP),
        undo: () => {
          if (this.#isPort()) netif.removePort(BRIDGE, TAP);
        },
      },
      {
        name: "tap-up",
        part: `${TAP} up`,
        goesWith: ["tap"],
        isThere: () => netif.query(TAP)?.up === true,
        make: () => netif.setUp(TAP, true),
        undo: () => netif.setUp(TAP, false),
      },
    ];
  }

  #step(name: Step["name"]): Step {
    return this.#steps.find((step) => step.name === name) as Step;
  }

  #exists(name: string, kind: "bridge" | "tap"): boolean {
    const found = this.#netif.query(name);
    if (found === null) return false;
    if (found.driver === "bridge" ? kind === "bridge" : kind === found.bus) return true;
    throw new HostError(`an interface ${name} exists and is not a ${kind}`, {
      remedy: `rename or remove it, or use a tap of your own with \`--net tap:NAME\``,
    });
  }

  #hasAddress(): boolean {
    return [BRIDGE, ADDRESS_LABEL].some((name) => this.#netif.address(name) === ADDRESS);
  }

  #isPort(): boolean {
    const tap = this.#netif.query(TAP);
    return tap !== null && this.#netif.hasPort(BRIDGE, tap.index);
  }

  /** The steps that earlier calls made, as far as the interfaces are still the same. */
  #made(): string[] {
    const state = this.#file.read();
    if (state === undefined) return [];
    const gone = this.#interfacesGone(state);
    return state.made.filter((name) => {
      const parts = name === "port" ? ["bridge", "tap"] : [name.replace(/-up$/, "")];
      return !parts.some((part) => gone.includes(part === "address" ? "bridge" : part));
    });
  }

  #interfacesGone(state: NetState): string[] {
    const bridge = this.#netif.query(BRIDGE)?.index === state.bridge ? [] : ["bridge"];
    const tap = this.#netif.query(TAP)?.index === state.tap ? [] : ["tap"];
    return [...bridge, ...tap];
  }

  #remember(made: readonly string[]): void {
    if (made.length === 0) {
      this.#file.remove();
      return;
    }
    const bridge = this.#netif.query(BRIDGE)?.index ?? 0;
    const tap = this.#netif.query(TAP)?.index ?? 0;
    this.#file.write({ made, bridge, tap });
  }

  /** After a failure, which is what the user is to hear of. */
  #undoQuietly(names: readonly string[], keep: readonly string[]): void {
    try {
      this.#undo(names, keep);
    } catch {
      // What could not be undone stays in the state file for `net down`.
    }
  }

  /**
   * The tap comes first of all that can be in use: then a refusal leaves the rest as it was.
   * @param keep other steps that stay made
   */
  #undo(names: readonly string[], keep: readonly string[]): NetChange[] {
    let left = [...names];
    const changes: NetChange[] = [];
    for (const step of this.#steps.toReversed()) {
      if (!left.includes(step.name)) continue;
      attempt("remove", step.part, () => step.undo());
      left = left.filter((name) => name !== step.name);
      this.#remember([...keep, ...left]);
      changes.push({ part: step.part, action: "removed" });
    }
    return changes;
  }
}

/** Who ran `sudo`. */
function sudoUser(): number {
  const uid = Number(process.env.SUDO_UID ?? "");
  return Number.isSafeInteger(uid) && uid > 0 ? uid : -1;
}

function attempt<Result>(verb: string, part: string, action: () => Result): Result {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof HostError) throw cause;
    const errno = errnoOf(cause);
    throw new HostError(`cannot ${verb} ${part}`, { errno, remedy: remedyFor(errno), cause });
  }
}

function remedyFor(errno: string | undefined): string | undefined {
  switch (errno) {
    case "EPERM":
    case "EACCES":
      return "run as root, for example with sudo";
    case "ENOPKG":
      return "the kernel has no bridges: load them with `sudo modprobe bridge`";
    case "ENOENT":
      return "there is no /dev/net/tun: load the driver with `sudo modprobe tun`";
    case "EBUSY":
      return `somebody uses it: end what runs on ${TAP}, or take it out of its other bridge`;
    default:
      return undefined;
  }
}
