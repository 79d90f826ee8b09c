import { beforeEach, describe, expect, it } from "vitest";
import { cdDrive, floppyDrive, hardDisk } from "../../../src/boot/bios/drive.ts";
import { OverlayDisk } from "../../../src/boot/bios/overlay-disk.ts";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import { gpa, MILLISECOND, SECOND } from "../../../src/core/units.ts";
import { BiosRig } from "./rig.ts";

let rig: BiosRig;

beforeEach(() => {
  rig = new BiosRig();
});

describe("INT 10h, video", () => {
  it("tells once of a graphics mode", () => {
    for (const mode of [0, 3, 7, 0x83]) rig.int(0x10, { ah: 0, al: mode });
    expect(rig.graphics).toEqual([]);
    for (const mode of [0x93, 0x12]) rig.int(0x10, { ah: 0, al: mode });
    expect(rig.graphics).toEqual([0x13]);
  });

  it("tells the VGA how wide rows are, and whether the text memory holds text", () => {
    const { ports } = rig.board;
    const register = (port: number, index: number): number => {
      ports.write(port, 1, index);
      return ports.read(port + 1, 1);
    };
    for (const [mode, last, map] of [
      [1, 39, 0x0e],
      [6, 79, 0x0f],
      [0x13, 79, 0x05],
      [3, 79, 0x0e],
    ] as const) {
      rig.int(0x10, { ah: 0, al: mode });
      expect([register(0x3d4, 1), register(0x3ce, 6)]).toEqual([last, map]);
      expect(rig.int(0x10, { ah: 0x0f }).get("ah")).toBe(last + 1);
    }
  });

  const teletype = (text: string): void => {
    for (const letter of text) rig.int(0x10, { ah: 0x0e, al: letter.charCodeAt(0) });
  };

  it("writes as a teletype, and scrolls when the screen is full", () => {
    rig.int(0x10, { ah: 0, al: 3 });
    teletype("one\r\ntwo\b\b\x07-");
    expect(rig.rows().slice(0, 2)).toEqual(["one", "t-o"]);
    expect(rig.int(0x10, { ah: 3, bh: 0 }).get("dx")).toBe(0x0102);
    const before = rig.scrolls;
    teletype("\n".repeat(24));
    expect(rig.rows()[0]).toBe("t-o");
    expect(rig.scrolls).toBe(before + 1);
  });

  it("wraps at the right edge", () => {
    rig.int(0x10, { ah: 0, al: 3 });
    teletype("x".repeat(81));
    expect(rig.rows().slice(0, 2)).toEqual(["x".repeat(80), "x"]);
  });

  it("puts the cursor anywhere, and the CRT controller knows", () => {
    rig.int(0x10, { ah: 2, bh: 0, dx: 0x0510 });
    rig.int(0x10, { ah: 0x09, al: 0x41, bh: 0, bl: 0x1e, cx: 3 });
    expect(rig.rows()[5]).toBe(`${" ".repeat(16)}AAA`);
    expect(rig.int(0x10, { ah: 0x08, bh: 0 }).get("ax")).toBe(0x1e41);
    rig.board.ports.write(0x3d4, 1, 0x0f);
    expect(rig.board.ports.read(0x3d5, 1)).toBe((5 * 80 + 16) & 0xff);
  });

  it("scrolls a window up and down, and clears it", () => {
    rig.int(0x10, { ah: 0, al: 3 });
    teletype("aaaa\r\nbbbb\r\ncccc");
    rig.int(0x10, { ah: 6, al: 1, bh: 7, cx: 0x0001, dx: 0x0202 });
    expect(rig.rows().slice(0, 3)).toEqual(["abba", "bccb", "c  c"]);
    rig.int(0x10, { ah: 7, al: 1, bh: 7, cx: 0x0001, dx: 0x0202 });
    expect(rig.rows().slice(0, 3)).toEqual(["a  a", "bbbb", "cccc"]);
    rig.int(0x10, { ah: 6, al: 0, bh: 7, cx: 0, dx: 0x184f });
    expect(rig.rows().join("")).toBe("");
  });

  it("writes strings, with attributes among them or not", () => {
    rig.memory.write(gpa(0x5000), new TextEncoder().encode("h\x1fi\x2f"));
    rig.int(0x10, { ah: 0x13, al: 3, bh: 0, cx: 2, dx: 0x0102, es: 0x500, bp: 0 });
    expect(rig.rows()[1]).toBe("  hi");
    expect(rig.memory.readU8(gpa(0xb_8000 + 160 + 7))).toBe(0x2f);
    expect(rig.int(0x10, { ah: 3, bh: 0 }).get("dx")).toBe(0x0104);
  });

  it("says what it is", () => {
    const mode = rig.int(0x10, { ah: 0x0f });
    expect([mode.get("al"), mode.get("ah"), mode.get("bh")]).toEqual([3, 80, 0]);
    expect(rig.int(0x10, { ax: 0x1a00 }).get("bx")).toBe(8);
    expect(rig.int(0x10, { ah: 0x12, bl: 0x10 }).get("bx")).toBe(3);
  });

  it("leaves what it does not know as it is", () => {
    expect(rig.int(0x10, { ax: 0xfe00 }).get("ax")).toBe(0xfe00);
  });

  it("has no VBE without a display, and tells once", () => {
    for (let i = 0; i < 2; i++) expect(rig.int(0x10, { ax: 0x4f00 }).get("ax")).toBe(0x4f00);
    expect(rig.vbeMissed).toBe(1);
  });
});

