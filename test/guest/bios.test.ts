import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeOnEach, image, run, start } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { spin, tinyGuest } from "../support/tiny-guest.ts";

const FLOPPY_SIZE = 1440 * 1024;

/** Assembled boot sectors, at the start of an image of this size. @param name of the source in `bios/` */
function diskImage(size: number, name = "sector"): string {
  const folder = temporaryFolder();
  const object = join(folder, "sector.elf");
  const flat = join(folder, "sector");
  const source = join(import.meta.dirname, `bios/${name}.S`);
  const flags = ["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x7c00,--build-id=none"];
  execFileSync(process.env.CC ?? "cc", [...flags, "-o", object, source], { stdio: "pipe" });
  execFileSync("objcopy", ["-O", "binary", "-j", ".text", object, flat]);
  const disk = new Uint8Array(size);
  disk.set(readFileSync(flat));
  const path = join(folder, "disk");
  writeFileSync(path, disk);
  return path;
}

describeOnEach("the BIOS", () => {
  it("starts our own boot block, which finds what it needs", async () => {
    const ended = await run([image("hello"), "--boot", "bios", "--net", "none"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toContain("Hello, World");
    const direct = await run([image("hello"), "--boot", "direct", "--net", "none"]);
    expect(ended.stdout).toBe(direct.stdout);
  });

  it.each([
    ["floppy", FLOPPY_SIZE],
    ["hard disk", 3 * 1024 * 1024],
  ])("starts a %s's boot sector, and serves it", async (_kind, size) => {
    const guest = start([diskImage(size), "--net", "none"], { stdin: "pipe" });
    await guest.printed("key? ");
    guest.type("K");
    const ended = await guest.ended;
    expect(ended.stdout).toBe("loaded\nticked\nwaited\nkey? K\ndone\n");
    expect(ended.status).toBe(7);
  });

  it("lets a program for the 80286 come back from protected mode by a reset", async () => {
    const ended = await run([diskImage(FLOPPY_SIZE, "resume"), "--net", "none"]);
    expect(ended.stdout).toBe("back\nback\nstarted\n");
    expect(ended.status).toBe(7);
  });

  it("finds a video ROM and, where there are no adapters, nothing", async () => {
    const write = (address: readonly number[]) => [0xc6, 0x05, ...address, 0x12];
    const [videoRom, adapter] = [
      [0, 0, 0xc, 0],
      [0, 0, 0xd, 0],
    ];
    const code = [
      ...write(videoRom),
      ...write(adapter),
      ...[0xb0, 0xff], // mov al, 0xff
      ...[0x2a, 0x05, ...adapter], // sub al, [adapter]
      ...[0x32, 0x05, ...videoRom], // xor al, [videoRom]
      ...[0xb4, 0x53], // mov ah, 0x53
      ...[0x66, 0xba, 0x01, 0x05], // mov dx, 0x501
      ...[0x66, 0xef], // out dx, ax
    ];
    const ended = await run([tinyGuest(code, spin), "--net", "none"]);
    expect(ended).toMatchObject({ status: 0x55, stderr: "" });
  });
});
