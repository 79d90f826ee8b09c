import type { CountedClock } from "../../src/core/clock.ts";
import type { Cpu, GuestTime, Registers, VmExit } from "../../src/core/cpu.ts";
import type { DebugStops } from "../../src/core/debug.ts";
import { Bug } from "../../src/core/errors.ts";
import type { MemoryProtection } from "../../src/core/guest-memory.ts";
import type { ProcessorState } from "../../src/core/processor-state.ts";
import { type Nanos, nanos } from "../../src/core/units.ts";
import { FallbackCpu } from "../cpu.ts";
import type { MadeRegion } from "../jit/region-maker.ts";
import { PAGE_SIZE } from "../memory/physical.ts";
import type { FallbackCpuOptions } from "../options.ts";
import { describeExit, differences, surelySame, TwinMemory } from "./comparison.ts";
import { describeDifference } from "./report.ts";
import { type Failure, type RunAgain, search } from "./search.ts";
import { Moment, Twin, TwinClock, TwinRandom } from "./twin.ts";

interface Exits {
  readonly translated: VmExit;
  readonly interpreted: VmExit;
}

/** Instructions that are executed before the two are compared. */
const STRETCH = 20_000;
/** All of memory is compared after this many, and as many as it has words. */
const ALL_EVERY = 20_000_000;

export interface CheckedOptions
  extends Omit<FallbackCpuOptions, "clock" | "executed" | "random" | "hostWaits"> {
  /** Of the machine, which goes by the instructions executed. */
  readonly clock: CountedClock;
  /** As large as the guest's, and of the same kind. */
  readonly twinMemory: WebAssembly.Memory;
}

/**
 * Two processors that execute the same guest, one with the JIT, one without, each in a memory of its
 * own: they have to be in the same state after every stretch of instructions. What devices answer and
 * write goes to both. What they differ in first is searched for, and thrown as a `Bug`.
 */
export class CheckedCpu implements Cpu {
  readonly name = "emu";
  readonly #clock: CountedClock;
  readonly #translated: Twin;
  readonly #interpreted: Twin;
  readonly #memory: TwinMemory;
  readonly #regions = new Map<bigint, MadeRegion>();
  readonly #before = { translated: new Moment(), interpreted: new Moment() };
  /** What devices have written since the interpreter ran last: address and length. */
  readonly #writes: [address: number, length: number][] = [];
  #exits: Exits | undefined;
  #isFresh = true;
  #kicked = false;
  #sinceAll = 0;

  constructor(options: CheckedOptions) {
    const { clock, twinMemory, jit, memory } = options;
    this.#clock = clock;
    const onRegion = (made: MadeRegion): void => {
      const [entry] = made.blocks;
      if (entry !== undefined) this.#regions.set(entry.linear, made);
    };
    this.#translated = twin(options, memory, jit && { ...jit, onRegion });
    this.#interpreted = twin(options, twinMemory, undefined);
    this.#memory = new TwinMemory(twinMemory.buffer, memory.buffer);
  }

  get times(): Cpu["times"] {
    return this.#translated.cpu.times;
  }

  get guestTime(): GuestTime | undefined {
    return this.#translated.cpu.guestTime;
  }

  get notes(): NonNullable<Cpu["notes"]> {
    return this.#translated.cpu.notes;
  }

  get tscKhz(): number {
    return this.#translated.cpu.tscKhz;
  }

  get interruptible(): boolean {
    return this.#translated.cpu.interruptible;
  }

  get cr8(): number {
    return this.#translated.cpu.cr8;
  }

