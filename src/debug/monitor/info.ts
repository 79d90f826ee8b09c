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
  gdt: ({ machine }) => describeGdt(machine.cpu.readRegisters(), machine.memory),
};

export const info: MonitorCommand = {
  usage: `[${Object.keys(TOPICS).join("|")}]`,
  help: "the processor; an address's page-table walk; descriptor tables",
  run: (monitor, [topic = "cpu", ...words]) => {
    const describe = Object.hasOwn(TOPICS, topic) ? TOPICS[topic] : undefined;
    if (describe === undefined) {
      throw new UsageError(`usage: monitor info ${Object.keys(TOPICS).join("|")}`);
    }
    return describe(monitor, words);
  },
};
