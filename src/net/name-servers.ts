import type { Clock } from "../core/clock.ts";
import type { Endpoint } from "../core/outside.ts";
import { SECOND } from "../core/units.ts";

/** A guest that asks again after so long has had no answer. */
const PATIENCE = SECOND;
/** Where most hosts that name none have one. */
const LOCAL: Endpoint = { address: "127.0.0.1", port: 53 };

/** Which of the host's name servers is asked: the first, or the next after one that does not answer. */
export class NameServers {
  readonly #all: readonly Endpoint[];
  readonly #clock: Clock;
  #index = 0;
  #askedAt: number | undefined;

  constructor(all: readonly Endpoint[], clock: Clock) {
    this.#all = all.length === 0 ? [LOCAL] : all;
    this.#clock = clock;
  }

  get current(): Endpoint {
    const now = this.#clock.now();
    if (this.#askedAt !== undefined && now > this.#askedAt + PATIENCE) this.failed(this.#server);
    return this.#server;
  }

  /** A question is on its way. */
  asked(): void {
    this.#askedAt ??= this.#clock.now();
  }

  answered(by: Endpoint): void {
    if (by === this.#server) this.#askedAt = undefined;
  }

  failed(server: Endpoint): void {
    if (server !== this.#server) return;
    this.#index = (this.#index + 1) % this.#all.length;
    this.#askedAt = undefined;
  }

  get #server(): Endpoint {
    return this.#all[this.#index] as Endpoint;
  }
}
