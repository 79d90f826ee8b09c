import { GuestError, HostError } from "../../core/errors.ts";
import { ABORTED, type AtaDevice, DONE, failed, QUIETLY_DONE, type Step } from "./ata-device.ts";
import { CdCommands, type Disc, type Sense } from "./cd-commands.ts";
import { CD_SECTOR_SIZE } from "./cd-replies.ts";
import { IdentifyBlock, isPioMode, multiwordDmaMode, REVERTING } from "./identify.ts";
import { ERROR, type TaskFile } from "./task-file.ts";

/** LBA mid and high by which a device of the PACKET feature set is known. */
const PACKET_SIGNATURE = 0xeb14;
const PACKET_SIZE = 12;

/** PACKET's features: data go by DMA. */
const FEATURE_DMA = 1 << 0;
const SET_TRANSFER_MODE = 0x03;

/** Interrupt reason, in the sector count: whether it is the command, and which way data go. */
const REASON_COMMAND = 1;
const REASON_TO_GUEST = 2;

/** The most that one block may have: even, and below 64 KiB. */
const MAX_BLOCK = 0xfffe;

const COMMAND = {
  PACKET: 0xa0,
  IDENTIFY_PACKET_DEVICE: 0xa1,
  /** Those of disks, to which the answer is the signature. */
  READ_SECTORS: 0x20,
  IDENTIFY_DEVICE: 0xec,
  SET_FEATURES: 0xef,
} as const;
/** STANDBY IMMEDIATE, IDLE IMMEDIATE, SLEEP. */
const POWER_COMMANDS: ReadonlySet<number> = new Set([0xe0, 0xe1, 0xe6]);
const CHECK_POWER_MODE = 0xe5;
const ACTIVE = 0xff;

/** What is on its way to the guest, made when it is taken. */
interface Data {
  readonly length: number;
  /** @returns whether it could be read */
  read(offset: number, into: Uint8Array): boolean;
}

/** A CD-ROM drive: the PACKET feature set of ATA/ATAPI-6 around the commands of MMC. */
export class AtapiDrive implements AtaDevice {
  readonly packet = true;
  readonly signature = PACKET_SIGNATURE;
  readonly #disc: Disc;
  readonly #commands: CdCommands;
  #dmaMode: number | undefined;

  constructor(disc: Disc) {
    this.#disc = disc;
    this.#commands = new CdCommands(disc);
  }

  reset(): void {
    this.#commands.reset();
    this.#dmaMode = undefined;
  }

  execute(command: number, task: TaskFile): Step {
    switch (command) {
      case COMMAND.PACKET:
        return this.#packetCommand(task);
      case COMMAND.IDENTIFY_PACKET_DEVICE:
        return { kind: "send", data: this.#identify(), next: () => QUIETLY_DONE };
      case COMMAND.IDENTIFY_DEVICE:
      case COMMAND.READ_SECTORS:
        task.setSignature(PACKET_SIGNATURE);
        return ABORTED;
      case COMMAND.SET_FEATURES:
        return this.#setFeatures(task);
      case CHECK_POWER_MODE:
        task.count = ACTIVE;
        return DONE;
      default:
        return POWER_COMMANDS.has(command) ? DONE : ABORTED;
    }
  }

  #setFeatures(task: TaskFile): Step {
    if (REVERTING.has(task.features)) return DONE;
    if (task.features !== SET_TRANSFER_MODE) return ABORTED;
    const dmaMode = multiwordDmaMode(task.count);
    if (dmaMode === undefined && !isPioMode(task.count)) return ABORTED;
    if (dmaMode !== undefined) this.#dmaMode = dmaMode;
    return DONE;
  }

  #packetCommand(task: TaskFile): Step {
    const byDma = (task.features & FEATURE_DMA) !== 0;
    const limit = task.middle;
    task.count = REASON_COMMAND;
    const next = (packet: Uint8Array): Step => this.#run(packet, task, byDma, limit);
    return { kind: "receive", length: PACKET_SIZE, quiet: true, next };
  }

  #run(packet: Uint8Array, task: TaskFile, byDma: boolean, limit: number): Step {
    const reply = this.#commands.execute(packet);
    if (reply.kind === "good") return complete(task);
    if (reply.kind === "failed") return checkCondition(task, reply.sense);
    const data = reply.kind === "data" ? inMemory(reply.data) : this.#onDisc(reply);
    return byDma ? this.#byDma(task, data) : this.#byBlocks(task, data, limit, 0);
  }

  #onDisc({ start, count }: { start: number; count: number }): Data {
    const disc = this.#disc;
    return {
      length: count * CD_SECTOR_SIZE,
      read: (offset, into) => {
        const from = start * CD_SECTOR_SIZE + offset;
        const there = Math.max(0, Math.min(into.length, disc.capacity - from));
        try {
          disc.read(from, into.subarray(0, there));
        } catch (error) {
          if (error instanceof HostError || error instanceof GuestError) return false;
          throw error;
        }
        into.fill(0, there);
        return true;
      },
    };
  }

  #byDma(task: TaskFile, data: Data): Step {
    task.count = REASON_TO_GUEST;
    const { length } = data;
    return {
      kind: "dma",
      transfer: { toGuest: true, length, move: (offset, guest) => data.read(offset, guest) },
      next: (all) => (all ? complete(task) : this.#unreadable(task)),
    };
  }

  /** @param limit bytes a block, as the guest wants it; 0 is as much as there can be */
  #byBlocks(task: TaskFile, data: Data, limit: number, offset: number): Step {
    const left = data.length - offset;
    if (left === 0) return complete(task);
    const most = limit === 0 ? MAX_BLOCK : Math.max(2, limit & MAX_BLOCK);
    const block = new Uint8Array(Math.min(left, most));
    if (!data.read(offset, block)) return this.#unreadable(task);
    task.count = REASON_TO_GUEST;
    task.middle = block.length;
    const next = (): Step => this.#byBlocks(task, data, limit, offset + block.length);
    return { kind: "send", data: block, next };
  }

  #unreadable(task: TaskFile): Step {
    return checkCondition(task, this.#commands.noteUnreadable());
  }

  #identify(): Uint8Array {
    const block = new IdentifyBlock();
    block
      // ATAPI, CD-ROM, removable, answers in 50 µs, packets of 12 bytes.
      .word(0, 0x85c0)
      .text(10, 10, "S5C0")
      .text(23, 4, "1.0")
      .text(27, 20, "solo5-kvm CD-ROM")
      // LBA, DMA, IORDY.
      .word(49, 0x0b00)
      .modes(this.#dmaMode)
      // ATA/ATAPI-4 to 6; PACKET, DEVICE RESET.
      .word(80, 0x0070)
      .word(82, 0x0210)
      .word(83, 0x4000)
      .word(84, 0x4000)
      .word(85, 0x0210)
      .word(87, 0x4000);
    return block.bytes;
  }
}

function complete(task: TaskFile): Step {
  task.count = REASON_COMMAND | REASON_TO_GUEST;
  return DONE;
}

/** The sense key is where errors are told; the rest is to be asked for. */
function checkCondition(task: TaskFile, [key]: Sense): Step {
  task.count = REASON_COMMAND | REASON_TO_GUEST;
  return failed((key << 4) | ERROR.ABORTED);
}

const inMemory = (bytes: Uint8Array): Data => ({
  length: bytes.length,
  read: (offset, into) => {
    into.set(bytes.subarray(offset, offset + into.length));
    return true;
  },
});
