import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, MILLISECOND, SECOND } from "../../../src/core/units.ts";
import { TextScreen } from "../../../src/devices/video/text-screen.ts";
import { VgaText } from "../../../src/devices/video/vga-text.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeConsole } from "../../support/fake-console.ts";

const TEXT = 0xb_8000;

class TerminalConsole extends FakeConsole {
  readonly terminal = true;
}

describe("text screen", () => {
  let memory: GuestMemory;
  let clock: VirtualClock;
  let vga: VgaText;
  let listens: boolean;

  const screenOn = (console: FakeConsole): TextScreen =>
    new TextScreen({ memory, vga, clock, console, serialListens: () => listens });

  /** Prints by the serial port. */
  const send = (screen: TextScreen, console: FakeConsole, text: string): void => {
    for (const letter of text) {
      screen.serialWrites(letter.charCodeAt(0));
      console.transmit(letter.charCodeAt(0));
    }
  };

  /** Writes to the screen as a guest does. */
  const put = (row: number, text: string, attribute = 7): void => {
    for (const [i, letter] of [...text].entries()) {
      memory.writeU16(gpa(TEXT + 2 * (80 * row + i)), (attribute << 8) | letter.charCodeAt(0));
    }
  };

  const writeRegister = (port: number, index: number, value: number): void =>
    vga.write(port, 2, (value << 8) | index);

  /** The guest has stopped for a while. */
  const rest = (screen: TextScreen, time = 20 * MILLISECOND): void => {
    screen.poll();
    clock.advance(time);
  };

  beforeEach(() => {
    memory = new GuestMemory(new ArrayBuffer(1024 * 1024));
    clock = new VirtualClock();
    vga = new VgaText({ clock });
    listens = false;
  });

  describe("on no terminal", () => {
    let console: FakeConsole;
    let screen: TextScreen;

    beforeEach(() => {
      console = new FakeConsole();
      screen = screenOn(console);
    });

    it("shows rows of 40 characters", () => {
      writeRegister(0x14, 0x01, 39);
      for (const [i, letter] of [..."ab"].entries()) {
        memory.writeU16(gpa(TEXT + 80 * i), 0x700 | letter.charCodeAt(0));
      }
      writeRegister(0x14, 0x0f, 41);
      rest(screen);
      expect(console.text).toBe("a\nb");
    });

    it("shows no picture that lies where text would be", () => {
      writeRegister(0x0e, 0x06, 0x0f);
      put(0, "picture");
      rest(screen);
      expect(console.text).toBe("");
      writeRegister(0x0e, 0x06, 0x0e);
      put(0, "text   ");
      rest(screen);
      expect(console.text).toContain("text");
    });

    it("shows nothing of a screen that nobody writes to", () => {
      rest(screen);
      screen.finish();
      expect(console.text).toBe("");
      expect(clock.alarms.deadline).toBe(Number.POSITIVE_INFINITY);
    });

    it("shows lines as they are written, and goes on with the last", () => {
      put(0, "one");
      put(1, "two...");
      rest(screen);
      put(1, "two......ok");
      rest(screen);
      put(3, "four");
      screen.finish();
      expect(console.text).toBe("one\ntwo......ok\n\nfour\n");
    });

    it("follows a screen that scrolls", () => {
      for (let row = 0; row < 25; row++) put(row, `line ${row}`);
      rest(screen);
      memory.slice(gpa(TEXT), 4000).copyWithin(0, 320);
      memory.fill(gpa(TEXT + 23 * 160), 320);
      put(23, "line 25");
      rest(screen);
      expect(console.text.split("\n").slice(-3)).toEqual(["line 23", "line 24", "line 25"]);
      expect(console.text.match(/line 7\n/g)).toHaveLength(1);
    });

    it("shows a changed line below the others, but not all the time", () => {
      put(0, "5 s left");
      put(1, "menu");
      rest(screen);
      for (let left = 4; left > 0; left--) {
        put(0, `${left} s left`);
        rest(screen, 400 * MILLISECOND);
      }
      expect(console.text).toBe("5 s left\nmenu\n4 s left\n2 s left");
      clock.advance(SECOND);
      expect(console.text).toBe("5 s left\nmenu\n4 s left\n2 s left\n1 s left");
    });

    it("leaves the console to the serial port, but for what that does not say", () => {
      put(0, "loader");
      rest(screen);
      put(1, "unseen yet");
      send(screen, console, "kernel\r\n");
      put(2, "later");
      rest(screen, 400 * MILLISECOND);
      send(screen, console, "more\n");
      expect(console.text).toBe("loader\nunseen yet\nkernel\r\nmore\n");
      rest(screen, 2 * SECOND);
      put(3, "later still");
      rest(screen);
      screen.finish();
      expect(console.text.slice(31)).toBe("later\nlater still\n");
    });

    it("shows nothing twice that the serial port sends, too", () => {
      const line = `${"a line that is longer than the screen is wide ".repeat(3)}`;
      send(screen, console, `\x1b[1mbanner\x1b[0m\n${line}\n`);
      put(0, "banner");
      put(1, line.slice(0, 80));
      put(2, line.slice(80));
      const before = console.text;
      rest(screen, 3 * SECOND);
      expect(console.text).toBe(before);
      put(3, "panic");
      rest(screen, SECOND);
      expect(console.text).toBe(`${before}panic`);
    });

    it("is silent while the guest listens at the serial port, until the reset", () => {
      listens = true;
      send(screen, console, "$ ");
      put(0, "status");
      for (let i = 0; i < 5; i++) rest(screen, SECOND);
      screen.finish();
      expect(console.text).toBe("$ ");
      screen.reset();
      put(0, "again");
      rest(screen);
      expect(console.text).toContain("again");
    });

    it("does not wake a guest that sleeps, once it has looked", () => {
      send(screen, console, "x");
      rest(screen, 2 * SECOND);
      expect(clock.alarms.deadline).toBe(Number.POSITIVE_INFINITY);
    });

    it("shows what the CRT controller shows, in a PC's characters", () => {
      vga.write(0x14, 2, 0x010c);
      put(3, `${" ".repeat(16)}caf\x82`);
      screen.finish();
      expect(console.text).toBe(
        [...new TextEncoder().encode("café\n")].map((b) => String.fromCharCode(b)).join(""),
      );
    });
  });

  describe("on a terminal", () => {
    it("is running text as long as it is used as a teletype", () => {
      const console = new TerminalConsole();
      const screen = screenOn(console);
      put(0, "hello");
      put(1, "world");
      rest(screen);
      screen.finish();
      expect(console.text).toBe("hello\r\nworld\r\n");
    });

    it("becomes a screen when a background is coloured, and sends only what changes", () => {
      const console = new TerminalConsole();
      const screen = screenOn(console);
      put(0, "menu");
      put(1, "entry", 0x70);
      rest(screen);
      for (const part of ["\x1b[2J", "menu", "\x1b[0;7mentry"]) {
        expect(console.text).toContain(part);
      }
      console.text = "";
      put(1, "Entry", 0x70);
      vga.write(0x14, 2, 0x000e);
      vga.write(0x14, 2, 0x510f);
      rest(screen);
      expect(console.text).toBe("\x1b[2;1H\x1b[0;7mE\x1b[0m\x1b[2;2H\x1b[?25h");
      console.text = "";
      screen.finish();
      expect(console.text).toMatch(/\r\n$/);
    });
  });

  it("has registers that live through any access", () => {
    readWriteEverything(() => {
      const fresh = new VgaText({ clock });
      return { ranges: [[fresh, fresh.length]] };
    });
  });
});
