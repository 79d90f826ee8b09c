import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { writePng } from "../../src/host/png-file.ts";
import { decodePng } from "../support/png.ts";
import { temporaryFolder } from "../support/temporary.ts";

const picture = {
  ...{ width: 5, height: 3 },
  pixels: Uint8Array.from({ length: 45 }, (_, i) => i * 5),
};

it("writes a picture, in place of another", () => {
  const path = join(temporaryFolder(), "screen.png");
  writeFileSync(path, "something longer than a picture".repeat(1000));
  writePng(path, picture);
  expect(decodePng(readFileSync(path))).toEqual(picture);
});

it("says what is in the way, and leaves what is there", () => {
  const folder = temporaryFolder();
  expect(() => writePng(join(folder, "none", "screen.png"), picture)).toThrow(
    /cannot write the screen to .*ENOENT.*name a file that you may write/,
  );
  mkdirSync(join(folder, "taken"));
  expect(() => writePng(join(folder, "taken"), picture)).toThrow(/EISDIR/);
});

it("does not wait for somebody to read a pipe, and writes to one that is read", async () => {
  const folder = temporaryFolder();
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  expect(() => writePng(pipe, picture)).toThrow(/ENXIO/);
  const copy = join(folder, "copy.png");
  const reader = spawn("sh", ["-c", 'cat "$0" > "$1"', pipe, copy]);
  const ended = once(reader, "exit");
  await vi.waitFor(() => writePng(pipe, picture), 5000);
  await ended;
  expect(decodePng(readFileSync(copy))).toEqual(picture);
});
