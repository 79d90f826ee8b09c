import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildHvtGuest } from "../support/hvt-guest.ts";
import { describeOnEach, type Ended, execute, ROOT, run } from "../support/monitor.ts";

const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
const disk = join(folder, "disk.img");
let image: string;

beforeAll(() => {
  image = buildHvtGuest(folder);
  writeFileSync(disk, "");
  truncateSync(disk, 1024 * 1024);
});
afterAll(() => rmSync(folder, { recursive: true }));

const DEVICES = ["--net:lan=user", "--net:wan=user"];
const guest = (command: string, ...options: string[]): Promise<Ended> =>
  run([image, ...DEVICES, `--block:disk=${disk}`, ...options, "--", command], { limit: 20 });

describeOnEach("a unikernel for Solo5's hvt", () => {
  it("starts in the state and with the information that the interface promises", async () => {
    const { status, stdout } = await guest("start", "--mem=64", "--block-sector-size:disk=4096");
    expect(status).toBe(0);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(
        // PE NE WP PG; PAE OSFXSR OSXMMEXCPT; LME LMA.
        /^info 65536 {2}stack 8 {2}rflags 2 {2}cr0 214754\d+ {2}cr3 8192 {2}cr4 1568 {2}efer 1280/,
      ),
      expect.stringMatching(/^memory 67108864 {2}end 1069056 {2}features 1 {2}ring 67108864/),
      "disk: type 1  attached 1  capacity 1048576  block 4096  ",
      "lan: type 2  attached 1  mac 82  last 86  mtu 1500  ",
      "wan: type 2  attached 1  mac 82  last 87  mtu 1500  ",
      "",
    ]);
  });

  it("takes the devices' settings by name, in any order", async () => {
    const settings = ["--net-mac:wan=02:00:00:00:00:07", "--net-mac:lan=02:00:00:00:00:08"];
    const { stdout } = await guest("start", ...settings);
    expect(stdout).toMatch(/lan: type 2 {2}attached 1 {2}mac 2 {2}last 8/);
    expect(stdout).toMatch(/wan: type 2 {2}attached 1 {2}mac 2 {2}last 7/);
  });

  it("has the time, and sleeps for one", async () => {
    const { status, stdout, elapsed } = await guest("time");
    const [, wall, byWall, byTsc] =
      /^wall (\d+) {2}by wall (\d+) {2}by tsc (\d+) {2}ready 0 {2}ret 0/.exec(stdout) ?? [];
    expect(status).toBe(0);
    expect(Math.abs(Number(wall) - Date.now() / 1000)).toBeLessThan(30);
    expect(Number(byWall)).toBeGreaterThanOrEqual(99);
    expect(Number(byTsc)).toBeGreaterThanOrEqual(99);
    expect(Number(byTsc)).toBeLessThan(elapsed);
  });

  it("uses its disk, and is told what is no request", async () => {
    const { status, stdout } = await guest("disk");
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: "write 0  read 0  second 1  past 2  across 2  huge 2  net 2  none 2  \n",
    });
  });

  it("sends and receives, and wakes for a frame", async () => {
    const { status, stdout } = await guest("net");
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout:
        "nothing 1  written 0  ready 4  ret 1  \n" +
        "read 0  length 42  operation 2  \n" +
        "short 2  long 2  disk 2  \n",
    });
  });

  it("does the same through the shared ring, round and round", async () => {
    const { status, stdout } = await guest("ring");
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout:
        "commits 1  id 77  ret 1  \n" +
        "rounds 1024  consumed 2049  commits 1025  \n" +
        "read 0  length 42  operation 2  \n",
    });
  });

  it("ends with the low byte of its status", async () => {
    expect(await guest("status")).toMatchObject({ status: 300 & 0xff, stderr: "" });
  });

  it.each([
    ["write-code", /host\/guest translation fault: it writes 0x100\w+, rip=0x100/],
    ["write-constant", /host\/guest translation fault: it writes 0x101/],
    ["block-into-code", /0x100\w+ and the 512 bytes from it may not be written/],
    ["argument", /0xfffffff8 and the 16 bytes from it are not in RAM/],
    ["pointer", /are not in RAM/],
    ["number", /invalid guest port access: it writes port 0x509/],
    ["zero", /invalid guest port access: it writes port 0x500/],
    ["port", /invalid guest port access: it writes port 0x3f8/],
    ["in", /invalid guest port access: it reads port 0x80/],
    ["byte", /invalid guest port access: it writes port 0x502/],
    ["flood", /network ring: 1025 entries of 1024/],
    ["hlt", /it waits for an interrupt, and there are none here/],
  ])("is ended with status 1 for misbehaviour: %s", async (how, message) => {
    const { status, stdout, stderr } = await guest(how);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(message);
  });

  // Without a handler of its own, its fault brings the processor down.
  it.each([["null"], ["write-info"], ["beyond"]])(
    "faults at what is not mapped: %s",
    async (how) => {
      expect((await guest(how)).status).toBe(121);
    },
  );
});

