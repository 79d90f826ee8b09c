import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Where what can be found out anew is kept for the user (XDG Base Directory Specification). */
export function cacheFolder({ XDG_CACHE_HOME: set = "" }: NodeJS.ProcessEnv): string {
  return join(isAbsolute(set) ? set : join(homedir(), ".cache"), "solo5-kvm");
}
