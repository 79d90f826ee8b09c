import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { access } from "./access.ts";
import { apps } from "./apps.ts";
import { bootTime } from "./boot.ts";
import { cpu } from "./cpu.ts";
import { exits } from "./exits.ts";
import { gdb } from "./gdb.ts";
import { idle } from "./idle.ts";
import { memory } from "./memory.ts";
import { ping } from "./ping.ts";
import { solo5Kvm } from "./support/monitors.ts";
import { udp } from "./udp.ts";

const BENCHMARKS = [cpu, exits, access, bootTime, apps, memory, idle, gdb, ping, udp];

const USAGE = `usage: npm run bench -- [--rounds N] [--baseline FILE] [NAME…]

  --rounds N        measure everything N times
  --baseline FILE   compare with another build: its dist/solo5-kvm.js

${BENCHMARKS.map(({ name, title }) => `  ${name.padEnd(8)} ${title}`).join("\n")}`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      baseline: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const unknown = positionals.filter((name) => !BENCHMARKS.some((each) => each.name === name));
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  const roundsWrong = rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0);
  if (values.help || unknown.length > 0 || roundsWrong) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 1;
    return;
  }
  // Every start of Node would read certificates.
  delete process.env.NODE_EXTRA_CA_CERTS;
  // Our command finds this Node.
  process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`;
  // What was kept of runs before these is not theirs.
  const cache = mkdtempSync(join(tmpdir(), "solo5-kvm-bench-"));
  process.env.XDG_CACHE_HOME = cache;
  process.on("exit", () => rmSync(cache, { recursive: true, force: true }));
  const chosen = BENCHMARKS.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  const others = values.baseline === undefined ? [] : [solo5Kvm(values.baseline, "baseline")];
  for (const benchmark of chosen) {
    console.log(`\n${benchmark.name}: ${benchmark.title}; median (quartiles)\n`);
    await benchmark.run({
      rounds: rounds ?? benchmark.rounds,
      ours: [solo5Kvm(), ...others],
    });
  }
}

await main();