describe("INT 13h, disks", () => {
  /** Sectors whose bytes are their number. */
  const image = (sectors: number, size = 512): MemorySource => {
    const bytes = new Uint8Array(sectors * size);
    for (let i = 0; i < sectors; i++) bytes.fill(i, i * size, (i + 1) * size);
    return new MemorySource(bytes);
  };

  beforeEach(() => {
    rig = new BiosRig({
      drives: [
        floppyDrive(0, new OverlayDisk(image(2880))),
        hardDisk(0x80, new OverlayDisk(image(16 * 63 * 4))),
        cdDrive(0xe0, { ...new OverlayDisk(image(10, 2048)), ...cdOf(image(10, 2048)) }),
      ],
    });
  });

  const cdOf = (source: MemorySource): Parameters<typeof cdDrive>[1] => ({
    capacity: source.size - 100,
    readOnly: true,
    read: (offset, into) => into.set(source.read(offset, into.length)),
    write: () => {},
  });

  it("has a table of the first hard disks' parameters behind INT 41h and 46h", () => {
    const sized = (capacity: number) => ({
      ...{ capacity, readOnly: true, write: () => {} },
      read: (_offset: number, into: Uint8Array) => void into.fill(0),
    });
    const cylinder = 16 * 63 * 512;
    const { memory } = new BiosRig({
      drives: [
        hardDisk(0x80, sized(120 * cylinder)),
        hardDisk(0x81, sized(2048 * cylinder)),
        hardDisk(0x82, sized(8 * cylinder)),
      ],
    });
    const tableOf = (vector: number) => {
      const [offset, segment] = [0, 2].map((at) => memory.readU16(gpa(4 * vector + at)));
      return [...memory.slice(gpa(((segment ?? 0) << 4) + (offset ?? 0)), 16)];
    };
    expect(tableOf(0x41)).toEqual([120, 0, 16, 0, 0, 0xff, 0xff, 0, 0xc8, 0, 0, 0, 120, 0, 63, 0]);
    const translated = tableOf(0x46);
    expect(translated.slice(0, 15)).toEqual([
      ...[0, 4, 32, 0xa0, 63, 0xff, 0xff, 0],
      ...[0xc8, 0, 8, 16, 0, 8, 63],
    ]);
    expect(translated.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });

  const packet = (count: number, address: number, block: number): void => {
    rig.memory.writeU16(gpa(0x600), 16);
    rig.memory.writeU16(gpa(0x602), count);
    rig.memory.writeU16(gpa(0x604), address & 0xf);
    rig.memory.writeU16(gpa(0x606), address >> 4);
    rig.memory.writeU64(gpa(0x608), block);
  };

  it("reads by cylinder, head and sector", () => {
    const read = rig.int(0x13, { ax: 0x0202, cx: 0x0112, dx: 0x0100, bx: 0x8000 });
    expect([read.carry, read.get("ah"), read.get("al")]).toEqual([false, 0, 2]);
    const block = (1 * 2 + 1) * 18 + 17;
    expect(rig.memory.readU8(gpa(0x8000))).toBe(block & 0xff);
    expect(rig.memory.readU8(gpa(0x8200))).toBe((block + 1) & 0xff);
  });

  it("writes, and reads back; the image itself stays as it was", () => {
    rig.memory.fill(gpa(0x8000), 512, 0xee);
    expect(rig.int(0x13, { ax: 0x0301, cx: 0x0001, dx: 0x80, bx: 0x8000 }).carry).toBe(false);
    rig.int(0x13, { ax: 0x0202, cx: 0x0001, dx: 0x80, bx: 0x9000 });
    expect(rig.memory.readU8(gpa(0x91ff))).toBe(0xee);
    expect(rig.memory.readU8(gpa(0x9200))).toBe(1);
  });

  it.each([
    ["sector 0", { ax: 0x0201, cx: 0x0000, dx: 0x80 }, 0x01],
    ["a head too many", { ax: 0x0201, cx: 0x0001, dx: 0x1080 }, 0x04],
    ["a cylinder too many", { ax: 0x0201, cx: 0x0401, dx: 0x80 }, 0x04],
    ["a drive that is not there", { ax: 0x0201, cx: 0x0001, dx: 0x81 }, 0x01],
    ["a function that is not there", { ah: 0x7f, dx: 0x80 }, 0x01],
  ])("refuses %s, and remembers", (_what, values, status) => {
    const failed = rig.int(0x13, { ...values, bx: 0x8000 });
    expect([failed.carry, failed.get("ah")]).toEqual([true, status]);
    expect(rig.int(0x13, { ah: 1, dx: 0x80 }).get("ah")).toBe(status);
  });

  it("tells a disk's geometry, and what it is", () => {
    const disk = rig.int(0x13, { ah: 8, dx: 0x80 });
    expect([disk.get("cx"), disk.get("dx")]).toEqual([0x033f, 0x0f01]);
    const floppy = rig.int(0x13, { ah: 8, dx: 0 });
    expect([floppy.get("cx"), floppy.get("dx"), floppy.get("bl")]).toEqual([0x4f12, 0x0101, 4]);
    expect(rig.int(0x13, { ah: 0x15, dx: 0x80 }).get("ah")).toBe(3);
    expect(rig.int(0x13, { ah: 0x15, dx: 0 }).get("ah")).toBe(1);
    expect(rig.int(0x13, { ah: 0x15, dx: 0x85 }).carry).toBe(true);
  });

  it("reads by block, from disks and CDs", () => {
    expect(rig.int(0x13, { ah: 0x41, bx: 0x55aa, dx: 0x80 }).get("bx")).toBe(0xaa55);
    packet(3, 0x9000, 7);
    expect(rig.int(0x13, { ah: 0x42, dx: 0x80, si: 0x600 }).carry).toBe(false);
    expect(rig.memory.readU8(gpa(0x9400))).toBe(9);
    packet(1, 0x9000, 9);
    expect(rig.int(0x13, { ah: 0x42, dx: 0xe0, si: 0x600 }).carry).toBe(false);
    expect(rig.memory.readU8(gpa(0x9000 + 2048 - 101))).toBe(9);
    expect(rig.memory.readU8(gpa(0x9000 + 2048 - 100))).toBe(0);
  });

  it("refuses blocks past the end and packets that are too small", () => {
    packet(1, 0x9000, 16 * 63 * 4);
    const past = rig.int(0x13, { ah: 0x42, dx: 0x80, si: 0x600 });
    expect([past.carry, past.get("ah"), rig.memory.readU16(gpa(0x602))]).toEqual([true, 4, 0]);
    packet(1, 0x9000, 2 ** 52);
    expect(rig.int(0x13, { ah: 0x42, dx: 0x80, si: 0x600 }).carry).toBe(true);
    rig.memory.writeU8(gpa(0x600), 8);
    expect(rig.int(0x13, { ah: 0x42, dx: 0x80, si: 0x600 }).get("ah")).toBe(1);
    packet(1, 0x9000, 0);
    expect(rig.int(0x13, { ah: 0x43, dx: 0xe0, si: 0x600 }).get("ah")).toBe(3);
  });

  it("tells a disk's size in blocks", () => {
    rig.memory.writeU16(gpa(0x600), 0x1e);
    expect(rig.int(0x13, { ah: 0x48, dx: 0x80, si: 0x600 }).carry).toBe(false);
    expect(rig.memory.readU64(gpa(0x610))).toBe(16 * 63 * 4);
    expect(rig.memory.readU16(gpa(0x618))).toBe(512);
    rig.int(0x13, { ah: 0x48, dx: 0xe0, si: 0x600 });
    expect([rig.memory.readU64(gpa(0x610)), rig.memory.readU16(gpa(0x618))]).toEqual([10, 2048]);
  });
});

describe("INT 15h, system services", () => {
  it("lists the memory", () => {
    const entries: number[][] = [];
    let ebx = 0;
    do {
      const call = rig.int(0x15, { eax: 0xe820, ebx, ecx: 20, edx: 0x534d4150, edi: 0x8000 });
      expect([call.carry, call.get("eax"), call.get("ecx")]).toEqual([false, 0x534d4150, 20]);
      const at = (offset: number): number => rig.memory.readU64(gpa(0x8000 + offset));
      entries.push([at(0), at(8), rig.memory.readU32(gpa(0x8010))]);
      ebx = call.get("ebx");
    } while (ebx !== 0);
    expect(entries).toEqual([
      [0, 0x9fc00, 1],
      [0x9fc00, 0x400, 2],
      [0xe0000, 0x20000, 2],
      [0x100000, 63 * 1024 * 1024, 1],
    ]);
    expect(rig.int(0x15, { eax: 0xe820, ebx: 9, ecx: 20, edx: 0x534d4150 }).carry).toBe(true);
  });

  it("tells the memory's size in the older ways", () => {
    expect(rig.int(0x15, { ah: 0x88 }).get("ax")).toBe(63 * 1024);
    const sizes = rig.int(0x15, { ax: 0xe801 });
    expect([sizes.get("ax"), sizes.get("bx"), sizes.get("cx"), sizes.get("dx")]).toEqual([
      ...[15 * 1024, 48 * 16, 15 * 1024, 48 * 16],
    ]);
    expect(rig.int(0x12, {}).get("ax")).toBe(639);
  });

  it("moves blocks above 1 MiB", () => {
    rig.memory.write(gpa(0x9000), Uint8Array.of(1, 2, 3, 4));
    rig.memory.writeU16(gpa(0x612), 0x9000);
    rig.memory.writeU16(gpa(0x61a), 0x2345);
    rig.memory.writeU8(gpa(0x61c), 0x20);
    expect(rig.int(0x15, { ah: 0x87, cx: 2, si: 0x600 }).carry).toBe(false);
    expect([...rig.memory.slice(gpa(0x20_2345), 4)]).toEqual([1, 2, 3, 4]);
    rig.memory.writeU8(gpa(0x61f), 0xf0);
    expect(rig.int(0x15, { ah: 0x87, cx: 2, si: 0x600 }).carry).toBe(true);
  });

  it("waits without keeping the host from its work", () => {
    const call = rig.int(0x15, { ah: 0x86, cx: 0, dx: 25_000 }, () =>
      rig.clock.advance(10 * MILLISECOND),
    );
    expect([call.waited, call.carry]).toEqual([3, false]);
  });

  it("waits from the beginning after a restart in the middle", () => {
    const wait = { ah: 0x86, cx: 0, dx: 25_000 };
    const restarted = () => {
      throw new Error("restarted");
    };
    expect(() => rig.int(0x15, wait, restarted)).toThrow("restarted");
    rig.clock.advance(SECOND);
    rig.registers = rig.bios.start();
    rig.trap();
    expect(rig.int(0x15, wait, () => rig.clock.advance(10 * MILLISECOND)).waited).toBe(3);
  });

  it("opens and closes the A20 gate", () => {
    rig.int(0x15, { ax: 0x2400 });
    expect(rig.int(0x15, { ax: 0x2402 }).get("al")).toBe(0);
    rig.int(0x15, { ax: 0x2401 });
    expect(rig.int(0x15, { ax: 0x2402 }).get("al")).toBe(1);
  });

  it("has no APM, and says so of what it does not know", () => {
    for (const ax of [0x5300, 0xec00, 0xe980, 0xd800]) {
      const call = rig.int(0x15, { ax });
      expect([call.carry, call.get("ah")]).toEqual([true, 0x86]);
    }
  });

  it("shows its configuration", () => {
    const call = rig.int(0x15, { ah: 0xc0 });
    const table = call.es * 16 + call.get("bx");
    expect([rig.memory.readU16(gpa(table)), rig.memory.readU8(gpa(table + 2))]).toEqual([8, 0xfc]);
    expect(rig.int(0x15, { ah: 0xc1 }).es).toBe(0x9fc0);
  });
});

describe("INT 16h, keyboard", () => {
  /** What happens when a key is pressed: bytes, and an interrupt for each. */
  const type = (text: string): void => {
    rig.console.receive(text);
    while ((rig.board.ports.read(0x64, 1) & 1) !== 0) rig.int(0x09, {});
  };

  it("waits for a key", () => {
    const call = rig.int(0x16, { ah: 0 }, () => type("k"));
    expect([call.waited, call.get("ax")]).toEqual([1, 0x256b]);
  });

  it("looks at a key without taking it", () => {
    rig.int(0x16, { ah: 1 });
    expect(rig.zero()).toBe(true);
    type("Y\r");
    for (let i = 0; i < 2; i++) {
      expect(rig.int(0x16, { ah: 1 }).get("ax")).toBe(0x1559);
      expect(rig.zero()).toBe(false);
    }
    expect(rig.int(0x16, { ah: 0 }).get("ax")).toBe(0x1559);
    expect(rig.int(0x16, { ah: 0 }).get("ax")).toBe(0x1c0d);
  });

  it("knows arrows, function keys, control and what the extended functions add", () => {
    type("\x1b[A");
    expect(rig.int(0x16, { ah: 0x10 }).get("ax")).toBe(0x48e0);
    type("\x1b[B");
    expect(rig.int(0x16, { ah: 0x00 }).get("ax")).toBe(0x5000);
    type("\x1bOP");
    expect(rig.int(0x16, { ah: 0x00 }).get("ax")).toBe(0x3b00);
    type("\x03");
    expect(rig.int(0x16, { ah: 0x00 }).get("ax")).toBe(0x2e03);
    expect(rig.int(0x16, { ah: 2 }).get("al")).toBe(0);
  });

  it("loses none of what is typed faster than it is read", () => {
    const text = "abcdefghijklmnopqrstuvwxyz";
    rig.console.receive(text);
    /** The controller asks as long as its byte is not taken; those that are declined stay. */
    const interrupts = (): void => {
      for (let i = 0; i < 100; i++) rig.int(0x09, {});
    };
    interrupts();
    const read = [...text].map(() => {
      const key = rig.int(0x16, { ah: 0 }, () => rig.int(0x08, {})).get("al");
      interrupts();
      return String.fromCharCode(key);
    });
    expect(read.join("")).toBe(text);
  });

  it("goes on when a program has taken keys out of the buffer by itself", () => {
    rig.console.receive("abcdefghijklmnopqrstuvwxyz");
    for (let i = 0; i < 100; i++) rig.int(0x09, {});
    rig.memory.writeU16(gpa(0x41a), rig.memory.readU16(gpa(0x41c)));
    rig.int(0x08, {});
    for (let i = 0; i < 100; i++) rig.int(0x09, {});
    expect(rig.int(0x16, { ah: 1 }).get("al")).toBe("p".charCodeAt(0));
  });

  it("takes keys from programs, until its buffer is full", () => {
    const put = (): number => rig.int(0x16, { ah: 5, cx: 0x1234 }).get("al");
    expect(Array.from({ length: 16 }, put)).toEqual([...new Array(15).fill(0), 1]);
    expect(rig.int(0x16, { ah: 0 }).get("ax")).toBe(0x1234);
  });
});

describe("INT 1Ah and INT 08h, time", () => {
  it("counts ticks since midnight, and notices the next one", () => {
    const ticks = (): number => {
      const call = rig.int(0x1a, { ah: 0 });
      return call.get("cx") * 0x10000 + call.get("dx");
    };
    const seconds = 12 * 3600 + 34 * 60 + 56;
    expect(ticks()).toBe(Math.floor((seconds / 86_400) * 0x1800b0));
    const before = ticks();
    rig.int(0x08, {});
    expect(ticks()).toBe(before + 1);
    rig.int(0x1a, { ah: 1, cx: 0x0018, dx: 0x00af });
    rig.int(0x08, {});
    expect(rig.int(0x1a, { ah: 0 }).get("al")).toBe(1);
    expect(ticks()).toBe(0);
  });

  it("reads the real-time clock", () => {
    const time = rig.int(0x1a, { ah: 2 });
    expect([time.get("cx"), time.get("dh")]).toEqual([0x1234, 0x56]);
    const date = rig.int(0x1a, { ah: 4 });
    expect([date.get("cx"), date.get("dx")]).toEqual([0x2026, 0x1128]);
  });

  it("is a PCI BIOS", () => {
    const present = rig.int(0x1a, { ax: 0xb101 });
    expect([present.carry, present.get("edx"), present.get("ax")]).toEqual([
      ...[false, 0x20494350, 0x0001],
    ]);
    const bridge = rig.int(0x1a, { ax: 0xb102, dx: 0x8086, cx: 0x1237, si: 0 });
    expect([bridge.carry, bridge.get("bx")]).toEqual([false, 0]);
    expect(rig.int(0x1a, { ax: 0xb103, ecx: 0x060100, si: 0 }).get("bx")).toBe(0x08);
    expect(rig.int(0x1a, { ax: 0xb102, dx: 0xabcd, cx: 1, si: 0 }).get("ah")).toBe(0x86);
    expect(rig.int(0x1a, { ax: 0xb109, bx: 0, di: 0 }).get("cx")).toBe(0x8086);
    expect(rig.int(0x1a, { ax: 0xb109, bx: 0, di: 1 }).get("ah")).toBe(0x87);
    expect(rig.int(0x1a, { ax: 0xb10e }).get("ah")).toBe(0x81);
  });
});

describe("the other services", () => {
  it("names equipment: a coprocessor, a mouse, a colour screen, a serial port, no printer", () => {
    expect(rig.int(0x11, {}).get("ax")).toBe(0x0226);
    expect(rig.int(0x17, { ah: 0, dx: 0 }).get("ah")).toBe(1);
  });

  it("sends and receives by the serial port", () => {
    rig.int(0x14, { ax: 0x00e3, dx: 0 });
    rig.int(0x14, { ah: 1, al: 0x21, dx: 0 });
    expect(rig.console.text).toBe("No bootable device.\n!");
    expect(rig.int(0x14, { ah: 2, dx: 0 }).get("ah") & 0x80).toBe(0x80);
    rig.console.receive("x");
    expect(rig.int(0x14, { ah: 2, dx: 0 }).get("ax")).toBe(0x6178);
  });

  it("leaves the keys to the keyboard where the serial port is only set up and sent to", () => {
    rig.int(0x14, { ax: 0x00e3, dx: 0 });
    rig.int(0x14, { ah: 3, dx: 0 });
    rig.console.receive("a");
    rig.int(0x09, {});
    expect(rig.int(0x16, { ah: 0 }).get("ax")).toBe(0x1e61);
  });

  it("boots a floppy without a signature, but no hard disk", () => {
    const sector = new Uint8Array(512);
    sector.set([0xfa, 0xfc]);
    const disk = {
      ...{ capacity: 160 * 1024, readOnly: true },
      read: (offset: number, into: Uint8Array) => into.set(sector.subarray(offset)),
      write: () => {},
    };
    const booted = new BiosRig({ drives: [hardDisk(0x80, disk), floppyDrive(0, disk)] });
    expect([booted.registers.rip, booted.registers.rdx & 0xffn]).toEqual([0x7c00n, 0n]);
    expect(booted.memory.readU16(gpa(0x7c00))).toBe(0xfcfa);
  });

  it("says that there is nothing to boot, and halts", () => {
    expect(rig.rows()[0]).toBe("No bootable device.");
    expect(rig.memory.readU16(gpa(Number(rig.registers.cs.base + rig.registers.rip)))).toBe(0xf4fa);
  });

  it("does nothing for who writes to its port from elsewhere", () => {
    const before = { ...rig.registers, cs: { ...rig.registers.cs, base: 0x1000n } };
    rig.registers = before;
    rig.trap();
    expect(rig.registers).toBe(before);
  });
});
