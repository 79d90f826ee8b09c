/** Guests made of random numbers: memory, tables and the state they start in. */
import { CR0, CR4, EFER, RFLAGS } from "../../fallback/bits.ts";
import {
  GENERAL_REGISTERS,
  type Registers,
  SEGMENT_REGISTERS,
  type Segment,
} from "../../src/core/cpu.ts";
import { KIB } from "../../src/core/units.ts";
import type { SeededRandom } from "../support/random.ts";

export const HOSTILE_MODES = ["real", "protected", "32-bit paging", "PAE", "long"] as const;
export type HostileMode = (typeof HOSTILE_MODES)[number];

/** Where the tables are, so that random code also changes them; the rest of RAM is anything. */
const GDT = 0x1000;
const IDT = 0x2000;
const TSS = 0x3000;
const PAGE_TABLES = 0x1_0000;
const TABLE_PAGES = 16;
const CODE = 0x4_0000;
const CODE_BYTES = 64 * KIB;
const DESCRIPTORS = 32;
const VECTORS = 256;

/**
 * Opcodes that reach the system side: port accesses, far transfers, segment loads, interrupts,
 * control registers, tables, MSRs, strings.
 */
const SYSTEM_BYTES: readonly (readonly number[])[] = [
  ...[
    [0x0f, 0x00],
    [0x0f, 0x01],
    [0x0f, 0x06],
    [0x0f, 0x20],
    [0x0f, 0x22],
    [0x0f, 0x21],
  ],
  ...[
    [0x0f, 0x23],
    [0x0f, 0x30],
    [0x0f, 0x32],
    [0x0f, 0x05],
    [0x0f, 0x07],
    [0x0f, 0x34],
  ],
  ...[
    [0x0f, 0x35],
    [0x0f, 0xae],
    [0x0f, 0xc7],
    [0x0f, 0xa1],
    [0x0f, 0xb2],
    [0x0f, 0xb4],
  ],
  ...[[0x9a], [0xea], [0xca], [0xcb], [0xcf], [0xcd], [0xcc], [0xce], [0xf1], [0x8e], [0x1f]],
  ...[[0x17], [0x9c], [0x9d], [0xfa], [0xfb], [0xf4], [0xe4], [0xe6], [0xec], [0xee], [0xef]],
  ...[[0x6c], [0x6e], [0xf3, 0x6c], [0xf3, 0x6f], [0xf3, 0xa4], [0xf3, 0xa5], [0xf3, 0xab]],
  ...[[0xf2, 0xae], [0xf3, 0xa6], [0xff], [0xc3], [0xe8], [0xeb], [0xe2], [0x66], [0x67]],
  ...[[0x48], [0x4c], [0xf0], [0xd8], [0xdb], [0xdd], [0xd9]],
];

const u64 = (random: SeededRandom): bigint =>
  (BigInt(random.next()) << 32n) | BigInt(random.next());

/** Fills RAM, and tells in which state the guest starts. @param ram all of it */
export function hostileGuest(
  random: SeededRandom,
  mode: HostileMode,
  ram: Uint8Array<ArrayBuffer>,
): (registers: Registers) => void {
  fillMemory(random, ram);
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  const long = mode === "long";
  writeDescriptors(random, view, long);
  writeInterrupts(random, view, mode);
  if (mode === "32-bit paging") writePages32(random, view, ram.length);
  else if (mode !== "real" && mode !== "protected") writePages64(random, view, ram.length);
  return (registers) => setRegisters(random, mode, registers, ram.length);
}

function fillMemory(random: SeededRandom, ram: Uint8Array<ArrayBuffer>): void {
  const words = new Uint32Array(ram.buffer, ram.byteOffset, ram.length / 4);
  const zero = random.chance(30);
  if (zero) words.fill(0);
  else for (let n = 0; n < words.length; n++) words[n] = random.next();
  for (let at = CODE; at < CODE + CODE_BYTES; ) {
    const bytes = random.chance(40) ? random.pick(SYSTEM_BYTES) : [random.next() & 0xff];
    for (const byte of bytes) ram[at++] = byte;
    for (let operand = random.below(3); operand > 0; operand--) ram[at++] = random.next() & 0xff;
  }
}

/** Some of them usable: present, with a type that fits and a limit that reaches somewhere. */
function writeDescriptors(random: SeededRandom, view: DataView, long: boolean): void {
  for (let n = 0; n < DESCRIPTORS; n++) {
    let descriptor = u64(random);
    if (random.chance(70)) {
      const level = BigInt(random.below(4)) << 45n;
      const code = long && random.chance(50) ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn;
      descriptor = random.pick([code, 0x00cf_9300_0000_ffffn, 0x0000_8900_3000_0067n]) | level;
    } else if (random.chance(50)) {
      const gate = BigInt(random.pick([0x84, 0x85, 0x8c, 0xe4, 0xec, 0x81, 0x82, 0x89]));
      const target = BigInt(8 * random.below(DESCRIPTORS)) << 16n;
      descriptor = (descriptor & ~0xff00_ffff_0000n) | (gate << 40n) | target;
    }
    view.setBigUint64(GDT + 8 * n, descriptor, true);
  }
  view.setBigUint64(GDT + 8, long ? 0x00af_9b00_0000_ffffn : 0x00cf_9b00_0000_ffffn, true);
  view.setBigUint64(GDT + 16, 0x00cf_9300_0000_ffffn, true);
  view.setBigUint64(GDT + 24, 0x0000_8900_3000_0067n, true);
}

