/** Commands of the floppy disk controller that move sectors (Intel 82077AA data sheet, §5). */
import type { DmaChannel } from "../dma/dma-channel.ts";
import { type FloppyDrive, SECTOR_BYTES } from "./floppy-drive.ts";

/** Status register 0: abnormal termination; 1: see the names; 2. */
export const ST0_ABNORMAL = 0x40;
const ST1 = { END_OF_CYLINDER: 0x80, NO_DATA: 0x04, NOT_WRITABLE: 0x02, NO_ADDRESS_MARK: 0x01 };

export type TransferKind = "read" | "write" | "verify" | "format";

/** The eight bytes behind a command's first, and what else it goes by. */
export interface Transfer {
  readonly kind: TransferKind;
  readonly drive: FloppyDrive | undefined;
  readonly dma: DmaChannel;
  /** As the CCR selects it. */
  readonly rate: number;
  /** Goes on with the other head at the end of a track. */
  readonly multiTrack: boolean;
  /** Moves the head to the cylinder that the command names. */
  readonly impliedSeek: boolean;
  readonly parameters: readonly number[];
}

/** ST0, less the drive and the head; ST1, ST2; and the sector after the last: C, H, R, N. */
export interface TransferResult {
  readonly status: readonly [st0: number, st1: number, st2: number];
  readonly position: readonly [c: number, h: number, r: number, n: number];
}

/** Sectors of 512 bytes: 128 << N. */
const N_512 = 2;

export function transfer(request: Transfer): TransferResult {
  return request.kind === "format" ? format(request) : moveSectors(request);
}

function moveSectors(request: Transfer): TransferResult {
  const { kind, drive, dma, multiTrack, parameters } = request;
  const [, cylinder = 0, firstHead = 0, firstSector = 0, size = 0, lastSector = 0] = parameters;
  let [c, h, r] = [cylinder, firstHead, firstSector];
  const end = (st1: number): TransferResult => ({
    status: [st1 === 0 ? 0 : ST0_ABNORMAL, st1, 0],
    position: [c, h, r, size],
  });
  if (drive === undefined || !drive.hasRate(request.rate)) return end(ST1.NO_ADDRESS_MARK);
  if (kind === "write" && drive.readOnly) return end(ST1.NOT_WRITABLE);
  if (request.impliedSeek) drive.seek(cylinder);
  if (size !== N_512 || drive.cylinder !== cylinder) return end(ST1.NO_DATA);
  const bytes = new Uint8Array(SECTOR_BYTES);
  for (;;) {
    if (!drive.has(h & 1, r)) return end(ST1.NO_DATA);
    if (!moveSector(kind, drive, dma, h & 1, r, bytes)) return end(ST1.END_OF_CYLINDER);
    const ended = kind === "verify" ? r === lastSector && !goesOn(multiTrack, h) : dma.ended;
    if (r !== lastSector) r++;
    else {
      r = 1;
      const next = goesOn(multiTrack, h);
      if (multiTrack) h ^= 1;
      if (!next) c++;
      if (!next && !ended) return end(ST1.END_OF_CYLINDER);
    }
    if (ended) return end(0);
  }
}

/** Whether there is another head for which a command goes on. */
const goesOn = (multiTrack: boolean, head: number): boolean => multiTrack && (head & 1) === 0;

/** @returns whether the DMA controller took part */
function moveSector(
  kind: TransferKind,
  drive: FloppyDrive,
  dma: DmaChannel,
  head: number,
  sector: number,
  bytes: Uint8Array,
): boolean {
  if (kind === "write") {
    bytes.fill(0);
    if (dma.take(bytes) === 0) return false;
    drive.write(head, sector, bytes);
    return true;
  }
  drive.read(head, sector, bytes);
  return kind === "verify" || dma.put(bytes) > 0;
}

/** Four bytes a sector come from memory: its cylinder, head, number and size. */
function format({ drive, dma, rate, parameters }: Transfer): TransferResult {
  const [select = 0, size = 0, count = 0, , filler = 0] = parameters;
  const head = (select >> 2) & 1;
  const end = (st1: number): TransferResult => ({
    status: [st1 === 0 ? 0 : ST0_ABNORMAL, st1, 0],
    position: [drive?.cylinder ?? 0, head, count, size],
  });
  if (drive === undefined || !drive.hasRate(rate)) return end(ST1.NO_ADDRESS_MARK);
  if (drive.readOnly) return end(ST1.NOT_WRITABLE);
  const blank = new Uint8Array(SECTOR_BYTES).fill(filler);
  const address = new Uint8Array(4);
  for (let i = 0; i < count; i++) {
    if (dma.take(address) < address.length) return end(ST1.END_OF_CYLINDER);
    if (!drive.has(head, address[2] as number)) return end(ST1.NO_DATA);
    drive.write(head, address[2] as number, blank);
  }
  return end(0);
}

/** READ ID: the first sector's address. */
export function readId(drive: FloppyDrive | undefined, rate: number, head: number): TransferResult {
  const cylinder = drive?.cylinder ?? 0;
  const readable = drive?.hasRate(rate) === true && drive.has(head, 1);
  const st1 = readable ? 0 : ST1.NO_ADDRESS_MARK;
  return {
    status: [readable ? 0 : ST0_ABNORMAL, st1, 0],
    position: [cylinder, head, 1, N_512],
  };
}
