import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { errnoOf } from "./errno.ts";

/** Where what can be found out anew is kept for the user (XDG Base Directory Specification). */
export function cacheFolder({ XDG_CACHE_HOME: set = "" }: NodeJS.ProcessEnv): string {
  return join(isAbsolute(set) ? set : join(homedir(), ".cache"), "solo5-kvm");
}

const ONLY_OWNER = 0o700;

/**
 * Makes a folder, and those above it that are not there. Node's own way to do that tries for ever where
 * none can be made in a folder that is there, as in /proc.
 * @throws Error as Node's `mkdirSync`
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, ONLY_OWNER);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === "EEXIST") return;
    const above = dirname(path);
    if (errno !== "ENOENT" || above === path) throw cause;
    makeFolder(above);
    mkdirSync(path, ONLY_OWNER);
  }
}
