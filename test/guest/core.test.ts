import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeOnEach, image, ROOT, run, start } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { print, spin, tinyGuest } from "../support/tiny-guest.ts";

const MIB = 1024 * 1024;
const KERNEL_ELF = join(ROOT, "kernel/build/apps/exception.elf");

function gdb(elf: string, core: string, ...commands: string[]): string {
  const options = ["-batch", "-nx", ...commands.flatMap((command) => ["-ex", command])];
  return execFileSync("gdb", [...options, elf, core], { encoding: "utf8", stdio: "pipe" });
}

/** Functions of gdb's backtrace, innermost first. */
const functionsOf = (backtrace: string): string[] =>
  [...backtrace.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\w+)/gm)].map(([, name = ""]) => name);

/** mov edi, 0xdeadbeef; ud2: without a handler */
const CRASH = [0xbf, 0xef, 0xbe, 0xad, 0xde, 0x0f, 0x0b];

describeOnEach.skipIf(missing("gdb"))("a core of the guest", () => {
  it("of an exception in the kernel opens with registers, memory and callers", async () => {
    const core = join(temporaryFolder(), "core");
    const ended = await run([image("exception"), "--net", "none", "--core", core, "--", "divide"]);
    expect(ended.status).toBe(255);
    expect(ended.stderr).toContain(`solo5-kvm: the guest's core is in ${core}\n`);
    const text = gdb(KERNEL_ELF, core, "bt", "x/s kernel_command_line", "p $rip == 0");
    // gdb shows functions that were inlined besides, and the handler as such.
    const outer = ["divide", "solo5_app_main", "solo5_start", "kernel_main", "_start"];
    expect(functionsOf(text).slice(-outer.length)).toEqual(outer);
    const reported = [...ended.stderr.matchAll(/^#\d+ +0x[0-9a-f]+ (\w+)/gm)].map(
      ([, name]) => name,
    );
    expect(reported.slice(-outer.length)).toEqual(outer);
    expect(text).toContain('"divide"');
    expect(text).toContain("$1 = 0");
  });

  it("is written when the guest did not end well, and is as small as what it used", async () => {
    const core = join(temporaryFolder(), "core");
    const ended = await run([tinyGuest(CRASH), "--core", core, "-m", "64"]);
    expect(ended.status).toBe(121);
    const { size, blocks } = statSync(core);
    expect(size).toBeGreaterThan(64 * MIB);
    expect(512 * blocks).toBeLessThan(MIB);
    const other = join(temporaryFolder(), "core");
    expect((await run([image("hello"), "--core", other])).status).toBe(0);
    expect(existsSync(other)).toBe(false);
  });

  it("is written on SIGQUIT, and the guest goes on", async () => {
    const core = join(temporaryFolder(), "core");
    const guest = start([image("kernel"), "-m", "32", "--core", core]);
    await guest.printed("Serving ping");
    guest.kill("SIGQUIT");
    await expect.poll(() => guest.stderr, { timeout: 20_000 }).toContain(core);
    const elf = join(ROOT, "kernel/build/apps/ping.elf");
    expect(functionsOf(gdb(elf, core, "bt"))).toEqual(
      expect.arrayContaining(["solo5_app_main", "solo5_start", "kernel_main"]),
    );
    guest.kill("SIGTERM");
    expect((await guest.ended).status).toBe(143);
  });
});

describe("a core that cannot be written", () => {
  it.each([
    ["into a folder that is not there", "nowhere/core", /\(ENOENT\): name a file/],
    ["in place of a folder", ".", /\(EISDIR\): name a file/],
    ["into a pipe that nobody reads", "pipe", /\(ESPIPE\): name a file/],
  ])("is refused before the run: %s", async (_what, core, message) => {
    const cwd = temporaryFolder();
    execFileSync("mkfifo", ["pipe"], { cwd });
    const ended = await run([tinyGuest(print("."), CRASH), "--core", core], { cwd });
    expect(ended).toMatchObject({ status: 125, stdout: "" });
    expect(ended.stderr).toMatch(/^solo5-kvm: cannot write the core file [^\n]+\n$/);
    expect(ended.stderr).toMatch(message);
  });

  it("because the disk is full is told in a line", async () => {
    const ended = await run([tinyGuest(CRASH), "--accel", "emu", "--core", "/dev/full"]);
    expect(ended.status).toBe(121);
    const [last = ""] = ended.stderr.trimEnd().split("\n").slice(-1);
    expect(last).toMatch(/^solo5-kvm: cannot write the core file .*\(ENOSPC\): make room/);
    expect(existsSync("/dev/full")).toBe(true);
  });

  it("is not written over the image", async () => {
    const guest = tinyGuest(print("."), spin);
    const ended = await run([guest, "--core", guest]);
    expect(ended).toMatchObject({ status: 125, stdout: "" });
    expect(ended.stderr).toMatch(/^solo5-kvm: --core .* is the same file as the image/);
  });
});
