import type { NetBackend } from "../src/core/backends.ts";
import { gpa, MICROSECOND } from "../src/core/units.ts";
import type { Machine } from "../src/machine/machine.ts";
import { serialiseEthernet } from "../src/net/ethernet.ts";
import { ICMP_ECHO_REPLY, serialiseIcmpEcho } from "../src/net/icmp.ts";
import { type Ipv4Address, PROTOCOL_ICMP, serialiseIpv4 } from "../src/net/ipv4.ts";
import { HOST_ADDRESS, HOST_MAC, UserNetwork } from "../src/net/user-network.ts";
import { FakePciHost, FakeQueue, LEGACY } from "../test/support/fake-driver.ts";
import type { Benchmark, BenchmarkOptions } from "./support/benchmark.ts";
import { printTable, Sample, verdict } from "./support/figures.ts";
import {
  createLoopMachine,
  IN_BYTE,
  type LoopBody,
  type LoopMachine,
  loopCode,
  OUT_BYTE,
  OUT_WORD,
  runLoop,
} from "./support/loop-guest.ts";

const ACCESSES = 20_000;
const WANTED_MICROSECONDS = 1;

const LOOPS: Readonly<Record<string, LoopBody>> = {
  "out, port that nobody claims": { port: 0x2e0, instructions: OUT_BYTE },
  "in, serial line status": { port: 0x3fd, instructions: IN_BYTE },
  "out, serial data": { port: 0x3f8, instructions: OUT_BYTE, ax: 0x61 },
  "out, interrupt mask": { port: 0x21, instructions: OUT_BYTE, ax: 0xff },
  "in, interrupt mask": { port: 0x21, instructions: IN_BYTE },
  "in, timer count": { port: 0x40, instructions: IN_BYTE },
  "in, PCI configuration": { port: 0xcfc, instructions: IN_BYTE },
};

/** Takes every frame. */
const sink: NetBackend = {
  mtu: 1500,
  transmit() {},
  connect() {},
  resume() {},
  close() {},
};

/** What `--stats` calls "per access": microseconds from leaving KVM_RUN to calling it again. */
async function perAccess(machine: Machine): Promise<number> {
  await runLoop(machine);
  const { exits } = machine.statistics;
  return machine.cpu.times.exits / (exits["port-read"] + exits["port-write"]) / MICROSECOND;
}

const simpleLoop = (body: LoopBody): Promise<number> =>
  perAccess(createLoopMachine(() => loopCode(body, ACCESSES), { timed: true }).machine);

/** A frame that the built-in network reads to the end: an echo reply. */
function echoReply(payloadLength: number): Uint8Array {
  const source = 0x0a00_0002 as Ipv4Address;
  return serialiseEthernet({
    destination: HOST_MAC,
    source: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
    type: 0x0800,
    payload: serialiseIpv4({
      service: 0,
      identification: 1,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: PROTOCOL_ICMP,
      source,
      destination: HOST_ADDRESS,
      options: new Uint8Array(0),
      payload: serialiseIcmpEcho({
        type: ICMP_ECHO_REPLY,
        identifier: 1,
        sequence: 1,
        data: new Uint8Array(payloadLength),
      }),
    }),
  });
}

const VIRTIO_SLOT = 2;
const TRANSMIT_QUEUE = 1;
const RINGS = 0x8000;
const FRAME = 0x4000;
const HEADER_LENGTH = 10;
const DRIVER_READY = 7;

/**
 * Lets the guest send `frame` again and again: the transmit queue is set up from outside, all its
 * available entries name one buffer, and each time round the loop the guest counts the available
 * index up and notifies.
 */
function sendLoop({ machine, memory }: LoopMachine, frame: Uint8Array): Uint8Array {
  const { ports } = machine.board;
  const pci = new FakePciHost(ports);
  const io = pci.read(VIRTIO_SLOT, 0x10, 4) & ~3;
  const write = ([offset, size]: readonly [number, 1 | 2 | 4], value: number): void =>
    ports.write(io + offset, size, value);
  write(LEGACY.QUEUE_SELECT, TRANSMIT_QUEUE);
  const [sizeOffset, sizeWidth] = LEGACY.QUEUE_SIZE;
  const queue = new FakeQueue(memory, RINGS, ports.read(io + sizeOffset, sizeWidth));
  memory.write(gpa(FRAME + HEADER_LENGTH), frame);
  queue.describe(0, { address: FRAME, length: HEADER_LENGTH + frame.length });
  write(LEGACY.QUEUE_PFN, RINGS / 4096);
  write(LEGACY.DEVICE_STATUS, DRIVER_READY);
  const index = queue.available + 2;
  const body: LoopBody = {
    port: io + LEGACY.QUEUE_NOTIFY[0],
    instructions: [0xff, 0x06, index & 0xff, index >> 8, ...OUT_WORD], // inc word [index]
    ax: TRANSMIT_QUEUE,
  };
  return loopCode(body, ACCESSES);
}

function sending(network: NetBackend, payloadLength: number): Promise<number> {
  const frame = echoReply(payloadLength);
  const guest: LoopMachine = createLoopMachine(() => sendLoop(guest, frame), {
    timed: true,
    network,
  });
  return perAccess(guest.machine);
}

export const access: Benchmark = {
  name: "access",
  title: "microseconds of an exit outside of the guest and KVM, as --stats counts them",
  rounds: 7,
  async run({ rounds }: BenchmarkOptions) {
    const cases: [name: string, measure: () => Promise<number>][] = [
      ...Object.entries(LOOPS).map(([name, body]): [string, () => Promise<number>] => [
        name,
        () => simpleLoop(body),
      ]),
      ["virtio notify, frame of 98 bytes, nobody reads it", () => sending(sink, 56)],
      ["virtio notify, 98 bytes to the built-in network", () => sending(new UserNetwork(), 56)],
      ["virtio notify, 1514 bytes, nobody reads it", () => sending(sink, 1472)],
      ["virtio notify, 1514 bytes to the built-in network", () => sending(new UserNetwork(), 1472)],
    ];
    const samples = cases.map(() => new Sample());
    for (let round = 0; round < rounds; round++) {
      for (const [i, [, measure]] of cases.entries()) samples[i]?.add(await measure());
    }
    printTable(
      ["", "µs", ""],
      cases.map(([name], i) => {
        const sample = samples[i] as Sample;
        return [name, sample.format(2), verdict(sample, { atMost: WANTED_MICROSECONDS })];
      }),
    );
  },
};
