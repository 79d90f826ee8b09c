/** What the user asks the monitor for with the escape key. */
export type EscapeCommand = "quit" | "interrupt" | "core" | "screen" | "help";

const CTRL_A = 0x01;
const CTRL_C = 0x03;

export const ESCAPE_HELP = [
  "C-a x    end the run",
  "C-c      end the run, as a signal would",
  "C-a d    write a core of the guest (--core)",
  "C-a p    write a picture of the guest's screen (--screen)",
  "C-a c    show this help (C-a h too)",
  "C-a C-a  send C-a to the guest (C-a a too)",
  "C-a C-c  send C-c to the guest",
].join("\n");

/**
 * Takes the monitor's own keys out of what is typed: C-a and a letter, as QEMU's users expect, and
 * C-c, since few unikernels read their console. Anything else after C-a is dropped, as a mistake.
 */
export class EscapeFilter {
  readonly #command: (command: EscapeCommand) => void;
  #escaped = false;

  constructor(command: (command: EscapeCommand) => void) {
    this.#command = command;
  }

  /** Returns what is for the guest. */
  filter(typed: Uint8Array): Uint8Array {
    const forGuest: number[] = [];
    for (const byte of typed) {
      if (this.#escaped) {
        this.#escaped = false;
        this.#afterEscape(byte, forGuest);
      } else if (byte === CTRL_A) {
        this.#escaped = true;
      } else if (byte === CTRL_C) {
        this.#command("interrupt");
      } else {
        forGuest.push(byte);
      }
    }
    return Uint8Array.from(forGuest);
  }

  #afterEscape(byte: number, forGuest: number[]): void {
    switch (String.fromCharCode(byte)) {
      case "x":
        this.#command("quit");
        break;
      case "d":
        this.#command("core");
        break;
      case "p":
        this.#command("screen");
        break;
      case "c":
      case "h":
        this.#command("help");
        break;
      case "a":
      case "\x01":
        forGuest.push(CTRL_A);
        break;
      case "\x03":
        forGuest.push(CTRL_C);
        break;
    }
  }
}
