import type { Clock } from "../../core/clock.ts";
import type { Cpu } from "../../core/cpu.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { Decorations } from "../../machine/decorations.ts";
import type { SymbolTable } from "../symbols.ts";
import type { TraceLog } from "./trace-log.ts";
import { tracedExits } from "./traced-exits.ts";
import { tracedBlock, tracedLine, tracedNet, tracedVirtio } from "./traced-parts.ts";
import { tracedSteps } from "./traced-steps.ts";

const OF_EXITS = ["exit", "port", "mmio", "irq"] as const;

export interface TraceParts {
  readonly log: TraceLog;
  readonly clock: Clock;
  /** Asked for once, if instructions are traced. */
  readonly symbols: () => SymbolTable;
}

/** Puts between the parts of a machine what tells of them. What is not traced stays as it is. */
export function traceDecorations({ log, clock, symbols }: TraceParts): Decorations {
  const tellsOfExits = OF_EXITS.some((kind) => log.has(kind));
  const stepped = (cpu: Cpu, memory: GuestMemory): Cpu =>
    log.has("cpu") ? tracedSteps(cpu, { log, clock, memory, symbols: symbols() }) : cpu;
  return {
    cpu: (cpu, memory) => {
      const inner = stepped(cpu, memory);
      return tellsOfExits ? tracedExits(inner, log) : inner;
    },
    line: (line, wire) => (log.wants("irq", line) ? tracedLine(line, wire, log) : wire),
    virtio: (device, name) => (log.has("virtio") ? tracedVirtio(device, name, log) : device),
    net: (backend, name) => (log.has("net") ? tracedNet(backend, name, log) : backend),
    block: (backend, name) => (log.has("block") ? tracedBlock(backend, name, log) : backend),
  };
}
