import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Bug, HostError } from "../../src/core/errors.ts";
import { packageRoot } from "../../src/host/addon.ts";
import { plainState } from "./backgrounds.ts";
import {
  BATCH,
  type Judge,
  type Mode,
  type Snippet,
  type SnippetCpu,
  type SnippetResult,
} from "./driver.ts";
import { RECORD, readRecord, wasRun, writeRecord } from "./record.ts";

/** Longer than any batch takes; a snippet that loops for ever ends here. */
const TIME_LIMIT_MS = 60_000;
const NOP = 0x90;
const SHARED_MEMORY = "/dev/shm";

/**
 * The real processor: a process of this host (`native/silicon.c`) executes the snippets itself, and
 * so is what everything else is compared with. Needs an x86-64 Linux and a C compiler.
 */
export class Silicon implements SnippetCpu, Judge {
  readonly name = "silicon";
  /** Not every kernel has 32-bit segments for user code. */
  readonly modes: readonly Mode[];
  /** Whether snippets may have bases of FS and GS other than zero: not every kernel lets them. */
  readonly segmentBases = userSetsBases();
  readonly #timeLimit: number;
  readonly #program: string;
  /** A file without a name, and what was or will be in it. */
  readonly #file: number;
  readonly #records = new Uint8Array(BATCH * RECORD.SIZE);

  /**
   * @param timeLimit milliseconds that a batch may take at most
   * @throws HostError when the program cannot be compiled, or not run here
   */
  constructor(timeLimit = TIME_LIMIT_MS) {
    this.#timeLimit = timeLimit;
    const root = packageRoot();
    const source = join(root, "test", "conformance", "native", "silicon.c");
    this.#program = join(root, "dist", "silicon");
    if (isNewer(source, this.#program)) compile(source, this.#program);
    this.#file = openNamelessFile();
    const runs = (mode: Mode): boolean =>
      this.run({ mode, code: Uint8Array.of(NOP), state: plainState() }).fault === undefined;
    this.modes = ([64, 32] as const).filter(runs);
  }

  close(): void {
    closeSync(this.#file);
  }

  /** @throws Bug when the processor does not come back from it */
  run(snippet: Snippet): SnippetResult {
    const [result] = this.runAll([snippet]);
    if (result !== undefined) return result;
    throw new Bug(`silicon does not come back from ${Buffer.from(snippet.code).toString("hex")}`);
  }

  runAll(snippets: readonly Snippet[]): (SnippetResult | undefined)[] {
    const results: (SnippetResult | undefined)[] = [];
    for (let first = 0; first < snippets.length; first += BATCH) {
      results.push(...this.#runBatch(snippets.slice(first, first + BATCH)));
    }
    return results;
  }

  #runBatch(batch: readonly Snippet[]): (SnippetResult | undefined)[] {
    batch.forEach((snippet, index) => {
      writeRecord(this.#record(index), snippet);
    });
    const length = batch.length * RECORD.SIZE;
    writeSync(this.#file, this.#records, 0, length, 0);
    // The program does not survive every snippet: another goes on behind the one that ended it.
    for (let next = 0; next < batch.length; next++) {
      this.#execute(next, batch.length);
      readSync(this.#file, this.#records, 0, length, 0);
      while (next < batch.length && wasRun(this.#record(next))) next++;
    }
    return batch.map((snippet, index) => {
      const record = this.#record(index);
      return wasRun(record) ? readRecord(record, snippet) : undefined;
    });
  }

  #record(index: number): Uint8Array<ArrayBuffer> {
    return this.#records.subarray(index * RECORD.SIZE, (index + 1) * RECORD.SIZE);
  }

  /** Has the program work through the records from one number up to another. */
  #execute(first: number, end: number): void {
    const { stderr, error } = spawnSync(this.#program, [String(first), String(end)], {
      stdio: [this.#file, "ignore", "pipe"],
      timeout: this.#timeLimit,
      killSignal: "SIGKILL",
    });
    if (error !== undefined && (error as NodeJS.ErrnoException).code !== "ETIMEDOUT") {
      throw new HostError(`cannot run ${this.#program}`, { cause: error });
    }
    if (stderr.length > 0) throw new HostError(stderr.toString().trim());
  }
}

const AT_HWCAP2 = 26n;
const HWCAP2_FSGSBASE = 2n;

/** From the auxiliary vector: pairs of a type and a value (getauxval(3)). */
function userSetsBases(): boolean {
  const vector = new DataView(Uint8Array.from(readFileSync("/proc/self/auxv")).buffer);
  for (let at = 0; at + 16 <= vector.byteLength; at += 16) {
    if (vector.getBigUint64(at, true) !== AT_HWCAP2) continue;
    return (vector.getBigUint64(at + 8, true) & HWCAP2_FSGSBASE) !== 0n;
  }
  return false;
}

function openNamelessFile(): number {
  const folder = mkdtempSync(
    join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), "silicon-"),
  );
  const file = openSync(join(folder, "records"), "w+");
  rmSync(folder, { recursive: true });
  return file;
}

function isNewer(source: string, target: string): boolean {
  const built = statSync(target, { throwIfNoEntry: false });
  return built === undefined || built.mtimeMs < statSync(source).mtimeMs;
}

function compile(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  const compiler = process.env.CC ?? "cc";
  const flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fno-stack-protector", "-Wl,-z,now"];
  // Others may be running it, or compiling it too.
  const made = `${target}.${process.pid}`;
  const { status, stderr, error } = spawnSync(compiler, [...flags, "-o", made, source]);
  if (error !== undefined || status !== 0) {
    throw new HostError(`${compiler} cannot compile the judge`, {
      remedy: error?.message ?? stderr.toString(),
    });
  }
  renameSync(made, target);
}
