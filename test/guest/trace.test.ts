import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeOnEach, image, run } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, print, spin, tinyGuest } from "../support/tiny-guest.ts";

/** Without the times. */
const linesOf = (text: string): string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^ *\d+\.\d{6} /, "").replace(/ +/g, " "));

/** mov edi, 0x12345678; ud2 without a handler */
const CRASH = [0xbf, 0x78, 0x56, 0x34, 0x12, 0x0f, 0x0b];

describeOnEach("--trace", () => {
  it("writes what the ports see into a file, and nothing else", async () => {
    const file = join(temporaryFolder(), "trace");
    const guest = tinyGuest(print("Hi"), exit(3));
    const ended = await run([guest, "--net", "none", "--trace", `port=3f8-3ff:${file}`]);
    expect(ended).toMatchObject({ status: 3, stdout: "Hi", stderr: "" });
    expect(linesOf(readFileSync(file, "utf8"))).toEqual([
      ...["port out 0x03f8 <- 0x48 'H'", "port out 0x03f8 <- 0x69 'i'"],
    ]);
  });

  it("tells of a whole run, and the run is the same", async () => {
    const traced = await run([image("hello"), "--trace", "exit,mmio,irq,virtio,net,block"]);
    const plain = await run([image("hello")]);
    expect(traced).toMatchObject({ status: 0, stdout: plain.stdout });
    const lines = linesOf(traced.stderr);
    expect(lines).toContain("exit port-write 0x03f8 8 bits");
    expect(lines.filter((line) => !/^(exit|irq|virtio|net|mmio) /.test(line))).toEqual([]);
  });
});

describe("--trace cpu", () => {
  it("tells of instructions and of what they change, up to the last", async () => {
    const ended = await run([tinyGuest(CRASH), "--accel", "emu", "--trace", "cpu"]);
    expect(ended.status).toBe(121);
    expect(linesOf(ended.stderr).slice(0, 3)).toEqual([
      "cpu 00100020 mov edi, 0x12345678 rdi=12345678",
      "cpu 00100025 ud2",
      "solo5-kvm: the guest brought its processor down (triple fault)",
    ]);
  });

  it("is for the processor in TypeScript", async () => {
    const ended = await run([tinyGuest(spin), "--accel", "kvm", "--trace", "cpu"]);
    expect(ended.status).toBe(125);
    expect(ended.stderr).toBe(
      "solo5-kvm: --trace cpu needs the processor in TypeScript: use it with --accel emu\n",
    );
  });
});

describe("a trace that cannot be written", () => {
  it("is refused before the guest runs, and ends the run later", async () => {
    const early = await run([tinyGuest(spin), "--accel", "emu", "--trace", "port:/nowhere/trace"]);
    expect(early.status).toBe(125);
    expect(early.stderr).toMatch(/^solo5-kvm: cannot write the trace \/nowhere\/trace \(ENOENT\)/);
    const guest = tinyGuest(print("x"), exit(0));
    const late = await run([guest, "--accel", "emu", "--trace", "port:/dev/full"]);
    expect(late.status).toBe(125);
    expect(late.stderr).toMatch(
      /^solo5-kvm: writing failed on the trace \/dev\/full \(ENOSPC\)\n$/,
    );
    expect(existsSync("/dev/full")).toBe(true);
  });

  it("is told from kinds that there are none of", async () => {
    const ended = await run([tinyGuest(spin), "--trace", "ports"]);
    expect(ended.status).toBe(125);
    expect(ended.stderr).toMatch(/"ports" is none of the kinds exit, port, /);
    expect(ended.stderr.trimEnd().split("\n").length).toBe(1);
  });
});
