import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, it } from "vitest";
import { describeOnEach, image, run, start } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";

const BANNER = "s o l o 5 - k v m";

describeOnEach("the applications", () => {
  it("hello prints its arguments and ends with status 0", async () => {
    const ended = await run([image("hello"), "--net", "none", "--", "one", "--two", "x=3"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toContain(BANNER);
    expect(ended.stdout).toContain("Hello, World");
    expect(ended.stdout).toContain("Command line is: 'one --two x=3'");
  });

  it("shows the banner within two seconds", async () => {
    const guest = start([image("kernel")]);
    expect(await guest.printed(BANNER)).toBeLessThan(2_000);
  });

  it("takes `run` by name, and `--` inside the guest's arguments", async () => {
    const ended = await run(["run", "--net", "none", image("hello"), "--", "a", "--", "b"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toContain("Command line is: 'a -- b'");
  });

  it("time agrees with itself, and with the host's date", async () => {
    const before = Math.floor(Date.now() / 1000);
    const ended = await run([image("time"), "--net", "none"]);
    const after = Math.ceil(Date.now() / 1000);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toContain("SUCCESS");
    const date = /Wall clock: (\S+) (\S+) UTC/.exec(ended.stdout);
    const guestSeconds = Date.parse(`${date?.[1]}T${date?.[2]}Z`) / 1000;
    expect(guestSeconds).toBeGreaterThanOrEqual(before - 1);
    expect(guestSeconds).toBeLessThanOrEqual(after);
  });

  it("block writes and reads back, and the file has what it wrote", async () => {
    const disk = join(temporaryFolder(), "disk");
    writeFileSync(disk, new Uint8Array(256 * 512).fill(0xee));
    const ended = await run([image("block"), "--net", "none", "--block", disk, "--", "blocks=256"]);
    expect(ended.stdout).toContain("capacity 131072 bytes, 256 blocks of 512 bytes");
    expect(ended.stdout).toContain("past the end: refused");
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    const words = new BigUint64Array(readFileSync(disk).buffer.slice(0, 256 * 512));
    expect(words[0]).toBe(0n);
    // The application's pattern: block number times a prime, plus the word's place.
    expect(words[255 * 64 + 63]).toBe(255n * 0x100000001b3n + 63n);
    expect(words[100 * 64]).toBe(100n * 0x100000001b3n);
  });

  it("block leaves a read-only disk as it was", async () => {
    const disk = join(temporaryFolder(), "disk");
    writeFileSync(disk, new Uint8Array(64 * 512).fill(0xee));
    const ended = await run([image("block"), "--net", "none", "--block", `storage=${disk},ro`]);
    expect(ended.stdout).toContain("read-only: read, and a write refused");
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(readFileSync(disk).every((byte) => byte === 0xee)).toBe(true);
  });

  it("block says that it has no disk", async () => {
    const ended = await run([image("block"), "--net", "none"]);
    expect(ended).toMatchObject({ status: 1, stderr: "" });
    expect(ended.stdout).toContain("no block device");
  });

  it.each([
    ["divide", "exception 0, divide error"],
    ["opcode", "exception 6, "],
    ["protection", "exception 13, general protection"],
    ["null", "exception 14, page fault"],
    ["page-fault", "reading 0x400000000: no memory is mapped there"],
    ["write-text", "exception 14, page fault"],
    ["execute-data", "exception 14, page fault"],
    ["stack", "the stack is used up"],
  ])("exception %s is reported with all a person needs", async (name, title) => {
    const ended = await run([image("exception"), "--net", "none", "--", name]);
    expect(ended).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/^solo5-kvm: the guest aborted\n/),
    });
    expect(ended.stdout).toContain(title);
    expect(ended.stdout).toMatch(/ABORT: exception \d+, .* at RIP 0x[0-9a-f]+\r\n/);
    for (const register of ["RIP", "RSP", "RAX", "R15", "CR2", "CR3"]) {
      expect(ended.stdout).toMatch(new RegExp(`\\b${register} +[0-9a-f]{16}`));
    }
    expect(ended.stdout).toContain("\nstack\r\n");
  });

  it("exception lists what it can do, and fails, when not told which", async () => {
    const ended = await run([image("exception"), "--net", "none"]);
    expect(ended).toMatchObject({ status: 1, stderr: "" });
    expect(ended.stdout).toContain("divide opcode protection");
  });

  it("ping answers the built-in host, and the run ends with status 0", async () => {
    const ended = await run([image("kernel"), "--ping", "5"]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout.match(/64 bytes from 10\.0\.0\.2: icmp_seq=\d ttl=64 time=/g)).toHaveLength(
      5,
    );
    expect(ended.stdout).toContain("5 packets transmitted, 5 received, 0% packet loss");
    expect(ended.stdout).toContain("got ping 1 from 10.0.0.1...sending ping reply");
  });

  it("ping is quiet, and ends by itself, when told to", async () => {
    const ended = await run([image("kernel"), "--ping", "5", "--", "quiet", "limit=3"]);
    expect(ended.stdout).not.toContain("got ping");
    expect(ended.stdout).toContain("Served 3 pings");
    expect(ended.stdout).toContain("3 packets transmitted, 3 received, 0% packet loss");
    // Two were never answered.
    expect(ended.status).toBe(1);
  });

  it.each([["2"], ["32"], ["128"], ["3072"]])("runs with %s MiB", async (mem) => {
    const ended = await run([image("hello"), "--net", "none", "--mem", mem]);
    if (mem === "2") {
      // Too little for the kernel, which says so instead of starting.
      expect(ended.status).not.toBe(0);
      expect(ended.stdout).not.toContain("Hello");
    } else {
      expect(ended).toMatchObject({ status: 0, stderr: "" });
      const top = (Number(mem) * 1024 * 1024 - 1).toString(16);
      expect(ended.stdout).toContain(`100000-${top} RAM`);
    }
  });

  it("an idle guest takes less than 1 % of a core", async () => {
    const guest = start([image("kernel")]);
    await guest.printed("Serving ping");
    // Its start is still being worked off: compilers and collectors of the run time.
    await setTimeout(1_000);
    const before = processorTime(guest.child.pid);
    await setTimeout(4_000);
    expect(processorTime(guest.child.pid) - before).toBeLessThan(0.04);
  });
});

/** Of all threads, user and system, in seconds (proc(5), `/proc/PID/stat`; 100 ticks a second). */
function processorTime(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
