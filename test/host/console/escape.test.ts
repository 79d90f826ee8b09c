import { describe, expect, it } from "vitest";
import { type EscapeCommand, EscapeFilter } from "../../../src/host/console/escape.ts";

/** What the guest gets, and what the monitor is asked for, when these pieces are typed. */
function typed(...pieces: string[]): { guest: string; commands: EscapeCommand[] } {
  const commands: EscapeCommand[] = [];
  const filter = new EscapeFilter((command) => commands.push(command));
  const guest = pieces
    .map((piece) => Buffer.from(filter.filter(Buffer.from(piece))).toString("latin1"))
    .join("");
  return { guest, commands };
}

describe("the escape key", () => {
  it("asks for the end, and for help by either letter", () => {
    expect(typed("\x01x")).toEqual({ guest: "", commands: ["quit"] });
    expect(typed("\x01c\x01h")).toEqual({ guest: "", commands: ["help", "help"] });
  });

  it("asks for a core and for a picture", () => {
    expect(typed("\x01d\x01p")).toEqual({ guest: "", commands: ["core", "screen"] });
  });

  it("is sent to the guest when typed twice, or with a", () => {
    expect(typed("\x01\x01")).toEqual({ guest: "\x01", commands: [] });
    expect(typed("\x01a")).toEqual({ guest: "\x01", commands: [] });
  });

  it("works when the letter comes later", () => {
    expect(typed("ab\x01", "x")).toEqual({ guest: "ab", commands: ["quit"] });
    expect(typed("\x01", "\x01", "x")).toEqual({ guest: "\x01x", commands: [] });
  });

  it("swallows what means nothing", () => {
    expect(typed("a\x01zb")).toEqual({ guest: "ab", commands: [] });
  });

  it("is over after one key", () => {
    expect(typed("\x01\x01xx\x01\x03x")).toEqual({ guest: "\x01xx\x03x", commands: [] });
  });
});

it("C-c interrupts, unless it is escaped", () => {
  expect(typed("a\x03b")).toEqual({ guest: "ab", commands: ["interrupt"] });
  expect(typed("\x01\x03")).toEqual({ guest: "\x03", commands: [] });
});

it("everything else reaches the guest unchanged", () => {
  const others = Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 1 && i !== 3);
  const filter = new EscapeFilter(() => expect.fail("nothing was asked for"));
  expect([...filter.filter(Uint8Array.from(others))]).toEqual(others);
});
