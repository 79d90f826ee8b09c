import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildElf } from "../support/elf-builder.ts";
import { describeOnEach, image, run, start } from "../support/monitor.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, haltForever, out8, out16, print, spin, tinyGuest } from "../support/tiny-guest.ts";

/** A register of the report, as a number. */
const register = (report: string, name: string): bigint =>
  BigInt(`0x${new RegExp(`\\b${name} +([0-9a-f]{16})`).exec(report)?.[1] ?? "bad"}`);

describeOnEach("how a guest ends", (processor) => {
  it.each([0, 1, 83, 119, 254])("exit status %i is the process's", async (status) => {
    const ended = await run([tinyGuest(print("bye\n"), exit(status), spin), "--net", "none"]);
    expect(ended).toEqual({ ...ended, status, stdout: "bye\n", stderr: "" });
  });

  it("the value that Solo5 writes at its end is status 0", async () => {
    const ended = await run([tinyGuest(out16(0x501, 41), spin)]);
    expect(ended).toMatchObject({ status: 0, stderr: "" });
  });

  it("ACPI power-off is status 0", async () => {
    // PM1a_CNT: SLP_EN with S5's sleep type.
    const ended = await run([tinyGuest(print("off"), out16(0x604, 0x2000), spin)]);
    expect(ended).toMatchObject({ status: 0, stdout: "off", stderr: "" });
  });

  it("hlt with interrupts disabled is status 120", async () => {
    const ended = await run([tinyGuest(print("."), haltForever)]);
    expect(ended).toMatchObject({ status: 120, stdout: "." });
    expect(ended.stderr).toMatch(
      /^solo5-kvm: the guest halted with interrupts disabled, at rip 0x10002[0-9a-f]\n/,
    );
  });

  it("a triple fault is status 121, with the registers", async () => {
    // mov esi, 0x12345678; ud2 without an interrupt descriptor table
    const ended = await run([tinyGuest([0xbe, 0x78, 0x56, 0x34, 0x12], [0x0f, 0x0b])]);
    expect(ended.status).toBe(121);
    expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]*triple fault/);
    if (processor === "kvm" && ended.stderr.includes("keeps no registers")) return;
    expect(register(ended.stderr, "rsi")).toBe(0x12345678n);
  });

  it("what the CPU cannot execute is status 122, with RIP and the registers", async () => {
    // mov edi, 0xe0000000; jmp edi: no memory is there to fetch from
    const ended = await run([tinyGuest([0xbf, 0, 0, 0, 0xe0], [0xff, 0xe7])]);
    expect(ended.status).toBe(122);
    expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]* no memory[^\n]* at rip 0xe0000000: /);
    expect(register(ended.stderr, "rdi")).toBe(0xe000_0000n);
    expect(register(ended.stderr, "rip")).toBe(0xe000_0000n);
  });

  it("an instruction that no processor here knows is an invalid opcode", async () => {
    // vaddps xmm0, xmm0, xmm0: nobody has enabled AVX, and there is no interrupt descriptor table
    const ended = await run([tinyGuest([0xc5, 0xf8, 0x58, 0xc0], exit(7))]);
    expect(ended.status).toBe(121);
    if (processor === "kvm" && ended.stderr.includes("keeps no registers")) return;
    expect(ended.stderr).toMatch(/\brip +0000000000100020/);
  });

  it("--timeout is status 124, also while the guest computes", async () => {
    for (const guest of [tinyGuest(spin), image("kernel")]) {
      const ended = await run([guest, "--timeout", "0.7"]);
      expect(ended.status).toBe(124);
      expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]*0\.7 s\n$/);
      expect(ended.elapsed).toBeGreaterThan(700);
      expect(ended.elapsed).toBeLessThan(2_500);
    }
  });

  it("--stats tells exits by kind and where the time went", async () => {
    const ended = await run([tinyGuest(print("x".repeat(500)), exit(0)), "--stats"]);
    expect(ended.status).toBe(0);
    expect(ended.stderr).toMatch(new RegExp(`^cpu +${processor}$`, "m"));
    expect(ended.stderr).toMatch(/^exits +\d+ \(.*\bport-write 501\b/m);
    expect(ended.stderr).toMatch(/^time +guest [\d.]+ ms, devices [\d.]+ ms/m);
  });
});

describeOnEach("a guest that ends before it is pinged", () => {
  const STATISTICS = "\n--- 10.0.0.2 ping statistics ---\n0 packets transmitted, 0 received\n";

  it.each([
    ["with 0 lets pings go unanswered", exit(0), 1],
    ["by switching off does too", out16(0x604, 0x2000), 1],
    ["with another status has that one", exit(5), 5],
    ["without wanting to has the status for it", haltForever, 120],
  ])("%s", async (_how, end, status) => {
    const ended = await run([tinyGuest(print("bye\n"), end, spin), "--ping", "2"]);
    expect(ended).toMatchObject({ status, stdout: `bye\n${STATISTICS}` });
  });
});

/** inc dword [0x200000]: memory that no image covers, and that a reset leaves alone */
const countBoot = [0xff, 0x05, 0, 0, 0x20, 0];
/** mov al, [0x200000]; add al, '0'; mov dx, 0x3f8; out dx, al */
const printCount = [0xa0, 0, 0, 0x20, 0, 0x04, 0x30, 0x66, 0xba, 0xf8, 0x03, 0xee];

/** cmp al, '4'; jne over what ends the machine */
const endAtFourth = ((end: number[]) => [0x3c, 0x34, 0x75, end.length, ...end])(exit(0));