describe("pages of a unikernel for hvt, on the processor in TypeScript", () => {
  it.each([
    ["read-code", /host\/guest translation fault: it reads 0x100/],
    ["run-data", /host\/guest translation fault: it reads 0x102/],
  ])("are only for what its file says: %s", async (how, message) => {
    const { status, stdout, stderr } = await guest(how, "--accel", "emu");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(message);
  });
});

describe("the command solo5-hvt", () => {
  const solo5Hvt = (...args: string[]): Promise<Ended> =>
    execute([process.execPath, join(ROOT, "dist/solo5-hvt.js"), ...args], {
      env: { ...process.env, SOLO5_HVT_ACCEL: "emu" },
    });
  const devices = () => [...DEVICES, `--block:disk=${disk}`];

  it("takes the unikernel and its arguments with and without --", async () => {
    for (const separator of [[], ["--"]]) {
      const ended = await solo5Hvt("--mem=8", ...devices(), ...separator, image, "status");
      expect(ended).toMatchObject({ status: 44, stderr: "" });
    }
  });

  it("rounds memory, and says so", async () => {
    const { stderr, stdout } = await solo5Hvt("--mem=9", ...devices(), image, "start");
    expect(stderr).toBe("solo5-hvt: adjusting memory to 8 MiB\n");
    expect(stdout).toContain("memory 8388608");
  });

  it.each([
    [/^solo5-hvt: missing UNIKERNEL operand\nusage:/, []],
    [/^solo5-hvt: invalid option: --stats\nusage:/, ["--stats", "IMAGE"]],
    [/memory is a whole number/, ["--mem=x", "IMAGE"]],
    [/'lan' of type NET_BASIC declared but not attached/, ["--block:disk=DISK", "IMAGE"]],
    [/not declared in manifest: 'sda'.*block 'disk'/, ["--block:sda=DISK", ...DEVICES, "IMAGE"]],
    [/not declared in manifest: 'disk'/, ["--net:disk=user", "IMAGE"]],
    [/Block size must be a multiple of 2/, ["--block-sector-size:disk=521", "IMAGE"]],
    [
      /disk: Backing storage size must be block aligned/,
      ["--block-sector-size:disk=32768", "--block:disk=DISK-1", ...DEVICES, "IMAGE"],
    ],
    [/no device is called 'x'/, ["--net-mac:x=02:00:00:00:00:01", ...DEVICES, "IMAGE"]],
    [/is not a MAC address/, ["--net-mac:lan=2", ...DEVICES, "IMAGE"]],
    [/descriptor \(@3\)/, ["--net:lan=@3", "IMAGE"]],
    [/nowhere/, ["nowhere"]],
  ])("refuses with status 1 and one line: %s", async (message, args) => {
    const odd = join(folder, "odd.img");
    writeFileSync(odd, "");
    truncateSync(odd, 512 * 65);
    const ended = await solo5Hvt(
      ...args.map((arg) =>
        arg.replace("IMAGE", image).replace("DISK-1", odd).replace("DISK", disk),
      ),
    );
    expect(ended).toMatchObject({ status: 1, stdout: "" });
    expect(ended.stderr).toMatch(message);
    if (!ended.stderr.includes("usage:")) expect(ended.stderr.split("\n")).toHaveLength(2);
  });

  it("leaves a core of a guest that crashed, where it is told to", async () => {
    const ended = await solo5Hvt(
      "--mem=8",
      `--dumpcore=${folder}`,
      ...devices(),
      image,
      "write-code",
    );
    const [, core = ""] = /core is in (.*\/core\.solo5-hvt\.\d+)$/m.exec(ended.stderr) ?? [];
    expect(ended.status).toBe(1);
    expect(readFileSync(core).subarray(0, 4).toString("latin1")).toBe("\x7fELF");
  });

  it("says its name and the ABI's version", async () => {
    const { status, stderr } = await solo5Hvt("--version");
    expect(status).toBe(0);
    expect(stderr).toMatch(/^solo5-hvt \(solo5-kvm\), version \S+\nABI version 2\n$/);
    expect((await solo5Hvt("--help")).stderr).toMatch(/^usage: solo5-hvt/);
  });
});
