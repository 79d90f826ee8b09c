import type { Clock } from "../core/clock.ts";
import { nanos, SECOND } from "../core/units.ts";
import type { FlowTimer, FlowTimers } from "./flow-timers.ts";
import type { Neighbour, UserNetwork } from "./user-network.ts";
import { GUEST_ADDRESS } from "./user-network.ts";

const ASK_EVERY = SECOND;
/** A guest that boots takes its time. */
const GIVE_UP = 60 * SECOND;

interface Waiter {
  readonly until: number;
  readonly done: (guest: Neighbour | undefined) => void;
}

/** Finds out where the guest is, for those who have something for it. */
export class GuestSearch {
  readonly #network: UserNetwork;
  readonly #clock: Clock;
  readonly #timer: FlowTimer;
  #waiters: Waiter[] = [];

  constructor(network: UserNetwork, clock: Clock, timers: FlowTimers) {
    this.#network = network;
    this.#clock = clock;
    this.#timer = timers.create(() => this.#ask());
    network.listen({ neighbour: () => this.#found(), echoReply: () => {} });
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** @param done gets undefined if nobody answers for a minute */
  locate(done: (guest: Neighbour | undefined) => void): void {
    const guest = this.#network.guest;
    if (guest !== undefined) {
      done(guest);
      return;
    }
    this.#waiters.push({ until: this.#clock.now() + GIVE_UP, done });
    if (this.#waiters.length === 1) this.#ask();
  }

  /** Nobody is to be found any more. */
  close(): void {
    for (const { done } of this.#waiters.splice(0)) done(undefined);
  }

  #ask(): void {
    const now = this.#clock.now();
    const late = this.#waiters.filter(({ until }) => until <= now);
    this.#waiters = this.#waiters.filter(({ until }) => until > now);
    for (const { done } of late) done(undefined);
    if (this.#waiters.length === 0) return;
    this.#timer.set(nanos(now + ASK_EVERY));
    // A request that still waits for the guest's first buffers: there is no driver yet.
    if (this.#network.pending === 0) this.#network.requestNeighbour(GUEST_ADDRESS);
  }

  #found(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { done } of waiters) this.locate(done);
  }
}
