import type { ConsoleBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import { type AccessSize, type BusDevice, floating } from "../core/device.ts";
import { GuestError, type HostError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { hex } from "../core/units.ts";
import { BlockPort, DEFAULT_BLOCK_SIZE } from "../devices/hvt/block-port.ts";
import { type CommonCalls, commonCalls } from "../devices/hvt/common-calls.ts";
import { hvtCalls } from "../devices/hvt/hvt-calls.ts";
import { dispatch, type HypercallTable } from "../devices/hvt/hypercalls.ts";
import { NetPort } from "../devices/hvt/net-port.ts";
import { NetRing } from "../devices/hvt/net-ring.ts";
import { Poller } from "../devices/hvt/poller.ts";
import { ukvmCalls } from "../devices/hvt/ukvm-calls.ts";
import type { BlockDevice, NetDevice } from "./board.ts";
import type { MachineBoard } from "./machine-board.ts";
import type { Outcome } from "./outcome.ts";
import { NO_INTERRUPTS } from "./run-loop.ts";

/** `HVT_HYPERCALL_PIO_BASE`: call n is a write of 32 bits to this and n. The same in ukvm. */
const HYPERCALL_BASE = 0x500;
/** `HVT_RING_KICK_PIO_BASE`. */
const RING_KICK = 0x600;

/** The calls of which generation, and for hvt the devices' handles, in the devices' order. */
export type TenderInterface =
  | { readonly abi: "ukvm" }
  | {
      readonly abi: "hvt";
      readonly netHandles: readonly number[];
      readonly blockHandles: readonly number[];
      /** Address of the network ring; `undefined` without one. */
      readonly netRing: number | undefined;
    };

export interface HvtBoardOptions {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly console: ConsoleBackend;
  readonly nets: readonly NetDevice[];
  readonly blocks: readonly BlockDevice[];
  /** The host failed a device: one line for the user. The guest goes on. */
  readonly report: (error: GuestError | HostError) => void;
  readonly onEnd: (outcome: Outcome) => void;
  /** The guest can run on, maybe outside a guest slice. */
  readonly onInterrupt: () => void;
}

/**
 * The machine of Solo5's tenders: no devices to find and no interrupts, but calls. Whatever else
 * the guest touches ends the run.
 */
export class HvtBoard implements MachineBoard {
  readonly interrupts = NO_INTERRUPTS;
  readonly ports: BusDevice;
  readonly mmio: BusDevice;
  readonly nets: readonly NetPort[];
  readonly blocks: readonly BlockPort[];
  readonly #options: HvtBoardOptions;
  readonly #poller: Poller;
  readonly #calls: HypercallTable;
  readonly #ring: NetRing | undefined;

  constructor(options: HvtBoardOptions, tender: TenderInterface) {
    this.#options = options;
    const { memory, clock, report, onInterrupt } = options;
    const onReady = (): void => {
      if (!this.#poller.waiting) return;
      this.#poller.notify();
      onInterrupt();
    };
    this.nets = options.nets.map((net) => new NetPort({ ...net, onReady, report }));
    this.blocks = options.blocks.map(
      ({ backend, blockSize = DEFAULT_BLOCK_SIZE }) =>
        new BlockPort({ backend, blockSize, report }),
    );
    this.#poller = new Poller(clock, () => this.nets.some(({ ready }) => ready));
    const common = commonCalls({
      ...options,
      onHalt: (status) => options.onEnd({ kind: "exit", status: status & 0xff }),
    });
    this.ports = { read: this.#portRead, write: this.#portWrite };
    this.mmio = {
      read: (address, size) => this.#translationFault("reads", address, size),
      write: (address, size) => {
        this.#translationFault("writes", address, size);
      },
    };
    if (tender.abi === "ukvm") {
      this.#calls = this.#ukvm(common);
      return;
    }
    const nets = new Map(this.nets.map((net, i) => [tender.netHandles[i] ?? 0, net]));
    const blocks = new Map(this.blocks.map((block, i) => [tender.blockHandles[i] ?? 0, block]));
    this.#calls = hvtCalls({ memory, common, poller: this.#poller, nets, blocks });
    if (tender.netRing !== undefined) this.#ring = new NetRing(memory, tender.netRing, nets);
  }

  describeInterrupts(): readonly string[] {
    return ["no interrupts: the guest polls"];
  }

  describeDevices(): readonly string[] {
    const count = (what: string, all: readonly unknown[]): string => `${all.length} ${what}`;
    return [`hypercalls: ${count("network devices", this.nets)}, ${count("disks", this.blocks)}`];
  }

  get holdsGuest(): boolean {
    return this.#poller.waiting;
  }

  picture(): undefined {}
  show(): void {}
  finish(): void {}
  reset(): void {}

  #ukvm(common: CommonCalls): HypercallTable {
    const { memory } = this.#options;
    return ukvmCalls({
      memory,
      common,
      poller: this.#poller,
      net: this.nets[0],
      block: this.blocks[0],
    });
  }

  readonly #portRead = (port: number, size: AccessSize): number => {
    this.#fault(`invalid guest port access: it reads port ${hex(port)}`);
    return floating(size);
  };

  readonly #portWrite = (port: number, size: AccessSize, value: number): void => {
    try {
      if (size === 4 && port === RING_KICK && this.#ring !== undefined) this.#ring.kick();
      else if (size === 4 && port > HYPERCALL_BASE && port - HYPERCALL_BASE < this.#calls.length) {
        dispatch(this.#calls, port - HYPERCALL_BASE, this.#options.memory, value);
      } else this.#fault(`invalid guest port access: it writes port ${hex(port)}`);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      this.#fault(error.message);
    }
  };

  /** Outside RAM, or on a page that does not allow it. */
  #translationFault(verb: string, address: number, size: AccessSize): number {
    this.#fault(`host/guest translation fault: it ${verb} ${hex(address)}`);
    return floating(size);
  }

  #fault(reason: string): void {
    this.#options.onEnd({ kind: "fault", reason });
  }
}
