import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemorySource } from "../../src/boot/byte-source.ts";
import { viewOf } from "../../src/boot/data-view.ts";
import { parseBootCatalog } from "../../src/boot/el-torito.ts";
import { IsoVolume } from "../../src/boot/iso9660.ts";
import { type IsoFile, writeIso9660 } from "../../src/boot/iso9660-writer.ts";
import { packUnikernelIso } from "../../src/boot/pack-iso.ts";
import { decodeAscii, encodeUtf8 } from "../../src/boot/text.ts";
import { missing } from "../support/requirements.ts";

const SECTOR = 2048;

const volumeOf = (image: Uint8Array): IsoVolume => new IsoVolume(new MemorySource(image));

function filesIn(image: Uint8Array): Map<string, Uint8Array> {
  const volume = volumeOf(image);
  const files = new Map<string, Uint8Array>();
  for (const { path, entry } of volume.walk()) {
    if (!entry.directory) files.set(path, volume.open(entry, path).read(0, entry.size));
  }
  return files;
}

const manyFiles: IsoFile[] = [
  ...Array.from({ length: 60 }, (_, index) => ({
    path: `/dir/${"long name ".repeat(1 + (index % 23))}${index}.text`,
    data: new Uint8Array(index * 100).fill(index),
  })),
  { path: `/${"x".repeat(255)}`, data: Uint8Array.of(1) },
  { path: "/a/b/c/d/e/f/g/Ünïcode", data: Uint8Array.of(1, 2) },
  { path: "/.hidden", data: new Uint8Array(0) },
  { path: "/boot.img", data: new Uint8Array(SECTOR).fill(7) },
];

