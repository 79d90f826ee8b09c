/** Tells of what leaves the processor, and of what the devices answer. */
import type { Cpu, MmioRead, PortRead, VmExit } from "../../core/cpu.ts";
import type { Nanos } from "../../core/units.ts";
import { gpa, hex } from "../../core/units.ts";
import { replacing } from "./replacing.ts";
import type { TraceLog } from "./trace-log.ts";

/** The processor, watched: for `exit`, `port`, `mmio` and the interrupts of `irq`. */
export function tracedExits(cpu: Cpu, log: TraceLog): Cpu {
  let unanswered: MmioRead | undefined;
  return replacing(cpu, {
    run(deadline: Nanos): VmExit {
      if (unanswered !== undefined) log.line("mmio", describeMmio(unanswered, "->"));
      unanswered = undefined;
      const exit = cpu.run(deadline);
      if (log.has("exit")) log.line("exit", describeExit(exit));
      switch (exit.kind) {
        case "port-read":
          return log.wants("port", exit.port) ? tracedPortRead(exit, log) : exit;
        case "port-write":
          if (log.wants("port", exit.port)) {
            for (let i = 0; i < exit.count; i++) {
              log.line("port", `out ${port(exit.port)} <- ${value(exit.value(i), exit.size)}`);
            }
          }
          return exit;
        case "mmio-read":
          if (log.wants("mmio", exit.address)) unanswered = exit;
          return exit;
        case "mmio-write":
          if (log.wants("mmio", exit.address)) log.line("mmio", describeMmio(exit, "<-"));
          return exit;
        default:
          return exit;
      }
    },
    interrupt(vector: number): void {
      if (log.has("irq")) log.line("irq", `vector ${hex(vector, 2)} to the processor`);
      cpu.interrupt(vector);
    },
    nmi(): void {
      if (log.has("irq")) log.line("irq", "NMI to the processor");
      cpu.nmi();
    },
  });
}

/** Answers come while the exit is being handled. */
const tracedPortRead = (exit: PortRead, log: TraceLog): PortRead => ({
  kind: exit.kind,
  port: exit.port,
  size: exit.size,
  count: exit.count,
  complete(index, answer) {
    log.line("port", `in  ${port(exit.port)} -> ${value(answer, exit.size)}`);
    exit.complete(index, answer);
  },
});

const port = (number: number): string => hex(number, 4);

/** With the character, where it is one. */
const value = (number: number, size: number): string => {
  const isText = size === 1 && number >= 0x20 && number < 0x7f;
  return `${hex(number, 2 * size)}${isText ? ` '${String.fromCharCode(number)}'` : ""}`;
};

function describeMmio(
  { address, length, data }: Pick<MmioRead, "address" | "length" | "data">,
  arrow: string,
): string {
  const bytes = [...data.subarray(0, length)].reverse();
  const digits = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${arrow === "->" ? "read " : "write"} ${hex(gpa(address), 8)} ${arrow} 0x${digits}`;
}

function describeExit(exit: VmExit): string {
  switch (exit.kind) {
    case "port-read":
    case "port-write": {
      const times = exit.count > 1 ? ` ${exit.count} times` : "";
      return `${exit.kind} ${port(exit.port)} ${8 * exit.size} bits${times}`;
    }
    case "mmio-read":
    case "mmio-write":
      return `${exit.kind} ${hex(exit.address, 8)} ${8 * exit.length} bits`;
    case "halt":
      return exit.interruptible ? exit.kind : "halt with interrupts disabled";
    case "cannot-continue":
      return `${exit.kind}: ${exit.reason}`;
    default:
      return exit.kind;
  }
}
