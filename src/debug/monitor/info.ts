import { type MonitorCommand, type MonitorContext, UsageError } from "./monitor.ts";
import { parseAddress } from "./number.ts";
import { describeWalk } from "./page-tables.ts";
import { describeProcessor } from "./processor.ts";
import { describeGdt, describeIdt } from "./tables.ts";

type Topic = (monitor: MonitorContext, words: readonly string[]) => readonly string[];

const TOPICS: Readonly<Record<string, Topic>> = {
  cpu: ({ machine }) => describeProcessor(machine),
  mem: ({ machine }, [address]) =>
    describeWalk(
      machine.cpu.readRegisters(),
      machine.memory,
      parseAddress(address, "info mem ADDRESS"),
    ),
  idt: ({ machine }) => describeIdt(machine.cpu.readRegisters(), machine.memory),
  devices: ({ machine }) => machine.board.describeDevices(),
  interrupts: ({ machine }) => machine.board.describeInterrupts(),
  gdt: ({ machine }) => describeGdt(machine.cpu.readRegisters(), machine.memory),
};

export const info: MonitorCommand = {
  usage: `[${Object.keys(TOPICS).join("|")}]`,
  help: "the processor, page tables at an address, descriptor tables, devices",
  run: (monitor, [topic = "cpu", ...words]) => {
    const describe = Object.hasOwn(TOPICS, topic) ? TOPICS[topic] : undefined;
    if (describe === undefined) {
      throw new UsageError(`usage: monitor info ${Object.keys(TOPICS).join("|")}`);
    }
    return describe(monitor, words);
  },
};
