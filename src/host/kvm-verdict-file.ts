import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, makeFolder } from "./cache-folder.ts";
import { replaceFile } from "./replace-file.ts";

/** What a probe of the host's KVM found. */
export interface KvmVerdict {
  readonly native: boolean;
  readonly nanosecondsPerInstruction: number;
}

/**
 * Remembers the verdict, which holds until the machine starts again: finding out takes
 * milliseconds. A file in the user's own cache; whatever is wrong
 * with it, there is just nothing remembered.
 */
export class KvmVerdictFile {
  readonly #path: string;
  readonly #device: string;

  /** @param device path of KVM's device node */
  constructor(device: string, environment: NodeJS.ProcessEnv = process.env) {
    this.#path = join(cacheFolder(environment), "kvm.json");
    this.#device = device;
  }

  read(): KvmVerdict | undefined {
    try {
      const found = JSON.parse(readFileSync(this.#path, "utf8"));
      const { boot, device, native, nanosecondsPerInstruction } = found;
      const valid =
        boot === bootId() &&
        device === this.#device &&
        typeof native === "boolean" &&
        typeof nanosecondsPerInstruction === "number";
      return valid ? { native, nanosecondsPerInstruction } : undefined;
    } catch {
      return undefined;
    }
  }

  write(verdict: KvmVerdict): void {
    const { native, nanosecondsPerInstruction } = verdict;
    try {
      const text = JSON.stringify({
        ...{ boot: bootId(), device: this.#device },
        ...{ native, nanosecondsPerInstruction },
      });
      makeFolder(dirname(this.#path));
      replaceFile(this.#path, new TextEncoder().encode(`${text}\n`));
    } catch {
      // A home that cannot be written: the next start finds out again.
    }
  }
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