function withImage<Value>(image: Uint8Array, use: (path: string) => Value): Value {
  const folder = mkdtempSync(join(tmpdir(), "iso9660-"));
  try {
    const path = join(folder, "image.iso");
    writeFileSync(path, image);
    return use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("ISO 9660 writer and reader", () => {
  it("give back what was written", () => {
    const files = filesIn(writeIso9660({ files: manyFiles }));
    expect(files.size).toBe(manyFiles.length);
    for (const { path, data } of manyFiles) expect(files.get(path)).toEqual(data);
  });

  it("give back any tree of files", () => {
    const name = fc
      .stringMatching(/^[A-Za-z0-9._ é-]{1,40}$/)
      .filter((text) => !/^\.+$/.test(text));
    const path = fc
      .array(name, { minLength: 1, maxLength: 3 })
      .map((parts) => `/${parts.join("/")}`);
    const tree = fc.uniqueArray(fc.record({ path, data: fc.uint8Array({ maxLength: 5000 }) }), {
      selector: (file) => file.path,
      maxLength: 40,
    });
    fc.assert(
      fc.property(tree, (candidates) => {
        const isParent = (one: string): boolean =>
          candidates.some((other) => other.path.startsWith(`${one}/`));
        const wanted = candidates.filter((file) => !isParent(file.path));
        const found = filesIn(writeIso9660({ files: wanted }));
        expect(new Map([...found].sort())).toEqual(
          new Map(wanted.map((file) => [file.path, file.data] as const).sort()),
        );
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it("makes the same bytes of the same files in any order", () => {
    const one = writeIso9660({ files: manyFiles });
    const other = writeIso9660({ files: [...manyFiles].reverse() });
    expect(Buffer.compare(one, other)).toBe(0);
  });

  it("looks names up without regard to case, and by ISO name", () => {
    const volume = volumeOf(writeIso9660({ files: manyFiles }));
    expect(volume.find("/BOOT.IMG")?.name).toBe("boot.img");
    expect(volume.find("/A/B/c//./D/E/F/G/_N_CODE")?.name).toBe("Ünïcode");
    expect(volume.find("/boot.img/x")).toBeUndefined();
    expect(volume.find("/none")).toBeUndefined();
    expect(volume.find("/")?.directory).toBe(true);
  });

  it("falls back to ISO names without Rock Ridge", () => {
    const image = writeIso9660({ files: [{ path: "/boot/loader", data: Uint8Array.of(9) }] });
    const volume = volumeOf(image);
    const self = volume.root.location * SECTOR;
    const spStart = self + 34;
    expect(decodeAscii(image.subarray(spStart, spStart + 2))).toBe("SP");
    image.fill(0, spStart, spStart + 2);
    const plain = volumeOf(image);
    expect(plain.rockRidge).toBe(false);
    expect(plain.find("/boot/loader")).toMatchObject({ name: "LOADER", isoName: "LOADER.;1" });
  });

  it("lays a unikernel's ISO out as documented", () => {
    const image = packUnikernelIso({
      loader: new Uint8Array(3000).fill(1),
      kernel: new Uint8Array(5000).fill(2),
      bootBlock: new Uint8Array(1025).fill(3),
      commandLine: ["--quiet", "x"],
      volumeId: "My app",
    });
    const volume = volumeOf(image);
    expect(volume.volumeId).toBe("MY_APP");
    expect(volume.sectors * SECTOR).toBe(image.length);
    const types = [16, 17, 18].map((sector) => image[sector * SECTOR]);
    expect(types).toEqual([1, 0, 255]);
    const sectors = [...volume.walk()].map(
      ({ path, entry }) => `${path} ${entry.location} ${entry.size}`,
    );
    expect(sectors).toEqual([
      "/boot 23 2048",
      "/boot/grub 24 2048",
      "/boot/grub/menu.lst 32 84",
      "/boot/kernel 26 5000",
      "/boot/loader 29 3000",
      "/boot/solo5.boot 31 1025",
    ]);
    expect(decodeAscii(filesIn(image).get("/boot/grub/menu.lst") ?? new Uint8Array(0))).toBe(
      "default 0\ntimeout 0\n\ntitle My app\nkernel /boot/loader --quiet x\nmodule /boot/kernel\n",
    );
    expect(parseBootCatalog(new MemorySource(image), volume.bootCatalog ?? 0)).toEqual([
      { platform: 0, bootable: true, mediaType: 0, loadSegment: 0, sectorCount: 3, location: 31 },
    ]);
  });

  it("writes directory records as the standard has them", () => {
    const image = writeIso9660({ files: [{ path: "/ab", data: Uint8Array.of(1, 2, 3) }] });
    const root = volumeOf(image).root.location * SECTOR;
    const first = (image[root] ?? 0) + root;
    const record = first + (image[first] ?? 0);
    expect([...image.subarray(record, record + 33 + 5)]).toEqual([
      ...[112, 0], // length, extended attributes
      ...[22, 0, 0, 0, 0, 0, 0, 22], // sector, both orders
      ...[3, 0, 0, 0, 0, 0, 0, 3], // bytes, both orders
      ...[80, 1, 1, 0, 0, 0, 0], // 1980-01-01
      ...[0, 0, 0, 1, 0, 0, 1], // flags, unit, gap, volume 1
      ...[5, 0x41, 0x42, 0x2e, 0x3b, 0x31], // AB.;1
    ]);
  });

  it("writes a boot information table where it is asked for", () => {
    const data = new Uint8Array(70).fill(1);
    const files = [{ path: "/boot.img", data }];
    const image = writeIso9660({ files, boot: { path: "/boot.img", informationTable: true } });
    const volume = volumeOf(image);
    const sector = volume.find("/boot.img")?.location ?? 0;
    const table = viewOf(image.subarray(sector * SECTOR));
    const words = [8, 12, 16, 20].map((offset) => table.getUint32(offset, true));
    expect(words).toEqual([16, sector, 70, (0x0101_0101 + 0x0101) >>> 0]);
  });

  it("refuses an empty boot block, and a file given twice", () => {
    const file = { path: "/b", data: new Uint8Array(0) };
    expect(() => writeIso9660({ files: [file], boot: { path: "/b" } })).toThrow(
      "boot block has 0 bytes",
    );
    expect(() => writeIso9660({ files: [file, file] })).toThrow("/b is in the ISO twice");
  });

  it("names the file that is cut off", () => {
    const data = new Uint8Array(5000);
    const image = writeIso9660({ files: [{ path: "/kernel", data }] });
    const end = ((volumeOf(image).find("/kernel")?.location ?? 0) + 1) * SECTOR;
    const volume = volumeOf(image.subarray(0, end));
    const entry = volume.find("/kernel");
    expect(volume.missingBytes).toBe(image.length - end);
    expect(() => entry && volume.open(entry, "/kernel")).toThrow(
      /^truncated ISO: file \/kernel at byte/,
    );
  });

  it("does not miss padding behind its last file", () => {
    const data = new Uint8Array(5000);
    const image = writeIso9660({ files: [{ path: "/kernel", data }] });
    new DataView(image.buffer).setUint32(16 * SECTOR + 80, image.length / SECTOR + 150, true);
    expect(volumeOf(image).missingBytes).toBe(0);
    const end = ((volumeOf(image).find("/kernel")?.location ?? 0) + 2) * SECTOR;
    const claimed = image.length + 150 * SECTOR;
    expect(volumeOf(image.subarray(0, end)).missingBytes).toBe(claimed - end);
  });

  it("walks a directory that contains itself once", () => {
    const image = writeIso9660({ files: [{ path: "/a/b", data: new Uint8Array(1) }] });
    const volume = volumeOf(image);
    const root = volume.root.location;
    const second = root * SECTOR + (image[root * SECTOR] ?? 0);
    const record = second + (image[second] ?? 0);
    viewOf(image).setUint32(record + 2, root, true);
    expect([...volumeOf(image).walk()].map(({ path }) => path)).toEqual(["/a"]);
  });

  it.skipIf(missing("xorriso"))("is read by xorriso, boot catalog and all", () => {
    const image = writeIso9660({ files: manyFiles, boot: { path: "/boot.img" }, volumeId: "TEST" });
    withImage(image, (path) => {
      const found = spawnSync("xorriso", ["-indev", path, "-find", "/", "-type", "f"], {
        encoding: "utf8",
      });
      const names = found.stdout.split("\n").filter((line) => line.startsWith("'"));
      expect(names.sort()).toEqual(manyFiles.map((file) => `'${file.path}'`).sort());
      const report = spawnSync("xorriso", ["-indev", path, "-report_el_torito", "plain"], {
        encoding: "utf8",
      });
      expect(report.stdout).toMatch(/El Torito boot img.*BIOS {2}y {3}none {2}0x0000 {2}0x00 {6}4/);
      expect(report.stdout).toContain("El Torito img path :   1  /boot.img");
      expect(found.stderr).not.toMatch(/WARNING|FAILURE|SORRY/);
    });
  });

  it.skipIf(missing("xorriso"))("reads what xorriso writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "iso9660-"));
    try {
      const name = `${"n".repeat(200)}.txt`;
      for (let index = 0; index < 40; index++) {
        writeFileSync(join(folder, `${index}${name}`), encodeUtf8(`file ${index}`));
      }
      const image = `${folder}.iso`;
      const made = spawnSync("xorriso", ["-as", "mkisofs", "-R", "-o", image, folder]);
      expect(made.status).toBe(0);
      const files = filesIn(readFileSync(image));
      rmSync(image);
      expect(files.size).toBe(40);
      expect(decodeAscii(files.get(`/7${name}`) ?? new Uint8Array(0))).toBe("file 7");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.skipIf(missing("qemu"))("boots through a PC's firmware, the whole boot block loaded", () => {
    const bootBlock = new Uint8Array(1540);
    bootBlock[0] = 0xe9; // jmp to the last sector
    viewOf(bootBlock).setUint16(1, 1530 - 3, true);
    // mov dx, 0x501; mov al, 0x10; out dx, al: isa-debug-exit makes status 0x21 of it.
    bootBlock.set([0xba, 0x01, 0x05, 0xb0, 0x10, 0xee, 0xf4], 1530);
    const part = new Uint8Array(1);
    withImage(packUnikernelIso({ loader: part, kernel: part, bootBlock }), (path) => {
      const machine = [
        "-display",
        "none",
        "-nodefaults",
        "-no-reboot",
        "-accel",
        "tcg",
        "-cdrom",
        path,
      ];
      const exit = ["-device", "isa-debug-exit,iobase=0x501,iosize=4"];
      const { status } = spawnSync("qemu-system-x86_64", [...machine, ...exit], {
        timeout: 20_000,
      });
      expect(status).toBe(0x21);
    });
  });

  it.skipIf(missing("isoinfo"))("has path tables that isoinfo follows", () => {
    withImage(writeIso9660({ files: manyFiles }), (path) => {
      const table = spawnSync("isoinfo", ["-p", "-i", path], { encoding: "utf8" }).stdout;
      expect(
        [...table.matchAll(/^ *\d+: +(\d+) \S+ ?(.*)$/gm)].map(
          ([, parent, name]) => `${parent} ${name}`,
        ),
      ).toEqual(["1 ", "1 A", "1 DIR", "2 B", "4 C", "5 D", "6 E", "7 F", "8 G"]);
    });
  });
});
