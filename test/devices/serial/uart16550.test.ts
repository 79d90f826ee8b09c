import { beforeEach, describe, expect, it } from "vitest";
import type { ConsoleBackend } from "../../../src/core/backends.ts";
import { Uart16550 } from "../../../src/devices/serial/uart16550.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";

const [DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCRATCH] = [0, 1, 2, 2, 3, 4, 5, 6, 7];

class FakeTerminal implements ConsoleBackend {
  shown = "";
  #receive: (bytes: Uint8Array) => void = () => {};

  transmit(byte: number): void {
    this.shown += String.fromCharCode(byte);
  }

  connect(receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
  }

  type(text: string): void {
    this.#receive(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }

  flush(): undefined {}
  close(): void {}
}

describe("serial port", () => {
  let irq: FakeIrqLine;
  let terminal: FakeTerminal;
  let uart: Uart16550;

  beforeEach(() => {
    irq = new FakeIrqLine();
    terminal = new FakeTerminal();
    uart = new Uart16550({ irq, console: terminal });
  });

  const read = (register: number): number => uart.read(register, 1);
  const write = (register: number, value: number): void => uart.write(register, 1, value);
  const enable = (sources: number): void => write(IER, sources);
  const readText = (): string => {
    let text = "";
    while ((read(LSR) & 1) !== 0) text += String.fromCharCode(read(DATA));
    return text;
  };

  it("comes out of reset with everything off and the transmitter empty", () => {
    expect([IER, IIR, LCR, MCR, LSR, MSR].map(read)).toEqual([0, 0x01, 0, 0, 0x60, 0xb0]);
  });

  it("sends what is written, and is ready for more at once", () => {
    for (const character of "ok") {
      expect(read(LSR) & 0x60).toBe(0x60);
      write(DATA, character.charCodeAt(0));
    }
    expect(terminal.shown).toBe("ok");
  });

  it("shows the divisor at the first two ports while DLAB is set", () => {
    write(LCR, 0x83);
    write(DATA, 0x34);
    write(IER, 0x12);
    expect([read(DATA), read(IER)]).toEqual([0x34, 0x12]);
    write(LCR, 0x03);
    expect([read(DATA), read(IER)]).toEqual([0, 0]);
    expect(terminal.shown).toBe("");
  });

  it("keeps the scratch register, and has read-only status registers", () => {
    write(SCRATCH, 0x5a);
    write(LSR, 0xff);
    write(MSR, 0xff);
    expect([SCRATCH, LSR, MSR].map(read)).toEqual([0x5a, 0x60, 0xb0]);
  });

  it("keeps the bits that exist only", () => {
    write(IER, 0xff);
    write(MCR, 0xff);
    expect([read(IER), read(MCR)]).toEqual([0x0f, 0x1f]);
  });

  it("splits wider accesses into bytes", () => {
    uart.write(LCR, 2, 0x0b03);
    expect([read(LCR), read(MCR), uart.read(LCR, 2)]).toEqual([0x03, 0x0b, 0x0b03]);
  });

  describe("receiving", () => {
    it("hands out bytes in order", () => {
      terminal.type("abc");
      terminal.type("d");
      expect(readText()).toBe("abcd");
      expect(read(DATA)).toBe(0);
    });

    it("loses nothing of a long paste, with or without FIFO", () => {
      const paste = "The quick brown fox. ".repeat(50);
      for (const fifo of [0x00, 0x01]) {
        write(FCR, fifo);
        terminal.type(paste);
        expect(readText()).toBe(paste);
        expect(read(LSR) & 0x02).toBe(0);
      }
    });

    it("keeps a copy of the host's bytes", () => {
      let receive: (bytes: Uint8Array) => void = () => {};
      const backend = new FakeTerminal();
      backend.connect = (handler) => {
        receive = handler;
      };
      const port = new Uart16550({ irq, console: backend });
      const bytes = Uint8Array.of(1, 2, 3);
      receive(bytes);
      bytes.fill(9);
      expect([1, 2, 3].map(() => port.read(DATA, 1))).toEqual([1, 2, 3]);
    });

    it("overruns when the host sends a million bytes that nobody reads", () => {
      terminal.type("x".repeat(1024 * 1024 + 1));
      expect(read(LSR) & 0x02).toBe(0x02);
      expect(read(LSR) & 0x02).toBe(0);
      expect(readText()).toHaveLength(1024 * 1024);
    });

    it("drops what the FIFO holds when it is cleared, but not what still waits outside", () => {
      write(FCR, 0x01);
      terminal.type("0123456789abcdefXYZ");
      write(FCR, 0x03);
      expect(readText()).toBe("XYZ");
    });

    it("interrupts until the last byte is read", () => {
      enable(0x01);
      terminal.type("ab");
      expect(irq.level).toBe(true);
      expect(read(IIR)).toBe(0x04);
      read(DATA);
      expect(irq.level).toBe(true);
      read(DATA);
      expect(irq.level).toBe(false);
      expect(read(IIR)).toBe(0x01);
    });

    it("reports the trigger level reached, and a timeout below it", () => {
      write(FCR, 0x81);
      enable(0x01);
      terminal.type("1234567");
      expect(read(IIR)).toBe(0xcc);
      expect(irq.level).toBe(true);
      terminal.type("8");
      expect(read(IIR)).toBe(0xc4);
      read(DATA);
      expect(read(IIR)).toBe(0xcc);
      readText();
      expect(read(IIR)).toBe(0xc1);
    });
  });

  describe("transmitter empty", () => {
    it("interrupts when it is enabled, until IIR has said so", () => {
      enable(0x02);
      expect(irq.level).toBe(true);
      expect(read(IIR)).toBe(0x02);
      expect(irq.level).toBe(false);
      expect(read(IIR)).toBe(0x01);
    });

    it("interrupts anew with each byte written", () => {
      enable(0x02);
      irq.takeRises();
      write(DATA, 65);
      expect(irq.takeRises()).toBe(1);
      read(IIR);
      write(DATA, 66);
      expect(irq.takeRises()).toBe(1);
    });

    it("stays pending while IIR reports something more urgent", () => {
      enable(0x03);
      terminal.type("a");
      expect(read(IIR)).toBe(0x04);
      read(DATA);
      expect(read(IIR)).toBe(0x02);
    });

    it("is not raised again by writing the same enable bits", () => {
      enable(0x02);
      read(IIR);
      write(IER, 0x02);
      expect(irq.level).toBe(false);
    });
  });

  it("reports the most urgent source first", () => {
    write(MCR, 0x10);
    write(DATA, 1);
    write(DATA, 2);
    // An overrun, a byte, an empty transmitter and changed modem lines.
    write(IER, 0x0f);
    const seen = [read(IIR)];
    read(LSR);
    seen.push(read(IIR));
    read(DATA);
    seen.push(read(IIR), read(IIR));
    read(MSR);
    seen.push(read(IIR));
    expect(seen).toEqual([0x06, 0x04, 0x02, 0x00, 0x01]);
  });

  it("interrupts whatever the outputs are", () => {
    write(IER, 0x01);
    terminal.type("a");
    expect(irq.level).toBe(true);
    expect(read(IIR)).toBe(0x04);
    write(MCR, 0x08);
    expect(irq.level).toBe(true);
    expect(read(DATA)).toBe(0x61);
    expect(irq.level).toBe(false);
  });

  it("tells in IIR whether the FIFOs are on, and ignores FCR's other bits while they are not", () => {
    write(FCR, 0xc0);
    terminal.type("a");
    write(IER, 0x01);
    expect(read(IIR)).toBe(0x04);
    write(FCR, 0xc1);
    expect(read(IIR)).toBe(0xc1);
    terminal.type("b");
    expect(read(IIR)).toBe(0xcc);
  });

  describe("loopback", () => {
    it("connects the modem's inputs to the outputs", () => {
      for (const [outputs, lines] of [
        [0x00, 0x00],
        [0x01, 0x20],
        [0x02, 0x10],
        [0x04, 0x40],
        [0x08, 0x80],
        [0x0f, 0xf0],
      ] as const) {
        write(MCR, 0x10 | outputs);
        expect(read(MSR) & 0xf0).toBe(lines);
      }
      write(MCR, 0x00);
      expect(read(MSR) & 0xf0).toBe(0xb0);
    });

    it("notes changed lines, and of the ring its end, until MSR is read", () => {
      write(MCR, 0x10);
      expect(read(MSR)).toBe(0x0b);
      expect(read(MSR)).toBe(0x00);
      write(MCR, 0x14);
      expect(read(MSR)).toBe(0x40);
      write(MCR, 0x10);
      expect(read(MSR)).toBe(0x04);
    });

    it("interrupts for changed lines", () => {
      write(MCR, 0x1b);
      read(MSR);
      write(IER, 0x08);
      expect(irq.level).toBe(false);
      write(MCR, 0x19);
      expect(irq.level).toBe(true);
      expect(read(IIR)).toBe(0x00);
      read(MSR);
      expect(irq.level).toBe(false);
    });

    it("receives what is sent, and nothing goes out or comes in", () => {
      write(FCR, 0x01);
      write(MCR, 0x10);
      terminal.type("host");
      for (const character of "loop") write(DATA, character.charCodeAt(0));
      expect(readText()).toBe("loop");
      expect(terminal.shown).toBe("");
      write(MCR, 0x00);
      expect(readText()).toBe("host");
    });

    it("overruns when its FIFO is full", () => {
      write(FCR, 0x01);
      write(MCR, 0x10);
      for (let i = 0; i < 16; i++) write(DATA, 65 + i);
      expect(read(LSR) & 0x02).toBe(0);
      write(DATA, 90);
      expect(read(LSR) & 0x02).toBe(0x02);
      expect(readText()).toBe("ABCDEFGHIJKLMNOP");
    });

    it("overwrites the one byte it has room for without FIFO", () => {
      write(MCR, 0x10);
      write(DATA, 65);
      write(DATA, 66);
      expect(read(LSR)).toBe(0x63);
      expect(readText()).toBe("B");
    });
  });

  it("goes back to power-on at reset, but keeps what the host has typed ahead", () => {
    write(FCR, 0x01);
    enable(0x0f);
    write(LCR, 0x80);
    write(SCRATCH, 1);
    terminal.type("0123456789abcdefXYZ");
    uart.reset();
    expect(irq.level).toBe(false);
    expect([IER, IIR, LCR, MCR, MSR, SCRATCH].map(read)).toEqual([0, 0x01, 0, 0, 0xb0, 0]);
    expect(readText()).toBe("XYZ");
  });

  it("tells who listens from who only sends", () => {
    write(MCR, 0x03);
    for (let i = 0; i < 100; i++) {
      read(LSR);
      write(DATA, 65);
    }
    expect(uart.listening).toBe(false);
    for (let i = 0; i < 100; i++) read(LSR);
    write(DATA, 65);
    expect(uart.listening).toBe(true);
    write(MCR, 0x00);
    expect(uart.listening).toBe(false);
    write(IER, 0x01);
    expect(uart.listening).toBe(true);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const host = new FakeTerminal();
      const device = new Uart16550({ irq: new FakeIrqLine(), console: host });
      return { ranges: [[device, 8]], advance: (time) => host.type("z".repeat(time % 40)) };
    });
  });
});
