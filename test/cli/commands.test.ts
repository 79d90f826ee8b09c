import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { configuration } from "../support/configuration.ts";
import { execute, image, ROOT, run } from "../support/monitor.ts";
import { NetworkNamespace } from "../support/network-namespace.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

const KERNEL = join(ROOT, "kernel/build/apps/hello/kernel");

describe("help", () => {
  const OPTIONS = [
    ...["--accel", "--mem", "--net", "--block", "--serial", "--pcap"],
    ...["--ping", "--timeout", "--stats"],
  ];

  it("shows at once how to run an image, the commands and examples", async () => {
    const ended = await run(["--help"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toMatch(/^Usage: solo5-kvm \[run\] <image> /);
    for (const term of [...OPTIONS, "run", "iso", "inspect", "doctor", "net"]) {
      expect(ended.stdout).toMatch(new RegExp(`^ +(-., )?${term}\\b`, "m"));
    }
    expect(ended.stdout).toContain("Examples:\n  solo5-kvm kernel.iso --ping 5\n");
    expect(ended.stdout).toMatch(/exit status .* README/);
  });

  it("is what a command without anything gets, as an error", async () => {
    const { stdout } = await run(["--help"]);
    expect(await run([])).toMatchObject({ status: 125, stdout: "", stderr: stdout });
  });

  it("tells the options of one command", async () => {
    for (const args of [
      ["help", "run"],
      ["run", "--help"],
    ]) {
      const ended = await run(args);
      expect(ended).toMatchObject({ status: 0, stderr: "" });
      expect(ended.stdout).toMatch(/^Usage: solo5-kvm run <image> /);
      for (const option of OPTIONS) expect(ended.stdout).toContain(option);
    }
    const iso = await run(["iso", "--help"]);
    expect(iso.stdout).toContain("--boot-block");
    expect(iso.stdout).not.toMatch(/--serial|Examples/);
  });

  it("tells the version", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(await run(["--version"])).toMatchObject({ status: 0, stdout: `${version}\n` });
  });
});

describe("inspect", () => {
  it("shows what is in an ISO and what it would start", async () => {
    const ended = await run(["inspect", image("kernel")]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toMatch(/^an ISO 9660 image, \d+ bytes$/m);
    expect(ended.stdout).toMatch(/kernel \/boot\/loader/);
    expect(ended.stdout).toMatch(/module \/boot\/kernel/);
    expect(ended.stdout).toMatch(/\/boot\/kernel +an ELF64 executable for x86-64/);
  });
});

describe.skipIf(missing("kvm"))("doctor", () => {
  it("finds that everything works where tests run", async () => {
    const ended = await run(["doctor"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toMatch(
      /^ok +host +linux x64, Node [\d.]+( \(with [^)]+\))?, \d+ processors$/m,
    );
    expect(ended.stdout).toMatch(/^ok +addon/m);
    expect(ended.stdout).toMatch(/^(ok|warn) +kvm +\/dev\/kvm works/m);
    expect(ended.stdout).toMatch(/^ok +auto +runs guests with --accel (kvm|emu): /m);
  });
});

describe.skipIf(missing("xorriso"))("iso", () => {
  it("makes the same bytes every time, from files of any age", async () => {
    const folder = temporaryFolder();
    await execute(["cp", KERNEL, join(folder, "copy")]);
    await execute(["touch", "-d", "2001-02-03", join(folder, "copy")]);
    const made = async (kernel: string, name: string): Promise<Buffer> => {
      const output = join(folder, name);
      const ended = await run(["iso", kernel, "-o", output], { env: { ...process.env, TZ: name } });
      expect(ended).toMatchObject({ status: 0, stdout: "", stderr: "" });
      return readFileSync(output);
    };
    const first = await made(KERNEL, "Asia-Tokyo");
    expect(first.equals(await made(join(folder, "copy"), "UTC"))).toBe(true);
    expect(first.equals(readFileSync(image("hello")))).toBe(true);
  });

  it("puts arguments into the menu, and run adds its own", async () => {
    const output = join(temporaryFolder(), "hello.iso");
    await run(["iso", KERNEL, "-o", output, "--", "from", "menu"]);
    const ended = await run([output, "--net", "none", "--", "from", "run"]);
    expect(ended.stdout).toContain("Command line is: 'from menu from run'");
  });

  it("reads back with other programs", async () => {
    const folder = temporaryFolder();
    const extracted = await execute([
      ...["xorriso", "-osirrox", "on", "-indev", image("hello")],
      ...["-extract", "/boot/kernel", join(folder, "kernel")],
    ]);
    expect(extracted.status, extracted.stderr).toBe(0);
    expect(readFileSync(join(folder, "kernel")).equals(readFileSync(KERNEL))).toBe(true);
  });
});

describe.skipIf(missing("tap", "ip"))("net", () => {
  const net = (network: NetworkNamespace, verb: string) => network.start(["net", verb]).ended;

  it("makes bridge and tap once, uses them, and takes away what it made", async () => {
    const network = new NetworkNamespace();
    const before = network.ip("-brief", "link");
    expect(await net(network, "up")).toMatchObject({ status: 0, stderr: "" });
    const up = network.ip("-brief", "address");
    expect(up).toMatch(/^virbr0 .*10\.0\.0\.1\/24/m);
    expect(await net(network, "up")).toMatchObject({ status: 0, stderr: "" });
    expect(configuration(network.ip("-brief", "address"))).toBe(configuration(up));
    expect((await net(network, "status")).stdout).toMatch(/virbr0: (?!does not exist)/);
    expect(await net(network, "down")).toMatchObject({ status: 0, stderr: "" });
    expect(network.ip("-brief", "link")).toBe(before);
    expect(await net(network, "down")).toMatchObject({ status: 0, stderr: "" });
  });

  it("gives a guest on veth0 a host to talk to", async () => {
    const network = new NetworkNamespace();
    await net(network, "up");
    const guest = network.start([image("kernel"), "--net", "tap:veth0"]);
    await guest.printed("Serving ping");
    const ping = await network.ping("-c", "3", "-i", "0.2", "-W", "5");
    expect(ping.stdout).toContain("3 received, 0% packet loss");
    guest.kill("SIGTERM");
    await guest.ended;
    await net(network, "down");
  });

  it("leaves a bridge alone that was there before", async () => {
    const network = new NetworkNamespace();
    network.ip("link", "add", "virbr0", "type", "bridge");
    await net(network, "up");
    await net(network, "down");
    expect(network.hasLink("virbr0")).toBe(true);
  });
});
