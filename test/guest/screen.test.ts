import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { VGA_PALETTE } from "../../src/boot/bios/palette.ts";
import { describeOnEach, image, run } from "../support/monitor.ts";
import { multiboot1Painter, multiboot2Painter, PAINTED } from "../support/painters.ts";
import { decodePng } from "../support/png.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { tinyGuest } from "../support/tiny-guest.ts";

const [WIDTH, HEIGHT] = PAINTED;

/** A boot sector that fills five banks of 64 KiB, each with its number. */
function banks(): string {
  const floppy = new Uint8Array(1440 * 1024);
  floppy.set([
    ...[0xb8, 0x02, 0x4f, 0xbb, 0x01, 0x01, 0xcd, 0x10], // mode 0x101
    ...[0xb8, 0x00, 0xa0, 0x8e, 0xc0, 0x31, 0xd2], // es = 0xa000, dx = 0
    ...[0xb8, 0x05, 0x4f, 0x31, 0xdb, 0xcd, 0x10], // bank: the window at bank dx
    ...[0x31, 0xff, 0x88, 0xd0, 0x88, 0xd4], // di = 0, al = ah = dl
    ...[0xb9, 0x00, 0x80, 0xf3, 0xab], // mov cx, 0x8000; rep stosw
    ...[0x42, 0x83, 0xfa, 0x05, 0x72, 0xe8], // inc dx; cmp dx, 5; jb bank
    ...[0xba, 0x01, 0x05, 0xb8, 0x00, 0x53, 0xef], // status 0
  ]);
  floppy.set([0x55, 0xaa], 510);
  const path = join(temporaryFolder(), "banks.img");
  writeFileSync(path, floppy);
  return path;
}

let screen = "";
beforeEach(() => {
  screen = join(temporaryFolder(), "screen.png");
});

const shown = (): ReturnType<typeof decodePng> => decodePng(readFileSync(screen));

describeOnEach("the screen of a guest that paints", () => {
  it.each([
    ["1", multiboot1Painter],
    ["2", multiboot2Painter],
  ])("is that of a Multiboot %s kernel that asks for graphics", async (_version, kernel) => {
    const ended = await run([kernel(), "--net", "none", "--screen", screen, "-m", "17"]);
    expect(ended.stderr).toBe(
      "solo5-kvm: the guest set a graphics mode, 640x480 with 32 bits a pixel\n" +
        `solo5-kvm: the guest's screen, 640x480, is in ${screen}\n`,
    );
    expect(ended.status).toBe(0);
    const { width, height, pixels } = shown();
    expect([width, height]).toEqual([WIDTH, HEIGHT]);
    const wrong = pixels.findIndex((value, i) => {
      const pixel = Math.floor(i / 3);
      return value !== ((pixel >> (16 - 8 * (i % 3))) & 0xff);
    });
    expect(wrong).toBe(-1);
  });

  it("is that of a boot sector that moves VBE's window", async () => {
    const ended = await run([banks(), "--net", "none", "--screen", screen]);
    expect(ended.status).toBe(0);
    const { pixels } = shown();
    const wrong = pixels.findIndex((value, i) => {
      const bank = Math.floor(i / 3 / 0x1_0000);
      return value >> 2 !== VGA_PALETTE[3 * bank + (i % 3)];
    });
    expect(wrong).toBe(-1);
  });
});

it("a kernel that asks for graphics without --screen has text, and a line tells", async () => {
  const ended = await run([multiboot1Painter(), "--net", "none", "--accel", "emu"]);
  expect(ended.stderr).toBe(
    "solo5-kvm: the kernel asks for a graphics mode: --screen gives it a display\n",
  );
});

it("text is no picture", async () => {
  const ended = await run([image("hello"), "--net", "none", "--screen", screen, "--accel", "emu"]);
  expect(ended.stderr).toBe(
    `solo5-kvm: the guest's screen shows text: there is no picture for ${screen}\n`,
  );
  expect(ended.status).toBe(0);
  expect(existsSync(screen)).toBe(false);
});

it("a picture that cannot be written is told, and the guest's status counts", async () => {
  const ended = await run([
    multiboot1Painter(),
    "--net",
    "none",
    "--screen",
    "/dev/full",
    "--accel",
    "emu",
  ]);
  expect(ended.stderr).toMatch(/cannot write the screen to \/dev\/full \(ENOSPC\)/);
  expect(ended.status).toBe(0);
});

it("without --screen the display takes nothing of the machine", async () => {
  const probe = [0xa1, 0, 0, 0, 0x02, ...[0xb4, 0x53, 0x66, 0xba, 0x01, 0x05, 0x66, 0xef]];
  // mov eax, [32 MiB]; mov ah, 0x53; mov dx, 0x501; out dx, ax
  const args = [tinyGuest(probe), "--net", "none", "-m", "32", "--accel", "emu"];
  expect(await run(args)).toMatchObject({ status: 255 });
  expect(await run([...args, "--screen", screen])).toMatchObject({ status: 0 });
});