  set cr8(value: number) {
    for (const { cpu } of this.#both) cpu.cr8 = value;
  }

  get apicBase(): number {
    return this.#translated.cpu.apicBase;
  }

  get #both(): readonly [Twin, Twin] {
    return [this.#interpreted, this.#translated];
  }

  /** RAM is written by somebody else than the guest, before or after. */
  noticeWrite(address: number, length: number): void {
    this.#translated.cpu.mmu.noticeWrite(address, length);
    this.#writes.push([address, length]);
  }

  /** See `PhysicalMemory.protect`. */
  protect(protections: readonly MemoryProtection[]): void {
    for (const { cpu } of this.#both) cpu.mmu.memory.protect(protections);
  }

  run(deadline: Nanos): VmExit {
    this.#catchUp();
    // First what is under way: then a stretch has nothing but its state to begin with.
    let exit = this.#stretch(this.#clock.now(), false);
    while (exit.kind === "kicked") {
      const now = this.#clock.now();
      if (this.#kicked || now >= deadline) break;
      exit = this.#stretch(nanos(Math.min(deadline, now + STRETCH)), true);
    }
    this.#kicked = false;
    return exit;
  }

  /** The interpreter's memory and device accesses become what the other's are. */
  #catchUp(): void {
    if (this.#isFresh) {
      this.#isFresh = false;
      this.#copy(0, this.#memory.pages * PAGE_SIZE);
    }
    for (const [address, length] of this.#writes) this.#copy(address, length);
    this.#writes.length = 0;
    const { translated, interpreted } = this.#exits ?? {};
    if (translated?.kind === "mmio-read" && interpreted?.kind === "mmio-read") {
      interpreted.data.set(translated.data);
    }
    for (const { clock } of this.#both) clock.time = this.#clock.now();
  }

  #copy(address: number, length: number): void {
    const last = Math.ceil((address + length) / PAGE_SIZE);
    for (let page = Math.floor(address / PAGE_SIZE); page < last; page++) {
      if (this.#memory.difference(page) === undefined) continue;
      this.#interpreted.setPage(page, this.#translated.page(page));
    }
  }

  /** @param searchable whether a difference can be looked for by executing the stretch again */
  #stretch(until: Nanos, searchable: boolean): VmExit {
    const { translated, interpreted } = this.#before;
    translated.take(this.#translated);
    interpreted.take(this.#interpreted);
    const count = this.#translated.cpu.instructions;
    const again: RunAgain = { pages: new Map(), until };
    this.#runBoth(again);
    const executed = this.#translated.cpu.instructions - count;
    const difference = this.#difference(again.pages.keys()) ?? this.#differenceAnywhere(executed);
    if (difference !== undefined) {
      throw new Bug(this.#report(difference, searchable ? again : undefined));
    }
    this.#clock.pass(this.#translated.clock.time - translated.time);
    return this.#exitForBoth();
  }

  /** The interpreter first: then the other's memory has what the pages were that it writes. */
  #runBoth(again: RunAgain): void {
    const written = this.#interpreted.cpu.mmu.trackWrites();
    const interpreted = this.#interpreted.cpu.run(again.until);
    for (const page of written) again.pages.set(page, this.#translated.page(page).slice());
    const translated = this.#translated.cpu.run(again.until);
    this.#exits = { translated, interpreted };
  }

  #difference(pages: Iterable<number>): string[] | undefined {
    const { translated, interpreted } = this.#exits ?? {};
    const found: string[] = [];
    if (translated !== undefined && interpreted !== undefined) {
      const [left, right] = [describeExit(interpreted), describeExit(translated)];
      if (left !== right) found.push(`exit: interpreter ${left}, JIT ${right}`);
    }
    found.push(...this.#stateDifferences());
    for (const page of pages) {
      const address = this.#memory.difference(page);
      if (address !== undefined) found.push(this.#memory.describe(address));
    }
    return found.length === 0 ? undefined : found;
  }

  #stateDifferences(): string[] {
    const { clock: left, cpu: interpreted } = this.#interpreted;
    const { clock: right, cpu: translated } = this.#translated;
    const time = [`instructions: interpreter ${left.time}, JIT ${right.time}`];
    if (left.time !== right.time) return time;
    if (surelySame(interpreted.processor, translated.processor)) return [];
    return differences(interpreted.peekState(), translated.peekState());
  }

  /** The JIT may have written what the interpreter has not. */
  #differenceAnywhere(executed: number): string[] | undefined {
    this.#sinceAll += executed;
    const { pages } = this.#memory;
    if (this.#sinceAll < Math.max(ALL_EVERY, (pages * PAGE_SIZE) / 4)) return undefined;
    const instructions = this.#sinceAll;
    this.#sinceAll = 0;
    for (let page = 0; page < pages; page++) {
      const address = this.#memory.difference(page);
      if (address === undefined) continue;
      return [this.#memory.describe(address), `written in the last ${instructions} instructions`];
    }
    return undefined;
  }

  #report(found: readonly string[], again: RunAgain | undefined): string {
    const failure: Failure | undefined =
      again &&
      search(this.#interpreted, this.#translated, this.#before, again, (pages) =>
        this.#difference(pages),
      );
    const at = this.#translated.cpu.instructions;
    return describeDifference(found, failure, at, (linear) => this.#regions.get(linear));
  }

  /** What the run loop gets, so that its answers reach both. */
  #exitForBoth(): VmExit {
    const { translated, interpreted } = this.#exits as Exits;
    if (translated.kind !== "port-read" || interpreted.kind !== "port-read") return translated;
    return {
      ...{ kind: "port-read", port: translated.port, size: translated.size },
      count: translated.count,
      complete: (index, value) => {
        // What devices wrote until now was there before the answer.
        this.#catchUp();
        interpreted.complete(index, value);
        translated.complete(index, value);
      },
    };
  }

  interrupt(vector: number): void {
    for (const { cpu } of this.#both) cpu.interrupt(vector);
  }

  nmi(): void {
    for (const { cpu } of this.#both) cpu.nmi();
  }

  requestInterruptWindow(wanted: boolean): void {
    for (const { cpu } of this.#both) cpu.requestInterruptWindow(wanted);
  }

  kick(): void {
    this.#kicked = true;
  }

  rest(): void {}

  stopAt(stops: DebugStops): void {
    for (const { cpu } of this.#both) cpu.stopAt(stops);
  }

  readRegisters(): Registers {
    return this.#translated.cpu.readRegisters();
  }

  writeRegisters(registers: Registers): void {
    for (const { cpu } of this.#both) cpu.writeRegisters(registers);
  }

  readState(): ProcessorState {
    return this.#translated.cpu.readState();
  }

  writeState(state: ProcessorState): void {
    for (const { cpu } of this.#both) cpu.writeState(state);
    this.#isFresh = true;
  }

  reset(): void {
    for (const { cpu } of this.#both) cpu.reset();
    this.#isFresh = true;
  }

  close(): void {
    for (const { cpu } of this.#both) cpu.close();
  }
}

function twin(
  options: CheckedOptions,
  memory: WebAssembly.Memory,
  jit: FallbackCpuOptions["jit"],
): Twin {
  const clock = new TwinClock(options.clock.wallAtStart);
  const random = new TwinRandom();
  const cpu = new FallbackCpu({
    ...options,
    ...{ memory, clock, jit },
    profile: jit === undefined ? undefined : options.profile,
    random: random.next,
    hostWaits: () => false,
    executed: (instructions) => clock.pass(instructions),
  });
  return new Twin(cpu, clock, random, memory.buffer);
}
