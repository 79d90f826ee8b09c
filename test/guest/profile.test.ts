import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { image, run } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { CODE_START, exit, tinyGuest } from "../support/tiny-guest.ts";

const COUNT = 5_000_000;
/** mov ecx, COUNT; again: dec ecx; jnz again */
const LOOP = [
  ...[0xb9, COUNT & 0xff, (COUNT >> 8) & 0xff, (COUNT >> 16) & 0xff, 0],
  ...[0x49, 0x75, 0xfd],
];

describe("--perf", () => {
  it("tells where the guest spent its time", async () => {
    const file = join(temporaryFolder(), "profile.txt");
    const options = ["--accel", "emu", "--deterministic", "--perf", file, "--net", "none"];
    const ended = await run([tinyGuest(LOOP, exit(0)), ...options]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    const stacks = lines.map((line) => /^(\S+) (\d+)$/.exec(line) ?? []);
    const again = [CODE_START + 5, CODE_START + 6].map((address) => `0x${address.toString(16)}`);
    for (const [, stack] of stacks) expect(again).toContain(stack);
    // A nanosecond an instruction, less what came after the last look.
    const time = stacks.reduce((sum, [, , microseconds]) => sum + Number(microseconds), 0);
    expect(time).toBeGreaterThan((2 * COUNT) / 1e3 - 6_000);
    expect(time).toBeLessThanOrEqual((2 * COUNT) / 1e3);
  });

  it("is refused where nobody can look", async () => {
    const ended = await run([image("hello"), "--accel", "kvm", "--perf", "never-written"]);
    expect(ended.status).toBe(125);
    expect(ended.stderr).toMatch(/^solo5-kvm: --perf needs the processor in TypeScript/);
  });
});
