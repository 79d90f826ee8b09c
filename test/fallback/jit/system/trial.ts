import type { VmExit } from "../../../../src/core/cpu.ts";
import { NO_STOPS } from "../../../../src/core/debug.ts";
import type { Translations } from "../../../../src/core/translations.ts";
import { gpa, nanos } from "../../../../src/core/units.ts";
import { CodeCheck } from "../../../support/code-check.ts";
import { SeededRandom } from "../../../support/random.ts";
import { MODES } from "../machine.ts";
import { program } from "../programs.ts";
import type { Trial } from "../trial.ts";
import { SystemInstructions } from "./instructions.ts";
import * as at from "./layout.ts";
import { SYSTEM_MODES, type SystemMachine, SystemWorkshop } from "./machine.ts";

const MOST_INSTRUCTIONS = 60_000;
const LONGEST_SLICE = 1500;
const HIGHEST_THRESHOLD = 6;
/** Bytes of code on the first page, at most: programs are mostly longer. */
const MOST_BEFORE = 0x180;
/** What is compared of RAM, beside the registers. */
const COMPARED: readonly (readonly [number, number])[] = [
  [0, 0x8000],
  [at.ROOT, at.AGAIN_TABLE + 2 * at.PAGE_SIZE],
  [at.HANDLER_STACK - at.PAGE_SIZE, at.HANDLER_STACK],
  [at.CODE, at.OTHER_CODE + at.CODE_SIZE],
  [at.DATA, at.DATA + at.DATA_SIZE],
  [at.STACK - at.STACK_SIZE, at.STACK],
];

/** What somebody outside the guest does between two slices. */
type Disturbance = (machine: SystemMachine) => void;

/**
 * Random programs for the system's side of the processor, interpreted and translated by the JIT; and once
 * more with what the JIT has kept of that.
 */
export class SystemTrials {
  readonly #workshop = new SystemWorkshop();

  /** @param seed of mode and program, and of where the two are compared and disturbed */
  try(seed: number, modes = SYSTEM_MODES): Trial {
    const random = new SeededRandom(seed);
    const mode = random.pick(modes);
    // Mostly on both pages of code.
    const start = at.PAGE_SIZE - random.below(MOST_BEFORE);
    const special = new SystemInstructions(random, mode, start);
    const base = MODES.find(({ bits }) => bits === mode.bits) as (typeof MODES)[number];
    const code = program(
      (below) => random.below(below),
      base,
      true,
      () => special.some(),
    );
    const boundaries = this.#workshop.boundaries(code, mode.bits);
    const threshold = 1 + random.below(HIGHEST_THRESHOLD);
    const memory = random.next();
    // What was kept is of other code then, here and there.
    const exchanges = random.chance(50);
    const compare = (
      kept: Translations | undefined,
    ): Trial & { kept: Translations | undefined } => {
      let keeps: Translations | undefined;
      const keep = (translations: Translations | undefined): void => {
        keeps = translations;
      };
      const machines = ([0, 1] as const).map((index) => {
        const jit = index === 0 ? undefined : { threshold, kept, keep };
        const made = { code, boundaries, start, exchanged: kept !== undefined && exchanges };
        return this.#workshop.machine(index, jit, mode, made, new SeededRandom(memory));
      }) as [SystemMachine, SystemMachine];
      const difference = firstDifference(machines, random);
      for (const { cpu } of machines) cpu.close();
      const { instructions } = machines[0].cpu;
      const what = kept === undefined ? difference : `${difference}, with what was kept`;
      const failure =
        difference && `${mode.name}, threshold ${threshold}, ${what} at ${instructions}`;
      return { mode: mode.name, instructions, failure, kept: keeps };
    };
    const { kept, ...first } = compare(undefined);
    if (first.failure !== undefined || kept === undefined) return first;
    const { failure, instructions } = compare(kept);
    return { mode: mode.name, instructions: first.instructions + instructions, failure };
  }
}

/** Runs both to the end. @returns what differs first, or is stale, if anything */
function firstDifference(
  machines: readonly [SystemMachine, SystemMachine],
  random: SeededRandom,
): string | undefined {
  const [interpreted, translated] = machines;
  const checks = machines.map(({ cpu, ram }) => new CodeCheck(cpu, ram.slice(gpa(0), ram.size)));
  while (interpreted.cpu.instructions < MOST_INSTRUCTIONS) {
    const disturb = disturbance(random);
    const length = 1 + random.below(LONGEST_SLICE);
    const [expected, actual] = machines.map((machine) => {
      disturb(machine);
      return runFor(machine, length);
    }) as [string, string];
    if (expected !== actual) return `${actual} instead of ${expected}`;
    const stale = checks.map((check) => check.find()).find((what) => what !== undefined);
    const difference = stale ?? differenceOf(interpreted, translated);
    if (difference !== undefined) return difference;
    if (/^(halt|shutdown|cannot)/.test(expected)) break;
  }
  return undefined;
}

