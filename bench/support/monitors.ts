import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../src/host/addon.ts";

export const ROOT = packageRoot();
/** Where programs and images made for the benchmarks go. */
export const SCRATCH = join(ROOT, "build", "bench");
export const CLI = join(ROOT, "dist", "solo5-kvm.js");
export const MEMORY_MIB = 512;

export const builtImage = (name: string): string => join(ROOT, "kernel", "build", `${name}.iso`);

/** A command that boots an image, with its serial port on standard output. */
export interface Monitor {
  readonly name: string;
  /** @param tap the guest's network; the monitor's own user network without it */
  command(image: string, tap?: string): string[];
}

/** Our command line, from this build or another. */
export const solo5Kvm = (cli: string = CLI, name = "solo5-kvm"): Monitor => ({
  name,
  command: (image, tap) => [
    ...[process.execPath, cli, image, "--accel", "kvm", "--mem", `${MEMORY_MIB}`],
    ...(tap === undefined ? [] : ["--net", `tap:${tap}`]),
  ],
});

/** The machine that QEMU starts fastest: nothing but what the guest uses, and no boot ROMs. */
const qemuMachine = (tap: string | undefined): string[] => [
  ...["qemu-system-x86_64", "-accel", "tcg", "-m", `${MEMORY_MIB}`, "-nodefaults"],
  ...["-vga", "none", "-display", "none", "-serial", "stdio", "-no-reboot"],
  ...["-device", "isa-debug-exit,iobase=0x501,iosize=2"],
  ...["-netdev", tap === undefined ? "user,id=n0" : networkOn(tap)],
  ...["-device", "virtio-net-pci,netdev=n0,romfile="],
];

const networkOn = (tap: string): string => `tap,id=n0,ifname=${tap},script=no,downscript=no`;

/** QEMU without KVM, booting by SeaBIOS and the image's own boot block. */
export const qemuTcg: Monitor = {
  name: "qemu -cdrom",
  command: (image, tap) => [...qemuMachine(tap), "-cdrom", image],
};

/** The same with QEMU's own Multiboot loader: takes the kernel's file instead of the image. */
export const qemuDirect: Monitor = {
  name: "qemu -kernel",
  command: (kernel, tap) => [
    ...qemuMachine(tap),
    ...["-kernel", join(ROOT, "kernel", "build", "loader"), "-initrd", kernel],
  ],
};

/** Runs a command to its end; throws with what it said unless it succeeds. */
export function mustRun(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** Compiles one of the C programs here; returns where it is. */
export function compile(name: string): string {
  mkdirSync(SCRATCH, { recursive: true });
  const program = join(SCRATCH, name);
  mustRun("cc", "-O2", "-Wall", "-Wextra", "-o", program, join(ROOT, "bench", `${name}.c`));
  return program;
}

/** An image of an application with arguments in its menu. */
export function packImage(app: string, ...guestArguments: readonly string[]): string {
  mkdirSync(SCRATCH, { recursive: true });
  const image = join(SCRATCH, `${app}.iso`);
  const kernel = join(ROOT, "kernel", "build", "apps", app, "kernel");
  mustRun(process.execPath, CLI, "iso", kernel, "-o", image, "--", ...guestArguments);
  return image;
}
