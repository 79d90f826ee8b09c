import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
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
import { SiliconProcess } from "./silicon-process.ts";

/** Longer than any snippet takes; one that loops for ever ends here. */
const TIME_LIMIT_MS = 10_000;
const NOP = 0x90;

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
  readonly #process: SiliconProcess;
  readonly #records = new Uint8Array(BATCH * RECORD.SIZE);

  /**
   * @param timeLimit milliseconds of processor time that a snippet may take at least
   * @throws HostError when the program cannot be compiled, or not run here
   */
  constructor(timeLimit = TIME_LIMIT_MS) {
    const root = packageRoot();
    const source = join(root, "test", "conformance", "native", "silicon.c");
    const program = join(root, "dist", "silicon");
    if (isNewer(source, program)) compile(source, program);
    this.#process = new SiliconProcess(program, this.#records, timeLimit);
    const runs = (mode: Mode): boolean =>
      this.run({ mode, code: Uint8Array.of(NOP), state: plainState() }).fault === undefined;
    this.modes = ([64, 32] as const).filter(runs);
  }

  close(): void {
    this.#process.close();
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
      results.push(...this.start(snippets.slice(first, first + BATCH))());
    }
    return results;
  }

  start(batch: readonly Snippet[]): () => (SnippetResult | undefined)[] {
    batch.forEach((snippet, index) => {
      writeRecord(this.#record(index), snippet);
    });
    this.#process.begin(0, batch.length);
    return () => this.#finish(batch);
  }

  #finish(batch: readonly Snippet[]): (SnippetResult | undefined)[] {
    this.#process.finish();
    // The process does not survive every snippet: another goes on behind the one that ended it.
    for (let next = 0; ; ) {
      while (next < batch.length && wasRun(this.#record(next))) next++;
      if (++next >= batch.length) break;
      this.#process.begin(next, batch.length);
      this.#process.finish();
    }
    return batch.map((snippet, index) => {
      const record = this.#record(index);
      return wasRun(record) ? readRecord(record, snippet) : undefined;
    });
  }

  #record(index: number): Uint8Array<ArrayBuffer> {
    return this.#records.subarray(index * RECORD.SIZE, (index + 1) * RECORD.SIZE);
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
