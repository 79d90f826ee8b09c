import type { BlockBackend } from "../../core/backends.ts";
import type { Resettable } from "../../core/device.ts";
import {
  CD_SECTOR_SIZE,
  capacityData,
  configurationData,
  discInformation,
  eventStatus,
  inquiryData,
  mechanismStatus,
  modeData,
  modePages,
  senseData,
  sessionData,
  tocData,
} from "./cd-replies.ts";

/** Why a command failed: sense key, additional code and its qualifier (SPC-3 §4.5). */
export type Sense = readonly [key: number, code: number, qualifier: number];

export const SENSE = {
  NONE: [0, 0, 0],
  NO_MEDIUM: [0x02, 0x3a, 0],
  UNREADABLE: [0x03, 0x11, 0],
  BAD_COMMAND: [0x05, 0x20, 0],
  OUT_OF_RANGE: [0x05, 0x21, 0],
  BAD_FIELD: [0x05, 0x24, 0],
  LOCKED: [0x05, 0x53, 0x02],
} as const satisfies Readonly<Record<string, Sense>>;

export type Reply =
  | { readonly kind: "good" }
  | { readonly kind: "failed"; readonly sense: Sense }
  | { readonly kind: "data"; readonly data: Uint8Array }
  /** Sectors of the disc. */
  | { readonly kind: "read"; readonly start: number; readonly count: number };

/** The medium: what the drive reads, read-only, its last sector maybe cut short. */
export type Disc = Pick<BlockBackend, "capacity" | "read">;

const GOOD: Reply = { kind: "good" };
const fail = (sense: Sense): Reply => ({ kind: "failed", sense });
/** No more than the guest has room for. */
const reply = (data: Uint8Array, room: number): Reply => {
  const part = data.subarray(0, room);
  return part.length === 0 ? GOOD : { kind: "data", data: part };
};

/** Operation codes (MMC-3 table 59, SPC-3 table 58). */
const OPERATION = {
  TEST_UNIT_READY: 0x00,
  REQUEST_SENSE: 0x03,
  INQUIRY: 0x12,
  MODE_SENSE_6: 0x1a,
  START_STOP_UNIT: 0x1b,
  PREVENT_ALLOW_MEDIUM_REMOVAL: 0x1e,
  READ_CAPACITY: 0x25,
  READ_10: 0x28,
  SEEK_10: 0x2b,
  READ_TOC: 0x43,
  GET_CONFIGURATION: 0x46,
  GET_EVENT_STATUS_NOTIFICATION: 0x4a,
  READ_DISC_INFORMATION: 0x51,
  MODE_SENSE_10: 0x5a,
  READ_12: 0xa8,
  SET_CD_SPEED: 0xbb,
  MECHANISM_STATUS: 0xbd,
  READ_CD: 0xbe,
} as const;

interface Command {
  /** Fails when there is no disc in the drive. */
  readonly needsDisc?: boolean;
  run(packet: DataView): Reply;
}

const START = 1 << 0;
const LOAD_EJECT = 1 << 1;
const IMMEDIATE_EVENTS = 1 << 0;
const VITAL_PRODUCT_DATA = 1 << 0;
const IN_MINUTES = 1 << 1;
/** READ CD: which parts of a sector are wanted; the user's data, and those only. */
const USER_DATA_ONLY = 0x10;

/** The commands of a CD-ROM drive (MMC-3, SPC-3), without the way they come. */
export class CdCommands implements Resettable {
  readonly sectors: number;
  #sense: Sense = SENSE.NONE;
  #locked = false;
  #loaded = true;

  constructor(disc: Disc) {
    this.sectors = Math.ceil(disc.capacity / CD_SECTOR_SIZE);
  }

  reset(): void {
    this.#sense = SENSE.NONE;
    this.#locked = false;
  }

  /** @param packet twelve bytes */
  execute(packet: Uint8Array): Reply {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
    const command = this.#commands[view.getUint8(0)];
    const answer =
      command === undefined
        ? fail(SENSE.BAD_COMMAND)
        : command.needsDisc === true && !this.#loaded
          ? fail(SENSE.NO_MEDIUM)
          : command.run(view);
    this.#sense = answer.kind === "failed" ? answer.sense : SENSE.NONE;
    return answer;
  }

  /** The disc could not be read after all. */
  noteUnreadable(): Sense {
    this.#sense = SENSE.UNREADABLE;
    return this.#sense;
  }

