import type { GuestMemory } from "../../src/core/guest-memory.ts";
import { type Gpa, gpa } from "../../src/core/units.ts";
import { PAGE } from "./environment.ts";

/** Bits of a page-table entry (Intel SDM vol. 3A §4.5.5). */
export const PTE = { PRESENT: 1n, WRITABLE: 2n, USER: 4n, NO_EXECUTE: 1n << 63n } as const;

const LEVELS = 4;
const INDEX_BITS = 9n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** Pages handed out in order, and a 4-level page table made of them. */
export class PageTables {
  readonly root: Gpa;
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  #next: number;

  /** @param first guest physical address of the first page to hand out */
  constructor(memory: GuestMemory, first: number) {
    this.#memory = memory;
    const ram = memory.slice(gpa(0), memory.size);
    this.#view = new DataView(ram.buffer, ram.byteOffset, ram.length);
    this.#next = first;
    this.root = this.allocate();
  }

  allocate(pages = 1): Gpa {
    const address = gpa(this.#next);
    this.#memory.fill(address, pages * PAGE);
    this.#next += pages * PAGE;
    return address;
  }

  /** Maps 4 KiB pages. @param flags of {@link PTE} */
  map(linear: number, physical: number, flags: bigint, pages = 1): void {
    for (let page = 0; page < pages; page++) {
      const entry = this.#entry(BigInt(linear + page * PAGE));
      this.#view.setBigUint64(entry, BigInt(physical + page * PAGE) | flags | PTE.PRESENT, true);
    }
  }

  #entry(linear: bigint): number {
    let table: number = this.root;
    for (let level = BigInt(LEVELS - 1); ; level--) {
      const index = (linear >> (12n + level * INDEX_BITS)) & 0x1ffn;
      const entry = table + Number(index) * 8;
      if (level === 0n) return entry;
      if (this.#view.getBigUint64(entry, true) === 0n) {
        const pointer = BigInt(this.allocate()) | PTE.PRESENT | PTE.WRITABLE | PTE.USER;
        this.#view.setBigUint64(entry, pointer, true);
      }
      table = Number(this.#view.getBigUint64(entry, true) & ADDRESS);
    }
  }
}
