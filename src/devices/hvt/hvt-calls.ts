/** The hypercalls of Solo5's hvt, ABI version 2 (Solo5, `hvt_abi.h`). */

import type { GuestMemory } from "../../core/guest-memory.ts";
import { type Gpa, gpa } from "../../core/units.ts";
import type { BlockPort, BlockResult } from "./block-port.ts";
import { type CommonCalls, describedBytes } from "./common-calls.ts";
import { writableBytes } from "./guest-pointer.ts";
import type { HypercallTable } from "./hypercalls.ts";
import type { NetPort } from "./net-port.ts";
import type { Poller } from "./poller.ts";

/** `solo5_result_t`. */
export const SOLO5_R = { OK: 0, AGAIN: 1, EINVAL: 2, EUNSPEC: 3 } as const;

const BLOCK_RESULT: Readonly<Record<BlockResult, number>> = {
  done: SOLO5_R.OK,
  invalid: SOLO5_R.EINVAL,
  failed: SOLO5_R.EUNSPEC,
};

export interface HvtDevices {
  readonly memory: GuestMemory;
  readonly common: CommonCalls;
  readonly poller: Poller;
  /** By their handles in the manifest. */
  readonly nets: ReadonlyMap<number, NetPort>;
  readonly blocks: ReadonlyMap<number, BlockPort>;
}

/** Offset of `ret` in the structures of block and network calls. */
const BLOCK_RET = 32;
const NET_RET = 24;

export function hvtCalls(devices: HvtDevices): HypercallTable {
  const { common, poller } = devices;
  const { memory } = devices;
  return [
    undefined,
    common.walltime,
    common.puts,
    /** `timeout_nsecs`, `ready_set`, `ret`. */
    {
      size: 24,
      call: (at) => poller.poll(memory.readU64(at), () => writeReadySet(devices, at)),
    },
    /** `handle`, `offset`, `data`, `len`, `ret`. */
    { size: 40, call: (at) => memory.writeU32(gpa(at + BLOCK_RET), blockWrite(devices, at)) },
    { size: 40, call: (at) => memory.writeU32(gpa(at + BLOCK_RET), blockRead(devices, at)) },
    /** `handle`, `data`, `len`, `ret`. */
    { size: 32, call: (at) => memory.writeU32(gpa(at + NET_RET), netWrite(devices, at)) },
    { size: 32, call: (at) => memory.writeU32(gpa(at + NET_RET), netRead(devices, at)) },
    common.halt,
  ];
}

/** One bit for each device that has something to read, and their number. */
function writeReadySet({ memory, nets }: HvtDevices, at: Gpa): void {
  const words: [number, number] = [0, 0];
  let count = 0;
  for (const [handle, { ready }] of nets) {
    if (!ready) continue;
    words[handle < 32 ? 0 : 1] |= 1 << (handle & 31);
    count++;
  }
  memory.writeU32(gpa(at + 8), words[0] >>> 0);
  memory.writeU32(gpa(at + 12), words[1] >>> 0);
  memory.writeU32(gpa(at + 16), count);
}

function blockWrite({ memory, blocks }: HvtDevices, at: Gpa): number {
  const block = blocks.get(memory.readU64(at));
  if (block === undefined) return SOLO5_R.EINVAL;
  const { data, length } = describedBytes(memory, gpa(at + 16));
  if (length > block.capacity) return SOLO5_R.EINVAL;
  const bytes = memory.slice(gpa(data), length);
  return BLOCK_RESULT[block.write(memory.readU64(gpa(at + 8)), bytes)];
}

function blockRead({ memory, blocks }: HvtDevices, at: Gpa): number {
  const block = blocks.get(memory.readU64(at));
  if (block === undefined) return SOLO5_R.EINVAL;
  const { data, length } = describedBytes(memory, gpa(at + 16));
  if (length > block.capacity) return SOLO5_R.EINVAL;
  const room = writableBytes(memory, data, length);
  return BLOCK_RESULT[block.read(memory.readU64(gpa(at + 8)), room)];
}

function netWrite({ memory, nets }: HvtDevices, at: Gpa): number {
  const net = nets.get(memory.readU64(at));
  if (net === undefined) return SOLO5_R.EINVAL;
  const { data, length } = describedBytes(memory, gpa(at + 8));
  return net.write(memory.slice(gpa(data), length)) ? SOLO5_R.OK : SOLO5_R.EINVAL;
}

function netRead({ memory, nets }: HvtDevices, at: Gpa): number {
  const net = nets.get(memory.readU64(at));
  if (net === undefined) return SOLO5_R.EINVAL;
  if (!net.ready) return SOLO5_R.AGAIN;
  const { data, length } = describedBytes(memory, gpa(at + 8));
  memory.writeU64(gpa(at + 16), net.read(writableBytes(memory, data, length)));
  return SOLO5_R.OK;
}
