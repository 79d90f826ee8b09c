/**
 * The memory map a PC's firmware reports (ACPI 6.5 §15.2, INT 15h AX=E820h), for RAM without
 * holes below 4 GiB except the one the PC has had since 1981.
 */

export const MEMORY_USABLE = 1;
export const MEMORY_RESERVED = 2;

export interface MemoryMapEntry {
  /** Guest physical address of the first byte. */
  readonly address: number;
  /** Bytes; never zero. */
  readonly length: number;
  readonly type: typeof MEMORY_USABLE | typeof MEMORY_RESERVED;
}

/** End of conventional memory: the extended BIOS data area takes the last KiB below 640 KiB. */
export const CONVENTIONAL_END = 0x9_fc00;
const VIDEO_START = 0xa_0000;
/** The firmware's tables and its code. */
export const BIOS_START = 0xe_0000;
/** Start of extended memory, where kernels are loaded. */
export const EXTENDED_START = 0x10_0000;

/**
 * Entries in address order. The last is usable and ends at the top of memory: guests take the end
 * of the last entry, or of the last usable one, for it.
 * @param size bytes of RAM from address 0
 */
export function memoryMap(size: number): MemoryMapEntry[] {
  const entries: MemoryMapEntry[] = [
    { address: 0, length: CONVENTIONAL_END, type: MEMORY_USABLE },
    {
      address: CONVENTIONAL_END,
      length: VIDEO_START - CONVENTIONAL_END,
      type: MEMORY_RESERVED,
    },
    { address: BIOS_START, length: EXTENDED_START - BIOS_START, type: MEMORY_RESERVED },
  ];
  if (size > EXTENDED_START) {
    entries.push({
      address: EXTENDED_START,
      length: size - EXTENDED_START,
      type: MEMORY_USABLE,
    });
  }
  return entries;
}
