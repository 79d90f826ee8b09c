import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
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

/** Our command line, on KVM. */
export interface OurMonitor extends Monitor {
  /** The same with the processor in TypeScript, each time as if it were the first. */
  readonly emulated: Monitor;
  /** That with what it kept of earlier runs, where it keeps anything. */
  readonly again?: Monitor;
  /** That without its JIT, where it has one. */
  readonly interpreted?: Monitor;
}

/** Our command line, from this build or another. */
export function solo5Kvm(cli: string = CLI, name = "solo5-kvm"): OurMonitor {
  // With a folder, so that it is not looked for on the path.
  const program = resolve(cli);
  const monitor = (label: string, ...options: readonly string[]): Monitor => ({
    name: label,
    command: (image, tap) => [
      ...[program, image, ...options, "--mem", `${MEMORY_MIB}`],
      ...(tap === undefined ? [] : ["--net", `tap:${tap}`]),
    ],
  });
  const help = mustRun(program, "--help");
  const emulated = ["--accel", "emu"] as const;
  const keeps = help.includes("--no-cache");
  return {
    ...monitor(name, "--accel", "kvm"),
    emulated: monitor(`${name}, emu`, ...emulated, ...(keeps ? ["--no-cache"] : [])),
    ...(keeps && { again: monitor(`${name}, emu again`, ...emulated) }),
    ...(help.includes("--no-jit") && {
      interpreted: monitor(`${name}, no JIT`, ...emulated, "--no-jit"),
    }),
  };
}

const byTypeScript = ({ emulated, again }: OurMonitor): Monitor[] =>
  again === undefined ? [emulated] : [emulated, again];

/** Our command line on both processors; without KVM on this host that one is left out, aloud. */
export function oursOnBoth(ours: readonly OurMonitor[]): Monitor[] {
  if (existsSync("/dev/kvm")) return ours.flatMap((each) => [each, ...byTypeScript(each)]);
  console.log("  (this host has no KVM)\n");
  return ours.flatMap(byTypeScript);
}

/**
 * Who is compared over a tap: our command line on both processors, and then QEMU. Without KVM on this
 * host that processor is left out, aloud.
 */
export function networkRivals(ours: readonly OurMonitor[]): Monitor[] {
  const emulated = ours.flatMap(byTypeScript);
  if (existsSync("/dev/kvm")) return [...ours, ...emulated, qemuTrimmed];
  console.log("  (this host has no KVM)\n");
  return [...emulated, qemuTrimmed];
}

const QEMU = ["qemu-system-x86_64", "-accel", "tcg", "-m", `${MEMORY_MIB}`];
const QEMU_SERIAL = ["-display", "none", "-serial", "stdio", "-no-reboot"];
/** Makes the guest's exit that of QEMU. */
const QEMU_EXIT = ["-device", "isa-debug-exit,iobase=0x501,iosize=2"];

/** @param rom whether the network card brings its boot ROM, as QEMU's do unless told */
const qemuNetwork = (tap: string | undefined, rom: boolean): string[] => [
  "-netdev",
  tap === undefined ? "user,id=n0" : `tap,id=n0,ifname=${tap},script=no,downscript=no`,
  "-device",
  `virtio-net-pci,netdev=n0${rom ? "" : ",romfile="}`,
];

/** QEMU without KVM as people start it, booting by SeaBIOS and the image's own boot block. */
export const qemuAsTyped: Monitor = {
  name: "qemu",
  command: (image, tap) => [
    ...[...QEMU, ...QEMU_SERIAL, ...QEMU_EXIT, ...qemuNetwork(tap, true)],
    ...["-cdrom", image],
  ],
};

/** The machine that QEMU starts fastest: no graphics card, no boot ROMs, no default devices. */
const qemuMachine = [...QEMU, ...QEMU_SERIAL, ...QEMU_EXIT, "-nodefaults", "-vga", "none"];

const qemuTrimmedMachine = (tap: string | undefined): string[] => [
  ...qemuMachine,
  ...qemuNetwork(tap, false),
];

export const qemuTrimmed: Monitor = {
  name: "qemu, trimmed",
  command: (image, tap) => [...qemuTrimmedMachine(tap), "-cdrom", image],
};

/** The same with QEMU's own Multiboot loader: takes the kernel's file instead of the image. */
export const qemuDirect: Monitor = {
  name: "qemu, trimmed, -kernel",
  command: (kernel, tap) => [
    ...qemuTrimmedMachine(tap),
    ...["-kernel", join(ROOT, "kernel", "build", "loader"), "-initrd", kernel],
  ],
};

/** A Multiboot kernel of one file, started by QEMU's own loader. */
export const qemuMultiboot = (kernel: string, commandLine: string): string[] => [
  ...qemuMachine,
  ...["-kernel", kernel, "-append", commandLine],
];

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
  mustRun(CLI, "iso", kernel, "-o", image, "--", ...guestArguments);
  return image;
}
