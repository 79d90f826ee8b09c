import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { command, describeOnEach, execute, image, start } from "../support/monitor.ts";
import { NetworkNamespace } from "../support/network-namespace.ts";
import { SeededRandom } from "../support/random.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { atTerminal } from "../support/terminal.ts";
import { spin, tinyGuest } from "../support/tiny-guest.ts";

const STATUS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/** From before the first line of the program to a guest that has been serving for a while. */
const LATEST = 400;

describeOnEach.skipIf(missing("tap", "ip", "python3"))("a signal", () => {
  it("ends the run at any moment, and leaves no tap", { timeout: 60_000 }, async () => {
    const net = new NetworkNamespace();
    const random = new SeededRandom(1);
    for (let round = 0; round < 24; round++) {
      const signal = random.pick(SIGNALS);
      const moment = Math.floor((round * LATEST) / 24) + random.below(16);
      const monitor = net.start([image("kernel"), "--net", "tap:t0"]);
      await setTimeout(moment);
      const sent = performance.now();
      monitor.kill(signal);
      const ended = await monitor.ended;
      const what = `${signal} after ${moment} ms: ${ended.stderr}`;
      expect(ended.status, what).toBe(STATUS[signal]);
      expect(ended.stderr, what).toBe("");
      expect(performance.now() - sent, what).toBeLessThan(1_000);
      expect(net.hasLink("t0"), what).toBe(false);
    }
  });

  it("ends a guest that only computes", async () => {
    for (const signal of SIGNALS) {
      const monitor = start([tinyGuest(spin)]);
      await setTimeout(300);
      monitor.kill(signal);
      expect(await monitor.ended).toMatchObject({ status: STATUS[signal], stderr: "" });
    }
  });

  it("restores the terminal at any moment", { timeout: 60_000 }, async () => {
    for (let moment = 0; moment < LATEST; moment += 45) {
      const { before, after, status } = await atTerminal(
        [image("kernel")],
        ["sleep", moment / 1000],
        ["signal", 15],
      );
      expect(status, `after ${moment} ms`).toBe(143);
      expect(after, `after ${moment} ms`).toEqual(before);
    }
  });

  it("ends the wait for somebody to read the capture", async () => {
    const pipe = join(temporaryFolder(), "pipe");
    await execute(["mkfifo", pipe]);
    const monitor = start([image("kernel"), "--pcap", pipe]);
    await setTimeout(400);
    monitor.kill("SIGTERM");
    expect(await monitor.ended).toMatchObject({ status: 143, stdout: "", stderr: "" });
  });

  it("twice ends it too", async () => {
    for (const pause of [0, 1, 5]) {
      const monitor = start([image("kernel")]);
      await monitor.printed("Serving ping");
      monitor.kill("SIGTERM");
      await setTimeout(pause);
      monitor.kill("SIGTERM");
      expect(await monitor.ended).toMatchObject({ status: 143, stderr: "" });
    }
  });

  it("and --timeout end a run whose output nobody takes", async () => {
    // The reader sleeps, and the pipe is full soon:
    // mov dx, 0x3f8; mov al, "A"; again: out dx, al; jmp again
    const script = 'exec 3>&1; "$@" | sleep 5; true';
    const flood = tinyGuest([0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41], [0xee, 0xeb, 0xfd]);
    for (const [extra, status] of [
      [["--timeout", "0.8"], 124],
      [[], 143],
    ] as const) {
      const inner = 'timeout --preserve-status -s TERM 2.5 "$@"; echo "status $? $(date +%s)" >&3';
      const started = Date.now() / 1000;
      const ended = await execute(
        ["sh", "-c", script, "sh", "sh", "-c", inner, "sh"].concat(command([flood, ...extra])),
      );
      const [, reported, at] = /status (\d+) (\d+)/.exec(ended.stdout) ?? [];
      expect(Number(reported)).toBe(status);
      expect(Number(at) - started).toBeLessThan(4.5);
    }
  });
});
