import type { BlockBackend } from "../../core/backends.ts";

export const SECTOR_BYTES = 512;

export interface FloppyGeometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** Data rates as the CCR has them, in kbit/s at MFM. */
const RATES = [500, 300, 250, 1000] as const;

/** A drive with a disk in it that stays there. */
export class FloppyDrive {
  readonly geometry: FloppyGeometry;
  readonly #disk: BlockBackend;
  cylinder = 0;
  /** The disk may be another one since the head has moved last. */
  changed = true;

  constructor(disk: BlockBackend, geometry: FloppyGeometry) {
    this.#disk = disk;
    this.geometry = geometry;
  }

  get readOnly(): boolean {
    return this.#disk.readOnly;
  }

  /** A drive's type as the AT's clock memory has it: 360 and 1200 KiB, 720, 1440 and 2880 KiB. */
  get type(): number {
    const { cylinders, sectors } = this.geometry;
    if (cylinders === 40) return 1;
    if (sectors === 15) return 2;
    if (sectors <= 9) return 3;
    return sectors <= 21 ? 4 : 5;
  }

  /** Whether what is on the disk is readable at a rate. @param select the CCR's two bits */
  hasRate(select: number): boolean {
    const { sectors } = this.geometry;
    const rate = RATES[select & 3];
    if (sectors > 21) return rate === 1000;
    return sectors > 9 ? rate === 500 : rate === 250 || rate === 300;
  }

  /** The head moves; the disk is the one that is there. */
  seek(cylinder: number): void {
    this.cylinder = Math.min(cylinder, this.geometry.cylinders - 1);
    this.changed = false;
  }

  reset(): void {
    this.cylinder = 0;
    this.changed = true;
  }

  /** Whether the cylinder under the head has this sector. @param sector from 1 on */
  has(head: number, sector: number): boolean {
    const { heads, sectors } = this.geometry;
    return head < heads && sector >= 1 && sector <= sectors && this.#offset(head, sector) >= 0;
  }

  read(head: number, sector: number, into: Uint8Array): void {
    this.#disk.read(this.#offset(head, sector), into);
  }

  write(head: number, sector: number, from: Uint8Array): void {
    this.#disk.write(this.#offset(head, sector), from);
  }

  #offset(head: number, sector: number): number {
    const { heads, sectors } = this.geometry;
    const offset = SECTOR_BYTES * ((this.cylinder * heads + head) * sectors + sector - 1);
    return offset + SECTOR_BYTES <= this.#disk.capacity ? offset : -1;
  }
}
