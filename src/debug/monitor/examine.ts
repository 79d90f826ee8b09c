import { gpa, hex } from "../../core/units.ts";
import { type MonitorCommand, UsageError } from "./monitor.ts";
import { parseAddress } from "./number.ts";

const USAGE = "[/COUNT{b,h,w,g}] ADDRESS";
const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };
const MAX_UNITS = 512;
const LINE_BYTES = 16;

interface Format {
  readonly count: number;
  /** Bytes of a unit. */
  readonly size: number;
}

/** As GDB's `x`: `/4w`; the letter `x` for hexadecimal may be there. */
function parseFormat(word: string): Format {
  const match = /^\/(\d*)x?([bhwg]?)x?$/.exec(word);
  const [, count, letter] = match ?? [];
  const format = { count: Number(count || 1), size: SIZES[letter || "w"] ?? 0 };
  if (match === null || format.count > MAX_UNITS) {
    throw new UsageError(
      `usage: monitor xp ${USAGE}, for example xp /8w 0x1000; COUNT is ${MAX_UNITS} at most`,
    );
  }
  return format;
}

/** `xp`: memory by guest physical address. */
export const examinePhysical: MonitorCommand = {
  usage: USAGE,
  help: "memory by guest physical address",
  run: ({ machine: { memory } }, words) => {
    const format = words.length > 1 ? parseFormat(words[0] ?? "") : { count: 1, size: 4 };
    const start = Number(parseAddress(words.at(-1), `xp ${USAGE}`));
    const perLine = LINE_BYTES / format.size;
    const lines: string[] = [];
    for (let unit = 0; unit < format.count; unit += perLine) {
      const at = start + unit * format.size;
      const units = Math.min(perLine, format.count - unit);
      if (!memory.contains(at, units * format.size)) return [...lines, `${hex(at)}: no RAM here`];
      const bytes = memory.slice(gpa(at), units * format.size);
      lines.push(`${hex(at)}:\t${inUnits(bytes, format.size).join("\t")}`);
    }
    return lines;
  },
};

function inUnits(bytes: Uint8Array, size: number): string[] {
  return Array.from({ length: bytes.length / size }, (_, n) => {
    const unit = [...bytes.subarray(n * size, (n + 1) * size)].reverse();
    return `0x${unit.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  });
}
