/**
 * INT 13h, disks: the services by cylinder, head and sector of the PC AT, the extensions of the
 * Enhanced Disk Drive Specification 3.0 (Phoenix), and those of El Torito 1.0 for CDs.
 */

import { GuestError, HostError } from "../../core/errors.ts";
import { gpa } from "../../core/units.ts";
import { type BiosCall, linear, type Service } from "./call.ts";
import { BDA } from "./data-area.ts";
import { type Drive, FIRST_HARD_DISK } from "./drive.ts";
import type { ElToritoBoot } from "./el-torito-boot.ts";
import type { BiosEnvironment } from "./environment.ts";
import { DISKETTE_POINTER } from "./rom.ts";

/** Status in AH. */
const STATUS = {
  OK: 0x00,
  BAD_COMMAND: 0x01,
  WRITE_PROTECTED: 0x03,
  SECTOR_NOT_FOUND: 0x04,
  READ_ERROR: 0x10,
  NOT_READY: 0x80,
  WRITE_FAULT: 0xcc,
} as const;
type Status = (typeof STATUS)[keyof typeof STATUS];

const EXTENSIONS_SIGNATURE_IN = 0x55aa;
const EXTENSIONS_SIGNATURE_OUT = 0xaa55;
/** Version 2.1; fixed disk access, and drive parameters by EDD. */
const EXTENSIONS_VERSION = 0x21;
const EXTENSIONS_SUPPORTED = 0x05;
/** Offset and segment that say: the address is the flat one behind them (EDD 3.0 table 1). */
const FLAT = 0xffff_ffff;

const PARAMETERS_SIZE = 0x1a;
/** Information flags: geometry is valid; removable; locks, as all removable ones must. */
const INFO_GEOMETRY = 1 << 1;
const INFO_REMOVABLE = 1 << 2;

const TYPE_NONE = 0;
const TYPE_FLOPPY = 1;
const TYPE_DISK = 3;

type Verb = "read" | "write" | "verify";

/** Bytes that are moved at once: a real-mode segment and a bit. */
const PIECE = 64 * 1024;

export class Disk {
  readonly #env: BiosEnvironment;
  readonly #cd: ElToritoBoot | undefined;

  /** @param cd what was booted from a CD */
  constructor(env: BiosEnvironment, cd: ElToritoBoot | undefined) {
    this.#env = env;
    this.#cd = cd;
  }

  readonly service: Service = (call) => {
    const action = this.#functions[call.get("ah")];
    const drive = this.#env.drives.find(({ number }) => number === call.get("dl"));
    if (call.get("ah") === 0x4b && this.#cd !== undefined) this.#elTorito(call, this.#cd);
    else if (call.get("ah") === 0x01) this.#lastStatus(call);
    else if (call.get("ah") === 0x15) this.#type(call, drive);
    else if (action === undefined || drive === undefined) this.#done(call, STATUS.BAD_COMMAND);
    else action(call, drive);
    return undefined;
  };

  readonly #functions: Readonly<Record<number, (call: BiosCall, drive: Drive) => void>> = {
    0: (call) => this.#done(call, STATUS.OK),
    2: (call, drive) => this.#byGeometry(call, drive, "read"),
    3: (call, drive) => this.#byGeometry(call, drive, "write"),
    4: (call, drive) => this.#byGeometry(call, drive, "verify"),
    5: (call) => this.#done(call, STATUS.OK),
    8: (call, drive) => this.#parameters(call, drive),
    9: (call) => this.#done(call, STATUS.OK),
    12: (call) => this.#done(call, STATUS.OK),
    13: (call) => this.#done(call, STATUS.OK),
    16: (call) => this.#done(call, STATUS.OK),
    17: (call) => this.#done(call, STATUS.OK),
    20: (call) => this.#done(call, STATUS.OK),
    // The disk has not been changed.
    22: (call) => this.#done(call, STATUS.OK),
    23: (call) => this.#done(call, STATUS.OK),
    24: (call, drive) => this.#mediaType(call, drive),
    65: (call, drive) => this.#extensionsPresent(call, drive),
    66: (call, drive) => this.#byBlock(call, drive, "read"),
    67: (call, drive) => this.#byBlock(call, drive, "write"),
    68: (call, drive) => this.#byBlock(call, drive, "verify"),
    69: (call) => this.#done(call, STATUS.OK),
    71: (call) => this.#done(call, STATUS.OK),
    72: (call, drive) => this.#extendedParameters(call, drive),
  };