  readonly #commands: Readonly<Record<number, Command>> = {
    [OPERATION.TEST_UNIT_READY]: { needsDisc: true, run: () => GOOD },
    [OPERATION.REQUEST_SENSE]: {
      run: (packet) => reply(senseData(...this.#sense), packet.getUint8(4)),
    },
    [OPERATION.INQUIRY]: {
      run: (packet) =>
        (packet.getUint8(1) & VITAL_PRODUCT_DATA) !== 0
          ? fail(SENSE.BAD_FIELD)
          : reply(inquiryData(), packet.getUint16(3)),
    },
    [OPERATION.MODE_SENSE_6]: {
      run: (packet) => this.#modeSense(packet, packet.getUint8(4), false),
    },
    [OPERATION.MODE_SENSE_10]: {
      run: (packet) => this.#modeSense(packet, packet.getUint16(7), true),
    },
    [OPERATION.START_STOP_UNIT]: { run: (packet) => this.#startStop(packet.getUint8(4)) },
    [OPERATION.PREVENT_ALLOW_MEDIUM_REMOVAL]: {
      run: (packet) => {
        this.#locked = (packet.getUint8(4) & 1) !== 0;
        return GOOD;
      },
    },
    [OPERATION.READ_CAPACITY]: { needsDisc: true, run: () => reply(capacityData(this.sectors), 8) },
    [OPERATION.READ_10]: {
      needsDisc: true,
      run: (packet) => this.#read(packet.getUint32(2), packet.getUint16(7)),
    },
    [OPERATION.READ_12]: {
      needsDisc: true,
      run: (packet) => this.#read(packet.getUint32(2), packet.getUint32(6)),
    },
    [OPERATION.READ_CD]: { needsDisc: true, run: (packet) => this.#readCd(packet) },
    [OPERATION.SEEK_10]: { needsDisc: true, run: (packet) => this.#seek(packet.getUint32(2)) },
    [OPERATION.READ_TOC]: { needsDisc: true, run: (packet) => this.#readToc(packet) },
    [OPERATION.GET_CONFIGURATION]: {
      run: (packet) => {
        const only = (packet.getUint8(1) & 3) === 2;
        const sectors = this.#loaded ? this.sectors : 0;
        return reply(configurationData(sectors, packet.getUint16(2), only), packet.getUint16(7));
      },
    },
    [OPERATION.GET_EVENT_STATUS_NOTIFICATION]: {
      run: (packet) =>
        (packet.getUint8(1) & IMMEDIATE_EVENTS) === 0
          ? fail(SENSE.BAD_FIELD)
          : reply(eventStatus(packet.getUint8(4), this.#loaded), packet.getUint16(7)),
    },
    [OPERATION.READ_DISC_INFORMATION]: {
      needsDisc: true,
      run: (packet) =>
        (packet.getUint8(1) & 7) === 0
          ? reply(discInformation(), packet.getUint16(7))
          : fail(SENSE.BAD_FIELD),
    },
    [OPERATION.SET_CD_SPEED]: { run: () => GOOD },
    [OPERATION.MECHANISM_STATUS]: {
      run: (packet) => reply(mechanismStatus(), packet.getUint16(8)),
    },
  };

  #modeSense(packet: DataView, room: number, long: boolean): Reply {
    const pages = modePages(packet.getUint8(2) & 0x3f);
    return pages === undefined ? fail(SENSE.BAD_FIELD) : reply(modeData(pages, long), room);
  }

  #startStop(what: number): Reply {
    if ((what & LOAD_EJECT) === 0) return GOOD;
    const load = (what & START) !== 0;
    if (!load && this.#locked) return fail(SENSE.LOCKED);
    this.#loaded = load;
    return GOOD;
  }

  #read(start: number, count: number): Reply {
    if (start + count > this.sectors) return fail(SENSE.OUT_OF_RANGE);
    return count === 0 ? GOOD : { kind: "read", start, count };
  }

  #readCd(packet: DataView): Reply {
    const count = packet.getUint32(5) & 0xff_ffff;
    const parts = packet.getUint8(9) & 0xf8;
    if (count === 0 || parts === 0) return GOOD;
    if (parts !== USER_DATA_ONLY) return fail(SENSE.BAD_FIELD);
    return this.#read(packet.getUint32(2), count);
  }

  #seek(sector: number): Reply {
    return sector >= this.sectors ? fail(SENSE.OUT_OF_RANGE) : GOOD;
  }

  #readToc(packet: DataView): Reply {
    const room = packet.getUint16(7);
    const inMinutes = (packet.getUint8(1) & IN_MINUTES) !== 0;
    // In the last byte, where drives older than the standard look, or where it says.
    const format = packet.getUint8(2) & 0xf || packet.getUint8(9) >> 6;
    const track = packet.getUint8(6);
    if (format === 1) return reply(sessionData(inMinutes), room);
    if (format !== 0 || (track > 1 && track !== 0xaa)) return fail(SENSE.BAD_FIELD);
    return reply(tocData(this.sectors, inMinutes, track), room);
  }
}
