import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, execute, PROGRAM, ROOT } from "./monitor.ts";
import { temporaryFolder } from "./temporary.ts";

/** The kernel as it is built already, to build programs with. */
export class Kernel {
  readonly root = temporaryFolder();
  readonly #folder = join(this.root, "kernel");

  constructor() {
    cpSync(join(ROOT, "kernel"), this.#folder, { recursive: true, preserveTimestamps: true });
  }

  make(app: string, ...variables: string[]): Promise<Ended> {
    const iso = `ISO=${process.execPath} ${PROGRAM} iso`;
    return execute(["make", "-C", this.#folder, iso, `APP=${app}`, ...variables]);
  }

  /** The image of a program that has been made. */
  image(name: string): string {
    return join(this.#folder, "build", `${name}.iso`);
  }

  /** Whether the image of a program has these characters in it. */
  has(name: string, text: string): boolean {
    return readFileSync(this.image(name)).includes(text);
  }

  /** A folder of C files, given by name and contents. @returns its path */
  program(path: string, files: Readonly<Record<string, string>>): string {
    const folder = join(this.root, path);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return folder;
  }
}
