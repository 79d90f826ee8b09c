import type { Clock } from "../../core/clock.ts";
import { SECOND } from "../../core/units.ts";
import type { TraceKind, TraceSpec } from "./trace-spec.ts";

const KIND_WIDTH = 6;
const TIME_WIDTH = 12;
/** Digits: microseconds. */
const TIME_DIGITS = 6;

/** Lines with the time since the machine's start, in seconds, and what they are about. */
export class TraceLog {
  /** Whether lines are written. */
  on = true;
  readonly #spec: TraceSpec;
  readonly #clock: Clock;
  readonly #write: (line: string) => void;
  readonly #start: number;

  /** @param write gets a line with its end */
  constructor(spec: TraceSpec, clock: Clock, write: (line: string) => void) {
    this.#spec = spec;
    this.#clock = clock;
    this.#write = write;
    this.#start = clock.now();
  }

  has(kind: TraceKind): boolean {
    return this.#spec.kinds.has(kind);
  }

  /** Whether a kind is told of, at this port, address or line. */
  wants(kind: TraceKind, place: number): boolean {
    if (!this.has(kind)) return false;
    const ranges = this.#spec.ranges.get(kind);
    return (
      ranges === undefined || ranges.some(({ first, last }) => place >= first && place <= last)
    );
  }

  /** Whether the instructions of a function are told of. @param name undefined: of none that we know */
  wantsFunction(name: string | undefined): boolean {
    const { functions } = this.#spec;
    return functions.length === 0 || (name !== undefined && functions.includes(name));
  }

  line(kind: TraceKind, text: string): void {
    if (!this.on) return;
    const time = ((this.#clock.now() - this.#start) / SECOND).toFixed(TIME_DIGITS);
    this.#write(`${time.padStart(TIME_WIDTH)} ${kind.padEnd(KIND_WIDTH)} ${text}\n`);
  }
}
