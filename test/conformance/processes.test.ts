import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../src/host/addon.ts";
import { missing } from "../support/requirements.ts";
import { partsOf } from "./processes.ts";
import { add, differing, nothing } from "./trials.ts";

describe("a campaign in parts", () => {
  test("has each test once", () => {
    const parts = [...partsOf({ first: 7, count: 50_000 })];
    expect(parts.length).toBeGreaterThan(1);
    let next = 7;
    for (const { first, count } of parts) {
      expect(first).toBe(next);
      next += count;
    }
    expect(next).toBe(50_007);
  });

  test("is the sum of what came of them", () => {
    const sum = nothing();
    const failed = { "MUL (jit)": 2 };
    const coverage = { ADD: { compared: 5, faults: 1 } };
    add(sum, { tests: 5, lost: 1, coverage, failed: {} });
    add(sum, { tests: 6, lost: 0, coverage, failed });
    add(sum, { tests: 1, lost: 0, coverage: { MUL: { compared: 1, faults: 0 } }, failed });
    expect(sum).toEqual({
      tests: 12,
      lost: 1,
      coverage: { ADD: { compared: 10, faults: 2 }, MUL: { compared: 1, faults: 0 } },
      failed: { "MUL (jit)": 4 },
    });
    expect(differing(sum)).toBe(4);
    expect(coverage).toEqual({ ADD: { compared: 5, faults: 1 } });
  });
});

describe.skipIf(missing("silicon"))("the program", () => {
  const program = join(packageRoot(), "dist", `test-processes-${process.pid}.mjs`);
  beforeAll(() => {
    const entryPoints = [join(import.meta.dirname, "main.ts")];
    const target = { platform: "node", format: "esm", target: "node20" } as const;
    buildSync({ entryPoints, ...target, bundle: true, outfile: program });
  });
  afterAll(() => rmSync(program, { force: true }));

  const lines = (...options: string[]): string[] => {
    const { stdout, status } = spawnSync(process.execPath, [program, ...options], {
      encoding: "utf8",
    });
    expect(status).toBe(0);
    return stdout.replace(/\d+ tests a second/, "").split("\n");
  };

  test("comes to the same by several processes as by one", () => {
    const options = ["--cpu", "fallback,jit", "--forms", "^(ADD|SHLD|POP)", "--count", "21000"];
    const alone = lines(...options);
    expect(alone.at(-2)).toContain("21000 tests of");
    expect(lines(...options, "--jobs", "3").at(-2)).toBe(alone.at(-2));
  }, 120_000);
});
