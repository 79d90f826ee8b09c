import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { packageRoot } from "../../src/host/addon.ts";
import { missing } from "../support/requirements.ts";
import { Backgrounds } from "./backgrounds.ts";
import type { Snippet, SnippetCpu, SnippetResult } from "./driver.ts";
import { Fallback } from "./fallback.ts";
import { testForms } from "./forms.ts";
import { partsOf } from "./processes.ts";
import { Silicon } from "./silicon.ts";
import { add, differing, nothing, Trials } from "./trials.ts";

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

/** Says that RAX has become another, where RCX is odd. */
class Wrong implements SnippetCpu {
  readonly name = "wrong";
  readonly #right = new Fallback();
  run(snippet: Snippet): SnippetResult {
    const result = this.#right.run(snippet);
    const { state } = result;
    if (result.fault === undefined) state.setGpr(0, state.gpr(0) ^ (snippet.state.gpr(1) & 1n));
    return result;
  }
}

test.skipIf(missing("silicon"))("failures are found while the judge is at work already", () => {
  const silicon = new Silicon();
  const lines: unknown[] = [];
  const print = vi.spyOn(console, "log").mockImplementation((line) => lines.push(line));
  try {
    const forms = testForms(FAMILIES).filter(({ name }) => /^(BSWAP|CMC|NEG)/.test(name));
    const backgrounds = new Backgrounds(1, 4, silicon.segmentBases);
    const options = { forms, modes: [64], seed: 1, backgrounds } as const;
    const suspects = [new Fallback(), new Wrong(), new Fallback(undefined, "jit")];
    const tally = new Trials(silicon, suspects, options, 1).run({ first: 0, count: 5000 });
    expect([tally.tests, tally.lost]).toEqual([5000, 0]);
    expect(Object.keys(tally.failed).filter((name) => !name.endsWith("(wrong)"))).toEqual([]);
    expect(differing(tally)).toBeGreaterThan(1000);
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/^test \d+: .*\n {2}rax\n {4}silicon +0x/s);
  } finally {
    print.mockRestore();
    silicon.close();
  }
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
