import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa } from "../../src/core/units.ts";
import type { AtaDevice } from "../../src/devices/ata/ata-device.ts";
import { BusMaster } from "../../src/devices/ata/bus-master.ts";
import { AtaChannel } from "../../src/devices/ata/channel.ts";
import { FakeIrqLine } from "./fake-irq-line.ts";
import { LateClock } from "./late-clock.ts";

export const STATUS = { ready: 0x50, data: 0x58, failed: 0x51 } as const;
const TABLE = 0x1000;

/** A channel with its bus master, and what a driver does with them. */
export class AtaRig {
  readonly clock = new LateClock();
  /** As it is, whether or not the interrupt that is to come has come. */
  readonly line = new FakeIrqLine();
  readonly memory = new GuestMemory(new ArrayBuffer(0x4_0000));
  readonly channel: AtaChannel;
  readonly master: BusMaster;

  constructor(...devices: [AtaDevice, AtaDevice?]) {
    this.channel = new AtaChannel({ clock: this.clock, irq: this.line, devices });
    this.master = new BusMaster(this.memory, this.channel);
  }

  /** The line, once the interrupt has come that there may be. */
  get irq(): FakeIrqLine {
    this.channel.settle();
    return this.line;
  }

  read(register: number): number {
    return this.channel.commandBlock.read(register, 1);
  }

  write(register: number, value: number): void {
    this.channel.commandBlock.write(register, 1, value);
  }

  /** Reading it takes the interrupt. */
  get status(): number {
    return this.read(7);
  }

  get alternateStatus(): number {
    return this.channel.controlBlock.read(0, 1);
  }

  control(value: number): void {
    this.channel.controlBlock.write(0, 1, value);
  }

  /** A command with a 28-bit address. */
  command(code: number, { lba = 0, count = 1, features = 0, device = 0xe0 } = {}): void {
    this.write(1, features);
    this.write(2, count & 0xff);
    for (let i = 0; i < 3; i++) this.write(3 + i, (lba >>> (8 * i)) & 0xff);
    this.write(6, device | (lba >>> 24));
    this.write(7, code);
  }

  /** A command with a 48-bit address: every register written twice. */
  command48(code: number, lba: number, count: number): void {
    const byte = (index: number): number => Math.floor(lba / 2 ** (8 * index)) & 0xff;
    this.write(2, count >> 8);
    for (let i = 0; i < 3; i++) this.write(3 + i, byte(3 + i));
    this.write(2, count & 0xff);
    for (let i = 0; i < 3; i++) this.write(3 + i, byte(i));
    this.write(6, 0xe0);
    this.write(7, code);
  }

  readData(bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 2) {
      const word = this.channel.commandBlock.read(0, 2);
      data[at] = word & 0xff;
      data[at + 1] = word >> 8;
    }
    return data;
  }

  writeData(data: Uint8Array): void {
    for (let at = 0; at < data.length; at += 2) {
      this.channel.commandBlock.write(0, 2, (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8));
    }
  }

  /** Gives the drive a packet. @param limit bytes a block */
  packet(bytes: readonly number[], { limit = 0xfffe, dma = false } = {}): void {
    this.command(0xa0, { lba: limit << 8, count: 0, features: dma ? 1 : 0, device: 0xa0 });
    this.writeData(Uint8Array.from({ length: 12 }, (_, i) => bytes[i] ?? 0));
  }

  /** What a packet command answers, all blocks of it. */
  answer(bytes: readonly number[], limit?: number): Uint8Array {
    this.packet(bytes, limit === undefined ? {} : { limit });
    const parts: number[] = [];
    while ((this.status & 0x08) !== 0) {
      const length = this.read(4) | (this.read(5) << 8);
      parts.push(...this.readData(length).subarray(0, length));
    }
    return Uint8Array.from(parts);
  }

  /** The bus master's table, and then its start. */
  startDma(toMemory: boolean, entries: readonly (readonly [address: number, count: number])[]) {
    entries.forEach(([address, count], i) => {
      this.memory.writeU32(gpa(TABLE + 8 * i), address);
      const last = i === entries.length - 1 ? 0x8000_0000 : 0;
      this.memory.writeU32(gpa(TABLE + 8 * i + 4), (count & 0xffff) + last);
    });
    this.master.write(4, 4, TABLE);
    this.master.write(0, 1, (toMemory ? 8 : 0) | 1);
  }
}
