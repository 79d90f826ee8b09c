import { Bug } from "../../src/core/errors.ts";
import { MILLISECOND, nanos } from "../../src/core/units.ts";
import { loadAddon } from "../../src/host/addon.ts";
import { HostClock } from "../../src/host/clock.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import { KvmCpu } from "../../src/kvm/kvm-cpu.ts";
import { plainState } from "./backgrounds.ts";
import type { Judge, Mode, Snippet, SnippetCpu, SnippetResult } from "./driver.ts";
import { judgeHas } from "./judge-features.ts";
import { KvmMachine } from "./kvm-machine.ts";
import { RECORD, readRecord, writeRecord } from "./record.ts";

/** Longer than any batch takes; a snippet that loops for ever ends here. */
const TIME_LIMIT = 2_000 * MILLISECOND;

/**
 * The real processor, at privilege level 3 under KVM: it executes the snippets itself, and so is
 * what the others are compared with.
 */
export class KvmSilicon implements SnippetCpu, Judge {
  readonly name = "silicon";
  /** Where KVM emulates 32-bit code, only 64-bit code is the processor's own. */
  readonly modes: readonly Mode[];
  readonly #clock = new HostClock();
  readonly #machine = new KvmMachine(judgeHas("avx"));
  readonly #cpu: KvmCpu;
  #booted = false;

  /** @throws HostError when KVM or the addon is missing */
  constructor() {
    this.#cpu = new KvmCpu({
      addon: loadAddon<KvmAddon>(),
      memory: this.#machine.memory,
      clock: this.#clock,
      device: "/dev/kvm",
      timed: false,
    });
    this.modes = this.#runsDaa() ? [64, 32] : [64];
  }

  close(): void {
    this.#cpu.close();
  }

  run(snippet: Snippet): SnippetResult {
    return this.runAll([snippet])[0] as SnippetResult;
  }

  runAll(snippets: readonly Snippet[]): SnippetResult[] {
    const results: SnippetResult[] = [];
    for (let first = 0; first < snippets.length; first += this.#machine.capacity) {
      const batch = snippets.slice(first, first + this.#machine.capacity);
      batch.forEach((snippet, index) => {
        writeRecord(this.#record(index), snippet);
      });
      this.#runBatch(batch);
      batch.forEach((snippet, index) => {
        results.push(readRecord(this.#record(index), snippet));
      });
    }
    return results;
  }

  /** KVM's emulator does not know DAA. */
  #runsDaa(): boolean {
    const DAA = 0x27;
    return (
      this.run({ mode: 32, code: Uint8Array.of(DAA), state: plainState() }).fault === undefined
    );
  }

  #record(index: number): Uint8Array<ArrayBuffer> {
    return this.#machine.records.subarray(index * RECORD.SIZE, (index + 1) * RECORD.SIZE);
  }

  #runBatch(batch: readonly Snippet[]): void {
    this.#machine.arm(batch.length);
    if (!this.#booted) this.#cpu.writeRegisters(this.#machine.boot(this.#cpu.readRegisters()));
    this.#booted = true;
    const deadline = nanos(this.#clock.now() + TIME_LIMIT);
    let exit = this.#cpu.run(deadline);
    while (exit.kind === "kicked" && this.#clock.now() < deadline) exit = this.#cpu.run(deadline);
    if (exit.kind === "mmio-write") return;
    const where = this.#machine.position;
    const { rip } = this.#cpu.readRegisters();
    this.#cpu.reset();
    this.#booted = false;
    const code = Buffer.from(batch[where]?.code ?? []).toString("hex");
    const detail = exit.kind === "cannot-continue" ? ` (${exit.reason})` : "";
    throw new Bug(
      `silicon did not finish snippet ${where}, ${code}: ${exit.kind}${detail} at ${rip.toString(16)}`,
    );
  }
}
