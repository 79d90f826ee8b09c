import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Process, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";

const SOURCES = join(import.meta.dirname, "apic");
const CFLAGS = [
  ...["-m64", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone"],
  ...["-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"],
  ...["-Wall", "-Wextra", "-nostdlib", "-static", "-Wl,-n,-Ttext=0x100000,--build-id=none"],
];
/** The linker has something to say about one segment for everything. */
const QUIET = { stdio: "pipe" } as const;

/** What a PC's firmware leaves, and what an operating system then does with the APICs. */
const ON = `\
cpuid apic 00000001
base fee00900
id 00000000
version 00050014
spurious 000001ff
lint0 00008700
lint1 00008400
timer 00010000
format ffffffff
ioapic pins less one 00000017
ioapic pin 2 00010000
8259 ticks through lint0
errors 00000000
one shot, in service 00000001
count after it 00000000
periodic ticks
1 GHz bus 00000001
pit ticks through pin 2
level, remote irr 00004000
and after it 00008034
cr8 00000005
held back 00000001
let through 00000001
tpr 00000040
ppr 00000040
held back by cr8 00000001
let through 00000002
nmi 00000001
sent 00000000
errors 00000000
spurious 00000000
`;

/** The local APIC switched off and on again: like a processor, unlike QEMU. */
const OFF = `\
off:
cpuid apic 00000000
version ffffffff
8259 ticks
cpuid apic 00000001
version 00050014
spurious 000000ff
`;

describe("a guest that uses local APIC and I/O APIC", () => {
  const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
  const image = join(folder, "apic.elf");

  beforeAll(() => {
    const elf64 = join(folder, "apic.elf64");
    const sources = ["start.S", "guest.c"].map((name) => join(SOURCES, name));
    execFileSync(process.env.CC ?? "cc", [...CFLAGS, "-o", elf64, ...sources], QUIET);
    // QEMU takes a Multiboot kernel as a 32-bit file only.
    execFileSync("objcopy", ["-O", "elf32-i386", elf64, image], QUIET);
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it.skipIf(missing("kvm"))("finds a PC's under KVM", async () => {
    const ended = await run([image, "--accel", "kvm", "--net", "none"]);
    expect(ended).toMatchObject({ status: 0, stdout: ON + OFF, stderr: "" });
  });

  it("finds the same on the processor in TypeScript", async () => {
    const ended = await run([image, "--accel", "emu", "--net", "none"]);
    expect(ended).toMatchObject({ status: 0, stdout: ON + OFF, stderr: "" });
  });

  it.skipIf(missing("qemu"))("finds the same on QEMU", async () => {
    const guest = new Process([
      ...["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none"],
      ...["-serial", "stdio", "-kernel", image],
    ]);
    await guest.printed("off:\n");
    expect(guest.stdout.split("off:")[0]).toBe(ON);
  });
});
