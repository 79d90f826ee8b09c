import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeFolder } from "../../src/host/cache-folder.ts";
import { run } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, tinyGuest } from "../support/tiny-guest.ts";

describe("the user's cache", () => {
  it("is made with the folders above it, for its owner only", () => {
    const folder = join(temporaryFolder(), "a", "b", "c");
    for (let times = 0; times < 2; times++) makeFolder(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "..", "..")).mode & 0o777).toBe(0o700);
  });

  it("is not made in what is no folder", () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    expect(() => makeFolder(join(file, "a", "b"))).toThrow("ENOTDIR");
  });

  it.runIf(existsSync("/proc/self"))("is not missed where none can be made", async () => {
    const env = { XDG_CACHE_HOME: "/proc/none/cache" };
    const ended = await run([tinyGuest(exit(3)), "--net", "none"], { env, limit: 20 });
    expect(ended.status).toBe(3);
  });
});