describeOnEach("a guest that resets the machine starts again", () => {
  it.each<[string, readonly number[]]>([
    // Hard reset: SYS_RST, then RST_CPU rises.
    ["the reset control register 0xcf9", [...out8(0xcf9, 0x02), ...out8(0xcf9, 0x06)]],
    ["the keyboard controller's pulse", out8(0x64, 0xfe)],
    ["the keyboard controller's output port", [...out8(0x64, 0xd1), ...out8(0x60, 0xfe)]],
    ["fast reset at port 0x92", out8(0x92, 0x01)],
  ])("by %s", async (_name, reset) => {
    const guest = tinyGuest(countBoot, printCount, endAtFourth, [...reset], spin);
    const ended = await run([guest, "--stats", "--timeout", "10"]);
    expect(ended).toMatchObject({ status: 0, stdout: "1234" });
    expect(ended.stderr).toContain("resets 3");
  });

  it("by the reset vector, from a disk's boot sector", async () => {
    const floppy = new Uint8Array(1440 * 1024);
    floppy.set([0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee]); // mov dx, 0x3f8; mov al, '!'; out dx, al
    floppy.set([0xea, 0, 0, 0xff, 0xff], 6); // jmp 0xffff:0
    floppy.set([0x55, 0xaa], 510);
    const image = join(temporaryFolder(), "restart.img");
    writeFileSync(image, floppy);
    const ended = await run([image, "--no-reboot", "--timeout", "10"]);
    expect(ended).toMatchObject({ status: 0, stdout: "!", stderr: "" });
  });

  it("unless it is not to: then the run is over, with its status", async () => {
    const guest = tinyGuest(print("once"), out8(0x64, 0xfe), spin);
    const ended = await run([guest, "--no-reboot", "--timeout", "10"]);
    expect(ended).toMatchObject({ status: 0, stdout: "once", stderr: "" });
  });

  it("unless it was made for Firecracker, which ends there", async () => {
    const data = Uint8Array.from([...print("once"), ...out8(0x64, 0xfe), ...spin]);
    const [physicalAddress, virtualAddress] = [0x20_0000, 0xffff_ffff_8020_0000n];
    const segments = [{ physicalAddress, virtualAddress, data }];
    const image = join(temporaryFolder(), "vmlinux");
    writeFileSync(image, buildElf({ class: 64, entry: BigInt(physicalAddress), segments }));
    const ended = await run([image, "--timeout", "10"]);
    expect(ended).toMatchObject({ status: 0, stdout: "once", stderr: "" });
  });

  it("with its image as it was, though it wrote over it", async () => {
    // The counted value is printed by code that the guest destroys before each reset:
    // mov dword [0x100020], 0xfefefefe
    const destroy = [0xc7, 0x05, 0x20, 0, 0x10, 0, 0xfe, 0xfe, 0xfe, 0xfe];
    const guest = tinyGuest(countBoot, printCount, endAtFourth, destroy, out8(0x92, 0x01), spin);
    expect(await run([guest, "--timeout", "10"])).toMatchObject({ status: 0, stdout: "1234" });
  });

  it("and devices forget what they were told: the serial port's divisor latch", async () => {
    // Before the reset DLAB is set, so that port 0x3f8 is the divisor; after it prints again.
    const guest = tinyGuest(
      ...[countBoot, printCount, endAtFourth],
      ...[out8(0x3fb, 0x80), print("lost"), out8(0x92, 0x01), spin],
    );
    expect(await run([guest, "--timeout", "10"])).toMatchObject({ status: 0, stdout: "1234" });
  });
});

describeOnEach("the serial port", () => {
  it("goes to a file, and only there", async () => {
    const file = join(temporaryFolder(), "serial");
    const guest = tinyGuest(print("to the file\n"), exit(3));
    const ended = await run([guest, "--serial", `file:${file}`]);
    expect(ended).toMatchObject({ status: 3, stdout: "", stderr: "" });
    expect(readFileSync(file, "utf8")).toBe("to the file\n");
  });

  it("is in the file while the guest runs, and a file from before is replaced", async () => {
    const file = join(temporaryFolder(), "serial");
    await run([tinyGuest(print("much longer text of an earlier run\n"), exit(0))]);
    const guest = start([tinyGuest(print("no newline"), spin), "--serial", `file:${file}`]);
    await expect.poll(() => statSync(file, { throwIfNoEntry: false })?.size).toBe(10);
    guest.kill("SIGTERM");
    expect((await guest.ended).status).toBe(143);
    expect(readFileSync(file, "utf8")).toBe("no newline");
  });

  it("goes nowhere", async () => {
    const ended = await run([tinyGuest(print("nowhere\n"), exit(0)), "--serial", "null"]);
    expect(ended).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  it("hands every byte from a pipe to the guest, C-a too", async () => {
    const guest = start([echoGuest()], { stdin: "pipe" });
    await guest.printed("ready\n");
    guest.type("a\x01x\x03z!");
    expect(await guest.ended).toMatchObject({ status: 0, stdout: "ready\na\x01x\x03z!" });
  });
});

/** Prints what it receives; ends after a '!'. */
function echoGuest(): string {
  const echo = [
    // mov dx, 0x3fd; wait: in al, dx; test al, 1; jz wait
    ...[0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb],
    // mov dx, 0x3f8; in al, dx; out dx, al
    ...[0x66, 0xba, 0xf8, 0x03, 0xec, 0xee],
    // cmp al, '!'
    ...[0x3c, 0x21],
  ];
  // jne back to the start
  return tinyGuest(print("ready\n"), echo, [0x75, 0x100 - echo.length - 2], exit(0), spin);
}
