import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { temporaryFolder } from "./temporary.ts";

const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** What an earlier run leaves of what it found out about KVM. */
export const verdict = (native: boolean) => ({
  ...{ boot: BOOT, device: "/dev/kvm", nanosecondsPerInstruction: 1 },
  native,
});

function put(cache: string, file: string): void {
  mkdirSync(join(cache, "solo5-kvm"));
  writeFileSync(join(cache, "solo5-kvm", "kvm.json"), file);
}

/** The environment of a command that finds such a file. @param file its text; none unless given */
export function remembering(file?: string): NodeJS.ProcessEnv {
  const cache = temporaryFolder();
  if (file !== undefined) put(cache, file);
  return { ...process.env, XDG_CACHE_HOME: cache };
}

let native: string | undefined;

/**
 * A cache for commands that are to execute with KVM whatever KVM can, also where it emulates
 * privileged code: our side of it is to be tested there too.
 */
export function nativeCache(): string {
  if (native !== undefined) return native;
  const cache = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
  process.on("exit", () => rmSync(cache, { recursive: true, force: true }));
  put(cache, JSON.stringify(verdict(true)));
  native = cache;
  return cache;
}
