import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { missing } from "../support/requirements.ts";

/** What needs a network of its own is in `*.netns.ts`, run by a vitest in a fresh namespace. */
const root = resolve(import.meta.dirname, "../..");
const lacking = missing("root", "tap", "ip", "ping");

it.skipIf(lacking)("taps and net up work in a network namespace", { timeout: 120_000 }, () => {
  const vitest = resolve(root, "node_modules/vitest/vitest.mjs");
  const config = resolve(root, "test/host/netns.config.ts");
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--net", process.execPath, vitest, "run", "--config", config, "--root", root],
    { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  expect(status, `${stdout}${stderr}`).toBe(0);
});
