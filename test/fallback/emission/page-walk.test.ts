/** Where generated code finds a translation itself it has to be what TypeScript finds, and be noted alike. */
import { expect, it } from "vitest";
import { CR0, CR4, EFER } from "../../../fallback/bits.ts";
import { buildPageWalk } from "../../../fallback/emission/page-walk.ts";
import { PAGE_SIZE } from "../../../fallback/memory/physical.ts";
import {
  RAM_BASE,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_OF_USER,
} from "../../../fallback/state.ts";
import { ModuleBuilder } from "../../../fallback/wasm/module-builder.ts";
import { SeededRandom } from "../../support/random.ts";
import { Guest, PAGE_TABLES, RAM_SIZE } from "../support/guest.ts";

const WASM_PAGE = 65536;
const PAGES = (RAM_BASE + RAM_SIZE) / WASM_PAGE;
const TABLES = 8;
/** The only entries of a table that are used. */
const INDICES = [0, 1, 511];
const TLB_BYTES = TLB_OF_USER + TLB_ENTRIES * TLB_ENTRY_SIZE;
const P = 1n;
const RW = 2n;
const US = 4n;
const A = 0x20n;
const D = 0x40n;
const PS = 0x80n;
const G = 0x100n;
const XD = 1n << 63n;
const ROUNDS = 100;
const ACCESSES = 60;

type Walk = (address: bigint, bytes: number, write: number) => number;

function makeWalk(memory: WebAssembly.Memory): Walk {
  const module = new ModuleBuilder();
  module.importMemory("cpu", "memory", PAGES, false);
  module.exportFunction("walk", buildPageWalk(module));
  const made = new WebAssembly.Module(module.finish());
  return new WebAssembly.Instance(made, { cpu: { memory } }).exports.walk as Walk;
}

const random = new SeededRandom(1);
const chance = (one: number): boolean => random.below(one) === 0;
const pick = <T>(values: readonly T[]): T => random.pick(values);

/** Mostly everything permitted, and one thing in some places not. */
function randomEntry(): bigint {
  const table = BigInt(PAGE_TABLES + PAGE_SIZE * random.below(TABLES));
  const outside = chance(20) ? pick([BigInt(RAM_SIZE), 1n << 38n]) : table;
  let entry = P | RW | US | A | D | (chance(12) ? BigInt(PAGE_SIZE * random.below(2048)) : outside);
  for (const bit of [P, A, D, US, RW]) if (chance(20)) entry &= ~bit;
  for (const bit of [PS, G]) if (chance(4)) entry |= bit;
  for (const bit of [XD, 1n << 45n, 1n << 52n]) if (chance(30)) entry |= bit;
  return entry & PS && chance(2) ? entry & ~0x3fff_e000n : entry;
}

function randomAddress(): number {
  const [top, ...below] = Array.from({ length: 4 }, () => pick(INDICES)) as [number];
  const page = below.reduce((sum, index) => sum * 512 + index, top >= 256 ? top - 512 : top);
  return page * PAGE_SIZE + (chance(8) ? 4090 : 0) + random.below(7);
}

