import { createHash } from "node:crypto";
import { FallbackCpu } from "../../fallback/cpu.ts";
import { interpreterModule } from "../../fallback/index.ts";
import { OpcodeMap } from "../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../fallback/isa/table.ts";
import { IDENTITY_PAGES, RECORDS } from "../../fallback/state.ts";
import { CountedClock } from "../../src/core/clock.ts";
import { GuestMemory, RAM_OFFSET } from "../../src/core/guest-memory.ts";
import { gpa, MIB, type Nanos } from "../../src/core/units.ts";
import { CountedEventLoop } from "../../src/host/event-loop.ts";
import { Machine } from "../../src/machine/machine.ts";
import { CodeCheck } from "../support/code-check.ts";
import { FakeDisk, FakeLink } from "../support/fake-backends.ts";
import { FakeConsole } from "../support/fake-console.ts";
import { SeededRandom } from "../support/random.ts";
import { HOSTILE_MODES, hostileGuest } from "./guest.ts";
import { remembersOther } from "./remembered.ts";

const RAM_SIZE = 2 * MIB;
/** Behind RAM: nobody may write there. */
const CANARY_SIZE = MIB / 4;
const CANARY = 0xa5;
const WASM_PAGE = 64 * 1024;
/** Times that code is entered before the JIT has it: hostile guests do not live long. */
const SOON = 2;
/** Of guest time, which is counted in instructions. */
const LONG_BOUND = 60_000;
/** How often what was made of code is looked at. */
const CHECK_EVERY = 1000;
/** Microseconds of the host's processor that a guest of so few instructions never takes. */
const LONGEST = 20_000_000;
const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

/** What came of one guest. */
export interface TrialResult {
  /** How the run ended. */
  readonly outcome: string;
  readonly instructions: number;
  /** What must not happen, if it did. */
  readonly failure: string | undefined;
  /** The guest's state at the end: a hash of registers and RAM. */
  readonly state: string;
  /** See {@link remembersOther}. */
  readonly remembersOther: boolean;
}

/** Runs random guests one after the other on the same memory. */
export class HostileTrials {
  readonly #memory: WebAssembly.Memory;
  readonly #canary: Uint8Array;
  readonly #untouched = new Uint8Array(CANARY_SIZE).fill(CANARY);
  /** Compiled once: most guests do not live long. */
  readonly #interpreter = new WebAssembly.Module(interpreterModule(false));
  readonly #inlineInterpreter = new WebAssembly.Module(interpreterModule(true));
  readonly #map = new OpcodeMap(FAMILIES);
  readonly #checks: boolean;

  /** @param checks whether to look now and then if what was made of code is still true: slower */
  constructor(checks = false) {
    this.#checks = checks;
    const pages = (RAM_OFFSET + RAM_SIZE + CANARY_SIZE) / WASM_PAGE;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#canary = new Uint8Array(this.#memory.buffer, RAM_OFFSET + RAM_SIZE, CANARY_SIZE);
    this.#canary.fill(CANARY);
  }

  /**
   * Runs a guest with the JIT and without: a failure too if these are not the same, unless the guest has
   * changed mappings that are remembered still.
   * @param seed, bound as for {@link run}
   */
  async compare(seed: number, bound = LONG_BOUND): Promise<TrialResult> {
    const result = await this.#compareOnce(seed, bound);
    if (result.failure === undefined || !result.differs) return result;
    const last = await this.#lastSame(seed, bound);
    // An instruction may change the mapping of what it accesses next: a fault's frame in a page table.
    const runs = [
      await this.run(seed, undefined, last),
      await this.run(seed, SOON, last),
      await this.run(seed, SOON, last + 1),
    ];
    const excused = runs.some((run) => run.remembersOther);
    return excused
      ? { ...result, failure: undefined, outcome: "mappings changed in secret" }
      : result;
  }

  /** The most instructions after which both are the same. */
  async #lastSame(seed: number, bound: number): Promise<number> {
    let [same, different] = [0, bound];
    while (different - same > 1) {
      const middle = Math.floor((same + different) / 2);
      if ((await this.#compareOnce(seed, middle)).failure === undefined) same = middle;
      else different = middle;
    }
    return same;
  }

  async #compareOnce(
    seed: number,
    bound: number,
  ): Promise<TrialResult & { readonly differs?: true }> {
    const interpreted = await this.run(seed, undefined, bound);
    const translated = await this.run(seed, SOON, bound);
    const failed = [interpreted, translated].find(({ failure }) => failure !== undefined);
    if (failed !== undefined) return failed;
    const difference = (["outcome", "instructions", "state"] as const).find(
      (what) => interpreted[what] !== translated[what],
    );
    if (difference === undefined) return translated;
    const values = `${interpreted[difference]} interpreted, ${translated[difference]} translated`;
    return { ...translated, failure: `${difference}: ${values}`, differs: true };
  }

