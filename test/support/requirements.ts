import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { optionalAddon } from "../../src/host/addon.ts";

/** Statically linked: it is to run where there is nothing else. */
export const BUSYBOX = "/bin/busybox";
export const CHROMIUM = "/usr/bin/chromium";
export const MEMTEST = "/boot/memtest86+x64.bin";
const LOOP_CONTROL = "/dev/loop-control";
const LARGE_PAGES = "/sys/kernel/mm/transparent_hugepage";

/** The kernel of Linux that is installed, or was put where that would be. */
export function linuxKernel(): string | undefined {
  const folder = "/boot";
  if (!existsSync(folder)) return undefined;
  const names = readdirSync(folder).filter((name) => /^vmlinuz-.*amd64$/.test(name));
  const paths = names.map((name) => join(folder, name));
  const kernels = paths.filter((path) => usable(path, constants.R_OK));
  return kernels.find((path) => modulesOf(path) !== undefined) ?? kernels[0];
}

/** What Debian's kernel has as modules of a virtio network device, in the order of their loading. */
const NETWORK_MODULES = [
  "drivers/virtio/virtio_ring.ko",
  "drivers/virtio/virtio.ko",
  "drivers/virtio/virtio_pci_legacy_dev.ko",
  "drivers/virtio/virtio_pci_modern_dev.ko",
  "drivers/virtio/virtio_pci.ko",
  "net/core/failover.ko",
  "drivers/net/net_failover.ko",
  "drivers/net/virtio_net.ko",
];

/** The modules of {@link linuxKernel}; undefined if they are not there. */
export const networkModules = (): readonly string[] | undefined => modulesOf(linuxKernel() ?? "");

function modulesOf(kernel: string): readonly string[] | undefined {
  const release = basename(kernel).replace("vmlinuz-", "");
  const paths = NETWORK_MODULES.map((name) => join("/lib/modules", release, "kernel", name));
  return paths.every((path) => existsSync(path)) ? paths : undefined;
}

/**
 * What tests need of the host. In CI everything must be there that the host can have: a missing
 * requirement then fails instead of skipping.
 */
const REQUIREMENTS = {
  kvm: () => usable("/dev/kvm"),
  addon: () => optionalAddon() !== undefined,
  /** And what opens it. */
  tap: () => process.getuid?.() === 0 && usable("/dev/net/tun") && optionalAddon() !== undefined,
  qemu: () => runs("qemu-system-x86_64", "--version"),
  ping: () => runs("ping", "-V"),
  ip: () => runs("ip", "-V"),
  tshark: () => runs("tshark", "--version"),
  root: () => process.getuid?.() === 0 && runs("unshare", "--version"),
  /** Block devices that are files. */
  loop: () => process.getuid?.() === 0 && existsSync(LOOP_CONTROL) && runs("losetup", "--find"),
  /** Threads of a process by number, with a priority each: Linux's. */
  threads: () => existsSync("/proc/self/task"),
  /** Of a kernel that has them. */
  largePages: () => existsSync(LARGE_PAGES),
  xorriso: () => runs("xorriso", "-version"),
  isoinfo: () => runs("isoinfo", "-version"),
  /** A processor of the kind that we imitate: see `test/conformance`. */
  silicon: () => process.platform === "linux" && process.arch === "x64" && runs("cc", "--version"),
  /** A processor that executes programs compiled for x86-64-v3. */
  "x86-64-v3": () => V3_FLAGS.every((flag) => cpuFlags().includes(flag)),
  gdb: () => runs("gdb", "--version"),
  lldb: () => runs("lldb", "--version"),
  objdump: () => runs("objdump", "--version"),
  addr2line: () => runs("addr2line", "--version"),
  cmake: () => runs("cmake", "--version"),
  python3: () => runs("python3", "--version"),
  grub: () => runs("grub-mkrescue", "--version") && existsSync("/usr/lib/grub/i386-pc"),
  linux: () => linuxKernel() !== undefined && staticBusybox(),
  /** Those of a virtio network device. */
  linuxModules: () => networkModules() !== undefined,
  chromium: () => usable(CHROMIUM, constants.X_OK),
  memtest: () => existsSync(MEMTEST),
} as const;

export type Requirement = keyof typeof REQUIREMENTS;

/** As Linux calls what the level asks for and v2 does not. */
const V3_FLAGS = ["abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"];

function cpuFlags(): readonly string[] {
  if (process.platform !== "linux") return [];
  const [, flags = ""] = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
  return flags.trim().split(" ");
}

const staticBusybox = (): boolean =>
  existsSync(BUSYBOX) && !readFileSync(BUSYBOX).includes("/lib64/ld-linux-x86-64.so.2");

function usable(path: string, access = constants.R_OK | constants.W_OK): boolean {
  try {
    accessSync(path, access);
    return true;
  } catch {
    return false;
  }
}

const runs = (command: string, argument: string): boolean =>
  spawnSync(command, [argument], { stdio: "ignore" }).status === 0;

/**
 * Whether no package and no permission could bring a requirement: the kernel that runs here has no
 * KVM, as in a virtual machine without nested virtualisation, or no loop devices or large pages; or the
 * processor is older. A KVM that is there and cannot be opened is another matter.
 */
const unobtainable = (name: Requirement): boolean =>
  name === "x86-64-v3" ||
  (name === "kvm" && !/^\s*\d+ kvm$/m.test(readFileSync("/proc/misc", "utf8"))) ||
  (name === "loop" && !existsSync(LOOP_CONTROL)) ||
  name === "largePages";

/** Whether to skip for want of a requirement; says so aloud. */
export function missing(...requirements: readonly Requirement[]): boolean {
  const absent = requirements.filter((name) => !REQUIREMENTS[name]());
  if (absent.length === 0) return false;
  const list = absent.join(", ");
  if (process.env.CI && !absent.every(unobtainable)) {
    throw new Error(`CI must not skip: this host lacks ${list}`);
  }
  console.warn(`SKIPPED, since this host lacks: ${list}`);
  return true;
}
