import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CR0, CR4, EFER } from "../../../fallback/bits.ts";
import { CpuException, TripleFault } from "../../../fallback/exceptions.ts";
import { MmioNeeded } from "../../../fallback/memory/mmio.ts";
import { readRegisters } from "../../../fallback/registers.ts";
import { RAM_BASE, SEGMENT_INDEX, STATE } from "../../../fallback/state.ts";
import { farCall, farJump, farReturn } from "../../../fallback/system/far-transfer.ts";
import { interruptReturn } from "../../../fallback/system/interrupt-return.ts";
import { deliverException, softwareInterrupt } from "../../../fallback/system/interrupts.ts";
import { loadLdtr, loadSegment, loadTaskRegister } from "../../../fallback/system/segments.ts";
import { GDT, Guest, IDT, PAGE_TABLES, TSS } from "../support/guest.ts";

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const selector = fc.integer({ min: 0, max: 0x7f });
const size = fc.constantFrom(16, 32, 64) as fc.Arbitrary<16 | 32 | 64>;

/** Descriptors and gates that pass most checks, so that the deeper ones are reached. */
const descriptor = fc
  .tuple(u64, fc.integer({ min: 0, max: 0xff }), fc.boolean(), selector)
  .map(([bits, rights, plausible, target]) => {
    const present = plausible ? rights | 0x80 : rights;
    const withRights = (bits & ~(0xffn << 40n)) | (BigInt(present) << 40n);
    return plausible ? (withRights & ~0xffff_0000n) | (BigInt(target) << 16n) : withRights;
  });

const action = fc.oneof(
  fc.tuple(fc.constant(farJump), selector, u64, size),
  fc.tuple(fc.constant(farCall), selector, u64, size),
);

const { buffer } = new Guest().p;

interface Scenario {
  readonly mode: "protected" | "long";
  readonly level: 0 | 3;
  readonly flags: number;
  readonly table: readonly bigint[];
  readonly stack: readonly bigint[];
  readonly pages: readonly bigint[];
  readonly bases: readonly bigint[];
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  mode: fc.constantFrom("protected", "long"),
  level: fc.constantFrom(0, 3),
  flags: fc.integer(),
  table: fc.array(descriptor, { minLength: 16, maxLength: 16 }),
  stack: fc.array(fc.oneof(u64, selector.map(BigInt)), { minLength: 8, maxLength: 8 }),
  pages: fc.array(u64, { maxLength: 2 }),
  bases: fc.array(u64, { maxLength: 4 }),
});

function build({ mode, level, flags, table, stack, pages, bases }: Scenario): Guest {
  const made = new Guest(buffer);
  const guest = mode === "long" ? made.longMode(level) : made.protectedMode(level);
  guest.p.rflags = mode === "long" ? flags & ~(1 << 17) : flags;
  if (guest.p.virtual8086) guest.mmu.changePrivilege(3);
  for (const [n, entry] of table.entries()) {
    guest.setU64(GDT + 8 * n, entry);
    guest.setU64(IDT + 8 * n, entry);
    guest.setU64(TSS + 8 * n, entry);
  }
  for (const [n, slot] of stack.entries()) guest.setU64(0x9000 + 8 * n, slot);
  for (const [n, entry] of pages.entries()) guest.setU64(PAGE_TABLES + 0x2000 + 8 * n, entry);
  const fields = [STATE.GDTR_BASE, STATE.IDTR_BASE];
  for (const [n, base] of bases.entries()) {
    const field = fields[n];
    if (field !== undefined) guest.p.setField(field, base);
    else guest.p.setSegmentBase(SEGMENT_INDEX.tr as number, base);
  }
  guest.p.setGpr(4, 0x9000n);
  guest.p.rip = 0x1234n;
  return guest;
}

