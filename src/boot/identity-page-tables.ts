/** Page tables that map the first 4 GiB onto themselves, in pages of 2 MiB (Intel SDM vol. 3A §4.5). */

import { PAGE_SIZE } from "../core/units.ts";
import { viewOf } from "./data-view.ts";

const PRESENT_WRITABLE = 0x3;
const LARGE_PAGE = 1 << 7;
const LARGE_PAGE_SIZE = 2 * 1024 * 1024;
const ENTRIES = 512;
const GIBIBYTES = 4;

/** A PML4, a table of pointers, and a directory for each gibibyte. */
export const PAGE_TABLES_SIZE = (2 + GIBIBYTES) * PAGE_SIZE;

/** @param address where they will be; the first is the PML4 */
export function identityPageTables(address: number): Uint8Array {
  const bytes = new Uint8Array(PAGE_TABLES_SIZE);
  const view = viewOf(bytes);
  const set = (table: number, index: number, value: number): void =>
    view.setUint32(table * PAGE_SIZE + 8 * index, value, true);
  set(0, 0, address + PAGE_SIZE + PRESENT_WRITABLE);
  for (let i = 0; i < GIBIBYTES; i++) {
    set(1, i, address + (2 + i) * PAGE_SIZE + PRESENT_WRITABLE);
    for (let page = 0; page < ENTRIES; page++) {
      const start = (i * ENTRIES + page) * LARGE_PAGE_SIZE;
      set(2 + i, page, start + PRESENT_WRITABLE + LARGE_PAGE);
    }
  }
  return bytes;
}
