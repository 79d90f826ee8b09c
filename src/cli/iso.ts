import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { MemorySource } from "../boot/byte-source.ts";
import { type ElfFile, EM_X86_64, ET_EXEC, isElf, parseElf } from "../boot/elf.ts";
import { identify } from "../boot/image.ts";
import { packUnikernelIso } from "../boot/pack-iso.ts";
import { GuestError, HostError } from "../core/errors.ts";
import { packageRoot } from "../host/addon.ts";
import { replaceFile } from "../host/replace-file.ts";
import { requireDistinct } from "./distinct-files.ts";

interface IsoOptions {
  readonly output: string;
  readonly loader: string;
  readonly bootBlock: string;
}

/** Where `make -C kernel` leaves the boot files. */
const built = (name: string): string => join(packageRoot(), "kernel", "build", name);

export function addIsoCommand(program: Command, guestArguments: readonly string[]): void {
  program
    .command("iso")
    .description("pack a unikernel as a bootable ISO image; arguments after -- go into its menu")
    .argument("<kernel>", "the unikernel, an ELF64 file linked against the kernel")
    .option("-o, --output <file>", "the image to write", "kernel.iso")
    .option("--loader <file>", "32-bit loader", built("loader"))
    .option("--boot-block <file>", "El Torito boot block", built("solo5.boot"))
    .action((kernel: string, { output, loader, bootBlock }: IsoOptions) => {
      requireDistinct([
        { use: "the unikernel", path: kernel, written: false },
        { use: "--loader", path: loader, written: false },
        { use: "--boot-block", path: bootBlock, written: false },
        { use: "--output", path: output, written: true },
      ]);
      const image = packUnikernelIso({
        kernel: readKernel(kernel),
        loader: readLoader(loader),
        bootBlock: read(bootBlock, "build it with `make -C kernel`, or name it with --boot-block"),
        commandLine: guestArguments,
      });
      write(output, image);
    });
}

/** What the loader can start: found here, not when the ISO is booted. */
function readKernel(path: string): Uint8Array {
  const bytes = read(path, "give the unikernel's ELF file");
  const elf = elfOf(bytes);
  if (elf?.class !== 64 || elf.machine !== EM_X86_64 || elf.type !== ET_EXEC) {
    throw other(path, bytes, "unikernel: an ELF64 executable for x86-64 is needed");
  }
  return bytes;
}

/** What the boot block can start. */
function readLoader(path: string): Uint8Array {
  const bytes = read(path, "build it with `make -C kernel`, or name it with --loader");
  if (elfOf(bytes)?.class !== 32) throw other(path, bytes, "loader: an ELF32 file is needed");
  return bytes;
}

function elfOf(bytes: Uint8Array): ElfFile | undefined {
  const source = new MemorySource(bytes);
  return isElf(source) ? parseElf(source) : undefined;
}

const other = (path: string, bytes: Uint8Array, wanted: string): GuestError =>
  new GuestError(
    "image",
    `${path} is ${identify(new MemorySource(bytes)).description}, not a ${wanted}`,
  );

function read(path: string, remedy: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new HostError(`cannot read ${path}`, {
      errno: (cause as NodeJS.ErrnoException).code,
      remedy,
      cause,
    });
  }
}

function write(path: string, bytes: Uint8Array): void {
  try {
    replaceFile(path, bytes);
  } catch (cause) {
    throw new HostError(`cannot write ${path}`, {
      errno: (cause as NodeJS.ErrnoException).code,
      cause,
    });
  }
}
