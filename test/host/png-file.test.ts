import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
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
