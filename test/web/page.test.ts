import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildHvtGuest } from "../support/hvt-guest.ts";
import { ROOT } from "../support/monitor.ts";
import { multiboot1Painter, PAINTED } from "../support/painters.ts";
import { CHROMIUM, missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, print, spin, tinyGuest } from "../support/tiny-guest.ts";

/** Sends what it receives back, until it is a `q`. */
const ECHO = [
  ...[0x66, 0xba, 0xfd, 0x03, 0xec], // mov dx, 3fdh; in al, dx
  ...[0xa8, 0x01, 0x74, 0xf7], // test al, 1; jz -9
  ...[0x66, 0xba, 0xf8, 0x03, 0xec], // mov dx, 3f8h; in al, dx
  ...[0x3c, 0x71, 0x74, 0x03], // cmp al, 'q'; je +3
  ...[0xee, 0xeb, 0xe9], // out dx, al; jmp -23
];
/** mov ecx, 100 million; dec ecx; jnz -3 */
const COUNT = [0xb9, 0x00, 0xe1, 0xf5, 0x05, 0x49, 0x75, 0xfd];
/** mov ecx, 0x80000; mov dx, 3f8h; mov al, 'x'; out dx, al; loop -3 */
const FLOOD = [0xb9, 0, 0, 0x08, 0, 0x66, 0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xe2, 0xfd];

describe.skipIf(missing("chromium"))("the page", () => {
  let server: ChildProcess;
  let address: string;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    server = spawn(process.execPath, [join(ROOT, "tools", "web.js"), "--serve", "0"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (server.stdout === null) throw new Error("no pipe");
    const [line] = await once(server.stdout, "data");
    address = /http:\S+/.exec(String(line))?.[0] ?? "";
    // Chromium refuses to be root with its sandbox.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.kill();
  });

  beforeEach(async () => {
    await page?.close();
    errors.length = 0;
    page = await browser.newPage();
    page.on("pageerror", ({ message }) => errors.push(message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    await page.goto(address);
  });

  const screen = async (): Promise<string> =>
    (await page.locator(".xterm-rows > div").allInnerTexts())
      .map((line) => line.replaceAll("\u00a0", " ").trimEnd())
      .join("\n");
  const shows = (text: string): Promise<unknown> =>
    expect.poll(screen, { timeout: 20_000 }).toContain(text);
  const state = (): Promise<string> => page.locator("#state").innerText();
  const ends = (how: string): Promise<unknown> => expect.poll(state, { timeout: 20_000 }).toBe(how);
  const start = async (path: string): Promise<void> => {
    await page.selectOption("#example", "");
    await page.setInputFiles("#image", path);
    await page.click("#start");
  };

  it("runs a unikernel to its end", async () => {
    await page.selectOption("#example", "hello.iso");
    await page.click("#start");
    await ends("ended: exit 0");
    await shows("Hello, World");
    expect(await page.locator("#statistics").innerText()).toContain("cpu         emu");
    expect(errors).toEqual([]);
  });

  it("pings a guest, and stops it", async () => {
    await page.click("#start");
    await shows("Serving ping on 10.0.0.2");
    await page.click("#ping");
    await shows("5 packets transmitted, 5 received, 0% packet loss");
    await page.click("#stop");
    await ends("ended: stopped");
    expect(errors).toEqual([]);
  });

  it("tells of a crash, with names", async () => {
    await page.selectOption("#example", "exception.iso");
    await page.click("#start");
    await ends("ended: exit 255");
    await shows("solo5_app_main+0x");
  });

  it("gives the guest what is typed", async () => {
    await start(tinyGuest(print("echo:"), ECHO, exit(3)));
    await shows("echo:");
    await page.keyboard.type("many keysq");
    await ends("ended: exit 3");
    await shows("echo:many keys");
  });

  it("shows what a guest paints", async () => {
    await start(multiboot1Painter());
    await ends("ended: exit 0");
    const [width, height] = PAINTED;
    const [x, y] = [600, 400];
    const pixel = (): Promise<unknown> =>
      page.evaluate(
        `[...document.querySelector("canvas").getContext("2d").getImageData(${x}, ${y}, 1, 1).data]`,
      );
    // Each pixel's value is its number.
    const [red, green, blue] = [16, 8, 0].map((shift) => ((y * width + x) >> shift) & 0xff);
    await expect.poll(pixel).toEqual([red, green, blue, 0xff]);
    expect(await page.locator("canvas").isVisible()).toBe(true);
    const [displayed] = await page.locator("canvas").all();
    expect(await displayed?.getAttribute("height")).toBe(String(height));
  });

  it("translates what is hot", async () => {
    await start(tinyGuest(COUNT, exit(0)));
    await ends("ended: exit 0");
    expect(await page.locator("#statistics").innerText()).toMatch(/9\d\.\d % of them in regions/);
    expect(errors).toEqual([]);
  });

  it("runs a unikernel for a tender, with a disk, and leaves the disk's file alone", async () => {
    const folder = temporaryFolder();
    const disk = join(folder, "disk.img");
    writeFileSync(disk, new Uint8Array(1024 * 1024));
    await page.click("summary");
    await page.setInputFiles("#disks", disk);
    await page.fill("#arguments", "disk");
    await start(buildHvtGuest(folder));
    await ends("ended: exit 0");
    await shows("write 0");
    expect(readFileSync(disk).every((byte) => byte === 0)).toBe(true);
  });

  it("shows half a mebibyte of output to its end", async () => {
    await start(tinyGuest(FLOOD, print("\ndone"), exit(0)));
    await ends("ended: exit 0");
    await shows("xxx\ndone");
  });

  it("stops a guest that computes for ever, and runs another", async () => {
    await start(tinyGuest(print("spinning"), spin));
    await shows("spinning");
    await page.click("#stop");
    await ends("ended: stopped");
    await start(tinyGuest(print("the next"), exit(0)));
    await ends("ended: exit 0");
    await shows("the next");
  });

  it("says in a line what it cannot run", async () => {
    const path = join(temporaryFolder(), "letter.txt");
    writeFileSync(path, "Dear guest,\n");
    await start(path);
    await ends("ended: did not run");
    expect((await screen()).trim().split("\n")).toHaveLength(1);
    await page.click("summary");
    await page.fill("#memory", "1");
    await page.click("#start");
    await ends("memory is 2 to 3072 MiB");
  });

  it("asks for an image where there is none", async () => {
    await page.selectOption("#example", "");
    await page.click("#start");
    await ends("choose an image first");
  });
});
