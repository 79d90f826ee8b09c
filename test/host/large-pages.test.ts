import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MIB } from "../../src/core/units.ts";
import { useLargePages } from "../../src/host/large-pages.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { missing } from "../support/requirements.ts";

/** Bytes of this process's memory that may have large pages (proc(5), `VmFlags` of `smaps`). */
function advised(): number {
  const mappings = readFileSync("/proc/self/smaps", "latin1").matchAll(
    /^Size: +(\d+) kB$.*?^VmFlags:([^\n]*)$/gms,
  );
  let kibibytes = 0;
  for (const [, size, flags = ""] of mappings) if (/\bhg\b/.test(flags)) kibibytes += Number(size);
  return kibibytes * 1024;
}

/** So that none goes between one count and the next. */
const allocated: unknown[] = [];

describe.skipIf(missing("addon", "largePages"))("large pages of the host", () => {
  it.each([
    [32, false, 0],
    [100, false, 68],
    [100, true, 68],
  ])("are asked for between the ends of RAM: %i MiB, shared: %s", (size, shared, wanted) => {
    const { ram } = allocateMemory(size, shared);
    allocated.push(ram);
    const before = advised();
    useLargePages(ram);
    expect(advised() - before).toBe(wanted * MIB);
  });
});
