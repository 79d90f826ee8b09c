import type { ConsoleBackend } from "../../core/backends.ts";
import type { Clock } from "../../core/clock.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { type Gpa, gpa } from "../../core/units.ts";
import type { Hypercall } from "./hypercalls.ts";

/** Room that a guest must leave where it says its trap frame is (`HVT_HALT_COOKIE_MAX`). */
const HALT_COOKIE_MAX = 512;

export interface CommonCallsOptions {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly console: ConsoleBackend;
  /** @param status as the guest's C code gave it, 32 bits */
  readonly onHalt: (status: number) => void;
}

/** The calls whose structures have been the same in all generations. */
export interface CommonCalls {
  readonly walltime: Hypercall;
  readonly puts: Hypercall;
  readonly halt: Hypercall;
}

export function commonCalls(options: CommonCallsOptions): CommonCalls {
  const { memory, clock, console, onHalt } = options;
  return {
    /** `nsecs` since 1970. */
    walltime: { size: 8, call: (at) => memory.writeU64(at, Math.floor(clock.wall())) },
    /** `data`, `len`. */
    puts: {
      size: 16,
      call: (at) => {
        const data = memory.readU64(at);
        for (const byte of memory.slice(gpa(data), memory.readU64(gpa(at + 8)))) {
          console.transmit(byte);
        }
      },
    },
    /** `cookie`, `exit_status`. */
    halt: {
      size: 16,
      call: (at) => {
        const cookie = memory.readU64(at);
        if (cookie !== 0) memory.slice(gpa(cookie), HALT_COOKIE_MAX);
        onHalt(memory.readU32(gpa(at + 8)));
      },
    },
  };
}

/** The room for a frame or for sectors that a call's structure describes by `data` and `len`. */
export const describedBytes = (memory: GuestMemory, at: Gpa): { data: number; length: number } => ({
  data: memory.readU64(at),
  length: memory.readU64(gpa(at + 8)),
});
