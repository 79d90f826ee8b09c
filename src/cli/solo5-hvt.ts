/** The command `solo5-hvt`: takes what Solo5's tender of that name takes, and ends as it does. */

import { join } from "node:path";
import { HostError } from "../core/errors.ts";
import { ACCELERATORS, type Accelerator, DEFAULT_MEMORY_MIB } from "../index.ts";
import { type BlockSpec, type NetSpec, parseBlock, parseNet } from "./device-options.ts";
import { EXIT_STATUS } from "./exit-status.ts";
import { explain, nameProgram, printError, say } from "./messages.ts";
import type { RunOptions } from "./run.ts";
import { runImage } from "./run-image.ts";
import {
  type BlockSizeSetting,
  expandTenderOptions,
  type MacSetting,
  MEMORY_LIMIT_MIB,
  parseBlockSize,
  parseMacSetting,
} from "./tender-options.ts";
import { version } from "./version.ts";

const NAME = "solo5-hvt";
/** There is no option for it: which processor runs the guest. */
const ACCELERATOR_VARIABLE = "SOLO5_HVT_ACCEL";
/** Whatever goes wrong before the guest's end. */
const FAILURE = 1;

const USAGE = `usage: ${NAME} [ OPTIONS ] [ -- ] UNIKERNEL [ ARGUMENTS ]
UNIKERNEL is a unikernel for Solo5's hvt target, ARGUMENTS go to it.
  --mem=${DEFAULT_MEMORY_MIB}                       guest memory in MiB
  --net:NAME=IFACE                attach tap IFACE as the network NAME
  --net-mac:NAME=MAC              the address of the network NAME
  --block:NAME=PATH               attach the file PATH as the block device NAME
  --block-sector-size:NAME=BYTES  its sector size, a power of two from 512
  --dumpcore=DIRECTORY            leave a core there if it crashes (as solo5-hvt-debug)
  --help, --version
The variable ${ACCELERATOR_VARIABLE} (auto, kvm or emu) chooses the processor.
`;

/** What the arguments say. */
interface Invocation {
  readonly image: string;
  readonly options: RunOptions;
  readonly arguments: readonly string[];
}

/** @returns the process's exit status */
export async function runSolo5Hvt(args: readonly string[]): Promise<number> {
  nameProgram(NAME);
  try {
    const options = args.slice(0, operandIndex(args));
    if (options.includes("--version")) {
      printError(`${NAME} (solo5-kvm), version ${version()}\nABI version 2\n`);
      return EXIT_STATUS.success;
    }
    if (options.includes("--help")) return failWithUsage();
    const invocation = parse(args);
    if (invocation === undefined) return failWithUsage();
    const status = await runImage(invocation.image, invocation.options, invocation.arguments);
    return status === EXIT_STATUS.refused ? FAILURE : status;
  } catch (error) {
    const status = explain(error);
    return status === EXIT_STATUS.refused ? FAILURE : status;
  }
}

function failWithUsage(): number {
  printError(USAGE);
  return FAILURE;
}

/** Of the unikernel, or behind the last argument when there is none. */
function operandIndex(args: readonly string[]): number {
  const index = args.findIndex((argument) => argument === "--" || !argument.startsWith("-"));
  if (index < 0) return args.length;
  return args[index] === "--" ? index + 1 : index;
}

/** The lists that options add to. */
interface Devices {
  readonly net: NetSpec[];
  readonly block: BlockSpec[];
  readonly netMac: MacSetting[];
  readonly blockSectorSize: BlockSizeSetting[];
}

/** @returns undefined when it is said what is wrong, and the usage helps */
function parse(args: readonly string[]): Invocation | undefined {
  const operand = operandIndex(args);
  const image = args[operand];
  if (image === undefined) {
    say("missing UNIKERNEL operand");
    return undefined;
  }
  const options: { -readonly [Name in keyof RunOptions]: RunOptions[Name] } & Devices = {
    accel: accelerator(),
    mem: DEFAULT_MEMORY_MIB,
    net: [],
    block: [],
    netMac: [],
    blockSectorSize: [],
    boot: "direct",
    reboot: true,
    jit: true,
    cache: true,
    serial: { kind: "stdio" },
  };
  for (const argument of args.slice(0, operand)) {
    if (argument === "--") continue;
    try {
      const [option, value = ""] = expandTenderOptions([argument]);
      if (option === "--net") options.net.push(parseNet(value));
      else if (option === "--block") options.block.push(parseBlock(value));
      else if (option === "--net-mac") options.netMac.push(parseMacSetting(value));
      else if (option === "--block-sector-size")
        options.blockSectorSize.push(parseBlockSize(value));
      else if (argument.startsWith("--dumpcore=")) options.core = coreIn(argument.slice(11));
      else if (argument.startsWith("--mem=")) options.mem = parseMemory(argument.slice(6));
      else {
        say(`invalid option: ${argument}`);
        return undefined;
      }
    } catch (error) {
      if (error instanceof HostError) throw error;
      throw new HostError(`${argument}: ${(error as Error).message}`, { cause: error });
    }
  }
  return { image, options, arguments: args.slice(operand + 1) };
}

const coreIn = (directory: string): string => join(directory, `core.${NAME}.${process.pid}`);

function parseMemory(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= MEMORY_LIMIT_MIB) return Math.max(2, value);
  throw new Error(`memory is a whole number of MiB from 1 to ${MEMORY_LIMIT_MIB}`);
}

function accelerator(): Accelerator {
  const wanted = process.env[ACCELERATOR_VARIABLE] ?? "auto";
  const found = ACCELERATORS.find((one) => one === wanted);
  if (found !== undefined) return found;
  throw new HostError(`${ACCELERATOR_VARIABLE} is "${wanted}"`, {
    remedy: `set it to ${ACCELERATORS.join(", ")}`,
  });
}
