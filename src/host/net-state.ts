import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HostError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/**
 * What `net up` made, for `net down` to undo: names of steps, and the indices of the interfaces
 * they were made with. Something made later under the same name has another index.
 */
export interface NetState {
  readonly boot: string;
  readonly made: readonly string[];
  readonly bridge: number;
  readonly tap: number;
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** One file for each network namespace, of no meaning after a restart of the machine. */
export class NetStateFile {
  readonly #folder: string;
  readonly #path: string;

  /** @param namespace tells the network namespace from others */
  constructor(folder: string, namespace: string) {
    this.#folder = folder;
    this.#path = join(folder, `net-${namespace}.json`);
  }

  /** Undefined when nothing was made, or nothing readable says so. */
  read(): NetState | undefined {
    try {
      const state: NetState = JSON.parse(readFileSync(this.#path, "utf8"));
      return state.boot === bootId() && Array.isArray(state.made) ? state : undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws HostError when it cannot be written */
  write(state: Omit<NetState, "boot">): void {
    this.#attempt(() => {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(this.#path, JSON.stringify({ boot: bootId(), ...state }));
    });
  }

  /** @throws HostError when it cannot be removed */
  remove(): void {
    this.#attempt(() => {
      rmSync(this.#path, { force: true });
      try {
        rmdirSync(this.#folder);
      } catch (cause) {
        // Other namespaces' files may be there; and it may never have been.
        if (!["ENOTEMPTY", "ENOENT"].includes(errnoOf(cause) ?? "")) throw cause;
      }
    });
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (cause) {
      const errno = errnoOf(cause);
      throw new HostError(`cannot write ${this.#path}`, { errno, remedy: "run as root", cause });
    }
  }
}
