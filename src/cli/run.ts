import { type Command, InvalidArgumentError, Option } from "commander";
import { parseTrace, TRACE_KINDS, type TraceSpec } from "../debug/trace/trace-spec.ts";
import type { DebugAddress } from "../host/debug-listener.ts";
import type { PublishedPort } from "../host/published-ports.ts";
import {
  ACCELERATORS,
  type Accelerator,
  BOOT_MODES,
  type BootMode,
  DEFAULT_MEMORY_MIB,
  MIN_MEMORY_MIB,
} from "../index.ts";
import { type BlockSpec, type NetSpec, parseBlock, parseNet } from "./device-options.ts";
import { DEFAULT_GDB_PORT, parseDebugAddress } from "./gdb-option.ts";
import { parsePublish } from "./publish-option.ts";
import { runImage } from "./run-image.ts";
import { parseSerial, type SerialSpec } from "./serial-option.ts";
import {
  type BlockSizeSetting,
  type MacSetting,
  MEMORY_LIMIT_MIB,
  parseBlockSize,
  parseMacSetting,
} from "./tender-options.ts";

/** The options of `run`, parsed. */
export interface RunOptions {
  readonly accel: Accelerator;
  readonly mem: number;
  readonly boot: BootMode;
  readonly initrd?: string;
  readonly net?: readonly NetSpec[];
  readonly publish?: readonly PublishedPort[];
  readonly block?: readonly BlockSpec[];
  /** Settings of devices that `net` and `block` name, as Solo5's tenders have them. */
  readonly netMac?: readonly MacSetting[];
  readonly blockSectorSize?: readonly BlockSizeSetting[];
  readonly serial: SerialSpec;
  readonly virtioConsole?: true;
  readonly virtioRng?: true;
  readonly pcap?: string;
  readonly ping?: number;
  readonly timeout?: number;
  readonly core?: string;
  readonly screen?: string;
  readonly symbols?: string;
  readonly trace?: TraceSpec;
  readonly perf?: string;
  readonly stats?: true;
  readonly gdb?: DebugAddress;
  readonly freeze?: true;
  readonly deterministic?: true;
  readonly reboot: boolean;
  readonly jit: boolean;
  readonly cache: boolean;
  readonly crossCheck?: true;
}

/**
 * `run` may be left out: its argument and options belong to the program itself as well.
 * @param finish gets the exit status
 * @returns the command
 */
export function addRunCommand(
  program: Command,
  guestArguments: readonly string[],
  finish: (status: number) => void,
): Command {
  const run = program.command("run", { isDefault: true });
  const start = async (named: string | undefined, options: RunOptions): Promise<void> => {
    // As solo5-hvt has it, the image may come after the `--`, before its arguments.
    const [image, ...rest] = [...(named === undefined ? [] : [named]), ...guestArguments];
    if (image === undefined) return run.error("error: missing required argument 'image'");
    finish(await runImage(image, options, rest));
  };
  return addRunOptions(run)
    .usage("<image> [options] [-- guest arguments]")
    .description("boot a unikernel (the default); arguments after -- go to it")
    .argument("[image]", "ISO image, Multiboot kernel or Solo5 unikernel")
    .action(start);
}

function addRunOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-a, --accel <cpu>",
        "the processor: KVM's, the one in TypeScript, or KVM's where it is native",
      )
        .choices(ACCELERATORS)
        .default("auto"),
    )
    .addOption(
      new Option("-m, --mem <MiB>", "guest memory")
        .argParser(integer("memory", MIN_MEMORY_MIB, MEMORY_LIMIT_MIB))
        .default(DEFAULT_MEMORY_MIB),
    )
    .addOption(
      new Option(
        "--boot <how>",
        "start the image's kernel directly, by the BIOS, or directly where that is understood",
      )
        .choices(BOOT_MODES)
        .default("auto"),
    )
    .option(
      "--initrd <file>",
      "first files of a Linux kernel (initramfs); a Multiboot kernel's module",
    )
    .addOption(
      new Option(
        "--net <[name=]backend[,mac=MAC]>",
        "network device: user, user,nat, tap:IFNAME or none; repeatable (default: user)",
      ).argParser(collect(parseNet)),
    )
    .addOption(
      new Option(
        "-p, --publish <[address:]port[:guestport][/udp]>",
        "a port of this host is the guest's on its first user network; repeatable",
      ).argParser(collect(parsePublish)),
    )
    .addOption(
      new Option("--block <[name=]file[,ro]>", "disk; repeatable").argParser(collect(parseBlock)),
    )
    .addOption(
      new Option("--serial <where>", "serial port: stdio, file:PATH or null")
        .argParser(argument(parseSerial))
        .default({ kind: "stdio" } satisfies SerialSpec, "stdio"),
    )
    .option("--virtio-console", "a virtio console beside the serial port, on the same terminal")
    .option(
      "--screen <file>",
      "a display with graphics: its picture, as a PNG, at the end and by C-a p",
    )
    .option("--virtio-rng", "a virtio device that gives the guest the host's random numbers")
    .addOption(
      new Option("--net-mac <name=MAC>", "as --net-mac:NAME=MAC of solo5-hvt")
        .argParser(collect(parseMacSetting))
        .hideHelp(),
    )
    .addOption(
      new Option("--block-sector-size <name=bytes>", "as --block-sector-size:NAME=N of solo5-hvt")
        .argParser(collect(parseBlockSize))
        .hideHelp(),
    )
    .option("--no-reboot", "end the run when the guest resets the machine (status 0)")
    .option("--pcap <file>", "record the network's frames for Wireshark")
    .addOption(
      new Option("--ping <count>", "ping the guest from the built-in network, then end").argParser(
        integer("count", 1, 1_000_000),
      ),
    )
    .addOption(
      new Option("--timeout <seconds>", "end the run (status 124)").argParser(
        argument(parseSeconds),
      ),
    )
    .addOption(
      new Option(
        "--trace <kinds[:file]>",
        `tell of ${TRACE_KINDS.join(", ")}: port=3f8-3ff,irq:FILE`,
      ).argParser(argument(parseTrace)),
    )
    .option("--perf <file>", "write where the guest spent its time, for flame graphs (--accel emu)")
    .option("--core <file>", "write an ELF core of a guest that crashed; also by SIGQUIT and C-a d")
    .option(
      "--symbols <file>",
      "an ELF file with the symbols that the image lacks: for all reports",
    )
    .addOption(
      new Option("--gdb [port|unix:path]", "let gdb or lldb in (port 1234), on this machine only")
        .argParser(argument(parseDebugAddress))
        .preset(String(DEFAULT_GDB_PORT)),
    )
    .option("-S, --freeze", "with --gdb: do not start the guest before a debugger says so")
    .option("--deterministic", "the same run every time: made-up time, one ns an instruction")
    .option("--no-jit", "the processor in TypeScript interprets everything")
    .option(
      "--no-cache",
      "keep no translated code for the next run of the same image, and use none",
    )
    .addOption(
      new Option(
        "--cross-check",
        "--deterministic, and an interpreter checks what the JIT's code does (slow)",
      ).implies({ deterministic: true }),
    )
    .option("--stats", "print exits by kind and where the time went");
}

/** Some thirty years: more nanoseconds are no exact numbers. */
const MAX_SECONDS = 1_000_000_000;

const integer =
  (what: string, min: number, max: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`The ${what} must be a whole number from ${min} to ${max}.`);
  };

function parseSeconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value < MAX_SECONDS) return value;
  throw new Error(`it must be a number of seconds above 0 and below ${MAX_SECONDS}`);
}

/** Turns a parser's error into commander's, which comes after a whole sentence. */
const argument =
  <Value>(parse: (text: string) => Value) =>
  (text: string): Value => {
    try {
      return parse(text);
    } catch (error) {
      const { message } = error as Error;
      throw new InvalidArgumentError(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
    }
  };

/** For an option that may be given again. */
const collect =
  <Value>(parse: (text: string) => Value) =>
  (text: string, before: readonly Value[] | undefined): readonly Value[] => [
    ...(before ?? []),
    argument(parse)(text),
  ];
