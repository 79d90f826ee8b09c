import { describe, expect, it } from "vitest";
import { type Ended, image, run } from "../support/monitor.ts";
import { CODE_START, exit, print, tinyGuest } from "../support/tiny-guest.ts";

const deterministic = (image: string, ...args: readonly string[]): Promise<Ended> =>
  run([image, "--accel", "emu", "--deterministic", "--stats", "--mem", "64", ...args]);

/** All that must be the same in every run. */
const whatCounts = ({ status, stdout, stderr }: Ended) => ({
  status,
  stdout,
  executed: /^executed +(\d+) instructions\b/m.exec(stderr)?.[1],
  state: /^state +([0-9a-f]{16})$/m.exec(stderr)?.[1],
});

describe("--deterministic", () => {
  it("ten runs, one count of instructions and one hash of the state", async () => {
    const first = whatCounts(await deterministic(image("kernel"), "--ping", "3"));
    expect(first.status).toBe(0);
    expect(first.stdout).toContain("3 packets transmitted, 3 received");
    expect(Number(first.executed)).toBeGreaterThan(10_000);
    expect(first.state).toBeDefined();
    for (let i = 1; i < 10; i++) {
      expect(whatCounts(await deterministic(image("kernel"), "--ping", "3"))).toEqual(first);
    }
  });

  it("another input gives another state", async () => {
    const [one, other] = await Promise.all(
      ["1", "2"].map((argument) => deterministic(image("hello"), "--net", "none", "--", argument)),
    );
    const states = [one, other].map((ended) => whatCounts(ended as Ended).state);
    expect(states[0]).toMatch(/./);
    expect(states[0]).not.toBe(states[1]);
  });

  it("time.iso sleeps as long as it wants, in no time, on the same day each time", async () => {
    const ended = await deterministic(image("time"), "--net", "none");
    expect(ended.status).toBe(0);
    expect(ended.stdout).toContain("Wall clock: 2026-01-01 00:00:00 UTC");
    expect(ended.stdout).toContain("Slept 1000.0");
    expect(ended.stdout).toContain("SUCCESS");
  });

  it("a sleep of 1,000 seconds takes none", async () => {
    // The handler of the timer's vector, 8, is at the start, behind a jump over it:
    // jmp main; push eax; mov al, 0x20; out 0x20, al; pop eax; iretd
    const handler = [0xeb, 0x07, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf];
    const address = CODE_START + 2;
    const gate = [address & 0xff, (address >> 8) & 0xff, 0x08, 0, 0, 0x8e, address >> 16, 0];
    const main = [
      // Its gate, and the table's pointer: mov dword [...], ...
      ...[0xc7, 0x05, 0x40, 0, 0x30, 0, ...gate.slice(0, 4)],
      ...[0xc7, 0x05, 0x44, 0, 0x30, 0, ...gate.slice(4)],
      ...[0xc7, 0x05, 0x00, 0x10, 0x30, 0, 0xff, 0x07, 0, 0],
      ...[0xc7, 0x05, 0x02, 0x10, 0x30, 0, 0, 0, 0x30, 0],
      // lidt [0x301000]
      ...[0x0f, 0x01, 0x1d, 0x00, 0x10, 0x30, 0],
      // The timer every 65,536 ticks, 54.9 ms: 0x34 to port 0x43, zeros to 0x40
      ...[0xb0, 0x34, 0xe6, 0x43, 0xb0, 0, 0xe6, 0x40, 0xe6, 0x40],
      // mov ecx, 18,207; again: sti; hlt; dec ecx; jnz again
      ...[0xb9, 0x1f, 0x47, 0, 0, 0xfb, 0xf4, 0x49, 0x75, 0xfb],
    ];
    const ended = await deterministic(
      tinyGuest(handler, main, print("awake"), exit(0)),
      ...["--net", "none"],
    );
    expect(ended).toMatchObject({ status: 0, stdout: "awake" });
    const idle = /idle ([\d.]+) ms/.exec(ended.stderr)?.[1];
    expect(Number(idle)).toBeGreaterThan(1_000_000);
    expect(ended.elapsed).toBeLessThan(10_000);
  });

  it.each([
    [/TypeScript/, ["--accel", "kvm"]],
    [/tap/, ["--accel", "emu", "--net", "tap:t0"]],
  ])("says in one line that it cannot be: %s", async (reason, args) => {
    const ended = await run([image("hello"), "--deterministic", ...args]);
    expect(ended).toMatchObject({ status: 125, stdout: "" });
    expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]+\n$/);
    expect(ended.stderr).toMatch(reason);
  });
});
