import { type BigIntStats, statSync } from "node:fs";
import { resolve } from "node:path";
import { HostError } from "../core/errors.ts";

/** A file that the command line names. */
export interface NamedFile {
  /** What it is for, as the user said it: `--pcap`. */
  readonly use: string;
  readonly path: string;
  /** Whether the run may change it. */
  readonly written: boolean;
}

/**
 * Keeps a run from overwriting its own image or disks, and from writing two things into one file.
 * @throws HostError when a file that is written is named twice, by whatever path
 */
export function requireDistinct(files: readonly NamedFile[]): void {
  const users = new Map<string, NamedFile>();
  for (const file of files) {
    const identity = identify(file.path);
    if (identity === undefined) continue;
    const other = users.get(identity);
    if (other === undefined) users.set(identity, file);
    else if (file.written || other.written) {
      throw new HostError(
        `${file.use} ${file.path} is the same file as ${other.use} ${other.path}`,
        {
          remedy: "name another file",
        },
      );
    }
  }
}

/** The same for every path to one file; undefined for what may be shared, like `/dev/null`. */
function identify(path: string): string | undefined {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch {
    // It may be there soon, made by us. If it cannot be used, its opening says so.
    return resolve(path);
  }
  if (stats.isBlockDevice()) return `device ${stats.rdev}`;
  return stats.isFile() ? `${stats.dev}:${stats.ino}` : undefined;
}
