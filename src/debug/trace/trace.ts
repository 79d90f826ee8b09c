import type { Decorations } from "../../machine/decorations.ts";
import type { TraceLog } from "./trace-log.ts";
import { tracedExits } from "./traced-exits.ts";
import { tracedBlock, tracedLine, tracedNet, tracedVirtio } from "./traced-parts.ts";

const OF_EXITS = ["exit", "port", "mmio", "irq"] as const;

/** Puts between the parts of a machine what tells of them. What is not traced stays as it is. */
export const traceDecorations = (log: TraceLog): Decorations => ({
  cpu: (cpu) => (OF_EXITS.some((kind) => log.has(kind)) ? tracedExits(cpu, log) : cpu),
  line: (line, wire) => (log.wants("irq", line) ? tracedLine(line, wire, log) : wire),
  virtio: (device, name) => (log.has("virtio") ? tracedVirtio(device, name, log) : device),
  net: (backend, name) => (log.has("net") ? tracedNet(backend, name, log) : backend),
  block: (backend, name) => (log.has("block") ? tracedBlock(backend, name, log) : backend),
});