  #done(call: BiosCall, status: Status): void {
    const where = call.get("dl") < FIRST_HARD_DISK ? BDA.DISK_STATUS_FLOPPY : BDA.DISK_STATUS;
    this.#env.data.setU8(where, status);
    call.set("ah", status);
    call.carry = status !== STATUS.OK;
  }

  #lastStatus(call: BiosCall): void {
    const floppy = call.get("dl") < FIRST_HARD_DISK;
    const status = this.#env.data.u8(floppy ? BDA.DISK_STATUS_FLOPPY : BDA.DISK_STATUS);
    call.set("ah", status);
    call.carry = status !== STATUS.OK;
  }

  /** CX and DH: cylinder (ten bits), sector from 1, head; AL sectors to or from ES:BX. */
  #byGeometry(call: BiosCall, drive: Drive, verb: Verb): void {
    const { heads, sectors } = drive.geometry;
    const cylinder = call.get("ch") | ((call.get("cl") & 0xc0) << 2);
    const sector = call.get("cl") & 0x3f;
    const head = call.get("dh");
    const count = call.get("al");
    if (sector === 0 || sector > sectors || head >= heads || count === 0) {
      call.set("al", 0);
      this.#done(call, sector === 0 ? STATUS.BAD_COMMAND : STATUS.SECTOR_NOT_FOUND);
      return;
    }
    const block = (cylinder * heads + head) * sectors + sector - 1;
    const status = this.#move(drive, verb, block, count, linear(call.es, call.get("bx")));
    if (status !== STATUS.OK) call.set("al", 0);
    this.#done(call, status);
  }

  /** DS:SI: the disk address packet. */
  #byBlock(call: BiosCall, drive: Drive, verb: Verb): void {
    const { memory } = this.#env;
    if (drive.kind === "floppy") {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    const packet = linear(call.ds, call.get("si"));
    const size = memory.readU8(packet);
    const count = memory.readU16(gpa(packet + 2));
    const offset = memory.readU16(gpa(packet + 4));
    const segment = memory.readU16(gpa(packet + 6));
    const block = memory.readU64(gpa(packet + 8));
    const flat = size >= 0x18 && memory.readU32(gpa(packet + 4)) === FLAT;
    if (size < 0x10) {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    const address = flat ? memory.readU64(gpa(packet + 16)) : linear(segment, offset);
    const status = this.#move(drive, verb, block, count, address);
    if (status !== STATUS.OK) memory.writeU16(gpa(packet + 2), 0);
    this.#done(call, status);
  }

  #move(drive: Drive, verb: Verb, block: number, count: number, address: number): Status {
    const { memory } = this.#env;
    const { disk, sectorSize } = drive;
    const start = block * sectorSize;
    const length = count * sectorSize;
    // The last sector of a CD image may be cut short: the rest of it reads as zeros.
    const end = Math.ceil(disk.capacity / sectorSize) * sectorSize;
    if (start + length > end) return STATUS.SECTOR_NOT_FOUND;
    if (verb === "verify" || length === 0) return STATUS.OK;
    if (!memory.contains(address, length)) return STATUS.BAD_COMMAND;
    if (verb === "write" && disk.readOnly) return STATUS.WRITE_PROTECTED;
    try {
      for (let done = 0; done < length; done += PIECE) {
        const size = Math.min(PIECE, length - done);
        if (verb === "write") {
          disk.write(start + done, memory.slice(gpa(address + done), size));
        } else {
          const into = memory.writableSlice(gpa(address + done), size);
          const there = Math.min(size, disk.capacity - start - done);
          disk.read(start + done, into.subarray(0, there));
          into.fill(0, there);
        }
      }
      return STATUS.OK;
    } catch (error) {
      if (!(error instanceof HostError || error instanceof GuestError)) throw error;
      return verb === "write" ? STATUS.WRITE_FAULT : STATUS.READ_ERROR;
    }
  }

  #parameters(call: BiosCall, drive: Drive): void {
    if (drive.kind === "cd") {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    const { cylinders, heads, sectors } = drive.geometry;
    const last = cylinders - 1;
    const floppy = drive.kind === "floppy";
    call.set("ch", last & 0xff);
    call.set("cl", ((last >> 2) & 0xc0) | sectors);
    call.set("dh", heads - 1);
    call.set("dl", this.#env.drives.filter(({ kind }) => kind === drive.kind).length);
    call.set("al", 0);
    if (floppy) {
      call.set("bx", sectors >= 36 ? 5 : sectors >= 18 ? 4 : sectors >= 15 ? 2 : 3);
      call.es = DISKETTE_POINTER.segment;
      call.set("di", DISKETTE_POINTER.offset);
    }
    call.set("ah", 0);
    call.carry = false;
  }

  /** AH=15h reports in AH what the drive is, where others report a status. */
  #type(call: BiosCall, drive: Drive | undefined): void {
    call.carry = drive === undefined;
    if (drive === undefined || drive.kind === "cd") {
      call.set("ah", TYPE_NONE);
      return;
    }
    call.set("ah", drive.kind === "floppy" ? TYPE_FLOPPY : TYPE_DISK);
    if (drive.kind !== "disk") return;
    const { cylinders, heads, sectors } = drive.geometry;
    const total = cylinders * heads * sectors;
    call.set("cx", total >>> 16);
    call.set("dx", total & 0xffff);
  }

  /** Sets the medium's format: one that the drive has. */
  #mediaType(call: BiosCall, drive: Drive): void {
    if (drive.kind !== "floppy") {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    call.es = DISKETTE_POINTER.segment;
    call.set("di", DISKETTE_POINTER.offset);
    this.#done(call, STATUS.OK);
  }

  #extensionsPresent(call: BiosCall, drive: Drive): void {
    if (call.get("bx") !== EXTENSIONS_SIGNATURE_IN || drive.kind === "floppy") {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    call.set("bx", EXTENSIONS_SIGNATURE_OUT);
    call.set("cx", EXTENSIONS_SUPPORTED);
    this.#done(call, STATUS.OK);
    call.set("ah", EXTENSIONS_VERSION);
  }

  /** EDD 3.0 table 4: as much of it as the caller's buffer at DS:SI has room for. */
  #extendedParameters(call: BiosCall, drive: Drive): void {
    const { memory } = this.#env;
    const buffer = linear(call.ds, call.get("si"));
    const room = memory.readU16(buffer);
    if (room < PARAMETERS_SIZE || drive.kind === "floppy") {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    const { cylinders, heads, sectors } = drive.geometry;
    const cd = drive.kind === "cd";
    memory.writeU16(buffer, PARAMETERS_SIZE);
    memory.writeU16(gpa(buffer + 2), cd ? INFO_REMOVABLE : INFO_GEOMETRY);
    memory.writeU32(gpa(buffer + 4), cd ? FLAT : cylinders);
    memory.writeU32(gpa(buffer + 8), cd ? FLAT : heads);
    memory.writeU32(gpa(buffer + 12), cd ? FLAT : sectors);
    memory.writeU64(gpa(buffer + 16), Math.ceil(drive.disk.capacity / drive.sectorSize));
    memory.writeU16(gpa(buffer + 24), drive.sectorSize);
    if (room >= PARAMETERS_SIZE + 4) {
      memory.writeU16(buffer, PARAMETERS_SIZE + 4);
      memory.writeU32(gpa(buffer + 26), FLAT);
    }
    this.#done(call, STATUS.OK);
  }

  /** AL = 0 ends an emulation, which then goes on for who still wants it; 1 asks about it. */
  #elTorito(call: BiosCall, cd: ElToritoBoot): void {
    if (call.get("al") > 1) {
      this.#done(call, STATUS.BAD_COMMAND);
      return;
    }
    this.#env.memory.write(linear(call.ds, call.get("si")), cd.specificationPacket());
    this.#done(call, STATUS.OK);
    call.set("al", 0);
  }
}
