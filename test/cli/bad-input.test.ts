import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { buildElf } from "../support/elf-builder.ts";
import {
  type Ended,
  execute,
  image,
  PROGRAM,
  type ProcessOptions,
  ROOT,
  run,
} from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, tinyGuest } from "../support/tiny-guest.ts";

/** ELF's number for arm64. */
const EM_AARCH64 = 183;

const REFUSED = 125;
const KERNEL = image("kernel");
const UNIKERNEL = join(ROOT, "kernel/build/apps/hello.elf");

let folder = "";
beforeEach(() => {
  folder = temporaryFolder();
});

const file = (name: string, contents: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
};

/** An image that takes 100 MiB of memory. */
function largeGuest(): string {
  const bytes = readFileSync(tinyGuest(exit(0)));
  // p_memsz of the only program header (52 bytes from the start).
  bytes.writeUInt32LE(100 << 20, 52 + 20);
  return file("large", bytes);
}

/** The first sector of a disk image of QEMU's. */
const QCOW2 = Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(508)]);

/** One line that a user understands, and the status for it. */
function expectRefused(ended: Ended, reason: RegExp): void {
  expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]+\n$/);
  expect(ended.stderr).toMatch(reason);
  expect(ended.stdout).toBe("");
  expect(ended.status).toBe(REFUSED);
}

async function refused(reason: RegExp, args: readonly string[], options?: ProcessOptions) {
  expectRefused(await run(args, { cwd: folder, ...options }), reason);
}

describe("a disk in a format of other monitors'", () => {
  it("is the file as it is, which a line tells", async () => {
    const args = [tinyGuest(exit(0)), "--block", file("disk.qcow2", QCOW2)];
    const ended = await run(args, { cwd: folder });
    expect(ended.stderr).toMatch(/disk\.qcow2 is a qcow2 disk image [^\n]+ the file as it is\n/);
    expect(ended.status).toBe(0);
  });
});

describe("an image that cannot be run", () => {
  it("does not exist", () =>
    refused(/nowhere\.iso \(ENOENT\): there is no such file/, ["nowhere.iso"]));
  it("has no name", () => refused(/cannot open image/, [""]));
  it("is there, but its initrd is not", () =>
    refused(/cannot open initrd nowhere/, [tinyGuest(exit(0)), "--initrd", "nowhere"]));
  it("is a folder", () => refused(/is a folder/, [folder]));
  it("is a device", () => refused(/neither a file nor a block device/, ["/dev/zero"]));
  it("is a pipe that nobody writes", async () => {
    const pipe = join(folder, "pipe");
    await execute(["mkfifo", pipe]);
    await refused(/neither a file nor a block device/, [pipe]);
  });
  it("is empty", () => refused(/empty file/, [file("empty", "")]));
  it("is text", () => refused(/text file/, [file("notes.txt", "boot me, please\n")]));
  it("is noise", () => {
    const noise = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff);
    return refused(/not an ISO image or a Multiboot kernel/, [file("noise", noise)]);
  });

  it.each([0x8001, 40_000, 60_000, 100_000])("is an ISO cut off after %i bytes", (length) => {
    const cut = readFileSync(KERNEL).subarray(0, length);
    return refused(/truncated|not an ISO/, [file("cut.iso", cut)]);
  });

  it("is an ISO without a kernel", async () => {
    // The ISO of the menu's folder, whose menu has another name.
    const bytes = readFileSync(KERNEL);
    for (const name of ["menu.lst", "MENU.LST"]) {
      for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name)) bytes[at] = 0x58;
    }
    await refused(/no kernel to boot/, [file("none.iso", bytes), "--boot", "direct"]);
  });

  it("is a 32-bit PE", () => {
    const pe = new Uint8Array(512);
    // MZ; offset of the PE header; its signature; IMAGE_FILE_MACHINE_I386 (PE format, COFF header)
    pe.set([0x4d, 0x5a]);
    pe.set([0x80], 0x3c);
    pe.set([0x50, 0x45, 0, 0, 0x4c, 0x01], 0x80);
    return refused(/PE|Windows/, [file("program.exe", pe)]);
  });

  it("is an ELF file for arm64", () => {
    const elf = buildElf({
      class: 64,
      machine: EM_AARCH64,
      entry: 0x40_0000,
      segments: [{ physicalAddress: 0x40_0000, data: new Uint8Array(64) }],
    });
    return refused(/arm64|aarch64/i, [file("arm", elf)]);
  });

  it("is a program of the host's", () => refused(/Multiboot/, ["/bin/true"]));

  it("is larger than memory", () => refused(/memory|RAM|MiB/, [largeGuest(), "--mem", "64"]));
});

