import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execute, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";

const SOURCES = join(import.meta.dirname, "system");
const CFLAGS = [
  ...["-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mgeneral-regs-only", "-Wall", "-Wextra"],
  ...["-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-nostdlib", "-static"],
  ...["-Wl,-n,-Ttext=0x100000,--build-id=none", `-I${join(SOURCES, "lib")}`],
];
/** The linker has something to say about one segment for everything. */
const QUIET = { stdio: "pipe" } as const;

interface SystemGuest {
  /** Its sources, and what it prints in NAME.txt: as the manual has it. */
  readonly name: string;
  readonly sources: readonly string[];
  readonly bits: 32 | 64;
  /** Status that it ends with here: 121 is a triple fault. */
  readonly status: number;
  /**
   * Lines, by what they begin with, that QEMU's translator prints differently, since it does not
   * check, or not as the manual says. Without this it does not run there: next to all differ.
   */
  readonly qemu?: readonly string[];
  /** It also runs on a KVM that emulates privileged code. */
  readonly kvm?: true;
}

const C_32 = ["lib/start32.S", "lib/guest.c"];
const C_64 = ["lib/start64.S", "lib/guest.c"];
const inC = (name: string, bits: 32 | 64, rest: Partial<SystemGuest>): SystemGuest => ({
  ...{ name, bits, status: 0, sources: [...(bits === 32 ? C_32 : C_64), `${name}.c`] },
  ...rest,
});

const GUESTS: readonly SystemGuest[] = [
  { name: "real", bits: 32, status: 0, sources: ["real.S"], qemu: [] },
  inC("protected", 32, { qemu: [] }),
  inC("limits", 32, {}),
  inC("paging", 32, {
    // Reserved bits come without the present bit; PAE's four pointers are never loaded.
    qemu: ["reserved", "large, reserved bit", "pointer", "nx without efer.nxe"],
  }),
  inC("long", 64, { qemu: [] }),
  inC("strict", 64, {}),
  inC("exceptions", 32, {
    status: 121,
    // No exceptions of floating-point units but by FWAIT; EXT is not set for exceptions.
    qemu: ["lock on mov", "x87 error at the next", "sse exc", "mxcsr", "#UD without its gate:"],
  }),
  inC("events", 32, { qemu: [] }),
  inC("debug", 32, {
    // Traps and breakpoints of strings and MOV SS; no DR7.GD, no INT1.
    qemu: [
      "read into ss",
      "after mov ss",
      "at a string",
      "int:",
      "general detect",
      "dr6",
      "dr7",
      "icebp",
    ],
  }),
  inC("tasks", 32, {
    // Faults of a task are saved at the instruction that entered it; no T, no RF, #NP for stacks.
    qemu: ["gate to the ldt", "stack absent", "before its", "rf in", "t:", "at its", "dr6", "tr:"],
  }),
  inC("code", 32, { qemu: [], kvm: true }),
];

const without = (lines: string, beginnings: readonly string[]): string[] =>
  lines.split("\n").filter((line) => !beginnings.some((start) => line.startsWith(start)));

describe.each(GUESTS)("the guest system/$name", ({ name, sources, bits, status, qemu, kvm }) => {
  const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
  const image = join(folder, `${name}.elf`);
  const expected = readFileSync(join(SOURCES, `${name}.txt`), "utf8");

  beforeAll(() => {
    const linked = `${image}-linked`;
    const mode = bits === 32 ? ["-m32"] : ["-m64", "-mno-red-zone"];
    const files = sources.map((file) => join(SOURCES, file));
    execFileSync(process.env.CC ?? "cc", [...CFLAGS, ...mode, "-o", linked, ...files], QUIET);
    // QEMU takes a Multiboot kernel as a 32-bit file only.
    execFileSync("objcopy", ["-O", "elf32-i386", linked, image], QUIET);
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it("prints what the manual says on the processor in TypeScript", async () => {
    const ended = await run([image, "--accel", "emu", "--net", "none"]);
    expect(ended.stdout).toBe(expected);
    expect(ended.status).toBe(status);
  });

  if (kvm) {
    it.skipIf(missing("kvm"))("prints the same under KVM", async () => {
      const ended = await run([image, "--accel", "kvm", "--net", "none"]);
      expect(ended).toMatchObject({ status, stdout: expected });
    });
  }

  if (qemu === undefined) return;
  it.skipIf(missing("qemu"))("prints the same on QEMU", async () => {
    const ended = await execute([
      ...["qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem", "-nodefaults", "-no-reboot"],
      ...["-display", "none", "-serial", "stdio", "-kernel", image],
      ...["-device", "isa-debug-exit,iobase=0x501,iosize=2"],
    ]);
    expect(without(ended.stdout, qemu)).toEqual(without(expected, qemu));
  });
});
