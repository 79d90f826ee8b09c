import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./temporary.ts";

const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** What an earlier run leaves of what it found out about KVM. */
export const verdict = (native: boolean) => ({
  ...{ boot: BOOT, device: "/dev/kvm", nanosecondsPerInstruction: 1 },
  native,
});

/** The environment of a command that finds such a file. @param file its text; none unless given */
export function remembering(file?: string): NodeJS.ProcessEnv {
  const cache = temporaryFolder();
  if (file !== undefined) {
    mkdirSync(join(cache, "solo5-kvm"));
    writeFileSync(join(cache, "solo5-kvm", "kvm.json"), file);
  }
  return { ...process.env, XDG_CACHE_HOME: cache };
}