/** Two machines that are alike but for where translations are looked for first. */
class Pair {
  readonly walk: Walk;
  readonly ours: Guest;
  readonly other: Guest;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: PAGES });
    this.walk = makeWalk(memory);
    this.ours = new Guest(memory.buffer);
    this.other = new Guest();
  }

  each(action: (guest: Guest) => void): void {
    for (const guest of [this.ours, this.other]) action(guest);
  }

  /** New tables and a new mode. */
  begin(): void {
    const entries = Array.from({ length: TABLES * INDICES.length }, randomEntry);
    const [wp, nxe, pge] = [chance(2), !chance(6), !chance(4)];
    const level = chance(2) ? 3 : 0;
    const code = PAGE_TABLES / PAGE_SIZE + random.below(TABLES);
    this.each((guest) => {
      for (const [n, entry] of entries.entries()) {
        const table = PAGE_TABLES + PAGE_SIZE * Math.floor(n / INDICES.length);
        guest.setU64(table + 8 * (INDICES[n % INDICES.length] as number), entry);
      }
      guest.p.cr0 = CR0.PE | CR0.PG | (wp ? CR0.WP : 0);
      guest.p.cr4 = CR4.PAE | (pge ? CR4.PGE : 0);
      guest.p.efer = EFER.LME | EFER.LMA | (nxe ? EFER.NXE : 0);
      guest.p.cr3 = BigInt(PAGE_TABLES);
      guest.mmu.changePrivilege(level);
      guest.mmu.flush();
      guest.mmu.codePages.clear();
      for (let page = code; page < code + 2; page++) guest.mmu.markCode(page);
    });
  }

  tlb = ({ p }: Guest): Uint8Array => new Uint8Array(p.buffer, TLB, TLB_BYTES);
  tables = (guest: Guest): Uint8Array =>
    guest.mmu.memory.bytes.slice(PAGE_TABLES, PAGE_TABLES + TABLES * PAGE_SIZE);

  /** What TypeScript finds, and why it takes TypeScript to find it. */
  translate(linear: number, bytes: number, write: boolean): { address: number; why: string } {
    const { mmu } = this.other;
    const before = this.tables(this.other);
    let address = 0;
    try {
      mmu.check(linear, bytes, write ? "write" : "read");
      address = mmu.translate(linear, write ? "write" : "read");
    } catch {
      return { address, why: "fault" };
    }
    const page = address - (address % PAGE_SIZE);
    const inPage = linear - Math.floor(linear / PAGE_SIZE) * PAGE_SIZE;
    if (inPage + bytes > PAGE_SIZE) return { address, why: "two pages" };
    if (Buffer.compare(before, this.tables(this.other)) !== 0) return { address, why: "flags" };
    if (!mmu.memory.contains(page, PAGE_SIZE)) return { address, why: "no RAM" };
    if (page === linear - inPage) return { address, why: "identity" };
    if (write && mmu.codePages.has(page / PAGE_SIZE)) return { address, why: "code" };
    return { address, why: "" };
  }

  /** As instructions do it. @returns why the walk was refused */
  access(linear: number, bytes: number, write: boolean): string {
    const before = this.tables(this.ours);
    const host = this.walk(BigInt(linear), bytes, write ? 1 : 0);
    expect(Buffer.compare(this.tables(this.ours), before)).toBe(0);
    const { address, why } = this.translate(linear, bytes, write);
    // Those pages are known once they have been accessed.
    if (why === "identity" && host !== 0) {
      expect(host - RAM_BASE).toBe(address);
      this.ours.mmu.check(linear, bytes, write ? "write" : "read");
      return "known";
    }
    expect(host === 0).toBe(why !== "");
    if (host !== 0) expect(host - RAM_BASE).toBe(address);
    else if (why !== "fault") {
      this.ours.mmu.check(linear, bytes, write ? "write" : "read");
    } else {
      expect(() => this.ours.mmu.check(linear, bytes, write ? "write" : "read")).toThrow();
    }
    return why;
  }

  expectSameTlb(): void {
    expect(Buffer.compare(this.tlb(this.ours), this.tlb(this.other))).toBe(0);
  }
}

it("finds what TypeScript finds, or leaves it to that", () => {
  const pair = new Pair();
  const seen = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    pair.begin();
    for (let n = 0; n < ACCESSES; n++) {
      const why = pair.access(randomAddress(), pick([1, 2, 4, 8, 16]), chance(2));
      seen.set(why, (seen.get(why) ?? 0) + 1);
      if (chance(10)) {
        const linear = randomAddress();
        pair.each(({ mmu }) => {
          mmu.invalidatePage(linear);
        });
      }
      if (chance(20)) pair.each(({ mmu }) => mmu.loadRoot());
    }
    pair.expectSameTlb();
  }
  for (const why of ["", "fault", "two pages", "flags", "no RAM", "code"]) {
    expect([why, (seen.get(why) ?? 0) > 50]).toEqual([why, true]);
  }
  expect(seen.get("known")).toBeGreaterThan(0);
});

it("is refused where somebody has to hear of accesses, and for what is no address", () => {
  const pair = new Pair();
  const { ours, walk } = pair;
  const table = (level: number) => PAGE_TABLES + PAGE_SIZE * level;
  for (let level = 0; level < 3; level++) {
    ours.setU64(table(level), BigInt(table(level + 1)) | P | RW | US | A);
  }
  ours.setU64(table(3), 0x5000n | P | RW | US | A | D);
  ours.p.cr0 = CR0.PE | CR0.PG | CR0.WP;
  ours.p.cr4 = CR4.PAE;
  ours.p.efer = EFER.LME | EFER.LMA;
  ours.p.cr3 = BigInt(PAGE_TABLES);
  ours.mmu.flush();
  expect(walk(0x123n, 8, 1)).toBe(RAM_BASE + 0x5123);
  expect(walk((1n << 48n) | 0x123n, 8, 1)).toBe(0);
  ours.mmu.watchFromOutside([{ start: 0x8000, length: 4, reads: false, writes: true, bit: 1 }]);
  expect(walk(0x123n, 8, 1)).toBe(0);
  ours.mmu.watchFromOutside([]);
  expect(walk(0x123n, 8, 1)).toBe(RAM_BASE + 0x5123);
  ours.mmu.trackWrites();
  expect(walk(0x123n, 8, 1)).toBe(0);
});
