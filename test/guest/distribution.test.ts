import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { linuxInitrd } from "../support/linux-guest.ts";
import { ROOT, start } from "../support/monitor.ts";
import { linuxKernel, MEMTEST, missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** These take seconds, and on a busy host many of them. */
const LIMIT = 110;
const OPTIONS = { timeout: (LIMIT + 10) * 1000 };

const emulated = ["--accel", "emu", "--net", "none"];

/** A rescue disc of GRUB's with our kernel on it. */
function rescueDisc(): string {
  const folder = temporaryFolder();
  const boot = join(folder, "disc/boot");
  mkdirSync(join(boot, "grub"), { recursive: true });
  cpSync(join(ROOT, "kernel/build/boot/loader.elf"), join(boot, "loader"));
  cpSync(join(ROOT, "kernel/build/apps/hello.elf"), join(boot, "kernel"));
  const menu = [
    "set timeout=0",
    "menuentry hello {",
    "  multiboot /boot/loader",
    "  module /boot/kernel kernel from GRUB",
    "}",
  ];
  writeFileSync(join(boot, "grub/grub.cfg"), menu.join("\n"));
  const disc = join(folder, "disc.iso");
  const platform = ["-d", "/usr/lib/grub/i386-pc"];
  execFileSync("grub-mkrescue", [...platform, "-o", disc, join(folder, "disc")], { stdio: "pipe" });
  return disc;
}

/** A shell and nothing else. */
const shellOnly = (): string => linuxInitrd({ applets: ["uname", "poweroff"], script: [] });

describe("what Debian packages", () => {
  it.skipIf(missing("grub", "xorriso"))(
    "GRUB 2 starts a kernel from its disc",
    OPTIONS,
    async () => {
      const guest = start([rescueDisc(), ...emulated, "--boot", "bios"], { limit: LIMIT });
      const ended = await guest.ended;
      expect(ended.stdout).toContain("Booting `hello'");
      expect(ended.stdout).toMatch(/Hello, World\s+Command line is: 'from GRUB'/);
      expect(ended.status).toBe(0);
    },
  );

  const processors = ["emu", ...(missing("kvm") ? [] : ["kvm"])];
  it.skipIf(missing("linux")).each(processors)(
    "Linux comes up to a shell with %s, and switches off",
    OPTIONS,
    async (processor) => {
      const files = [linuxKernel() ?? "", "--initrd", shellOnly()];
      const machine = ["--accel", processor, "--net", "none", "-m", "128"];
      const guest = start([...files, ...machine, "--", "console=ttyS0", "quiet"], {
        stdin: "pipe",
        limit: LIMIT,
      });
      await guest.printed("/ # ");
      guest.type("echo $((6 * 7)) on $(uname -m)\n");
      await guest.printed("42 on x86_64");
      guest.type("poweroff -f\n");
      const ended = await guest.ended;
      expect(ended.stdout).not.toMatch(/BUG|WARNING|Call Trace/);
      expect(ended.status).toBe(0);
    },
  );

  it.skipIf(missing("memtest"))("memtest86+ paints its screen, and tests", OPTIONS, async () => {
    const guest = start([MEMTEST, ...emulated, "-m", "32"], { limit: LIMIT });
    await guest.printed("Memtest86+");
    await guest.printed(/Pass +\d+%/);
    guest.kill("SIGTERM");
    expect((await guest.ended).status).toBe(143);
  });
});