/** Runs, and lets nothing out but what the processor knows. */
function survive(guest: Guest, run: () => void): void {
  const before = readRegisters(guest.p);
  try {
    run();
  } catch (error) {
    if (error instanceof TripleFault) return;
    expect(error instanceof CpuException || error instanceof MmioNeeded).toBe(true);
    // A failed instruction has changed no register but CR2.
    expect({ ...readRegisters(guest.p), cr2: 0n }).toEqual({ ...before, cr2: 0n });
  }
}

describe("whatever tables a guest makes", () => {
  const options = { numRuns: 300 };

  it("far transfers and returns change everything or nothing", () => {
    fc.assert(
      fc.property(scenario, action, size, (made, [transfer, target, offset, width], returned) => {
        const guest = build(made);
        survive(guest, () => transfer(guest.p, guest.mmu, target, offset, width));
        const other = build(made);
        survive(other, () => farReturn(other.p, other.mmu, returned, 8));
        const third = build(made);
        survive(third, () => interruptReturn(third.p, third.mmu, returned));
      }),
      options,
    );
  }, 60_000);

  it("segment loads and interrupts change everything or nothing", () => {
    fc.assert(
      fc.property(scenario, selector, fc.integer({ min: 0, max: 15 }), (made, chosen, vector) => {
        const guest = build(made);
        survive(guest, () => loadSegment(guest.p, guest.mmu, chosen % 6, chosen));
        survive(guest, () => loadLdtr(guest.p, guest.mmu, chosen));
        survive(guest, () => loadTaskRegister(guest.p, guest.mmu, chosen));
        const other = build(made);
        survive(other, () => softwareInterrupt(other.p, other.mmu, vector));
        const third = build(made);
        try {
          deliverException(third.p, third.mmu, new CpuException(vector, 0));
        } catch (error) {
          expect(error).toBeInstanceOf(TripleFault);
        }
      }),
      options,
    );
  }, 60_000);

  it("memory accesses through any page tables stay inside RAM", () => {
    const linear = fc.integer({ min: -(2 ** 47), max: 2 ** 47 - 1 });
    const near = fc.integer({ min: 0, max: 2 ** 23 });
    fc.assert(
      fc.property(
        fc.array(u64, { minLength: 8, maxLength: 8 }),
        fc.constantFrom(0, CR4.PSE, CR4.PAE),
        fc.boolean(),
        fc.array(fc.oneof(linear, near), { minLength: 4, maxLength: 4 }),
        (entries, cr4, long, addresses) => {
          const guest = new Guest(buffer);
          const { p, mmu } = guest;
          // Tables that point to each other, so that walks go deep.
          for (let at = 0; at < 0x2000; at += 8) {
            const entry = entries[(at / 8) % entries.length] as bigint;
            guest.setU64(PAGE_TABLES + at, (entry & ~0x00ff_fff0_0000n) | BigInt(PAGE_TABLES) | 7n);
          }
          p.cr0 = CR0.PE | CR0.PG;
          p.cr4 = long ? CR4.PAE : cr4;
          p.efer = long ? EFER.LME | EFER.LMA : 0;
          p.cr3 = BigInt(PAGE_TABLES);
          const below = new Uint8Array(p.buffer, STATE.FX_AREA, 0x200);
          for (const address of addresses) {
            const at = long ? address : address >>> 0;
            for (const access of [
              () => mmu.read64(at),
              () => mmu.write64(at, ~0n),
              () => mmu.write(at, 4, 0),
              () => mmu.invalidatePage(at),
            ]) {
              try {
                access();
              } catch (error) {
                expect(error instanceof CpuException || error instanceof MmioNeeded).toBe(true);
              }
            }
            for (const kind of ["READ", "WRITE"] as const) {
              const base = p.field(STATE[`${kind}_WINDOW_BASE`]);
              const end = base + p.field(STATE[`${kind}_WINDOW_LENGTH`]);
              expect(end).toBeLessThanOrEqual(BigInt(p.buffer.byteLength - RAM_BASE));
            }
          }
          expect(below.reduce((sum, byte) => sum + byte, 0)).toBe(0x7f + 0x03 + 0x80 + 0x1f);
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});