  /**
   * @param seed of the guest: the same guest does the same thing again
   * @param threshold of the JIT; without it everything is interpreted
   * @param bound instructions that it may execute
   */
  async run(seed: number, threshold?: number, bound = LONG_BOUND): Promise<TrialResult> {
    const random = new SeededRandom(seed);
    // A processor starts in memory that is new: what the last one looked up there is not its own.
    new Uint8Array(this.#memory.buffer, 0, RECORDS).fill(0);
    new Uint8Array(this.#memory.buffer, IDENTITY_PAGES, RAM_OFFSET - IDENTITY_PAGES).fill(0);
    const clock = new CountedClock(0);
    const ram = new GuestMemory(this.#memory.buffer, RAM_OFFSET, RAM_SIZE);
    let stale: string | undefined;
    let nextCheck = 0;
    let check: CodeCheck | undefined;
    const cpu = new FallbackCpu({
      memory: this.#memory,
      ramSize: RAM_SIZE,
      clock,
      map: this.#map,
      interpreter: this.#interpreter,
      jit: threshold === undefined ? undefined : { threshold },
      inlineInterpreter: () => this.#inlineInterpreter,
      hostWaits: () => false,
      executed: (instructions) => {
        clock.pass(instructions);
        if (clock.now() < nextCheck) return;
        nextCheck = clock.now() + CHECK_EVERY;
        stale ??= check?.find();
      },
      random: () => (BigInt(random.next()) << 32n) | BigInt(random.next()),
    });
    ram.onWrite = (address, length) => cpu.mmu.noticeWrite(address, length);
    const machine = new Machine({
      cpu,
      clock,
      memory: ram,
      eventLoop: new CountedEventLoop(clock),
      console: new FakeConsole(),
      nets: [{ backend: new FakeLink(), mac: MAC }],
      blocks: [{ backend: new FakeDisk(64), id: "disk" }],
      report: () => {},
      boot: () => {
        const bytes = new Uint8Array(this.#memory.buffer, RAM_OFFSET, RAM_SIZE);
        const set = hostileGuest(random, random.pick(HOSTILE_MODES), bytes);
        const registers = cpu.readRegisters();
        set(registers);
        return registers;
      },
    });
    clock.alarm(() => machine.stop("bound")).set(bound as Nanos);
    if (this.#checks) {
      check = new CodeCheck(cpu, ram.slice(gpa(0), RAM_SIZE));
      const slice = clock.alarm(() => slice.set((clock.now() + CHECK_EVERY) as Nanos));
      slice.set(CHECK_EVERY as Nanos);
    }
    const result = await this.#judge(machine, cpu);
    return stale === undefined ? result : { ...result, failure: result.failure ?? stale };
  }

  async #judge(machine: Machine, cpu: FallbackCpu): Promise<TrialResult> {
    const start = process.cpuUsage();
    let outcome = "thrown";
    let failure: string | undefined;
    try {
      outcome = (await machine.run()).kind;
      cpu.readRegisters();
    } catch (error) {
      failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    const { user, system } = process.cpuUsage(start);
    if (user + system > LONGEST) failure ??= `took ${Math.round((user + system) / 1000)} ms`;
    if (Buffer.compare(this.#canary, this.#untouched) !== 0) {
      failure ??= "wrote behind its memory";
      this.#canary.fill(CANARY);
    }
    return {
      ...{ outcome, failure, instructions: cpu.instructions, state: this.#stateOf(cpu) },
      remembersOther: remembersOther(cpu),
    };
  }

  #stateOf(cpu: FallbackCpu): string {
    const registers = JSON.stringify(cpu.readState(), (_, value) =>
      typeof value === "bigint" ? value.toString(16) : value,
    );
    const bytes = new Uint8Array(this.#memory.buffer, RAM_OFFSET, RAM_SIZE);
    return createHash("sha256").update(registers).update(bytes).digest("hex");
  }
}
