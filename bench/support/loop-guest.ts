import type { NetBackend } from "../../src/core/backends.ts";
import type { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import { HostClock } from "../../src/host/clock.ts";
import { NullConsole } from "../../src/host/console/null-console.ts";
import { NodeEventLoop, type WaitForEvents } from "../../src/host/event-loop.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import type { NetDevice } from "../../src/machine/board.ts";
import { Machine } from "../../src/machine/machine.ts";
import { allocateMemory } from "../../src/machine/memory.ts";

const CODE = 0x1000;
const MEMORY_MIB = 2;
const GUEST_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

const littleEndian = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);

/** One port access of a guest loop, with instructions to go before it. */
export interface LoopBody {
  readonly port: number;
  /** Real-mode machine code, AX and flags are free; ends in the access by DX. */
  readonly instructions: readonly number[];
  /** What AX holds at the start. */
  readonly ax?: number;
}

export const OUT_BYTE = [0xee];
export const IN_BYTE = [0xec];
export const OUT_WORD = [0xef];

/** Real-mode code for 0x1000: the body `count` times, then `hlt` with interrupts disabled. */
export function loopCode({ port, instructions, ax = 0 }: LoopBody, count: number): Uint8Array {
  const back = -(instructions.length + 4);
  return Uint8Array.of(
    ...[0x66, 0xb9, ...littleEndian(count, 4)], // mov ecx, count
    ...[0xba, ...littleEndian(port, 2)], // mov dx, port
    ...[0xb8, ...littleEndian(ax, 2)], // mov ax, value
    ...instructions,
    ...[0x66, 0x49], // dec ecx
    ...[0x75, back & 0xff], // jnz to the body
    0xf4, // hlt
  );
}

export interface LoopMachine {
  readonly machine: Machine;
  readonly memory: GuestMemory;
}

/** A whole machine on KVM whose guest is that loop: our CPU, board and run loop as they are. */
export function createLoopMachine(
  code: () => Uint8Array,
  { timed = false, network }: { timed?: boolean; network?: NetBackend } = {},
): LoopMachine {
  const addon = loadAddon<KvmAddon & { waitForEvents: WaitForEvents }>();
  const clock = new HostClock();
  const { ram: memory } = allocateMemory(MEMORY_MIB);
  const cpu = new KvmCpu({ addon, memory, clock, device: "/dev/kvm", timed });
  const nets: NetDevice[] = network === undefined ? [] : [{ backend: network, mac: GUEST_MAC }];
  const machine = new Machine({
    cpu,
    clock,
    memory,
    eventLoop: new NodeEventLoop(clock, addon.waitForEvents),
    console: new NullConsole(),
    nets,
    blocks: [],
    report: (error) => {
      throw error;
    },
    boot: () => {
      memory.write(gpa(CODE), code());
      const registers = cpu.readRegisters();
      registers.cs = { ...registers.cs, selector: 0, base: 0n };
      registers.rip = BigInt(CODE);
      registers.rsp = BigInt(CODE);
      return registers;
    },
  });
  return { machine, memory };
}

/** Runs the loop to its `hlt` and lets the machine go. */
export async function runLoop(machine: Machine): Promise<void> {
  try {
    const outcome = await machine.run();
    if (outcome.kind !== "halted-forever") throw new Error(`the loop ended with ${outcome.kind}`);
  } finally {
    machine.cpu.close();
  }
}
