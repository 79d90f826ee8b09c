import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { MemorySource } from "../boot/byte-source.ts";
import { EM_X86_64, ET_EXEC, isElf, parseElf } from "../boot/elf.ts";
import { identify } from "../boot/image.ts";
import { packUnikernelIso } from "../boot/pack-iso.ts";
import { GuestError, HostError } from "../core/errors.ts";
import { packageRoot } from "../host/addon.ts";
import { replaceFile } from "../host/replace-file.ts";

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
      const image = packUnikernelIso({
        kernel: readKernel(kernel),
        loader: read(loader, "build it with `make -C kernel`, or name it with --loader"),
        bootBlock: read(bootBlock, "build it with `make -C kernel`, or name it with --boot-block"),
        commandLine: guestArguments,
      });
      write(output, image);
    });
}

/** What the loader can start: found here, not when the ISO is booted. */
function readKernel(path: string): Uint8Array {
  const bytes = read(path, "give the unikernel's ELF file");
  const source = new MemorySource(bytes);
  const elf = isElf(source) ? parseElf(source) : undefined;
  if (elf?.class !== 64 || elf.machine !== EM_X86_64 || elf.type !== ET_EXEC) {
    const { description } = identify(source);
    throw new GuestError(
      "image",
      `${path} is ${description}, not a unikernel: an ELF64 executable for x86-64 is needed`,
    );
  }
  return bytes;
}

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
