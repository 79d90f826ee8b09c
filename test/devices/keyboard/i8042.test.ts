import { beforeEach, describe, expect, it } from "vitest";
import { AtKeyboard } from "../../../src/devices/keyboard/at-keyboard.ts";
import { I8042 } from "../../../src/devices/keyboard/i8042.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";
import { FakeIrqLine } from "../../support/fake-irq-line.ts";

const OUTPUT_FULL = 0x01;
const INPUT_FULL = 0x02;

describe("keyboard controller", () => {
  let resets: number;
  let controller: I8042;
  let keyboard: AtKeyboard;
  let irq: FakeIrqLine;
  let mouseIrq: FakeIrqLine;

  beforeEach(() => {
    resets = 0;
    keyboard = new AtKeyboard();
    irq = new FakeIrqLine();
    mouseIrq = new FakeIrqLine();
    controller = new I8042({
      onReset: () => {
        resets++;
      },
      irq,
      mouseIrq,
      keyboard,
    });
  });

  const type = (text: string): void => keyboard.type(new TextEncoder().encode(text));
  /** All that can be read now. */
  const answers = (): number[] => {
    const bytes: number[] = [];
    for (let byte = answer(); byte !== undefined; byte = answer()) bytes.push(byte);
    return bytes;
  };

  const status = (): number => controller.command.read(0, 1);
  const command = (value: number): void => controller.command.write(0, 1, value);
  const send = (value: number): void => controller.data.write(0, 1, value);
  /** The answer to a command; undefined if there is none. */
  const answer = (): number | undefined =>
    (status() & OUTPUT_FULL) !== 0 ? controller.data.read(0, 1) : undefined;
  const ask = (value: number): number | undefined => {
    command(value);
    return answer();
  };

  it("is ready for a command at any time, and has nothing to say at first", () => {
    expect(status()).toBe(0x14);
    for (let value = 0; value < 256; value++) {
      command(value);
      expect(status() & INPUT_FULL).toBe(0);
      send(value);
      expect(status() & INPUT_FULL).toBe(0);
    }
  });

  it("passes its own test and those of its ports", () => {
    expect([ask(0xaa), ask(0xab), ask(0xa9)]).toEqual([0x55, 0x00, 0x00]);
  });

  it("gives an answer once", () => {
    command(0xaa);
    expect(answer()).toBe(0x55);
    expect(answer()).toBeUndefined();
    expect(controller.data.read(0, 1)).toBe(0x55);
  });

  it("tells commands from data in its status", () => {
    command(0xd2);
    expect(status() & 0x08).toBe(0x08);
    send(0);
    expect(status() & 0x08).toBe(0);
  });

  it("keeps the command byte, and the other bytes of its memory", () => {
    command(0x60);
    send(0x47);
    command(0x7f);
    send(0xa5);
    expect([ask(0x20), ask(0x3f)]).toEqual([0x47, 0xa5]);
  });

  it("shows in the command byte which ports are off", () => {
    expect(ask(0x20)).toBe(0x45);
    command(0xad);
    command(0xa7);
    expect(ask(0x20)).toBe(0x75);
    command(0xae);
    command(0xa8);
    expect(ask(0x20)).toBe(0x45);
  });

  it("has a system flag that follows the command byte and the self test", () => {
    command(0x60);
    send(0x00);
    expect(status() & 0x04).toBe(0);
    ask(0xaa);
    expect(status() & 0x04).toBe(0x04);
  });

  it("echoes what is put into its output buffer, and says whose it is", () => {
    command(0xd2);
    send(0x12);
    expect(status() & 0x21).toBe(0x01);
    expect(answer()).toBe(0x12);
    command(0xd3);
    send(0x34);
    expect(status() & 0x21).toBe(0x21);
    expect(answer()).toBe(0x34);
  });

  const sendMouse = (value: number): void => {
    command(0xd4);
    send(value);
  };

  it("hands bytes to the mouse, which answers", () => {
    sendMouse(0xff);
    expect(status() & 0x21).toBe(0x21);
    expect(answers()).toEqual([0xfa, 0xaa, 0x00]);
    expect(status() & 0x20).toBe(0);
    sendMouse(0xf2);
    expect(answers()).toEqual([0xfa, 0x00]);
    for (const byte of [0xf3, 0xf5, 0xe7, 0xf4]) {
      sendMouse(byte);
      expect(answers()).toEqual([0xfa]);
    }
    sendMouse(0xe9);
    expect(answers()).toEqual([0xfa, 0x30, 0x02, 0xf5]);
    sendMouse(0xfe);
    expect(answers()).toEqual([0xfa, 0x30, 0x02, 0xf5]);
    sendMouse(0xeb);
    expect(answers()).toEqual([0xfa, 0x08, 0x00, 0x00]);
    sendMouse(0x01);
    expect(answers()).toEqual([0xfe]);
  });

  it("tells of the mouse's movements once it is to report", () => {
    controller.moveMouse(5, 5, 1);
    sendMouse(0xf4);
    expect(answers()).toEqual([0xfa]);
    command(0x60);
    send(0x02);
    controller.moveMouse(3, -2, 0);
    expect(mouseIrq.level).toBe(true);
    expect(status() & 0x21).toBe(0x21);
    controller.moveMouse(300, 600, 4);
    // The first report has left the mouse; then there is more to tell than goes into one.
    expect(answers()).toEqual([0x28, 3, 0xfe, 0x0c, 255, 255, 0x0c, 45, 255, 0x0c, 0, 90]);
    expect(mouseIrq.level).toBe(false);
    controller.moveMouse(0, 0, 4);
    expect(answers()).toEqual([0x0c, 0, 0]);
  });

  it("has the mouse tell of its movement when it is asked", () => {
    sendMouse(0xf0);
    expect(answers()).toEqual([0xfa]);
    controller.moveMouse(-1, 1, 2);
    expect(answers()).toEqual([]);
    sendMouse(0xeb);
    expect(answers()).toEqual([0xfa, 0x1a, 0xff, 1]);
    sendMouse(0xeb);
    expect(answers()).toEqual([0xfa, 0x0a, 0, 0]);
  });

  it("keeps a report back while the mouse is disabled, and drops it for a command", () => {
    sendMouse(0xf4);
    expect(answers()).toEqual([0xfa]);
    command(0xa7);
    controller.moveMouse(1, 1, 0);
    expect(answers()).toEqual([]);
    command(0xa8);
    expect(answers()).toEqual([0x08, 1, 1]);
    controller.moveMouse(1, 1, 0);
    expect(answer()).toBe(0x08);
    sendMouse(0xf5);
    controller.moveMouse(1, 1, 0);
    expect(answers().slice(-1)).toEqual([0xfa]);
  });

  it("lets the mouse echo while that is wanted", () => {
    const said = [0xee, 0xf4, 0xfe, 0xec, 0xf4].flatMap((byte) => {
      sendMouse(byte);
      return answers();
    });
    expect(said).toEqual([0xfa, 0xf4, 0xfe, 0xfa, 0xfa]);
  });

  it("interrupts for the mouse if that is wanted, on a line of its own", () => {
    sendMouse(0xf4);
    expect(answers()).toEqual([0xfa]);
    expect(mouseIrq.takeRises()).toBe(0);
    command(0x60);
    send(0x47);
    sendMouse(0xff);
    expect(mouseIrq.level).toBe(true);
    expect(answers()).toEqual([0xfa, 0xaa, 0x00]);
    expect(mouseIrq.takeRises()).toBe(3);
    expect(mouseIrq.level).toBe(false);
    expect(irq.takeRises()).toBe(0);
  });

  it("keeps the mouse's answer while the mouse is off", () => {
    sendMouse(0xff);
    expect(answer()).toBe(0xfa);
    command(0xa7);
    // The next was in the buffer by then.
    expect(answers()).toEqual([0xaa]);
    command(0xa8);
    expect(answers()).toEqual([0x00]);
  });

  it("forgets what a device answered before it is asked again, but no keys", () => {
    sendMouse(0xe9);
    sendMouse(0xf2);
    expect(answers()).toEqual([0xfa, 0x00]);
    send(0xed);
    send(0x02);
    expect(answers()).toEqual([0xfa]);
    type("a");
    send(0xf2);
    send(0xee);
    expect(answers()).toEqual([0x1e, 0xee, 0x9e]);
  });

  it("hands bytes to the keyboard, which answers", () => {
    send(0xff);
    expect(answers()).toEqual([0xfa, 0xaa]);
    send(0xf2);
    expect(answers()).toEqual([0xfa, 0xab, 0x41]);
    send(0xed);
    expect(answers()).toEqual([0xfa]);
    send(0x02);
    expect(answers()).toEqual([0xfa]);
    send(0xee);
    expect(answers()).toEqual([0xee]);
    send(0x01);
    expect(answers()).toEqual([0xfe]);
  });

  it("sends keys pressed and released, with an interrupt for each byte", () => {
    type("a");
    expect(irq.level).toBe(true);
    expect(answers()).toEqual([0x1e, 0x9e]);
    expect(irq.takeRises()).toBe(2);
    expect(irq.level).toBe(false);
    type("A\r\x03");
    expect(answers()).toEqual([
      ...[0x2a, 0x1e, 0x9e, 0xaa],
      ...[0x1c, 0x9c],
      ...[0x1d, 0x2e, 0xae, 0x9d],
    ]);
    type("\x1b[A\x1b");
    expect(answers()).toEqual([0xe0, 0x48, 0xe0, 0xc8, 0x01, 0x81]);
  });

  it("keeps keys while the keyboard is off, and is quiet without the interrupt", () => {
    command(0xad);
    type("a");
    expect(answer()).toBeUndefined();
    command(0x60);
    send(0x44);
    irq.takeRises();
    expect(answers()).toEqual([0x1e, 0x9e]);
    expect(irq.takeRises()).toBe(0);
  });

  it("puts its own answers before keys that nobody has read", () => {
    type("a");
    command(0x20);
    expect(answers()).toEqual([0x1e, 0x45, 0x9e]);
  });

  it("remembers the A20 gate", () => {
    expect(ask(0xd0)).toBe(0xcf);
    command(0xd1);
    send(0xdd);
    expect(ask(0xd0)).toBe(0xdd);
    command(0xdf);
    expect(ask(0xd0)).toBe(0xdf);
    command(0xdd);
    expect(ask(0xd0)).toBe(0xdd);
    expect(resets).toBe(0);
  });

  it("resets the machine by a pulse or through the output port, and not otherwise", () => {
    command(0xff);
    command(0xf1);
    expect(resets).toBe(0);
    command(0xfe);
    expect(resets).toBe(1);
    command(0xf0);
    expect(resets).toBe(2);
    command(0xd1);
    send(0x02);
    expect(resets).toBe(3);
  });

  it("does not answer commands it does not know, nor take data for them", () => {
    for (const unknown of [0x00, 0x1f, 0x40, 0x5f, 0x80, 0xb0, 0xef]) {
      expect(ask(unknown)).toBeUndefined();
      send(0x00);
      expect(answer()).toBe(0xfe);
    }
    expect(ask(0x20)).toBe(0x45);
    expect(ask(0xc0)).toBe(0xa0);
  });

  it("forgets a half-given command at reset", () => {
    command(0x60);
    controller.reset();
    send(0x00);
    expect(answer()).toBe(0xfe);
    expect(ask(0x20)).toBe(0x45);
  });

  it("lives through any access", () => {
    readWriteEverything(() => {
      const fresh: I8042 = new I8042({
        onReset: () => fresh.reset(),
        irq: new FakeIrqLine(),
        mouseIrq: new FakeIrqLine(),
        keyboard: new AtKeyboard(),
      });
      return {
        ranges: [
          [fresh.data, 1],
          [fresh.command, 1],
        ],
      };
    });
  });
});
