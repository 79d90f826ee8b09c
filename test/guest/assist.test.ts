import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { remembering, verdict } from "../support/kvm-verdict.ts";
import { run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { exit, tinyGuest } from "../support/tiny-guest.ts";

const SOURCES = ["apic/start.S", "assist/guest.c"].map((name) => join(import.meta.dirname, name));
const CFLAGS = [
  ...["-m64", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone"],
  ...["-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"],
  ...["-Wall", "-Wextra", "-nostdlib", "-static", "-Wl,-n,-Ttext=0x100000,--build-id=none"],
];

/** As real processors have it, and QEMU but for the unmasked exception. */
const EXPECTED = `\
popcnt 000000000000fa14
crc32 00000000aa8c2b3e
cmpxchg16b 0000000100000304
lar 0000000000c09300
verr 0000000000000001
int n 00000000000000c8
int3 00000000000000c8
mxcsr 0000000000007f80
2/3 towards zero 3fe5555555555555
sqrt 2 3ff6a09e667f3bcd
2 sqrt 3 400bb67ae8584caa
sqrt 3 as an integer 0000000000000001
unmasked, vector 0000000000000013
undefined, vector 0000000000000006
x87 control 000000000000027f
1/pi, significand a2f9836e4e44152a
1/pi, exponent 0000000000003ffd
fs:8 0000000000000008
wrong pages seen 0000000000000000
faults 0000000000000001
at 0000000040000010
time stamps that went backwards 0000000000000000
ticks 0000000000000003
leaves of CPUID that changed 0000000000000000
counted 00000000000493e0
no MSR, vector 000000000000000d
its frame's TF 0000000000000000
steps 0000000000000004
`;

describe("privileged code with instructions that some hosts' KVM gives up", () => {
  const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
  const image = join(folder, "assist.elf");

  beforeAll(() => {
    const elf64 = `${image}64`;
    execFileSync(process.env.CC ?? "cc", [...CFLAGS, "-o", elf64, ...SOURCES], { stdio: "pipe" });
    execFileSync("objcopy", ["-O", "elf32-i386", elf64, image], { stdio: "pipe" });
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it.skipIf(missing("kvm"))("runs under KVM, and --stats tells which they are", async () => {
    const { stdout: host } = await run(["doctor"]);
    // As where KVM runs privileged code natively: it gets the guest back soon each time.
    const env = remembering(JSON.stringify(verdict(true)));
    const ended = await run([image, "--accel", "kvm", "--net", "none", "--stats"], { env });
    expect(ended).toMatchObject({ status: 0, stdout: EXPECTED });
    expect(ended.stderr).toMatch(/^cpu +kvm$/m);
    if (host.includes("emulates privileged code")) {
      expect(ended.stderr).toMatch(/^assisted .*\bpopcnt \d+/m);
      expect(ended.stderr).toMatch(/^assisted .*\bldmxcsr \d+/m);
      expect(ended.stderr).toMatch(/^assisted .*\(unknown\) \d+/m);
      expect(ended.stderr).not.toContain("cannot-continue");
    }
  });

  it.skipIf(missing("kvm"))("is soon all another's where KVM emulates such code", async () => {
    const env = remembering(JSON.stringify(verdict(false)));
    const ended = await run([image, "--accel", "kvm", "--net", "none", "--stats"], { env });
    expect(ended).toMatchObject({ status: 0, stdout: EXPECTED });
    expect(ended.stderr).toMatch(/^cpu +kvm$/m);
    const [, instructions] = /^stood in .*\b(\d+) instructions$/m.exec(ended.stderr) ?? [];
    // Most of those that it takes to count.
    expect(Number(instructions)).toBeGreaterThan(700_000);
  });

  it("does the same on the processor in TypeScript", async () => {
    const ended = await run([image, "--accel", "emu", "--net", "none"]);
    expect(ended).toMatchObject({ status: 0, stdout: EXPECTED, stderr: "" });
  });

  it.skipIf(missing("kvm"))("gets the faults of instructions that KVM gives up", async () => {
    // ldmxcsr [0x200000] of reserved bits without an interrupt descriptor table:
    // mov eax, cr4; or ah, 6; mov cr4, eax; mov dword [0x200000], -1; ldmxcsr [0x200000]
    const ended = await run([
      tinyGuest(
        [0x0f, 0x20, 0xe0, 0x80, 0xcc, 0x06, 0x0f, 0x22, 0xe0],
        [0xc7, 0x05, 0, 0, 0x20, 0, 0xff, 0xff, 0xff, 0xff],
        [0x0f, 0xae, 0x15, 0, 0, 0x20, 0],
      ),
      ...["--accel", "kvm", "--net", "none"],
    ]);
    expect(ended.status).toBe(121);
    expect(ended.stderr).toMatch(/\brip +0000000000100033/);
  });

  it.skipIf(missing("kvm"))("goes on where KVM does not know the 80386's paging", async () => {
    const ended = await run([
      tinyGuest(
        // 4 MiB of memory at 0 and at 0xc0000000: mov dword [directory], 0x83; the same + 0xc00
        [0xc7, 0x05, 0, 0, 0x20, 0, 0x83, 0, 0, 0, 0xc7, 0x05, 0, 0x0c, 0x20, 0, 0x83, 0, 0, 0],
        // An interrupt descriptor table before that: its limit and base at 0x202000, and lidt
        [0xc7, 0x05, 0, 0x20, 0x20, 0, 0xff, 0x07, 0, 0, 0xc7, 0x05, 4, 0x20, 0x20, 0, 0x30, 0, 0],
        [0, 0x0f, 0x01, 0x1d, 0, 0x20, 0x20, 0],
        // mov eax, directory; mov cr3, eax; CR4.PSE and CR0.PG are set
        [0xb8, 0, 0, 0x20, 0, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x0c, 0x10, 0x0f, 0x22, 0xe0],
        [0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0],
        // What is KVM's to execute: xor eax, eax; cpuid; mov eax, cr3; mov cr3, eax
        [0x31, 0xc0, 0x0f, 0xa2, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8],
        // mov byte [0x200ff0], 'p'; mov al, [0xc0200ff0]; mov dx, 0x3f8; out dx, al
        [0xc6, 0x05, 0xf0, 0x0f, 0x20, 0, 0x70, 0xa0, 0xf0, 0x0f, 0x20, 0xc0],
        [0x66, 0xba, 0xf8, 0x03, 0xee],
        exit(3),
      ),
      ...["--accel", "kvm", "--net", "none"],
    ]);
    expect(ended).toMatchObject({ status: 3, stdout: "p" });
  });
});
