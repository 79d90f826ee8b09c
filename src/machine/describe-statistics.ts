import type { GuestTime } from "../core/cpu.ts";
import { MICROSECOND, MILLISECOND } from "../core/units.ts";
import type { Machine } from "./machine.ts";

const milliseconds = (nanoseconds: number): string =>
  `${(nanoseconds / MILLISECOND).toFixed(1)} ms`;

/** What the user calls the devices, by position; undefined without a name. */
export interface DeviceNames {
  readonly nets: readonly (string | undefined)[];
  readonly blocks: readonly (string | undefined)[];
}

/** What `--stats` prints. */
export function describeStatistics(machine: Machine, names: DeviceNames): string[] {
  const { exits, totalExits, interrupts, resets, busy, idle } = machine.statistics;
  const times = machine.cpu.times;
  const accesses =
    exits["port-read"] + exits["port-write"] + exits["mmio-read"] + exits["mmio-write"];
  const devices = Math.max(0, times.exits - machine.backendTime);
  const perAccess = accesses === 0 ? 0 : devices / accesses / MICROSECOND;
  const byKind = Object.entries(exits)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${kind} ${count}`);
  return [
    `cpu         ${machine.cpu.name}`,
    `exits       ${totalExits} (${byKind.join(", ")})`,
    ...(machine.cpu.notes ?? []).map(([name, text]) => `${label(name)}${text}`),
    `interrupts  ${interrupts}${resets > 0 ? `, resets ${resets}` : ""}`,
    `time        guest ${milliseconds(times.cpu)}, devices ${milliseconds(devices)}, ` +
      `back ends ${milliseconds(machine.backendTime)}, ` +
      `host ${milliseconds(Math.max(0, busy - times.cpu - times.exits))}, idle ${milliseconds(idle)}`,
    ...shares(machine.cpu.guestTime, devices + machine.backendTime),
    `per access  ${perAccess.toFixed(2)} us in devices`,
    ...machine.board.nets.map(
      ({ stats }, i) =>
        `${label(names.nets[i] ?? `net ${i}`)}in ${stats.framesIn} frames, ${stats.bytesIn} bytes; ` +
        `out ${stats.framesOut} frames, ${stats.bytesOut} bytes; dropped ${stats.dropped}`,
    ),
    ...machine.board.blocks.map(
      ({ stats }, i) =>
        `${label(names.blocks[i] ?? `block ${i}`)}${stats.requests} requests, read ${stats.bytesRead} bytes, ` +
        `wrote ${stats.bytesWritten} bytes, errors ${stats.errors}`,
    ),
  ];
}

/** What of the time that was spent on something went to what. */
function shares(guest: GuestTime | undefined, devices: number): string[] {
  if (guest === undefined) return [];
  const { translated, interpreted, translating } = guest;
  const all = translated + interpreted + translating + devices;
  const percent = (time: number): string => `${((100 * time) / Math.max(all, 1)).toFixed(0)} %`;
  return [
    `shares      translated code ${percent(translated)}, interpreter ${percent(interpreted)}, ` +
      `translating ${percent(translating)}, devices and back ends ${percent(devices)}`,
  ];
}

/** The first column; a long name pushes the rest to the right. */
const label = (name: string): string => `${name.padEnd(11)} `;