describe("a socket for debuggers", () => {
  it("does not take a file's place", async () => {
    const notes = file("notes", "mine");
    const reason = /notes \(EADDRINUSE\): something else has this name already; use another\n/;
    await refused(reason, [KERNEL, "--gdb", `unix:${notes}`]);
    expect(readFileSync(notes, "utf8")).toBe("mine");
  });

  it("is in a folder that there is", () => {
    const args = [KERNEL, "--gdb", "unix:nowhere/socket"];
    return refused(/nowhere\/socket \(ENOENT\): there is no such folder\n/, args);
  });
});

describe("options that make no sense", () => {
  it.each([
    [/from 2 to 4096/, ["-m", "0"]],
    [/from 2 to 4096/, ["-m", "999999"]],
    [/from 2 to 4096/, ["--mem", "-5"]],
    [/from 2 to 4096/, ["--mem", "1e3"]],
    [/from 2 to 4096/, ["--mem", ""]],
    [/argument missing/, ["--mem"]],
    [/unknown option '--memory'/, ["--memory", "5"]],
    [/unknown option '-x'/, ["-x"]],
    [/too many arguments/, ["another.iso"]],
    [/auto, kvm, emu/, ["--accel", "xen"]],
    [/back end "bridge"/, ["--net", "bridge"]],
    [/back end ""/, ["--net", ""]],
    [/Name the interface/, ["--net", "tap:"]],
    [/not a name for a network interface/, ["--net", "tap:a/b"]],
    [/not a name for a network interface/, ["--net", "tap:sixteencharacter"]],
    [/not a name for a network interface/, ["--net", "tap:.."]],
    [/not a MAC address/, ["--net", "user,mac=52:54:00"]],
    [/cannot be one device's address/, ["--net", "user,mac=ff:ff:ff:ff:ff:ff"]],
    [/"speed=9" is not known/, ["--net", "user,speed=9"]],
    [/no name before '='/, ["--net", "=user"]],
    [/called "a"/, ["--net", "a=user", "--net", "a=user"]],
    [/two --net devices are on tap a/, ["--net", "tap:a", "--net", "tap:a,mac=52:54:00:00:00:09"]],
    [/--pcap \.\/x is the same file as --serial x/, ["--serial", "file:x", "--pcap", "./x"]],
    [/--pcap .* is the same file as the image/, ["--pcap", KERNEL]],
    [/--block .* is the same file as the image/, ["--block", KERNEL]],
    [/--screen .* is the same file as the image/, ["--screen", KERNEL]],
    [/room for 30/, Array.from({ length: 31 }, () => ["--net", "user"]).flat()],
    [/no file name/, ["--block", ",ro"]],
    [/"rw" is not known/, ["--block", "disk,rw"]],
    [/disk nowhere \(ENOENT\)/, ["--block", "nowhere"]],
    [/stdio, file:PATH or null/, ["--serial", "tcp:1"]],
    [/stdio, file:PATH or null/, ["--serial", "file:"]],
    [/serial file .*\(ENOENT\)/, ["--serial", "file:/nonexistent/serial"]],
    [/serial file .*\(EISDIR\)/, ["--serial", "file:/"]],
    [/capture \/nonexistent\/x \(ENOENT\)/, ["--pcap", "/nonexistent/x"]],
    [/the screen to \/nonexistent\/x \(ENOENT\): name a file/, ["--screen", "/nonexistent/x"]],
    [/the screen to \/ \(EISDIR\)/, ["--screen", "/"]],
    [/the screen to {2}\(ENOENT\)/, ["--screen", ""]],
    [
      /cannot trace no_such, which is no symbol of/,
      ["--accel", "emu", "--trace", "cpu=kernel_main,cpu=no_such"],
    ],
    [/from 1 to 1000000/, ["--ping", "0"]],
    [/built-in network/, ["--ping", "1", "--net", "none"]],
    [/--publish needs the built-in network: add --net user/, ["-p", "0:80", "--net", "none"]],
    [/'http' is invalid. "http" is no port to publish/, ["--publish", "http"]],
    [/cannot publish tcp port 0 of 192.0.2.1 \(EADDRNOTAVAIL\)/, ["-p", "192.0.2.1:0:80"]],
    [/above 0/, ["--timeout", "0"]],
    [/above 0/, ["--timeout", "soon"]],
    [/above 0 and below 1000000000\./, ["--timeout", "1000000000"]],
    [/^solo5-kvm: --deterministic needs/, ["--deterministic", "--accel", "kvm"]],
    [
      /^solo5-kvm: --deterministic does not/,
      ["--accel", "emu", "--deterministic", "--net", "tap:a"],
    ],
    [
      /^solo5-kvm: --deterministic does not go with a way to the outside/,
      ["--accel", "emu", "--deterministic", "--net", "user,nat"],
    ],
    [
      /^solo5-kvm: --deterministic does not go with --publish/,
      ["--accel", "emu", "--deterministic", "-p", "0:80"],
    ],
    [/^solo5-kvm: --cross-check needs/, ["--cross-check", "--accel", "kvm"]],
    [/^solo5-kvm: --cross-check does not/, ["--accel", "emu", "--cross-check", "--net", "tap:a"]],
    [/^solo5-kvm: --cross-check compares/, ["--cross-check", "--no-jit"]],
    [/add --gdb/, ["-S"]],
  ])("%s for %j", async (reason, args) => {
    expectRefused(await run([KERNEL, ...args], { cwd: folder }), reason);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    [/missing required argument 'image'/, ["--stats", "--"]],
    [/missing required argument/, ["inspect"]],
    [/nowhere.*ENOENT/, ["inspect", "nowhere"]],
    [/missing required argument/, ["iso"]],
    [/nowhere.*ENOENT/, ["iso", "nowhere"]],
    [/up, down, status/, ["net", "sideways"]],
    [/missing required argument/, ["net"]],
  ])("%s for %j", (reason, args) => refused(reason, args));

  it("iso refuses what is no unikernel or no loader, and writes nothing", async () => {
    const notes = file("notes.txt", "no program\n");
    await refused(/notes\.txt/, ["iso", notes, "-o", "out.iso"]);
    const reason = /notes\.txt is a text file, not a loader: an ELF32 file is needed\n/;
    await refused(reason, ["iso", UNIKERNEL, "--loader", notes, "-o", "out.iso"]);
    expect(readdirSync(folder)).toEqual(["notes.txt"]);
  });

  it("iso does not write over what it packs", async () => {
    const kernel = file("kernel.elf", readFileSync(UNIKERNEL));
    const before = readFileSync(kernel);
    linkSync(kernel, join(folder, "same"));
    await refused(/--output same is the same file as the unikernel/, [
      ...["iso", kernel, "-o", "same"],
    ]);
    expect(readFileSync(kernel).equals(before)).toBe(true);
  });
});

describe.skipIf(missing("kvm"))("a disk that cannot be used", () => {
  it("has an odd size", async () => {
    await refused(/513 bytes, not a multiple of 512/, [
      ...[KERNEL, "--block", file("disk", new Uint8Array(513))],
    ]);
  });
  it("is attached twice, under whatever name", async () => {
    const disk = file("disk", new Uint8Array(512));
    linkSync(disk, join(folder, "same"));
    await refused(/--block same is the same file as --block disk/, [
      ...[KERNEL, "--block", "disk", "--block", "same"],
    ]);
    const shared = await run([image("hello"), "--block", "disk,ro", "--block", "same,ro"], {
      cwd: folder,
    });
    expect(shared.status).toBe(0);
  });
  it("is empty", () => refused(/is empty/, [KERNEL, "--block", file("disk", "")]));
  it("is a folder", () => refused(/disk .* is a folder|EISDIR/, [KERNEL, "--block", folder]));
});

/** As a user without privileges. */
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/** As the owner of everything, who may use KVM but lacks a capability. */
const lacking = (capability: string): string[] => [
  ...["setpriv", `--bounding-set=-${capability}`, `--inh-caps=-${capability}`],
];
/** The rest of the arguments are the command; its `/dev` is empty. */
const WITHOUT_DEVICES = ["unshare", "--mount", "sh", "-c"].concat(
  'mount -t tmpfs none /dev && exec "$@"',
  "sh",
);

describe.skipIf(missing("kvm", "tap", "root"))("without permission", () => {
  it("for KVM", () =>
    refused(/\/dev\/kvm \(EACCES\): .*group kvm/, [KERNEL], { prefix: AS_NOBODY }));

  it("for taps", () =>
    refused(/tap t9 \(E(ACCES|PERM)\): no permission/, [KERNEL, "--net", "tap:t9"], {
      prefix: lacking("net_admin"),
    }));

  it("for a disk", async () => {
    const disk = file("disk", new Uint8Array(512));
    chmodSync(disk, 0o444);
    await refused(/\(EACCES\): .*",ro"/, [KERNEL, "--block", disk], {
      prefix: lacking("dac_override"),
    });
  });
});

describe.skipIf(missing("root"))("without what a host should have", () => {
  it.skipIf(missing("kvm"))("/dev/kvm", async () => {
    await refused(/\/dev\/kvm \(ENOENT\): this machine has no KVM/, [KERNEL], {
      prefix: WITHOUT_DEVICES,
    });
  });

  it.skipIf(missing("kvm"))("/dev/kvm that is KVM's", async () => {
    const prefix = ["unshare", "--mount", "sh", "-c"].concat(
      'mount --bind /dev/null /dev/kvm && exec "$@"',
      "sh",
    );
    await refused(/\/dev\/kvm .*ENOTTY/, [KERNEL], { prefix });
  });

  it.skipIf(missing("kvm", "tap"))("/dev/net/tun", async () => {
    const prefix = ["unshare", "--mount", "sh", "-c"].concat(
      'mount -t tmpfs none /dev/net && exec "$@"',
      "sh",
    );
    await refused(/no \/dev\/net\/tun/, [KERNEL, "--net", "tap:t9"], { prefix });
  });

  it("the addon", async () => {
    mkdirSync(join(folder, "dist"));
    const built = readdirSync(dirname(PROGRAM), { withFileTypes: true });
    for (const { name } of built.filter((entry) => entry.isFile())) {
      copyFileSync(join(dirname(PROGRAM), name), join(folder, "dist", name));
    }
    for (const file of ["package.json", "binding.gyp"]) {
      copyFileSync(join(ROOT, file), join(folder, file));
    }
    const moved = [process.execPath, join(folder, "dist/solo5-kvm.js")];
    expectRefused(
      await execute([...moved, KERNEL, "--accel", "kvm"]),
      /native addon is not built: run `npm run build/,
    );
    // What needs no addon works, the processor in TypeScript too.
    expect(await execute([...moved, "inspect", KERNEL])).toMatchObject({ status: 0, stderr: "" });
    const hello = await execute([...moved, image("hello"), "--net", "none"]);
    expect(hello.status).toBe(0);
    expect(hello.stdout).toContain("Hello, World");
    expect(hello.stderr).toMatch(/^solo5-kvm: no KVM \(the native addon is not built[^\n]*\n$/);
    const doctor = await execute([...moved, "doctor"]);
    expect(doctor.status).toBe(0);
    expect(doctor.stdout).toMatch(/^warn +addon +the native addon is not built/m);
    expect(doctor.stdout).toMatch(/^ok +auto +runs guests with --accel emu/m);
  });
});

describe("a run that is refused touches no output file:", () => {
  /** With a capture from before, and a serial file that would be new. */
  async function leavesOutputsAlone(reason: RegExp, args: string[], options?: ProcessOptions) {
    file("old.pcap", "precious");
    const before = readdirSync(folder);
    await refused(reason, [...args, "--serial", "file:new", "--pcap", "old.pcap"], options);
    expect(readFileSync(join(folder, "old.pcap"), "utf8")).toBe("precious");
    expect(readdirSync(folder)).toEqual(before);
  }

  it.each<[string, RegExp, () => string[]]>([
    ["no image", /text file/, () => [file("notes.txt", "boot me, please\n")]],
    ["a broken ISO", /truncated/, () => [file("cut", readFileSync(KERNEL).subarray(0, 100_000))]],
    ["too large an image", /does not fit/, () => [largeGuest(), "-m", "64"]],
    ["no disk", /disk nowhere/, () => [KERNEL, "--block", "nowhere"]],
    ["a tap's name", /network interface/, () => [KERNEL, "--net", "tap:a/b"]],
    ["nothing to ping", /built-in network/, () => [KERNEL, "--ping", "1", "--net", "none"]],
  ])("%s", (_what, reason, args) => leavesOutputsAlone(reason, args()));

  it.skipIf(missing("root", "addon"))("no KVM", async () => {
    await leavesOutputsAlone(/no KVM/, [KERNEL, "--accel", "kvm"], {
      prefix: WITHOUT_DEVICES,
    });
  });

  it("another output", async () => {
    file("old.pcap", "precious");
    await refused(/serial file/, [KERNEL, "--serial", "file:no/x", "--pcap", "old.pcap"]);
    await refused(/serial file/, [KERNEL, "--serial", "file:no/x", "--pcap", "new.pcap"]);
    expect(readFileSync(join(folder, "old.pcap"), "utf8")).toBe("precious");
    expect(readdirSync(folder)).toEqual(["old.pcap"]);
  });
});

describe.skipIf(missing("kvm", "root"))("a disk that is full", () => {
  /** Runs the command with `disk/` on a file system without a free page. */
  const onFullDisk = (args: readonly string[], prepare = "true"): Promise<Ended> => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const script =
      `mount -t tmpfs -o size=64k none ${disk} && cd ${disk} && ${prepare} && ` +
      'head -c 64k /dev/zero > rest 2>/dev/null; exec "$@"';
    return run(args, { prefix: ["unshare", "--mount", "sh", "-c", script, "sh"] });
  };

  it("ends the run that records to it", async () => {
    const ended = await onFullDisk([KERNEL, "--ping", "3", "--pcap", "x.pcap"]);
    expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]*x\.pcap[^\n]*\(ENOSPC\)[^\n]*\n$/);
    expect(ended.status).toBe(REFUSED);
  });

  it("is noticed even when the run has ended", async () => {
    const ended = await run([image("hello"), "--pcap", "/dev/full"]);
    expect(ended.stderr).toMatch(
      /^solo5-kvm: the capture \/dev\/full ends here \(ENOSPC\)[^\n]*\n$/,
    );
    expect(ended.stdout).toContain("Hello");
    expect(ended.status).toBe(REFUSED);
  });

  it("ends the run whose serial port is a file there", async () => {
    const ended = await onFullDisk([KERNEL, "--serial", "file:serial"]);
    expectRefused(ended, /serial file serial \(ENOSPC\)/);
  });

  it("ends the run whose standard output is a file there", async () => {
    const script = `mount -t tmpfs -o size=64k none /mnt && head -c 64k /dev/zero > /mnt/rest; exec "$@" > /mnt/out`;
    const ended = await run([KERNEL], { prefix: ["unshare", "--mount", "sh", "-c", script, "sh"] });
    expectRefused(ended, /cannot write standard output \(ENOSPC\)/);
  });

  it("keeps the ISO that is there, and gets no part of a new one", async () => {
    const kernel = join(ROOT, "kernel/build/apps/hello/kernel");
    const script =
      "mount -t tmpfs -o size=64k none /mnt && cd /mnt && echo good > old.iso && " +
      'for name in old.iso new.iso; do "$@" -o $name; echo "status $?"; done; cat *';
    const ended = await execute(
      ["sh", "-c", script, "sh", process.execPath, PROGRAM, "iso", kernel],
      { prefix: ["unshare", "--mount"] },
    );
    expect(ended.stdout).toBe("status 125\nstatus 125\ngood\n");
    expect(ended.stderr).toMatch(
      /^solo5-kvm: [^\n]*old\.iso \(ENOSPC\)\nsolo5-kvm: [^\n]*new\.iso \(ENOSPC\)\n$/,
    );
  });

  it("is the guest's own concern when it is under its disk", async () => {
    const ended = await onFullDisk(
      [image("block"), "--block", "sparse"],
      "head -c 4096 /dev/zero > sparse && truncate -s 1M sparse",
    );
    expect(ended.stdout).toContain("FAILED: write block ");
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/^solo5-kvm: cannot write disk sparse \(ENOSPC\)\n/);
  });
});
