import {
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { TranslationFile } from "../../src/host/translation-file.ts";
import { temporaryFolder } from "../support/temporary.ts";

const TRANSLATIONS = { text: '{"a":1}\n\n2', bytes: Uint8Array.of(1, 10, 200, 0) };

describe("a file of translations", () => {
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  beforeEach(() => {
    folder = temporaryFolder();
    environment = { XDG_CACHE_HOME: join(folder, "cache") };
    writeFileSync(join(folder, "image"), "");
  });

  const at = (name: string, build: string | undefined = "one"): TranslationFile =>
    new TranslationFile(join(folder, name), [], environment, build);

  it("gives what was put there, however the image is reached", () => {
    expect(at("image").read()).toBeUndefined();
    at("image").replace(TRANSLATIONS);
    symlinkSync("image", join(folder, "link"));
    expect(at("link").read()).toEqual(TRANSLATIONS);
  });

  it("gives nothing that was cut off, or made longer", () => {
    at("image").replace(TRANSLATIONS);
    const translations = join(folder, "cache", "solo5-kvm", "translations");
    const path = join(translations, readdirSync(translations)[0] ?? "");
    const { size } = statSync(path);
    for (const other of [size - 1, size + 1, 3, 0]) {
      truncateSync(path, other);
      expect(at("image").read()).toBeUndefined();
      at("image").replace(TRANSLATIONS);
    }
    expect(at("image").read()).toEqual(TRANSLATIONS);
  });

  it("gives nothing to another build", () => {
    at("image").replace(TRANSLATIONS);
    expect(at("image", "two").read()).toBeUndefined();
  });

  it("gives nothing to the same image with other arguments", () => {
    at("image").replace(TRANSLATIONS);
    const other = new TranslationFile(join(folder, "image"), ["-v"], environment, "one");
    expect(other.read()).toBeUndefined();
  });

  it("is gone when what is there is of no use any more", () => {
    at("image").replace(TRANSLATIONS);
    at("image").replace(undefined);
    expect(at("image").read()).toBeUndefined();
  });

  it("takes the place of the oldest, where there are many", () => {
    const translations = join(folder, "cache", "solo5-kvm", "translations");
    mkdirSync(translations, { recursive: true });
    for (let n = 0; n < 40; n++) {
      const path = join(translations, `other-${n}`);
      writeFileSync(path, "");
      utimesSync(path, 1000 + n, 1000 + n);
    }
    at("image").replace(TRANSLATIONS);
    const left = readdirSync(translations);
    expect(left).toHaveLength(32);
    expect(left).not.toContain("other-8");
    expect(left).toContain("other-9");
    expect(at("image").read()).toEqual(TRANSLATIONS);
  });
});
