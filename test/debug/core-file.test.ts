import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, PAGE_SIZE } from "../../src/core/units.ts";
import { coreFile, SIGNAL } from "../../src/debug/core-file.ts";
import { touchedPages } from "../../src/host/touched-pages.ts";
import { allocateMemory } from "../../src/machine/memory.ts";
import { missing } from "../support/requirements.ts";
import { stateAt } from "../support/scripted-cpu.ts";
import { temporaryFolder } from "../support/temporary.ts";

const PAGES = 16;

describe("a core file", () => {
  it("has the pages that are not zero, each once and in its place, and looks at no others", () => {
    const memory = new GuestMemory(new ArrayBuffer(PAGES * PAGE_SIZE));
    const untouched = 9 * PAGE_SIZE;
    for (const page of [2, 3, 7, 9]) memory.writeU8(gpa(page * PAGE_SIZE + page), page);
    const looked: number[] = [];
    const { size, pieces } = coreFile({
      registers: stateAt(0).registers,
      vectors: undefined,
      memory,
      touched: (address) => {
        looked.push(address);
        return address !== untouched;
      },
      signal: SIGNAL.ABRT,
    });
    const [head, ...ram] = [...pieces];
    const ramAt = size - memory.size;
    expect(head?.offset).toBe(0);
    expect(ram.map(({ offset, bytes }) => [offset - ramAt, bytes.length])).toEqual([
      [2 * PAGE_SIZE, 2 * PAGE_SIZE],
      [7 * PAGE_SIZE, PAGE_SIZE],
    ]);
    expect(looked.length).toBe(PAGES);
  });
});

describe.skipIf(missing("gdb"))("a core file's registers", () => {
  it("are YMM registers, too", () => {
    const memory = new GuestMemory(new ArrayBuffer(PAGE_SIZE));
    const vectors = stateAt(0);
    vectors.fx[0xa0 + 16 * 3] = 5;
    vectors.ymmUppers[16 * 3 + 8] = 6;
    const { registers } = vectors;
    const { size, pieces } = coreFile({
      ...{ registers, vectors, memory, signal: SIGNAL.ILL },
      touched: () => true,
    });
    const file = new Uint8Array(size);
    for (const { offset, bytes } of pieces) file.set(bytes, offset);
    const path = join(temporaryFolder(), "core");
    writeFileSync(path, file);
    const commands = ["-ex", `core-file ${path}`, "-ex", "print $ymm3.v4_int64"];
    const said = execFileSync("gdb", ["-batch", "-nx", ...commands], { encoding: "utf8" });
    expect(said).toContain("SIGILL");
    expect(said).toContain("{5, 0, 0, 6}");
  });
});

const unknown = process.platform !== "linux" || missing("addon");
describe.skipIf(unknown)("guest memory that nobody has used", () => {
  it.each([false, true])("is known to be untouched (shared: %s)", (shared) => {
    const { ram } = allocateMemory(64, shared);
    ram.writeU8(gpa(0x123_4567), 1);
    const touched = touchedPages(ram);
    expect(touched(gpa(0x123_4000))).toBe(true);
    const others = [0, 0x10_0000, 0x200_0000, 0x3ff_f000].map((address) => touched(gpa(address)));
    expect(others).toEqual([false, false, false, false]);
  });
});
