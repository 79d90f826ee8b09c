/** Tells of instructions: where they are, what they are, and which registers they changed. */
import { createDisassembler } from "../../../fallback/index.ts";
import type { Clock } from "../../core/clock.ts";
import {
  type Cpu,
  GENERAL_REGISTERS,
  type Kicked,
  type Registers,
  type VmExit,
} from "../../core/cpu.ts";
import { type DebugExit, type DebugStops, instructionAddress, NO_STOPS } from "../../core/debug.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { MILLISECOND, type Nanos } from "../../core/units.ts";
import { GuestCode } from "../code.ts";
import type { SymbolTable } from "../symbols.ts";
import { replacing } from "./replacing.ts";
import type { TraceLog } from "./trace-log.ts";

/** How long the guest steps on before the host's event loop has its turn. */
const TURN = 5 * MILLISECOND;
const TEXT_WIDTH = 64;
const PLACE_WIDTH = 28;

/** The instruction is not over, or has not begun. */
const GOES_ON: ReadonlySet<VmExit["kind"]> = new Set([
  ...(["port-read", "mmio-read", "kicked", "interrupt-window", "debug"] as const),
]);

const KICKED: Kicked = { kind: "kicked" };
const AT_BREAKPOINT: DebugExit = { kind: "debug", cause: "breakpoint", watchpoint: undefined };

export interface StepTraceParts {
  readonly log: TraceLog;
  readonly memory: GuestMemory;
  readonly symbols: SymbolTable;
  readonly clock: Clock;
}

/** The processor, stepped: an instruction at a time, as a debugger would. */
export function tracedSteps(cpu: Cpu, parts: StepTraceParts): Cpu {
  const { clock } = parts;
  const teller = new InstructionTeller(parts);
  let wanted: DebugStops = NO_STOPS;
  return replacing(cpu, {
    stopAt(stops: DebugStops): void {
      wanted = stops;
    },
    run(deadline: Nanos): VmExit {
      const end = clock.now() + TURN;
      for (;;) {
        const registers = cpu.readRegisters();
        teller.before(registers);
        // A step would go past it.
        if (!wanted.step && wanted.breakpoints.has(instructionAddress(registers))) {
          return AT_BREAKPOINT;
        }
        cpu.stopAt({ ...wanted, step: true });
        const exit = cpu.run(deadline);
        const isOurs = exit.kind === "debug" && exit.cause === "step" && !wanted.step;
        if (!isOurs) {
          if (!GOES_ON.has(exit.kind)) teller.end();
          return exit;
        }
        const now = clock.now();
        if (now >= deadline || now >= end) return KICKED;
      }
    },
  });
}

/** Tells of an instruction when what it did is known: when the next one is about to begin. */
class InstructionTeller {
  readonly #parts: StepTraceParts;
  readonly #disassembler = createDisassembler();
  #pending: { readonly registers: Registers; readonly text: string | undefined } | undefined;

  constructor(parts: StepTraceParts) {
    this.#parts = parts;
  }

  /** @param registers with the instruction that comes next at RIP */
  before(registers: Registers): void {
    const pending = this.#pending;
    const changes = pending === undefined ? [] : changesBetween(pending.registers, registers);
    // Nothing was executed: the guest was kept from it.
    if (pending !== undefined && changes.length === 0 && pending.registers.rip === registers.rip) {
      return;
    }
    this.#tell(changes);
    this.#pending = { registers, text: this.#describe(registers) };
  }

  /** Maybe nothing follows. */
  end(): void {
    this.#tell([]);
    this.#pending = undefined;
  }

  #tell(changes: readonly string[]): void {
    const text = this.#pending?.text;
    if (text === undefined) return;
    this.#parts.log.line("cpu", `${text.padEnd(TEXT_WIDTH)}  ${changes.join(" ")}`.trimEnd());
  }

  /** @returns undefined for an instruction that is not to be told of */
  #describe(registers: Registers): string | undefined {
    const { log, memory, symbols } = this.#parts;
    const code = new GuestCode(registers, memory, this.#disassembler);
    const { position } = code;
    if (!log.wantsFunction(symbols.find(position)?.name)) return undefined;
    const { text } = code.line(position, (address) => symbols.describe(address));
    const place = `${position.toString(16).padStart(8, "0")} ${symbols.describe(position) ?? ""}`;
    return `${place.padEnd(PLACE_WIDTH)} ${text}`;
  }
}

/** General registers and the arithmetic flags. */
function changesBetween(before: Registers, after: Registers): string[] {
  const names = [...GENERAL_REGISTERS, "rflags", "cr0", "cr3", "cr4"] as const;
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}=${after[name].toString(16)}`);
}
