/** Blocks of 256 words by which devices describe themselves (ATA/ATAPI-6 §8.15 and §8.16). */

export const IDENTIFY_SIZE = 512;

/** SET FEATURES subcommand 03h: the sector count names the mode (§8.46.11). */
const MODE_KIND_SHIFT = 3;
const MODE_MULTIWORD_DMA = 4;
export const HIGHEST_MULTIWORD_DMA = 2;

/** Which multiword DMA mode a transfer mode is, if it is one that there is here. */
export function multiwordDmaMode(transferMode: number): number | undefined {
  const mode = transferMode & 7;
  const multiword = transferMode >> MODE_KIND_SHIFT === MODE_MULTIWORD_DMA;
  return multiword && mode <= HIGHEST_MULTIWORD_DMA ? mode : undefined;
}

/**
 * Subcommands of SET FEATURES (ATA/ATAPI-6 §8.46): whether a software reset takes settings back to
 * what they were at power-on. None of them shows to the guest.
 */
export const REVERTING: ReadonlySet<number> = new Set([0x66, 0xcc]);

/** Whether a transfer mode is one of PIO's, 0 to 4, or its default. */
export const isPioMode = (transferMode: number): boolean =>
  transferMode <= 1 || (transferMode >= 8 && transferMode <= 12);

export class IdentifyBlock {
  readonly bytes = new Uint8Array(IDENTIFY_SIZE);

  word(index: number, value: number): this {
    this.bytes[2 * index] = value & 0xff;
    this.bytes[2 * index + 1] = (value >> 8) & 0xff;
    return this;
  }

  /** The lower word first. */
  double(index: number, value: number): this {
    return this.word(index, value & 0xffff).word(index + 1, Math.floor(value / 0x1_0000));
  }

  /** Characters in pairs, the first in the upper byte, filled up with blanks. */
  text(index: number, words: number, value: string): this {
    const padded = value.padEnd(2 * words);
    for (let i = 0; i < words; i++) {
      this.word(index + i, (padded.charCodeAt(2 * i) << 8) | padded.charCodeAt(2 * i + 1));
    }
    return this;
  }

  /**
   * Transfer modes: PIO up to 4 and multiword DMA up to 2, at 120 ns a word.
   * @param selected of multiword DMA, if one is
   */
  modes(selected: number | undefined): this {
    const supported = (1 << (HIGHEST_MULTIWORD_DMA + 1)) - 1;
    this.word(53, 0x0007).word(63, supported | (selected === undefined ? 0 : 0x100 << selected));
    this.word(64, 0x0003);
    for (const index of [65, 66, 67, 68]) this.word(index, 120);
    return this;
  }
}
