import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { command, describeOnEach, image } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { atTerminal, onTerminal, type Session } from "../support/terminal.ts";
import { exit, print, spin, tinyGuest } from "../support/tiny-guest.ts";

const READY = "Serving ping on 10.0.0.2";

/** Raw while the guest ran, and afterwards as it was found. */
function expectRestored({ before, during, after }: Session): void {
  expect(during).not.toEqual(before);
  expect(after).toEqual(before);
}

describeOnEach.skipIf(missing("python3"))("on a terminal", () => {
  it("C-a x ends the run with status 0", async () => {
    const session = await atTerminal([image("kernel")], ["expect", READY], ["type", "\x01x"]);
    expect(session.status).toBe(0);
    expectRestored(session);
  });

  it("C-c ends the run as SIGINT does", async () => {
    const session = await atTerminal([image("kernel")], ["expect", READY], ["type", "\x03"]);
    expect(session.status).toBe(130);
    expectRestored(session);
  });

  it("C-a c shows help, and the run goes on", async () => {
    const session = await atTerminal(
      [image("kernel")],
      ["expect", READY],
      ["type", "\x01c"],
      ["expect", "C-a x"],
      ["expect", "C-a C-a"],
      ["sleep", 0.2],
      ["type", "\x01"],
      ["sleep", 0.1],
      ["type", "x"],
    );
    expect(session.status).toBe(0);
    expectRestored(session);
  });

  it("C-a C-a sends C-a, C-a C-c sends C-c, and other keys go to the guest as they are", async () => {
    const session = await atTerminal(
      [hexEcho()],
      ["expect", ">"],
      ["type", "k\r\x04\x1a\x1c\x7f\x01\x01\x01\x03\x01?é"],
      ["expect", "c3a9"],
      ["type", "!"],
    );
    // Neither an interrupt, nor an end of file, nor a suspension, nor a translated return.
    expect(session.output.slice(session.output.indexOf(">") + 1)).toBe("6b0d041a1c7f0103c3a921");
    expect(session.status).toBe(0);
    expectRestored(session);
  });

  it("the report of a crash comes in whole lines, and the terminal is restored", async () => {
    // ud2 without a handler
    const session = await atTerminal([tinyGuest(print("x\n"), [0x0f, 0x0b])]);
    expect(session.status).toBe(121);
    const lines = session.output.trimEnd().split("\r\n");
    expect(lines[1]).toBe("solo5-kvm: the guest brought its processor down (triple fault)");
    expect(lines.at(-1)).toMatch(/^#0 +0x[0-9a-f]+$/);
    expect(session.output.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    expect(session.after).toEqual(session.before);
  });

  it("C-a d writes a core, and the run goes on", async () => {
    const core = join(temporaryFolder(), "core");
    const session = await atTerminal(
      [image("kernel"), "-m", "32", "--core", core],
      ["expect", READY],
      ["type", "\x01d"],
      ["expect", "core is in"],
      ["type", "\x01x"],
    );
    expect(session.status).toBe(0);
    expect(statSync(core).size).toBeGreaterThan(32 * 1024 * 1024);
    expectRestored(session);
  });

  it("C-a p says where pictures would go, or that there is none", async () => {
    const screen = join(temporaryFolder(), "screen.png");
    const guest = tinyGuest(print("."), spin);
    const asked = [
      ["expect", "."],
      ["type", "\x01p"],
    ] as const;
    for (const [options, told] of [
      [[], "say where with --screen FILE"],
      [["--screen", screen], "shows text"],
    ] as const) {
      const end = [
        ["expect", told],
        ["type", "\x01x"],
      ] as const;
      expect((await atTerminal([guest, ...options], ...asked, ...end)).status).toBe(0);
    }
  });

  it("keys reach a guest that only computes: C-a x ends it", async () => {
    const session = await atTerminal(
      [tinyGuest(print("."), spin)],
      ["expect", "."],
      ["type", "\x01x"],
    );
    expect(session.status).toBe(0);
    expectRestored(session);
  });

  it.each([
    ["SIGHUP", 1],
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ])("is restored after %s", async (_name, number) => {
    const session = await atTerminal([image("kernel")], ["expect", READY], ["signal", number]);
    expect(session.status).toBe(128 + number);
    expectRestored(session);
  });

  it("is restored when the guest ends, whatever its status", async () => {
    for (const [guest, status] of [
      [tinyGuest(print("."), waitForKey, exit(0)), 0],
      [tinyGuest(print("."), waitForKey, exit(9)), 9],
      [tinyGuest(print("."), waitForKey, [0x0f, 0x0b]), 121],
    ] as const) {
      const session = await atTerminal([guest], ["expect", "."], ["type", "k"]);
      expect(session.status).toBe(status);
      expectRestored(session);
    }
  });

  it("that is closed ends the run as SIGHUP does", async () => {
    const session = await atTerminal([image("kernel")], ["expect", READY], ["hang up", 0]);
    expect(session.status).toBe(129);
  });

  it("belongs to the shell while the run is in the background", async () => {
    const line = command([image("kernel")]).join(" ");
    const { output } = await onTerminal(
      ["bash", "--norc", "--noprofile", "-i"],
      ["type", `${line} & echo started\n`],
      ["expect", READY],
      // What is typed is echoed: the answer has what the question has not.
      ["type", "jobs; echo in front: $((40 + 2))\n"],
      ["expect", "in front: 42"],
      ["type", "fg\n"],
      ["sleep", 1],
      ["type", "\x01c"],
      ["expect", "C-a x    end the run"],
      ["type", "\x01x"],
      ["sleep", 0.5],
      ["type", "echo status: $(($? + 10))\n"],
      ["expect", "status: 10"],
      ["type", "exit\n"],
    );
    expect(output).toContain("Running");
    expect(output).not.toContain("Stopped");
  });

  it("reports come out with whole lines: the terminal is restored before them", async () => {
    const guest = tinyGuest(print("."), waitForKey, [0x0f, 0x0b]);
    const { output } = await atTerminal([guest], ["expect", "."], ["type", "k"]);
    expect(output.match(/\n/g)?.length).toBe(output.match(/\r\n/g)?.length);
    expect(output).toMatch(/triple fault/);
  });

  it("is restored after --timeout and after a refusal", async () => {
    const timeout = await atTerminal([image("kernel"), "--timeout", "0.5"]);
    expect(timeout.status).toBe(124);
    expect(timeout.after).toEqual(timeout.before);
    const refused = await atTerminal([image("kernel"), "--block", "/nonexistent"]);
    expect(refused.status).toBe(125);
    expect(refused.after).toEqual(refused.before);
  });
});

/** mov dx, 0x3fd; wait: in al, dx; test al, 1; jz wait; mov dx, 0x3f8; in al, dx */
const waitForKey = [
  ...[0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb],
  ...[0x66, 0xba, 0xf8, 0x03, 0xec],
];

/** Prints each byte that it receives as two hexadecimal digits; ends after a '!'. */
function hexEcho(): string {
  const body = [
    ...waitForKey,
    // mov bl, al; shr al, 4
    ...[0x88, 0xc3, 0xc0, 0xe8, 0x04],
    // add al, '0'; cmp al, '9'; jbe +2; add al, 'a' - '9' - 1; out dx, al
    ...[0x04, 0x30, 0x3c, 0x39, 0x76, 0x02, 0x04, 0x27, 0xee],
    // mov al, bl; and al, 15
    ...[0x88, 0xd8, 0x24, 0x0f],
    ...[0x04, 0x30, 0x3c, 0x39, 0x76, 0x02, 0x04, 0x27, 0xee],
    // cmp bl, '!'
    ...[0x80, 0xfb, 0x21],
  ];
  // jne back to the start
  return tinyGuest(print(">"), body, [0x75, 0x100 - body.length - 2], exit(0), spin);
}
