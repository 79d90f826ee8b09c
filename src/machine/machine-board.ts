import type { BusDevice } from "../core/device.ts";
import type { Picture } from "../core/picture.ts";
import type { InterruptSource } from "./run-loop.ts";

/** What a network device counts. In is towards the guest. */
export interface NetStatistics {
  readonly framesIn: number;
  readonly bytesIn: number;
  readonly framesOut: number;
  readonly bytesOut: number;
  readonly dropped: number;
}

export interface BlockStatistics {
  readonly requests: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly errors: number;
}

/** A machine without its processor: what accesses and interrupts are connected to. */
export interface MachineBoard {
  readonly ports: BusDevice;
  /** Where there is no RAM. */
  readonly mmio: BusDevice;
  readonly interrupts: InterruptSource;
  readonly nets: readonly { readonly stats: NetStatistics }[];
  readonly blocks: readonly { readonly stats: BlockStatistics }[];
  /** Whether a device keeps the guest from running until something happens. */
  readonly holdsGuest: boolean;
  /** The interrupt controllers, for people. */
  describeInterrupts(): readonly string[];
  /** The other devices, likewise. */
  describeDevices(): readonly string[];
  /** A slice of the guest's is over: what it left to be seen goes to the console. */
  show(): void;
  /** The run is over: the same, completely. */
  finish(): void;
  /** What its screen shows, but for text. */
  picture(): Picture | undefined;
  /** Of a PC, which has a mouse: see `Ps2Mouse.move`. */
  readonly moveMouse?: (x: number, y: number, buttons: number) => void;
  /** Every device back to power-on, then what firmware does. */
  reset(): void;
}