function writeInterrupts(random: SeededRandom, view: DataView, mode: HostileMode): void {
  const size = mode === "long" ? 16 : mode === "real" ? 4 : 8;
  for (let vector = 0; vector < VECTORS; vector++) {
    if (random.chance(10)) continue;
    const at = (mode === "real" ? 0 : IDT) + size * vector;
    const target = CODE + random.below(CODE_BYTES);
    if (mode === "real") {
      view.setUint32(at, ((target >> 4) << 16) | (target & 0xf), true);
      continue;
    }
    const type = random.pick([0x8e, 0x8f, 0xee, 0xef, 0x85, 0x86, 0xe5, random.next() & 0xff]);
    const selector = random.chance(80) ? 8 : 8 * random.below(DESCRIPTORS);
    view.setUint32(at, (selector << 16) | (target & 0xffff), true);
    view.setUint32(at + 4, (target & 0xffff_0000) | (type << 8) | random.below(8), true);
    if (size === 16) view.setBigUint64(at + 8, random.chance(95) ? 0n : u64(random), true);
  }
}

/** The low bits of an entry: mostly present, writable and for everybody. */
const rights = (random: SeededRandom): number =>
  random.chance(85) ? 7 | (random.next() & 0x1f8) : random.next() & 0xfff;

/** Frames in RAM mostly; some outside, where devices are or nothing is. */
const frame = (random: SeededRandom, size: number): number =>
  random.chance(90) ? random.below(size >> 12) : random.below(1 << 20);

function writePages32(random: SeededRandom, view: DataView, size: number): void {
  for (let at = PAGE_TABLES; at < PAGE_TABLES + TABLE_PAGES * 4096; at += 4) {
    view.setUint32(at, (frame(random, size) << 12) | rights(random), true);
  }
  for (let n = 0; n < 1024; n++) {
    const table = PAGE_TABLES + 4096 * (1 + random.below(TABLE_PAGES - 1));
    view.setUint32(PAGE_TABLES + 4 * n, (table | rights(random) | 1) & ~0x80, true);
  }
  // RAM as it is, so that code is found.
  view.setUint32(PAGE_TABLES, 0x83 | (random.chance(50) ? 4 : 0), true);
}

function writePages64(random: SeededRandom, view: DataView, size: number): void {
  for (let at = PAGE_TABLES; at < PAGE_TABLES + TABLE_PAGES * 4096; at += 8) {
    const target = random.chance(50)
      ? (PAGE_TABLES >> 12) + random.below(TABLE_PAGES)
      : frame(random, size);
    const high = random.chance(95) ? 0 : random.next();
    view.setUint32(at, (target << 12) | rights(random), true);
    view.setUint32(at + 4, high, true);
  }
  const first = (table: number, next: number, bits: number): void =>
    view.setBigUint64(PAGE_TABLES + 4096 * table, BigInt(next | bits), true);
  // Through both a PML4 and PAE's four pointers: the first 2 MiB are themselves.
  first(0, PAGE_TABLES + 4096, 7);
  first(1, PAGE_TABLES + 2 * 4096, 7);
  first(2, 0, 0x87);
  // PAE's own pointers have no rights.
  view.setBigUint64(PAGE_TABLES + 15 * 4096, BigInt(PAGE_TABLES + 2 * 4096 + 1), true);
  for (let n = 1; n < 4; n++) view.setBigUint64(PAGE_TABLES + 15 * 4096 + 8 * n, 0n, true);
}

function setRegisters(
  random: SeededRandom,
  mode: HostileMode,
  registers: Registers,
  size: number,
): void {
  for (const name of GENERAL_REGISTERS) {
    registers[name] = random.chance(70) ? BigInt(random.below(size)) : u64(random);
  }
  registers.rsp = BigInt(CODE + CODE_BYTES + 8 * random.below(4096));
  const system = random.chance(50) ? 0 : random.next() & (RFLAGS.IF | RFLAGS.IOPL | RFLAGS.AC);
  registers.rflags = BigInt(RFLAGS.FIXED | system | (random.chance(5) ? RFLAGS.TF : 0));
  registers.idtr = { base: mode === "real" ? 0n : BigInt(IDT), limit: 0xfff };
  const start = CODE + random.below(CODE_BYTES / 2);
  if (mode === "real") {
    registers.rip = BigInt(random.below(16));
    registers.cs = { ...registers.cs, selector: start >> 4, base: BigInt(start & ~15) };
    registers.ss = { ...registers.ss, selector: 0x5000, base: 0x5_0000n };
    registers.rsp = BigInt(random.below(0x1_0000));
    return;
  }
  registers.rip = BigInt(start);
  registers.gdtr = { base: BigInt(GDT), limit: 8 * DESCRIPTORS - 1 };
  const long = mode === "long";
  const flat = (selector: number, attributes: number): Segment => ({
    ...{ selector, base: 0n, limit: 0xffff_ffff, attributes },
  });
  for (const name of SEGMENT_REGISTERS) registers[name] = flat(16, 0xc093);
  registers.cs = flat(8, long ? 0xa09b : 0xc09b);
  registers.tr = { selector: 24, base: BigInt(TSS), limit: 0x67, attributes: 0x8b };
  registers.cr0 = BigInt(CR0.PE | CR0.ET | CR0.NE | (random.chance(30) ? CR0.WP : 0));
  registers.cr4 = BigInt(CR4.OSFXSR | CR4.OSXMMEXCPT | (random.chance(30) ? CR4.DE : 0));
  if (mode === "protected") return;
  registers.cr0 |= BigInt(CR0.PG);
  registers.cr3 = BigInt(mode === "PAE" ? PAGE_TABLES + 15 * 4096 : PAGE_TABLES);
  registers.cr4 |= BigInt(mode === "32-bit paging" ? CR4.PSE : CR4.PAE | CR4.PGE);
  if (long) registers.efer = BigInt(EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE);
}
