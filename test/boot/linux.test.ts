import { describe, expect, it } from "vitest";
import { planBoot } from "../../src/boot/boot-plan.ts";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { loadImage } from "../../src/boot/direct-boot.ts";
import { identify } from "../../src/boot/image.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import { gpa, MIB } from "../../src/core/units.ts";
import { SeededRandom } from "../support/random.ts";

const memory = (): GuestMemory => new GuestMemory(new ArrayBuffer(64 * MIB));

/** A bzImage of one setup sector, whose kernel is bytes of 0xaa. */
function bzImage(change: (view: DataView) => void = () => {}): MemorySource {
  const bytes = new Uint8Array(1024 + 8192).fill(0xaa, 1024);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x66eb, true);
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint16(0x236, 1, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x258, 0x100_0000, true);
  view.setUint32(0x260, 0x20_0000, true);
  change(view);
  return new MemorySource(bytes);
}

describe("Linux", () => {
  it("is left to the BIOS where it is a floppy's beginning, unless there is something to pass", () => {
    const floppy = new Uint8Array(1440 * 1024);
    const kernel = bzImage();
    floppy.set(kernel.read(0, kernel.size));
    const plan = (source: MemorySource, commandLine: string[] = [], initrd?: MemorySource) =>
      planBoot({ source, memory: memory(), commandLine, initrd }, "auto").kind;
    const image = new MemorySource(floppy);
    expect(plan(image)).toBe("bios");
    expect(plan(image, ["quiet"])).toBe("direct");
    expect(plan(image, [], kernel)).toBe("direct");
    expect(plan(kernel)).toBe("direct");
  });

  it("is entered in 64-bit mode, with memory, command line and initrd in the boot parameters", () => {
    const ram = memory();
    const initrd = new MemorySource(new Uint8Array(5000).fill(0x77));
    const { registers } = loadImage({
      ...{ source: bzImage(), memory: ram, initrd },
      commandLine: ["console=ttyS0", "quiet"],
    });
    expect(registers.rip).toBe(0x100_0200n);
    expect([registers.cs.selector, registers.ds.selector]).toEqual([0x10, 0x18]);
    expect(registers.efer).toBe(0x500n);
    expect(ram.readU8(gpa(0x100_0000))).toBe(0xaa);
    const parameters = Number(registers.rsi);
    const u32 = (offset: number): number => ram.readU32(gpa(parameters + offset));
    const commandLine = u32(0x228);
    const line = ram.slice(gpa(commandLine), 20);
    expect(new TextDecoder().decode(line.slice())).toBe("console=ttyS0 quiet\0");
    expect(u32(0x21c)).toBe(5000);
    expect(u32(0x218) % 4096).toBe(0);
    expect(ram.readU8(gpa(u32(0x218) + 4999))).toBe(0x77);
    expect(u32(0x218) + 5000).toBeGreaterThan(64 * MIB - 4096);
    expect(ram.readU8(gpa(parameters + 0x1e8))).toBe(4);
    expect(ram.readU8(gpa(parameters + 0x210))).toBe(0xff);
    // Every address below 4 GiB is mapped onto itself.
    const walk = (table: number, index: number): number =>
      ram.readU64(gpa(table + 8 * index)) - (ram.readU64(gpa(table + 8 * index)) % 4096);
    const directory = walk(walk(Number(registers.cr3), 0), 3);
    expect(ram.readU64(gpa(directory + 8 * 511))).toBe(0xffe0_0083);
  });

  it("is entered in 32-bit mode where it has no other entry", () => {
    const { registers } = loadImage({
      source: bzImage((view) => view.setUint16(0x236, 0, true)),
      memory: memory(),
      commandLine: [],
    });
    expect([registers.rip, registers.cr0 & (1n << 31n), registers.efer]).toEqual([
      ...[0x100_0000n, 0n, 0n],
    ]);
  });

  it("is entered at its setup code, in real mode, if it is too old for another way", () => {
    const ram = memory();
    const { registers } = loadImage({
      source: bzImage((view) => view.setUint16(0x206, 0x0207, true)),
      memory: ram,
      commandLine: ["one", "two"],
      initrd: new MemorySource(new Uint8Array(3000).fill(0x77)),
    });
    expect([registers.cs.selector, registers.rip, registers.cr0 & 1n]).toEqual([0x9020, 0n, 0n]);
    expect([registers.ss.base, registers.rsp]).toEqual([0x9_0000n, 0xe000n]);
    expect(ram.readU8(gpa(0x10_0000))).toBe(0xaa);
    const u32 = (offset: number): number => ram.readU32(gpa(0x9_0000 + offset));
    expect(u32(0x202)).toBe(0x5372_6448);
    expect([u32(0x210) & 0x80ff, ram.readU16(gpa(0x9_0224))]).toEqual([0x80ff, 0xde00]);
    expect(new TextDecoder().decode(ram.slice(gpa(u32(0x228)), 8).slice())).toBe("one two\0");
    expect([u32(0x21c), ram.readU8(gpa(u32(0x218) + 2999))]).toEqual([3000, 0x77]);
  });

  it.each([
    ["has no header", 0, 0xaa55, false],
    ["has a header of 2.01, and is not to be loaded high", 0x0201, 0x66eb, true],
  ])(
    "is entered at its setup code, with the kernel at 64 KiB, if it %s",
    (_, version, jump, known) => {
      const ram = memory();
      const source = bzImage((view) => {
        if (!known) view.setUint32(0x202, 0, true);
        view.setUint16(0x206, version, true);
        view.setUint16(0x200, jump, true);
        view.setUint8(0x211, 0);
        view.setUint32(0x1f4, 8192 / 16, true);
      });
      const { registers } = loadImage({ source, memory: ram, commandLine: ["one", "two"] });
      expect([registers.cs.selector, registers.rip, registers.ss.base]).toEqual([
        ...[0x9020, 0n, 0x9_0000n],
      ]);
      expect([ram.readU8(gpa(0x1_0000)), ram.readU8(gpa(0x10_0000))]).toEqual([0xaa, 0]);
      const u16 = (offset: number): number => ram.readU16(gpa(0x9_0000 + offset));
      expect(u16(0x20)).toBe(0xa33f);
      expect(new TextDecoder().decode(ram.slice(gpa(0x9_0000 + u16(0x22)), 8).slice())).toBe(
        "one two\0",
      );
      expect(registers.rsp).toBe(BigInt(u16(0x22)));
      expect([u16(0x210) & 0xff, u16(0x212)]).toEqual(known ? [0xff, u16(0x22) + 8] : [0, 0]);
    },
  );

  it("without a header is known by its size, takes no initrd and no more than there is room", () => {
    const old = (paragraphs: number, size = 1024 + 8192): MemorySource => {
      const bytes = new Uint8Array(size);
      const head = bzImage((view) => {
        view.setUint32(0x202, 0, true);
        view.setUint32(0x1f4, paragraphs, true);
      });
      bytes.set(head.read(0, 1024));
      return new MemorySource(bytes);
    };
    const kinds = [0, 480, 481, 512, 576, 577].map((paragraphs) => identify(old(paragraphs)).kind);
    expect(kinds).toEqual(["other", "other", "linux", "linux", "linux", "other"]);
    const initrd = new MemorySource(new Uint8Array(16));
    const load = (source: MemorySource, files?: MemorySource) => () =>
      loadImage({ source, memory: memory(), commandLine: [], initrd: files });
    expect(load(old(512), initrd)).toThrow(/too old to take an initrd/);
    const large = 0x8_0000 / 16 + 1;
    expect(load(old(large, 1024 + 16 * large))).toThrow(/no room below 0x90000/);
  });

  it("is refused with a setup code that has no room", () => {
    const source = bzImage((view) => {
      view.setUint16(0x206, 0x0207, true);
      view.setUint8(0x1f1, 100);
    });
    const large = new Uint8Array(60_000);
    large.set(source.read(0, source.size));
    const request = { source: new MemorySource(large), memory: memory(), commandLine: [] };
    expect(() => loadImage(request)).toThrow("no room below 0x9fc00 for the kernel's setup code");
  });

  it.each([
    ["no kernel behind the setup", (view: DataView) => view.setUint8(0x1f1, 60), /truncated/],
    ["too large a need", (view: DataView) => view.setUint32(0x260, 2 ** 31, true), /raise --mem/],
    ["a short command line", (view: DataView) => view.setUint32(0x238, 3, true), /takes 3/],
  ])("is refused with %s", (_what, change, message) => {
    const request = { source: bzImage(change), memory: memory(), commandLine: ["four"] };
    expect(() => loadImage(request)).toThrow(message);
  });

  it("is refused when there is no room for its initrd", () => {
    const initrd = new MemorySource(new Uint8Array(50 * MIB));
    const request = { source: bzImage(), memory: memory(), commandLine: [], initrd };
    expect(() => loadImage(request)).toThrow(/no room for the initrd \(50 MiB\)/);
  });

  it("gives a clear line for any mutation of its header", () => {
    const random = new SeededRandom(6);
    const ram = memory();
    for (let i = 0; i < 3000; i++) {
      const source = bzImage((view) => {
        for (let n = random.below(4); n >= 0; n--) {
          view.setUint8(0x1f1 + random.below(0x80), random.below(256));
        }
      });
      try {
        loadImage({ source, memory: ram, commandLine: ["x"] });
      } catch (error) {
        expect((error as Error).name).toBe("GuestError");
        expect((error as Error).message).not.toContain("\n");
      }
    }
  });
});
