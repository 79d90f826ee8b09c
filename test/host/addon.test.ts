import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadAddon } from "../../src/host/addon.ts";
import { execute, ROOT } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

it.skipIf(missing("cmake", "addon"))(
  "the build for releases has what the usual one has",
  { timeout: 120_000 },
  async () => {
    const folder = temporaryFolder();
    const build = ["node_modules/.bin/cmake-js", "compile", "--out", folder];
    const built = await execute(build, { cwd: ROOT, limit: 110 });
    expect(built.status, built.stderr).toBe(0);
    const release = createRequire(import.meta.url)(join(folder, "Release", "solo5_kvm.node"));
    expect(Object.keys(release).sort()).toEqual(Object.keys(loadAddon<object>()).sort());
  },
);
