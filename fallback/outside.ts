import { RFLAGS } from "./bits.ts";
import type { Debugging } from "./debugging.ts";
import type { Departure } from "./departure.ts";
import type { Outside } from "./interpreter/procedure-context.ts";
import type { FallbackCpuOptions } from "./options.ts";
import type { Ports } from "./ports.ts";
import type { Processor } from "./processor.ts";

/** What procedures see of the world outside the processor. @param now in nanoseconds */
export function outsideOf(
  processor: Processor,
  departure: Departure,
  debugging: Debugging,
  ports: Ports,
  now: () => number,
  { timeStamp, random }: Pick<FallbackCpuOptions, "timeStamp" | "random">,
): Outside {
  return {
    readTsc: timeStamp ?? (() => BigInt(Math.floor(now()))),
    random: random ?? hostsRandom,
    readPort: (port, bytes) => ports.read(port, bytes),
    portIn: (port, bytes, deliver) => departure.portIn(port, bytes, deliver),
    portOut: (port, bytes, value) => {
      if (!ports.write(port, bytes, value)) departure.portOut(port, bytes, value);
    },
    get watching() {
      return debugging.alone;
    },
    halt: () => {
      const { halt, haltForever } = departure.exits;
      departure.leaveFor((processor.systemFlags & RFLAGS.IF) !== 0 ? halt : haltForever);
    },
  };
}

function hostsRandom(): bigint {
  let bits = 0n;
  for (let i = 0; i < 4; i++) bits = (bits << 16n) | BigInt(Math.floor(Math.random() * 0x1_0000));
  return bits;
}