/** Runs until something leaves the guest, and does what it asks for. @returns what it was */
function runFor({ cpu, clock }: SystemMachine, instructions: number): string {
  const exit = cpu.run(nanos(clock.now() + instructions));
  switch (exit.kind) {
    case "interrupt-window":
      cpu.requestInterruptWindow(false);
      cpu.interrupt(at.FIRST_INTERRUPT);
      break;
    case "debug":
      cpu.stopAt(NO_STOPS);
      return `${exit.kind} ${exit.cause} ${exit.watchpoint?.address}`;
    case "mmio-read":
      exit.data.fill(exit.address & 0xff);
      return `${exit.kind} ${exit.address} ${exit.length}`;
    case "mmio-write":
      return `${exit.kind} ${exit.address} ${exit.data.subarray(0, exit.length)}`;
    case "port-read":
    case "port-write":
      return accessed(exit);
  }
  return exit.kind;
}

function accessed(exit: Extract<VmExit, { kind: "port-read" | "port-write" }>): string {
  const values = Array.from({ length: exit.count }, (_, index) => {
    if (exit.kind === "port-write") return exit.value(index);
    exit.complete(index, exit.port + index);
    return 0;
  });
  return `${exit.kind} ${exit.port} ${exit.size} ${values}`;
}

function disturbance(random: SeededRandom): Disturbance {
  const vector = at.FIRST_INTERRUPT + random.below(at.INTERRUPTS);
  const address = random.pick([at.CODE, at.OTHER_CODE]) + random.below(at.CODE_SIZE - 64);
  const length = 1 + random.below(64);
  const data = at.DATA + random.below(at.DATA_SIZE - 64);
  const bytes = Uint8Array.from({ length }, () => random.next());
  const linear = BigInt(random.pick([0, at.AGAIN]) + (random.chance(50) ? address : data));
  // Code that changes often is no longer translated.
  if (random.chance(70)) return () => {};
  const writesCode = random.chance(20);
  return random.pick<Disturbance>([
    ({ cpu }) => {
      if (cpu.interruptible) cpu.interrupt(vector);
      else cpu.requestInterruptWindow(true);
    },
    ({ cpu }) => cpu.nmi(),
    // Code is written anew, though it stays as it is.
    ({ ram }) => {
      if (writesCode) ram.write(gpa(address), ram.slice(gpa(address), length).slice());
    },
    ({ ram }) => ram.write(gpa(data), bytes),
    ({ cpu }) => cpu.stopAt({ ...NO_STOPS, breakpoints: new Set([linear]) }),
    ({ cpu }) =>
      cpu.stopAt({ ...NO_STOPS, watchpoints: [{ address: linear, length, kind: "write" }] }),
    ({ cpu }) => cpu.stopAt({ ...NO_STOPS, step: true }),
    ({ cpu }) => cpu.stopAt(NO_STOPS),
    ({ cpu }) => {
      const registers = cpu.readRegisters();
      cpu.writeRegisters({ ...registers, rflags: registers.rflags ^ 0x100n });
    },
  ]);
}

function differenceOf(expected: SystemMachine, actual: SystemMachine): string | undefined {
  const [a, b] = [expected, actual].map(({ cpu }) => cpu.readState()) as [
    ReturnType<SystemMachine["cpu"]["readState"]>,
    ReturnType<SystemMachine["cpu"]["readState"]>,
  ];
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, part) => (typeof part === "bigint" ? part.toString(16) : part));
  if (text(a) !== text(b)) {
    const fields = Object.keys(a) as (keyof typeof a)[];
    const names = fields.filter((name) => text(a[name]) !== text(b[name]));
    const registers = (Object.keys(a.registers) as (keyof typeof a.registers)[]).filter(
      (name) => text(a.registers[name]) !== text(b.registers[name]),
    );
    return `state differs in ${names} ${registers.map((name) => `${name} ${text(a.registers[name])} ${text(b.registers[name])}`)}`;
  }
  for (const [from, to] of COMPARED) {
    const [one, other] = [expected, actual].map(({ ram }) => ram.slice(gpa(from), to - from));
    if (Buffer.compare(one as Uint8Array, other as Uint8Array) === 0) continue;
    const place = one?.findIndex((byte, n) => byte !== other?.[n]) as number;
    return `memory differs at ${(from + place).toString(16)}`;
  }
  if (expected.cpu.instructions !== actual.cpu.instructions) return "numbers of instructions";
  return undefined;
}
