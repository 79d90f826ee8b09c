import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeOnEach, type Ended, image, ROOT, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { tinyGuest } from "../support/tiny-guest.ts";

const SOURCES = ["apic/start.S", "crash/guest.c"].map((name) => join(import.meta.dirname, name));
const CFLAGS = [
  ...["-m64", "-g", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone"],
  ...["-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"],
  ...["-Wall", "-Wextra", "-nostdlib", "-static", "-Wl,-n,-Ttext=0x100000,--build-id=none"],
];

const KINDS = ["triple fault", "no memory", "halt in a handler", "abort"] as const;
const STATUS = [121, 122, 120, 255] as const;
/** Innermost first. */
const CALLERS = ["variable", "chosen", "deep", "deep", "deep", "guest_main", "long_mode"];
const FRAMES = [
  ["triple_fault", ...CALLERS],
  // The instruction pointer is where no code is: its caller is on the stack.
  ["?", "leave_memory", ...CALLERS],
  ["halt_for_ever", "handler", "halt_in_handler", ...CALLERS],
  ["out", "give_up", ...CALLERS],
] as const;
const STYLES = ["-O2", "-O2 -fno-omit-frame-pointer", "-O0", "-Os"] as const;
/** Kind and style. */
const CASES = [
  ...([
    [0, 0],
    [0, 1],
    [0, 2],
    [0, 3],
  ] as const),
  ...([
    [1, 0],
    [1, 1],
    [2, 0],
    [2, 1],
    [3, 0],
  ] as const),
] as const;

interface ReportedFrame {
  readonly address: number;
  readonly name: string | undefined;
  readonly rest: string;
}

function framesOf(report: string): ReportedFrame[] {
  return [
    ...report.matchAll(/^#\d+ +0x([0-9a-f]+)(?: (\w\S*?)(?:\+0x[0-9a-f]+)?)?((?: {2}\w+)?)$/gm),
  ].map(([, address = "", name, rest = ""]) => ({
    address: Number.parseInt(address, 16),
    name,
    rest: rest.trim(),
  }));
}

/** The function that an address is in, inlined ones aside, by the debug information. */
function functionAt(elf: string, address: number): string {
  const text = execFileSync("addr2line", ["-f", "-i", "-e", elf, `0x${address.toString(16)}`], {
    encoding: "utf8",
  });
  return text.trim().split("\n").at(-2) ?? "";
}

/** Every frame has the name that `addr2line` has for it. */
function expectNames(elf: string, frames: readonly ReportedFrame[]): void {
  for (const [i, { address, name, rest }] of frames.entries()) {
    if (name === undefined) continue;
    const isReturn = i > 0 && rest !== "interrupted";
    const theirs = functionAt(elf, isReturn ? address - 1 : address);
    // It has none for assembly, and leaves out what compilers append to the names of clones.
    if (theirs !== "??") expect(name.split(".")[0], `#${i}`).toBe(theirs);
  }
}

function expectOneScreen({ stderr }: Ended): void {
  const lines = stderr.trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(24);
  for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
}

describe.skipIf(missing("addr2line"))("the report of a crash", () => {
  const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-test-"));
  const elfOf = (kind: number, style: number): string => join(folder, `${kind}-${style}.elf`);

  beforeAll(() => {
    for (const [kind, style] of CASES) {
      const args = [...CFLAGS, ...STYLES[style].split(" "), `-DCRASH=${kind}`];
      const elf = elfOf(kind, style);
      execFileSync(process.env.CC ?? "cc", [...args, "-o", elf, ...SOURCES], { stdio: "pipe" });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const cases = CASES.map(([kind, style]) => [KINDS[kind], STYLES[style], kind, style] as const);

  describeOnEach("has the right frames", () => {
    it.each(cases)("%s, %s", async (_name, _options, kind, style) => {
      const elf = elfOf(kind, style);
      const ended = await run([elf, "--net", "none"]);
      expect(ended.status).toBe(STATUS[kind]);
      const frames = framesOf(ended.stderr);
      expect(frames.map(({ name }) => name ?? "?")).toEqual(FRAMES[kind]);
      expectNames(elf, frames);
      expectOneScreen(ended);
      expect(ended.stderr).not.toContain("perhaps");
    });

    it("without symbols: the same addresses", async () => {
      const elf = elfOf(0, 0);
      const stripped = join(folder, "stripped.elf");
      execFileSync("strip", ["-o", stripped, elf]);
      const [named, bare] = [await run([elf]), await run([stripped])];
      const addresses = framesOf(named.stderr).map(({ address }) => address);
      const found = framesOf(bare.stderr).map(({ address }) => address);
      // What called guest_main was entered by a jump.
      expect(found.slice(0, -1)).toEqual(addresses.slice(0, -1));
    });
  });

  it("has the names of another file, with --symbols", async () => {
    const elf = elfOf(3, 0);
    const stripped = join(folder, "without.elf");
    execFileSync("strip", ["-o", stripped, elf]);
    const [named, bare] = [await run([elf]), await run([stripped, "--symbols", elf])];
    expect(framesOf(bare.stderr)).toEqual(framesOf(named.stderr));
    expect(framesOf(bare.stderr)[0]?.name).toBe("out");
    const trace = ["--accel", "emu", "--trace", "cpu=give_up", "--symbols", elf];
    expect((await run([stripped, ...trace])).stderr).toMatch(/ cpu +[0-9a-f]+ give_up\b/);
    const refused = await run([stripped, "--symbols", stripped]);
    expect(refused.status).toBe(125);
    expect(refused.stderr).toMatch(
      /^solo5-kvm: there are no symbols in .*without\.elf: name an ELF/,
    );
  });

  it("tells what could not be handled, and the way through the page tables", async () => {
    const { stderr } = await run([elfOf(0, 0), "--accel", "emu"]);
    const lines = stderr.split("\n");
    expect(lines[0]).toBe("solo5-kvm: the guest brought its processor down (triple fault)");
    expect(stderr).toContain("no handler took: page fault 0x2 at 0x4000000000, then");
    expect(stderr).toMatch(/double fault 0x0\n/);
    expect(stderr).toMatch(/^0x[0-9a-f]+: (?:[0-9a-f]{2} )+ mov qword ptr \[rdi\], 0x1$/m);
    expect(stderr.replaceAll("\n", " ")).toMatch(
      /0x4000000000, 4-level paging: PML4\[0x\w+\]=0x\w+3 PDPT\[0x\w+\]=0x0 not mapped /,
    );
  });
});

const KERNEL_ELF = join(ROOT, "kernel/build/apps/exception.elf");

describeOnEach.skipIf(missing("addr2line"))("an exception in our kernel", () => {
  it.each([
    ["null", "page fault 0x2 at 0x0", "null", /mov byte ptr \[rax\], 0x1/],
    ["stack", "page fault 0x2 at 0x", "", /./],
    ["execute-data", "page fault 0x11 at 0x", "data_with_code", /\bret\b/],
  ])("%s", async (argument, exception, name, instruction) => {
    const ended = await run([image("exception"), "--net", "none", "--", argument]);
    expect(ended.status).toBe(255);
    expect(ended.stderr).toContain("solo5-kvm: the guest aborted\n");
    expect(ended.stderr).toContain(`in the handler of: ${exception}`);
    expect(ended.stderr).toMatch(instruction);
    const frames = framesOf(ended.stderr);
    expect(frames.slice(0, 3).map((frame) => frame.name)).toEqual([
      ...["platform_exit", "exception_report", "exception_entry"],
    ]);
    expect(frames[3]?.rest).toBe("interrupted");
    if (name !== "") {
      expect(frames.slice(3).map((frame) => frame.name)).toEqual([
        ...[name, "solo5_app_main", "solo5_start", "kernel_main", "_start"],
      ]);
    }
    expectNames(KERNEL_ELF, frames);
    expectOneScreen(ended);
  });
});

describeOnEach("a crash outside of 64-bit mode", (processor) => {
  it("names no frames in a guest that has no stack", async () => {
    const ended = await run([tinyGuest([0x0f, 0x0b])]);
    expect(ended.status).toBe(121);
    if (processor === "kvm" && ended.stderr.includes("keeps no registers")) return;
    expect(ended.stderr).toMatch(/^0x100020: 0f 0b {2}ud2$/m);
    expectOneScreen(ended);
  });
});
