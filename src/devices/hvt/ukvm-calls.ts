/** The hypercalls of ukvm, as Solo5 0.3 had them (Solo5 0.3.1, `ukvm_guest.h`): one disk, one link. */

import type { GuestMemory } from "../../core/guest-memory.ts";
import { type Gpa, gpa } from "../../core/units.ts";
import type { BlockPort } from "./block-port.ts";
import { type CommonCalls, describedBytes } from "./common-calls.ts";
import { writableBytes, writablePointer } from "./guest-pointer.ts";
import type { HypercallTable } from "./hypercalls.ts";
import type { NetPort } from "./net-port.ts";
import type { Poller } from "./poller.ts";

const OK = 0;
const FAILED = 0xffff_ffff;

export interface UkvmDevices {
  readonly memory: GuestMemory;
  readonly common: CommonCalls;
  readonly poller: Poller;
  readonly net: NetPort | undefined;
  readonly block: BlockPort | undefined;
}

/** A call whose device is not there does not exist, as without the module of the real one. */
export function ukvmCalls({ memory, common, poller, net, block }: UkvmDevices): HypercallTable {
  return [
    undefined,
    common.walltime,
    common.puts,
    /** `timeout_nsecs`, `ret`. */
    {
      size: 16,
      call: (at) =>
        poller.poll(memory.readU64(at), () => memory.writeU32(gpa(at + 8), net?.ready ? 1 : 0)),
    },
    ...(block === undefined ? [undefined, undefined, undefined] : blockCalls(memory, block)),
    ...(net === undefined ? [undefined, undefined, undefined] : netCalls(memory, net)),
    common.halt,
  ];
}

/** `sector`, `data`, `len`, `ret`. */
const BLOCK_RET = 24;

function blockCalls(memory: GuestMemory, block: BlockPort): HypercallTable {
  const offset = (at: Gpa): number => memory.readU64(at) * block.blockSize;
  const answer = (at: Gpa, done: boolean): void =>
    memory.writeU32(gpa(at + BLOCK_RET), done ? OK : FAILED);
  return [
    /** `sector_size`, `num_sectors`, `rw`. */
    {
      size: 24,
      call: (at) => {
        memory.writeU64(at, block.blockSize);
        memory.writeU64(gpa(at + 8), Math.floor(block.capacity / block.blockSize));
        memory.writeU32(gpa(at + 16), block.readOnly ? 0 : 1);
      },
    },
    {
      size: 32,
      call: (at) => {
        const { data, length } = describedBytes(memory, gpa(at + 8));
        answer(at, block.write(offset(at), memory.slice(gpa(data), length)) === "done");
      },
    },
    {
      size: 32,
      call: (at) => {
        const { data, length } = describedBytes(memory, gpa(at + 8));
        answer(at, block.read(offset(at), writableBytes(memory, data, length)) === "done");
      },
    },
  ];
}

/** `data`, `len`, `ret`. */
const NET_RET = 16;

function netCalls(memory: GuestMemory, net: NetPort): HypercallTable {
  return [
    /** `mac_address`. */
    { size: 6, call: (at) => memory.write(writablePointer(memory, at, 6), net.mac) },
    {
      size: 24,
      call: (at) => {
        const { data, length } = describedBytes(memory, at);
        const sent = net.write(memory.slice(gpa(data), length));
        memory.writeU32(gpa(at + NET_RET), sent ? OK : FAILED);
      },
    },
    {
      size: 24,
      call: (at) => {
        const { data, length } = describedBytes(memory, at);
        const taken = net.ready ? net.read(writableBytes(memory, data, length)) : 0;
        if (taken > 0) memory.writeU64(gpa(at + 8), taken);
        memory.writeU32(gpa(at + NET_RET), taken > 0 ? OK : FAILED);
      },
    },
  ];
}
