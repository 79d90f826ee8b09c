import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { expect, it } from "vitest";

/** What needs a network of its own is in `*.netns.ts`, run by a vitest in a fresh namespace. */
const root = resolve(import.meta.dirname, "../..");
const possible = existsSync("/dev/net/tun") && spawnSync("unshare", ["--net", "true"]).status === 0;

if (!possible)
  console.warn("skipped: taps and `net up` (they need root, unshare and /dev/net/tun)");

it.skipIf(!possible)("taps and net up work in a network namespace", { timeout: 120_000 }, () => {
  const vitest = resolve(root, "node_modules/vitest/vitest.mjs");
  const config = resolve(root, "test/host/netns.config.ts");
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--net", process.execPath, vitest, "run", "--config", config, "--root", root],
    { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  expect(status, `${stdout}${stderr}`).toBe(0);
});
