import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { execute, image, type Process, ROOT } from "../support/monitor.ts";
import { GUEST, NetworkNamespace } from "../support/network-namespace.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

const BANNER = "s o l o 5 - k v m";
const LOADER = join(ROOT, "kernel/build/loader");
const kernelOf = (app: string): string => join(ROOT, "kernel/build/apps", app, "kernel");

/** Port 0x501, as on our own machine. QEMU's status is `value << 1 | 1`. */
const DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0x501,iosize=2"];
/** The kernel writes 41 when the application ends well. */
const SUCCESS = 83;

const QEMU = [
  ...["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-no-reboot", "-display", "none"],
  ...["-serial", "stdio", ...DEBUG_EXIT],
];

const onTap = (net: NetworkNamespace, ...options: string[]): Process => {
  net.addTap("t0");
  return net.spawn(
    [
      ...[...QEMU, "-netdev", "tap,id=net0,ifname=t0,script=no,downscript=no"],
      ...["-device", "virtio-net-pci,netdev=net0", ...options],
    ],
    { limit: 55 },
  );
};

async function expectPingAnswered(net: NetworkNamespace, guest: Process): Promise<void> {
  await guest.printed(BANNER);
  await guest.printed(`Serving ping on ${GUEST}`);
  for (const size of ["8", "56", "1472"]) {
    const ping = await net.ping("-c", "3", "-i", "0.2", "-W", "5", "-s", size);
    expect(ping.stdout).toContain("3 packets transmitted, 3 received, 0% packet loss");
  }
  const flood = await net.ping("-f", "-c", "300");
  expect(flood.stdout).toContain("300 packets transmitted, 300 received, 0% packet loss");
}

const requirements = ["qemu", "tap", "ip", "ping"] as const;

describe.skipIf(missing(...requirements))("kernel.iso on QEMU", { timeout: 60_000 }, () => {
  it.each([
    ["pc", "128"],
    ["pc", "4096"],
    ["q35", "128"],
    ["q35", "4096"],
  ])("boots from the CD of a %s with %s MiB and answers ping", async (machine, memory) => {
    const net = new NetworkNamespace();
    const cd = ["-cdrom", image("kernel")];
    const guest = onTap(net, "-machine", machine, "-m", memory, ...cd);
    await expectPingAnswered(net, guest);
  });

  it("is started by -kernel and -initrd too", async () => {
    const net = new NetworkNamespace();
    const kernel = ["-kernel", LOADER, "-initrd", kernelOf("ping")];
    const guest = onTap(net, "-machine", "pc", "-m", "128", ...kernel);
    await expectPingAnswered(net, guest);
  });
});

describe.skipIf(missing("qemu"))("applications on QEMU", { timeout: 60_000 }, () => {
  it("end with the debug exit's status for success", async () => {
    const ended = await execute([...QEMU, "-m", "64", "-cdrom", image("hello")], { limit: 55 });
    expect(ended.stdout).toContain("Hello, World");
    expect(ended.status).toBe(SUCCESS);
  });

  it("take their arguments from -append, and time agrees with itself", async () => {
    const started = [...QEMU, "-m", "64", "-kernel", LOADER, "-initrd"];
    const hello = await execute([...started, kernelOf("hello"), "-append", "a b"], { limit: 55 });
    expect(hello.stdout).toContain("Command line is: 'a b'");
    const time = await execute([...started, kernelOf("time")], { limit: 55 });
    expect(time.stdout).toContain("SUCCESS");
    expect(time.status).toBe(SUCCESS);
  });

  it("write to QEMU's virtio disk", async () => {
    const disk = join(temporaryFolder(), "disk");
    writeFileSync(disk, new Uint8Array(1 << 20));
    const ended = await execute(
      [
        ...[...QEMU, "-m", "64", "-cdrom", image("block")],
        ...["-drive", `file=${disk},format=raw,if=none,id=disk`],
        ...["-device", "virtio-blk-pci,drive=disk"],
      ],
      { limit: 55 },
    );
    expect(ended.stdout).toContain("capacity 1048576 bytes");
    expect(ended.stdout).toContain("past the end: refused");
    expect(ended.status, ended.stdout).toBe(SUCCESS);
    // The application's pattern: block number times a prime, plus the word's place.
    expect(readFileSync(disk).readBigUInt64LE(2047 * 512 + 8)).toBe(2047n * 0x100000001b3n + 1n);
  });

  it("report exceptions", async () => {
    const started = [...QEMU, "-m", "64", "-kernel", LOADER, "-initrd", kernelOf("exception")];
    const ended = await execute([...started, "-append", "divide"], { limit: 55 });
    expect(ended.stdout).toContain("exception 0, divide error");
    expect(ended.status).not.toBe(SUCCESS);
  });
});
